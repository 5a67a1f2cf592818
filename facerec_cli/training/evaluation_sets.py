"""What a network is evaluated on while it is trained: pairs, pairs of templates, and searches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError
from facerec_cli.faces.quality_limits import MEASURES
from facerec_cli.identify.evaluate import refuse_empty, search_trial, vectors_of_items
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.metrics.evaluate import Evaluation, evaluate
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.scores import score_pairs
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import silent
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.training.evaluation_crops import EvaluationCrops
from facerec_cli.verify.pair_crops import PairCrops, evaluate_crops
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.verify.pooling import pool_templates
from facerec_cli.wording import counted

FARS = (1e-4, 1e-3, 1e-2, 1e-1)
TEMPLATE_FARS = (1e-6, 1e-5, *FARS)
RANKS = (1, 5, 10)
_NAMED_TRIALS = 3  # up to which each trial's rank 1 is told beside the mean

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EvaluationSet(ABC):
    """A list with this process's share of its crops.

    Attributes:
        name: Before the slash of its metrics.
        crops: Of its N photos.
        at_end: Whether it is looked at after the last step only.
        unit: What it consists of, one and several.
    """

    unit: ClassVar[tuple[str, str]] = ("pair", "pairs")
    name: str
    crops: EvaluationCrops
    at_end: bool

    @property
    def has_templates(self) -> bool:
        """Whether photos make templates."""
        return False

    @abstractmethod
    def __len__(self) -> int:
        """How many pairs or searches."""

    @property
    @abstractmethod
    def size(self) -> str:
        """The same in words, with what a metric may need of them."""

    @abstractmethod
    def measure(self, rows: Rows) -> dict[str, float]:
        """The metrics, without the set's name.

        Args:
            rows: (N, D) float32, raw embeddings; a row that is not finite is a photo without one.

        Raises:
            InputError: Nothing can be measured.
        """


@dataclass(frozen=True, slots=True)
class PairSet(EvaluationSet):
    """Pairs of photos."""

    pairs: PairList

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def size(self) -> str:
        """How many pairs of two people there are."""
        return counted(self.pairs.impostors, "different pair")

    def measure(self, rows: Rows) -> dict[str, float]:
        """Accuracy, AUC, EER, TAR at FAR."""
        nothing = np.zeros((0, 1, 1, 3), np.uint8)
        listed = PairCrops(self.name, self.pairs, nothing, np.zeros(len(rows), bool))
        return _figures(evaluate_crops(listed, rows, FARS).evaluation)


@dataclass(frozen=True, slots=True)
class TemplatePairSet(EvaluationSet):
    """Pairs of templates, as IJB-B and IJB-C have them; ``pool``: one of ``registry.POOLINGS``."""

    pairs: PairList
    pool: str

    @property
    def has_templates(self) -> bool:
        """They are."""
        return True

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def size(self) -> str:
        """How many pairs of two people there are."""
        return counted(self.pairs.impostors, "different pair of templates", "different pairs of templates")

    def measure(self, rows: Rows) -> dict[str, float]:
        """The figures of pairs, of one vector for each template."""
        vectors = pool_templates(_photo_vectors(rows), self.pairs, self.pool)
        unusable = np.asarray(~vectors.any(axis=1))
        pairs = self.pairs
        failed = unusable[pairs.first] | unusable[pairs.second]
        if failed.all():
            raise InputError(f"None of the templates of {self.name} has an embedding.")
        scores = score_pairs(vectors, pairs)
        return _figures(evaluate(scores, pairs.same, failed=failed, folds=pairs.fold, fars=TEMPLATE_FARS))


@dataclass(frozen=True, slots=True)
class SearchSet(EvaluationSet):
    """Searches of a protocol; ``pool`` where it has templates."""

    unit: ClassVar[tuple[str, str]] = ("search", "searches")
    protocol: SearchProtocol
    pool: str

    @property
    def has_templates(self) -> bool:
        """Whether the protocol has."""
        return self.protocol.templates is not None

    def __len__(self) -> int:
        return sum(trial.probes.size for trial in self.protocol.trials)

    @property
    def size(self) -> str:
        """How many searches there are, and for how many strangers."""
        identity = self.protocol.identity
        strangers = sum(
            int((~np.isin(identity[trial.probes], identity[trial.gallery])).sum())
            for trial in self.protocol.trials
            if not trial.leave_one_out
        )
        return f"{counted(len(self), 'search', 'searches')}, {strangers:,} of them for strangers"

    def measure(self, rows: Rows) -> dict[str, float]:
        """Rank 1, 5 and 10, TPIR at FPIR, mean average precision: means over the trials."""
        embeddings = _photo_vectors(rows)
        vectors, failed = vectors_of_items(self.protocol, embeddings, self.pool)
        refuse_empty(self.name, self.protocol, embeddings, failed)
        settings, identity, rank = IdentifySettings(bootstrap=0), self.protocol.identity, self.protocol.rank
        searched = {
            trial.name: search_trial(vectors, failed, identity, trial, rank, settings, silent)
            for trial in self.protocol.trials
        }
        each = [_search_figures(found) for found in searched.values()]
        common = [key for key in each[0] if all(key in one for one in each)]
        figures = {key: float(np.mean([one[key] for one in each])) for key in common}
        if 1 < len(each) <= _NAMED_TRIALS:
            for name, one in zip(searched, each, strict=True):
                figures |= {f"{key}@{name}": one[key] for key in ("rank-1",) if key in one}
        return figures


def _photo_vectors(rows: Rows) -> PhotoVectors:
    """Raw embeddings as unit vectors with their norms."""
    failed = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    measures = np.full((len(rows), len(MEASURES)), np.nan, np.float32)
    norms = np.linalg.norm(rows, axis=1)
    measures[:, MEASURES.index("norm")] = norms
    vectors = rows / np.maximum(norms, 1e-12)[:, None]
    vectors[failed] = 0
    reasons = dict.fromkeys(failed.tolist(), "it cannot be read")
    return PhotoVectors(vectors, reasons, ModelInfo("training", "", "torch"), measures=measures)


def _figures(evaluation: Evaluation) -> dict[str, float]:
    """The figures of pairs, by their names; what cannot be measured is left out."""
    found: dict[str, float] = {}
    if evaluation.accuracy is not None:
        found[evaluation.accuracy.kind.replace(" ", "_")] = evaluation.accuracy.mean_with_failures
    for key in ("auc", "eer"):
        value = getattr(evaluation, key)
        if value is not None:
            found[key] = float(value)
    for point in evaluation.tar_at_far:
        if point.tar_with_failures is not None:
            found[f"tar@{point.far:g}"] = point.tar_with_failures
    return found


def _search_figures(found: IdentificationEvaluation) -> dict[str, float]:
    """The figures of one trial; a photo that cannot be read is one that is not found."""
    ranks = {p.rank: p.rate_with_failures for p in found.cmc if p.rank in RANKS}
    figures = {f"rank-{rank}": rate for rank, rate in ranks.items() if rate is not None}
    points = {f"tpir@{p.fpir:g}": p.tpir_with_failures for p in found.tpir_at_fpir}
    figures |= {key: rate for key, rate in points.items() if rate is not None}
    if found.mean_average_precision_with_failures is not None:
        figures["map"] = found.mean_average_precision_with_failures
    return figures
