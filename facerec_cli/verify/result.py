"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import BootstrapInterval
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.groups import GroupReport
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.metrics.thresholds import choose
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import Threshold
from facerec_cli.verify.photo_vectors import PhotoVectors


@dataclass(frozen=True, slots=True)
class Verification:
    """What came out.

    Attributes:
        source: The list or folder.
        format: Its format; "all-pairs" for a folder.
        names: What the list calls its photos.
        images: The photos, where they are known.
        embeddings: Their vectors.
        evaluation: The figures, and both classes' scores.
        chosen: The operating point for cards and groups, or None when none is measurable.
        pairs: The list, None where all pairs were too many to list.
        fold: (P,) int64, the folds that were used, or None.
        scores: (P,) float32, or None; 0 where ``failed``.
        failed: (P,) bool, or None.
        groups: Rates per group.
        bootstrap: Intervals over people.
    """

    source: str
    format: str
    names: tuple[str, ...]
    images: tuple[Path | bytes, ...]
    embeddings: PhotoVectors
    evaluation: Evaluation
    chosen: OperatingPoint | None
    pairs: PairList | None
    fold: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    failed: NDArray[np.bool_] | None
    groups: GroupReport | None = None
    bootstrap: tuple[BootstrapInterval, ...] = ()

    def threshold(self) -> Threshold:
        """The threshold at the chosen FAR, bound to the model, for a card.

        Raises:
            InputError: The FAR is not measurable on this list, or nobody knows the model.
        """
        far = None if self.chosen is None else self.chosen.far
        found = choose(self.evaluation, far, data=Path(self.source).name)
        if isinstance(found, str):
            raise InputError(
                f"There is no threshold to save: {found}.", hint="Choose a larger --far or a larger list."
            )
        model, settings = self.embeddings.model, self.embeddings.settings
        if not model.sha256:
            raise InputError(
                "There is no threshold to save: the embeddings do not say which model made them.",
                hint="Keep the .json of `facerec embed` beside them.",
            )
        return replace(
            found,
            model=model.name,
            model_sha256=model.sha256,
            flip=bool(settings.get("flip", False)),
            aligned=bool(settings.get("aligned", False)),
        )
