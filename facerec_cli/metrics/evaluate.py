"""What the scores of labeled pairs say about a model: NumPy arrays in, an :class:`Evaluation` out.

The figures are computed in ``roc.py`` and ``folds.py`` from the scores as ``scores.py`` arranges them. No
figure is given that the data cannot support: it is None, with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.folds import Accuracy, fold_accuracy, no_folds, stratified_folds
from facerec_cli.metrics.roc import (
    OperatingPoint,
    area_under_curve,
    distributions,
    equal_error_rate,
    operating_point,
    pairs_needed,
)
from facerec_cli.metrics.scores import BINS, Distribution, Scores
from facerec_cli.threshold import DEFAULT_FARS
from facerec_cli.wording import counted, one_in

_NAMES = {"accuracy": "accuracy", "eer": "EER", "auc": "AUC", "d_prime": "d′"}
_JSON_KEYS = {  # documented names of genuine and impostor
    "genuine": "same",
    "impostor": "different",
    "failed_genuine": "failed_same",
    "failed_impostor": "failed_different",
    "accepted_genuine": "accepted_same",
    "accepted_impostor": "accepted_different",
}


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs there are; ``failed_*`` of them have no score because a photo gave no embedding."""

    total: int
    genuine: int
    impostor: int
    failed_genuine: int
    failed_impostor: int

    @property
    def failed(self) -> int:
        """Pairs without a score."""
        return self.failed_genuine + self.failed_impostor


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that is measured on a list of pairs.

    Attributes:
        pairs: Counts.
        accuracy: k-fold accuracy, or None; balanced accuracy where one kind of pairs is much more frequent.
        tar_at_far: One point per wanted FAR, in the order asked for.
        eer: Equal error rate, 0..1, or None.
        auc: Area under the ROC curve, 0..1, or None.
        auc_error: How far ``auc`` can be off: 0.0, except for billions of pairs.
        d_prime: Distance of the two means in units of their pooled standard deviation, or None.
        not_measurable: Why a figure is None: name of the figure -> reason.
        genuine: The scores of genuine pairs, from which curves are drawn.
        impostor: The scores of impostor pairs.
    """

    pairs: PairCounts
    accuracy: Accuracy | None
    tar_at_far: tuple[OperatingPoint, ...]
    eer: float | None
    auc: float | None
    auc_error: float
    d_prime: float | None
    not_measurable: dict[str, str]
    genuine: Distribution = field(repr=False, compare=False)
    impostor: Distribution = field(repr=False, compare=False)

    @property
    def measured_points(self) -> tuple[OperatingPoint, ...]:
        """The points of ``tar_at_far`` that have a TAR, in their order."""
        return tuple(point for point in self.tar_at_far if point.tar is not None)

    def point(self, far: float) -> OperatingPoint | None:
        """The operating point at ``far``, where it was asked for."""
        return next((point for point in self.tar_at_far if point.far == far), None)

    def document(self) -> dict[str, Any]:
        """The figures and counts as plain values for JSON, under their documented names."""
        return {
            "pairs": _json_keys(asdict(self.pairs)),
            "accuracy": None if self.accuracy is None else asdict(self.accuracy),
            "tar_at_far": [_json_keys(asdict(point)) for point in self.tar_at_far],
            "eer": self.eer,
            "auc": self.auc,
            "auc_error": self.auc_error,
            "d_prime": self.d_prime,
            "not_measurable": self.not_measurable,
        }

    def reasons(self) -> tuple[str, ...]:
        """A sentence for each reason why figures are missing; nothing where all are there.

        What has one reason is one sentence: six rates that a short list cannot tell are one line, not six.
        """
        figures: dict[str, list[str]] = {}
        for name, reason in self.not_measurable.items():
            figures.setdefault(reason, []).append(_NAMES.get(name, name))
        too_few = []
        for point in self.tar_at_far:
            if point.tar is None and self.impostor.size < pairs_needed(point.far):
                too_few.append(point.far)
            elif point.tar is None:
                figures.setdefault(point.reason, []).append(f"TAR at FAR {one_in(point.far)}")
        sentences = [f"{', '.join(names)}: not measurable: {reason}." for reason, names in figures.items()]
        if too_few:
            pairs = counted(self.impostor.size, "different pair")
            lower = f" and {counted(len(too_few) - 1, 'lower rate')}" if len(too_few) > 1 else ""
            sentences.append(
                f"TAR at FAR {one_in(max(too_few))}{lower}: not measurable with {pairs}; "
                f"it takes 3 / FAR of them, here {pairs_needed(max(too_few)):,}."
            )
        return tuple(sentences)


def evaluate(
    scores: ArrayLike,
    same: ArrayLike,
    *,
    failed: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    thresholds: Sequence[float] = (),
    bins: int = BINS,
) -> Evaluation:
    """Measure accuracy, TAR at FAR, EER, AUC and d'.

    Args:
        scores: (P,) similarity, larger is more alike; float32 and float64 are taken as they are.
        same: (P,) bool, True for two photos of one person.
        failed: (P,) bool, pairs that could not be scored; their scores are ignored.
        folds: (P,) int; without it lists of at most a million pairs are cut by ``stratified_folds``.
        fars: Wanted false accept rates, 0 < far < 1.
        thresholds: Cosines of which ``Distribution.accepted`` is asked later.
        bins: Fineness of the histograms, which changes the speed and never a result.

    Raises:
        InputError: Lengths that differ, no pairs, NaN or infinite scores, or a FAR outside (0, 1).
    """
    s, label, fail, fold = _checked(scores, same, failed, folds, fars)
    lost = np.count_nonzero(fail)
    scored = (s[~fail], label[~fail]) if lost else (s, label)
    genuine, impostor = distributions(*scored, fars, thresholds=thresholds, bins=bins)
    same_pairs, lost_same = int(np.count_nonzero(label)), int(np.count_nonzero(label & fail)) if lost else 0
    counts = PairCounts(
        total=s.size,
        genuine=same_pairs,
        impostor=s.size - same_pairs,
        failed_genuine=lost_same,
        failed_impostor=int(lost) - lost_same,
    )
    if fold is None:
        fold = stratified_folds(label)
    accuracy: Accuracy | str
    if not genuine.size or not impostor.size:
        accuracy = "needs both same and different pairs with a score"
    elif fold is None:
        accuracy = no_folds(s.size)
    else:
        accuracy = fold_accuracy(s, label, fail, fold)
    return from_distributions(genuine, impostor, counts, accuracy=accuracy, fars=fars)


def from_distributions(
    genuine: Distribution,
    impostor: Distribution,
    pairs: PairCounts,
    *,
    accuracy: Accuracy | str,
    fars: Sequence[float],
) -> Evaluation:
    """The evaluation of two classes of scores; ``accuracy`` is given, or why there is none."""
    reasons: dict[str, str] = {}
    eer: float | None = None
    auc: float | None = None
    d_prime: float | None = None
    auc_error = 0.0
    if isinstance(accuracy, str):
        reasons["accuracy"] = accuracy
    if genuine.size and impostor.size:
        eer = equal_error_rate(genuine, impostor)
        auc, auc_error = area_under_curve(genuine, impostor)
        spread = (genuine.variance + impostor.variance) / 2
        if spread > 0:
            d_prime = float((genuine.mean - impostor.mean) / np.sqrt(spread))
        else:
            reasons["d_prime"] = "the scores of each class do not vary, or a class has one pair"
    else:
        missing = "different" if genuine.size else "same"
        reasons |= dict.fromkeys(("eer", "auc", "d_prime"), f"there is no {missing} pair with a score")
    failed = pairs.failed_genuine
    return Evaluation(
        pairs=pairs,
        accuracy=None if isinstance(accuracy, str) else accuracy,
        tar_at_far=tuple(operating_point(far, genuine, impostor, failed_genuine=failed) for far in fars),
        eer=eer,
        auc=auc,
        auc_error=auc_error,
        d_prime=d_prime,
        not_measurable=reasons,
        genuine=genuine,
        impostor=impostor,
    )


def _checked(
    scores: ArrayLike,
    same: ArrayLike,
    failed: ArrayLike | None,
    folds: ArrayLike | None,
    fars: Sequence[float],
) -> tuple[Scores, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64] | None]:
    """The arguments of :func:`evaluate` as arrays."""
    s = np.asarray(scores)
    if s.dtype not in (np.float32, np.float64):
        s = s.astype(np.float64)
    label = np.asarray(same, dtype=bool)
    fail = np.zeros(s.shape, bool) if failed is None else np.asarray(failed, dtype=bool)
    fold = None if folds is None else np.asarray(folds, dtype=np.int64)
    if s.ndim != 1 or len({a.shape for a in (s, label, fail, fold) if a is not None}) != 1:
        raise InputError("Scores, labels, failures and folds must be one-dimensional and of one length.")
    if not s.size:
        raise InputError("There is no pair to evaluate.")
    is_sound = bool(np.isfinite(s.min()) and np.isfinite(s.max()))  # NaN is the least and the highest of all
    bad = np.flatnonzero([] if is_sound else ~np.isfinite(s) & ~fail)
    if bad.size:
        raise InputError(
            f"{bad.size} of {s.size} scores are NaN or infinite, the first at position {bad[0]}.",
            hint="Mark pairs that could not be scored in `failed`, or mend the embeddings.",
        )
    for far in fars:
        if not 0 < far < 1:
            raise InputError(f"A false accept rate lies between 0 and 1; {far} does not.")
    return s, label, fail, fold


def _json_keys(values: dict[str, Any]) -> dict[str, Any]:
    return {_JSON_KEYS.get(key, key): value for key, value in values.items()}
