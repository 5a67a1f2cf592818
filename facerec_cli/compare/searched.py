"""``facerec compare --search`` as a library: models on the searches of one protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.compare.settings import CompareSettings
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.kinds import is_embeddings
from facerec_cli.identify.evaluate import refuse_empty, search_trial, vectors_of_items
from facerec_cli.identify.settings import EVALUATED_FPIRS, IdentifySettings
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.paired import PairedModels
from facerec_cli.metrics.paired_searches import PairedSearches, compare_searches
from facerec_cli.metrics.scores import Vectors
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.protocols.read import read_protocol
from facerec_cli.verify.photo_vectors import open_embeddings
from facerec_cli.verify.settings import Steps, no_steps

LISTED = 1000
"""Searches on which two models differ that are listed in the document."""


@dataclass(frozen=True, slots=True)
class SearchedModel:
    """One of the models.

    Attributes:
        name: What the user calls it.
        model: What made the vectors.
        failures: Items of the protocol that it has no vector of.
    """

    name: str
    model: ModelInfo
    failures: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A mated search that exactly one of two models gets right.

    Attributes:
        trial: Its name.
        probe: What the protocol calls the probe.
        person: Who it shows.
        right: Number of the model that is right.
        scores: Of the mate, with the first and with the second model.
        ranks: Likewise.
        pictures: The probe, and a photo of the mate in the gallery, as items of the protocol.
    """

    trial: str
    probe: str
    person: str
    right: int
    scores: tuple[float, float]
    ranks: tuple[int, int]
    pictures: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SearchComparison:
    """Models on one protocol.

    Attributes:
        source: What the user calls it.
        protocol: Who is enrolled and what is searched for.
        models: What the user named.
        left_out: Items that not all models have a vector of; no model sees them.
        paired: The figures.
    """

    source: str
    protocol: SearchProtocol
    models: tuple[SearchedModel, ...]
    left_out: int
    paired: PairedSearches

    @property
    def searches(self) -> tuple[int, int]:
        """Mated and non-mated searches that are compared, over the trials."""
        mated = [trial.outcomes.mated for trial in self.paired.evaluations[0]]
        return sum(int(one.sum()) for one in mated), sum(int((~one).sum()) for one in mated)

    def document(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        mated, non_mated = self.searches
        paired = self.paired.document()
        for couple, told in zip(self.paired.pairs, paired["comparisons"], strict=True):
            rows = list(islice(self.disagreements(couple), LISTED))
            told["differing_searches"] = [
                {key: value for key, value in asdict(row).items() if key != "pictures"} for row in rows
            ]
        return {
            "facerec": __version__,
            "source": self.source,
            "format": self.protocol.format,
            "trials": len(self.protocol.trials),
            "mated_searches": mated,
            "non_mated_searches": non_mated,
            "left_out": self.left_out,
            "models": [
                {
                    "name": one.name,
                    "model": {"name": one.model.name, "sha256": one.model.sha256},
                    "failures": one.failures,
                    "trials": [trial.document() for trial in trials],
                }
                for one, trials in zip(self.models, self.paired.evaluations, strict=True)
            ],
            **paired,
        }

    def disagreements(self, couple: PairedModels) -> Iterator[Disagreement]:
        """The mated searches that exactly one of two models gets right, each at its own threshold, by trial.

        Nothing where no rate is measurable.
        """
        if couple.primary is None:
            return
        protocol = self.protocol
        for number, trial in enumerate(protocol.trials):
            two = [self.paired.evaluations[model][number] for model in (couple.first, couple.second)]
            right = [self.paired.found(model, number) for model in (couple.first, couple.second)]
            mated = np.flatnonzero(two[0].outcomes.mated)
            for at in np.flatnonzero(right[0] != right[1]):
                search = mated[at]
                probe = int(trial.probes[two[0].searches.made[search]])
                who = int(protocol.identity[probe])
                mates = trial.gallery[protocol.identity[trial.gallery] == who]
                yield Disagreement(
                    trial=trial.name,
                    probe=self._name(probe),
                    person=protocol.people[who],
                    right=couple.first if right[0][at] else couple.second,
                    scores=(float(two[0].outcomes.mate[search]), float(two[1].outcomes.mate[search])),
                    ranks=(int(two[0].outcomes.rank[search]), int(two[1].outcomes.rank[search])),
                    pictures=(probe, int(mates[0]) if mates.size else probe),
                )

    def _name(self, item: int) -> str:
        templates = self.protocol.templates
        return self.protocol.names[item] if templates is None else str(templates.names[item])


def compare_on_searches(
    models: Sequence[str],
    settings: CompareSettings,
    *,
    format: str | None = None,
    root: str | Path | None = None,
    steps: Steps = no_steps,
) -> SearchComparison:
    """Compare models on a protocol of searches, or on a gallery and probes.

    Args:
        models: Two or more: packs, or files of embeddings of the protocol's photos.
        settings: How; ``search`` is the protocol, or the gallery where there are ``probes``.
        format: The protocol's format; recognized when None.
        root: Folder that the paths of lists start from.
        steps: Watches the work.

    Raises:
        UsageError: Fewer than two models.
        InputError: The protocol, its photos or the embeddings cannot be used.
        ModelError: A model cannot be used.
    """
    if len(models) < 2:
        raise UsageError(
            "A comparison takes two models at least.",
            hint="For example: facerec compare sface sface-degraded --search gallery.csv --probes probes.csv",
        )
    assert settings.search is not None
    inputs = [settings.search] if settings.probes is None else [settings.search, settings.probes]
    photos = root is not None or not all(is_embeddings(name) for name in models)
    protocol = read_protocol(inputs, format, root, images=photos)
    source = " and ".join(map(str, inputs))
    told, vectors, lost = _vectors(source, protocol, models, settings, steps)
    failed = np.any(lost, axis=0)
    asked = IdentifySettings(fpir=_rates(settings.fpir), bootstrap=0)
    evaluations: list[list[IdentificationEvaluation]] = [[] for _ in models]
    for number, trial in enumerate(protocol.trials, 1):
        with steps(f"Searching, trial {number} of {len(protocol.trials)}", "searches") as progress:
            for of_model, table in zip(evaluations, vectors, strict=True):
                found = search_trial(table, failed, protocol.identity, trial, protocol.rank, asked, progress)
                of_model.append(found)
    people = []
    for trial, measured in zip(protocol.trials, evaluations[0], strict=True):
        items = trial.probes[measured.searches.made]
        # Each probe of nobody known is a person of their own, the same one in all trials.
        people.append(np.where(protocol.identity[items] < 0, -1 - items, protocol.identity[items]))
    with steps("Bootstrap", "rounds") as progress:
        paired = compare_searches(
            evaluations, people, fpir=settings.fpir, rounds=settings.bootstrap, progress=progress
        )
    return SearchComparison(source, protocol, told, int(failed.sum()), paired)


def _vectors(
    source: str, protocol: SearchProtocol, models: Sequence[str], settings: CompareSettings, steps: Steps
) -> tuple[tuple[SearchedModel, ...], list[Vectors], list[NDArray[np.bool_]]]:
    """What each model says of the protocol's items: who it is, (T, D) vectors, (T,) which have none."""
    told, vectors, lost = [], [], []
    for name in models:
        with steps(f"Embedding with {name}", "photos") as progress:
            stored = Path(name) if is_embeddings(name) else None
            of = settings.of_model(None if stored else name, stored)
            embeddings = open_embeddings(protocol, of, progress)
        table, failed = vectors_of_items(protocol, embeddings, "mean")
        refuse_empty(source, protocol, embeddings, failed)
        shown = name if stored is None else stored.name
        told.append(SearchedModel(shown, embeddings.model, int(failed.sum())))
        vectors.append(table)
        lost.append(failed)
    failed = np.any(lost, axis=0)
    empty = next((trial for trial in protocol.trials if failed[trial.gallery].all()), None)
    if empty is not None:
        raise InputError(
            f"No photo of the gallery of {source} ({empty.name}) has an embedding of every model.",
            hint="`facerec identify --evaluate` with each model says why of each.",
        )
    return tuple(told), vectors, lost


def _rates(fpir: float | None) -> tuple[float, ...]:
    return tuple(sorted({*EVALUATED_FPIRS, *(() if fpir is None else (fpir,))}))
