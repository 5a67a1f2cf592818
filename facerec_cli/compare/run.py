"""``facerec compare`` as a library: models, or scores of them, on one list of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.compare.scored import SUFFIXES, ModelScores, read_scores, scored_by
from facerec_cli.compare.settings import CompareSettings
from facerec_cli.errors import InputError, UsageError
from facerec_cli.images import IMAGE_SUFFIXES
from facerec_cli.metrics.paired import PairedComparison, PairedModels, compare_scores
from facerec_cli.verify.run import verify_list
from facerec_cli.verify.settings import Steps, no_steps


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Models on one list.

    Attributes:
        source: The list; "" where files of scores were compared.
        models: What each says of the pairs.
        used: (P,) bool, the pairs that all of them can score.
        paired: The figures.
    """

    source: str
    models: tuple[ModelScores, ...]
    used: NDArray[np.bool_]
    paired: PairedComparison

    def document(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        models = [
            {
                "name": one.name,
                "model": one.model or None,
                "failures": int(one.failed.sum()),
                **evaluation.document(),
            }
            for one, evaluation in zip(self.models, self.paired.evaluations, strict=True)
        ]
        return {
            "facerec": __version__,
            "source": self.source,
            "pairs": len(self.used),
            "compared_pairs": int(self.used.sum()),
            "models": models,
            **self.paired.document(),
        }

    def disagreements(self, couple: PairedModels, count: int) -> list[tuple[int, bool]]:
        """Pairs that exactly one of two models gets right, each at its own threshold, the clearest first.

        Args:
            couple: The two models.
            count: How many at most.

        Returns:
            Row of the list, and whether the first model is the one that is right.
        """
        if self.paired.far is None:
            return []
        right, beyond = [], []
        for number in (couple.first, couple.second):
            point = self.paired.evaluations[number].point(self.paired.far)
            assert point is not None and point.threshold is not None
            distance = self.models[number].scores.astype(np.float64) - point.threshold
            right.append((distance >= 0) == self.models[number].same)
            beyond.append(np.abs(distance))
        rows = np.flatnonzero((right[0] != right[1]) & self.used)
        order = np.argsort(-np.minimum(beyond[0], beyond[1])[rows], kind="stable")
        return [(int(row), bool(right[0][row])) for row in rows[order[:count]]]


def compare(
    inputs: Sequence[str | Path],
    settings: CompareSettings | None = None,
    *,
    format: str | None = None,
    root: str | Path | None = None,
    steps: Steps = no_steps,
) -> ModelComparison:
    """Compare models on a list of pairs, or files of scores of one list.

    Args:
        inputs: Two or more models and then the list; or two or more files of ``verify --scores``.
        settings: How.
        format: The list's format; recognized when None.
        root: Folder that the list's paths start from.
        steps: Watches the work.

    Raises:
        UsageError: Fewer than two models.
        InputError: A list or file cannot be used, or the files are of different pairs.
        ModelError: A model cannot be used.
    """
    settings = settings or CompareSettings()
    named = [str(name) for name in inputs]
    files = [name for name in named if name.lower().endswith(SUFFIXES) and Path(name).is_file()]
    if len(named) >= 2 and files == named:
        source, models = "", tuple(read_scores(Path(name)) for name in named)
    elif len(named) < 3:
        photos = len(named) == 2 and all(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in named)
        raise UsageError(
            "A comparison takes two models and a list, or two files of scores.",
            hint="Two photos: facerec verify A.jpg B.jpg"
            if photos
            else "For example: facerec compare sface sface-degraded pairs.txt",
        )
    else:
        *references, source = named
        models = tuple(
            scored_by(verify_list(source, settings.of_model(one), format=format, root=root, steps=steps), one)
            for one in references
        )
    for other in models[1:]:
        models[0].require_same_pairs(other)
    used = ~np.any([one.failed for one in models], axis=0)
    if not used.any():
        raise InputError("No pair has a score of every model.", hint="`facerec verify` says why of each.")
    fold = models[0].fold
    first, second = models[0].people()
    with steps("Bootstrap", "rounds") as progress:
        paired = compare_scores(
            [np.ascontiguousarray(one.scores[used]) for one in models],
            models[0].same[used],
            (first[used], second[used]),
            folds=None if fold is None else fold[used],
            far=settings.far,
            rounds=settings.bootstrap,
            progress=progress,
        )
    return ModelComparison(source, models, used, paired)
