"""What a verification measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import BootstrapInterval
from facerec_cli.metrics.doubtful_labels import DoubtfulLabels
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.group_report import GroupReport
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.metrics.thresholds import choose
from facerec_cli.metrics.transfer import ThresholdTransfer
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import Threshold
from facerec_cli.verify.photo_vectors import PhotoVectors


@dataclass(frozen=True, slots=True)
class Verification:
    """A list of pairs or a folder, measured.

    Attributes:
        source: The list or folder.
        pairs: The pairs with their photos; photos alone where all pairs of a folder were too many to list.
        embeddings: The photos' vectors.
        evaluation: The figures, and both classes' scores.
        chosen: The operating point for cards and groups, or None when none is measurable.
        scores: (P,) float32, 0 where ``failed``; None where the pairs are not listed.
        failed: (P,) bool, pairs without a score; None likewise.
        fold: (P,) int64, the folds that were used, or None.
        groups: Rates per group.
        bootstrap: Intervals over people.
        model_threshold: The rates at the threshold that the model comes with; None where it has none, or the
            model is not known.
        doubtful_labels: Pairs of different labels that look like one person; None where there are too few
            pairs to tell.
    """

    source: str
    pairs: PairList
    embeddings: PhotoVectors
    evaluation: Evaluation
    chosen: OperatingPoint | None
    scores: NDArray[np.float32] | None = None
    failed: NDArray[np.bool_] | None = None
    fold: NDArray[np.int64] | None = None
    groups: GroupReport | None = None
    bootstrap: tuple[BootstrapInterval, ...] = ()
    model_threshold: ThresholdTransfer | None = None
    doubtful_labels: DoubtfulLabels | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the list calls its photos."""
        return self.pairs.names

    def threshold(self) -> Threshold:
        """The threshold at the chosen FAR, bound to the model, for a card.

        Raises:
            InputError: The FAR is not measurable on this list, or nobody knows the model.
        """
        far = None if self.chosen is None else self.chosen.far
        threshold = choose(self.evaluation, far, data=Path(self.source).name)
        if isinstance(threshold, str):
            raise InputError(
                f"There is no threshold to save: {threshold}.", hint="Choose a larger --far or a larger list."
            )
        model, settings = self.embeddings.model, self.embeddings.settings
        if not model.sha256:
            raise InputError(
                "There is no threshold to save: the embeddings do not say which model made them.",
                hint="Keep the .json of `facerec embed` beside them.",
            )
        return replace(
            threshold,
            model=model.name,
            model_sha256=model.sha256,
            flip=bool(settings.get("flip", False)),
            aligned=bool(settings.get("aligned", False)),
        )
