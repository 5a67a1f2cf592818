"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import BootstrapInterval
from facerec_cli.metrics.distribution import Distribution
from facerec_cli.metrics.groups import GroupReport
from facerec_cli.metrics.statistics import Evaluation, OperatingPoint
from facerec_cli.metrics.threshold_card import ThresholdCard
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.verify.photo_vectors import Gallery


@dataclass(frozen=True, slots=True)
class Verification:
    """What came out.

    Attributes:
        source: The list or folder.
        format: Its format; "all-pairs" for a folder.
        names: What the list calls its photos.
        images: The photos, where they are known.
        gallery: Their vectors.
        evaluation: The figures.
        genuine: Distribution of the same pairs' scores, for curves.
        impostor: Distribution of the different pairs' scores.
        pairs: The list, None where all pairs were too many to list.
        fold: (P,) int64, the folds that were used, or None.
        scores: (P,) float32, or None; 0 where ``failed``.
        failed: (P,) bool, or None.
        chosen: The operating point for cards and groups, or None when none is measurable.
        groups: Rates per group.
        bootstrap: Intervals over people.
    """

    source: str
    format: str
    names: tuple[str, ...]
    images: tuple[Path | bytes, ...]
    gallery: Gallery
    evaluation: Evaluation
    genuine: Distribution
    impostor: Distribution
    pairs: PairList | None
    fold: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    failed: NDArray[np.bool_] | None
    chosen: OperatingPoint | None
    groups: GroupReport | None = None
    bootstrap: tuple[BootstrapInterval, ...] = ()

    def card(self) -> ThresholdCard:
        """The threshold at the chosen FAR, bound to the model.

        Raises:
            InputError: The FAR is not measurable on this list, or nobody knows the model.
        """
        point = self.chosen
        if point is None or point.threshold is None or point.measured_far is None or point.tar is None:
            reason = point.reason if point else "no FAR is measurable on this list"
            raise InputError(
                f"There is no threshold to save: {reason}.", hint="Choose a larger --far or a larger list."
            )
        model = self.gallery.model
        if not model.sha256:
            raise InputError(
                "There is no threshold to save: the embeddings do not say which model made them.",
                hint="Keep the .json of `facerec embed` beside them.",
            )
        return ThresholdCard(
            threshold=point.threshold,
            far=point.far,
            measured_far=point.measured_far,
            tar=point.tar,
            different_pairs=self.impostor.size,
            same_pairs=self.genuine.size,
            data=Path(self.source).name,
            model=model.name,
            model_sha256=model.sha256,
            flip=bool(self.gallery.settings.get("flip", False)),
            aligned=bool(self.gallery.settings.get("aligned", False)),
        )
