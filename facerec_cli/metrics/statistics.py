"""What a list of scores says about a model: pure functions, NumPy arrays in, numbers out.

A pair is accepted (called the same person) when its score >= the threshold. FAR is the share of accepted
different-person pairs, TAR that of accepted same-person pairs. Every figure is exact on the given scores,
ties included, or None with a reason: no figure is given that the data cannot support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.distribution import (
    BINS,
    Binning,
    Counts,
    Distribution,
    Scores,
    accepted_at_most,
    auc,
    bins_to_open,
    equal_error_rate,
)
from facerec_cli.metrics.folds import Accuracy, between, fold_accuracy, stratified_folds

DEFAULT_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

#: Lists without folds are cut into ten up to this many pairs; larger ones (IJB) are not judged by accuracy.
MAX_PAIRS_FOR_FOLDS = 1_000_000


def too_many_for_folds(pairs: int) -> str:
    """Why a list of so many pairs without folds has no accuracy."""
    return (
        f"{pairs:,} pairs without folds are more than the {MAX_PAIRS_FOR_FOLDS:,} that are cut into ten; "
        "TAR at FAR and the equal error rate are measured on all of them"
    )


_KEPT_FOR_AUC = 1 << 26  # 64 million scores, 256 MB in float32
_Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The largest TAR whose measured FAR is at most the wanted one.

    Attributes:
        far: The wanted false accept rate.
        measurable: Whether there are at least 3 / far different pairs (rule of three).
        tar: Share of accepted same pairs among those with a score; None when not measurable.
        low: Lower end of the 95 % Wilson interval of ``tar``.
        high: Upper end.
        threshold: Accept when score >= threshold.
        measured_far: Share of accepted different pairs at that threshold, <= ``far``.
        tar_with_failures: Share when same pairs without a score count as rejected.
        accepted_same: Accepted same pairs.
        accepted_different: Accepted different pairs.
        reason: Why it is not measurable, else "".
    """

    far: float
    measurable: bool
    tar: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    measured_far: float | None = None
    tar_with_failures: float | None = None
    accepted_same: int | None = None
    accepted_different: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs there are; ``failed_*`` of them have no score because a photo gave no embedding."""

    total: int
    same: int
    different: int
    failed_same: int
    failed_different: int

    @property
    def failed(self) -> int:
        """Pairs without a score."""
        return self.failed_same + self.failed_different


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
    """

    pairs: PairCounts
    accuracy: Accuracy | None
    tar_at_far: tuple[OperatingPoint, ...]
    eer: float | None
    auc: float | None
    auc_error: float
    d_prime: float | None
    not_measurable: dict[str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures, with the two classes' distributions that curves are drawn from."""

    evaluation: Evaluation
    genuine: Distribution
    impostor: Distribution


def evaluate(
    scores: ArrayLike,
    same: ArrayLike,
    *,
    failed: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    bins: int = BINS,
) -> Evaluation:
    """Measure accuracy, TAR at FAR, EER, AUC and d'.

    Args:
        scores: (P,) similarity, larger is more alike; float32 and float64 are taken as they are.
        same: (P,) bool, True for two photos of one person.
        failed: (P,) bool, pairs that could not be scored; their scores are ignored.
        folds: (P,) int; without it lists of at most a million pairs are cut by ``stratified_folds``.
        fars: Wanted false accept rates, 0 < far < 1.
        bins: Fineness of the histograms, which changes the speed and never a result.

    Raises:
        InputError: Lengths that differ, no pairs, NaN or infinite scores, or a FAR outside (0, 1).
    """
    return measure(scores, same, failed=failed, folds=folds, fars=fars, bins=bins).evaluation


def measure(
    scores: ArrayLike,
    same: ArrayLike,
    *,
    failed: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    bins: int = BINS,
) -> Measured:
    """What :func:`evaluate` does, keeping the distributions."""
    s, label, fail, fold = _checked(scores, same, failed, folds, fars)
    genuine, impostor = s[label & ~fail], s[~label & ~fail]
    pairs = PairCounts(
        total=s.size,
        same=int(label.sum()),
        different=int(s.size - label.sum()),
        failed_same=int((label & fail).sum()),
        failed_different=int((~label & fail).sum()),
    )
    if fold is None and s.size <= MAX_PAIRS_FOR_FOLDS:
        fold = stratified_folds(label)
    accuracy: Accuracy | str
    if not genuine.size or not impostor.size:
        accuracy = "needs both same and different pairs with a score"
    elif fold is None and s.size > MAX_PAIRS_FOR_FOLDS:
        accuracy = too_many_for_folds(s.size)
    elif fold is None:
        accuracy = "folds need at least two same and two different pairs"
    else:
        accuracy = fold_accuracy(s, label, fail, fold)
    moments = (_moments(genuine), _moments(impostor))
    alike, unlike = _distributions(genuine, impostor, fars, bins=bins)
    return Measured(summarise(alike, unlike, pairs, moments, accuracy=accuracy, fars=fars), alike, unlike)


def _distributions(
    genuine: Scores, impostor: Scores, fars: Sequence[float], *, bins: int = BINS
) -> tuple[Distribution, Distribution]:
    """The two classes' scores, arranged for ``summarise``."""
    ends = [f(x) for x in (genuine, impostor) if x.size for f in (np.min, np.max)]
    binning = Binning(float(min(ends, default=0.0)), float(max(ends, default=0.0)), bins)
    index = [binning.index(x) for x in (genuine, impostor)]
    counts: list[Counts] = [binning.histogram(i) for i in index]
    opened = bins_to_open(counts[0], counts[1], fars, budget=_KEPT_FOR_AUC)
    made = [
        Distribution(binning, count, opened, x[opened[i]])
        for x, i, count in zip((genuine, impostor), index, counts, strict=True)
    ]
    return made[0], made[1]


def summarise(
    genuine: Distribution,
    impostor: Distribution,
    pairs: PairCounts,
    moments: tuple[tuple[float, float], tuple[float, float]],
    *,
    accuracy: Accuracy | str,
    fars: Sequence[float],
) -> Evaluation:
    """All figures from the two distributions; ``moments`` are (mean, variance) of genuine and impostor."""
    reasons: dict[str, str] = {}
    eer: float | None = None
    area: float | None = None
    d_prime: float | None = None
    area_error = 0.0
    if isinstance(accuracy, str):
        reasons["accuracy"] = accuracy
    if genuine.size and impostor.size:
        eer = equal_error_rate(genuine, impostor)
        area, area_error = auc(genuine, impostor)
        (mean_g, var_g), (mean_i, var_i) = moments
        spread = (var_g + var_i) / 2
        if spread > 0:
            d_prime = float((mean_g - mean_i) / np.sqrt(spread))
        else:
            reasons["d_prime"] = "the scores of each class do not vary, or a class has one pair"
    else:
        missing = "different" if genuine.size else "same"
        for name in ("eer", "auc", "d_prime"):
            reasons[name] = f"there is no {missing} pair with a score"
    return Evaluation(
        pairs=pairs,
        accuracy=None if isinstance(accuracy, str) else accuracy,
        tar_at_far=tuple(operating_point(far, genuine, impostor, pairs) for far in fars),
        eer=eer,
        auc=area,
        auc_error=area_error,
        d_prime=d_prime,
        not_measurable=reasons,
    )


def operating_point(
    far: float, genuine: Distribution, impostor: Distribution, pairs: PairCounts
) -> OperatingPoint:
    """TAR at ``far``; see :class:`OperatingPoint`.

    The threshold lies midway between the highest score that must be rejected and the next higher score of
    either class.
    """
    if impostor.size * far < 3 * (1 - 1e-12):
        needed = int(np.ceil(3 / far - 1e-6))
        reason = f"not measurable with {impostor.size:,} different pairs; needs {needed:,} (3 / FAR)"
        return OperatingPoint(far, False, reason=reason)
    if not genuine.size:
        return OperatingPoint(far, False, reason="there is no same pair with a score")
    k = accepted_at_most(far, impostor.size)  # < size, because far < 1
    rejected = impostor.largest(k)
    following = min(genuine.next_above(rejected), impostor.next_above(rejected))
    kind = impostor.values.dtype.type
    accepted_same = int(genuine.above(np.array([rejected], kind))[0])
    accepted_different = int(impostor.above(np.array([rejected], kind))[0])
    low, high = wilson_interval(accepted_same, genuine.size)
    return OperatingPoint(
        far=far,
        measurable=True,
        tar=accepted_same / genuine.size,
        low=low,
        high=high,
        threshold=between(rejected, following, kind),
        measured_far=accepted_different / impostor.size,
        tar_with_failures=accepted_same / pairs.same,
        accepted_same=accepted_same,
        accepted_different=accepted_different,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927).

    Chosen over Clopper-Pearson because its average coverage is the nominal 95 % also for rates near 0 and 1
    and for few trials (Brown, Cai and DasGupta 2001), where Clopper-Pearson is needlessly wide. It takes the
    trials as independent; for photos that occur in several pairs ``bootstrap.py`` resamples people instead.
    """
    if not trials:
        return 0.0, 1.0
    z2 = _Z95 * _Z95
    share = successes / trials
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    low = 0.0 if successes == 0 else float(centre - half)
    return low, 1.0 if successes == trials else float(centre + half)


def _moments(scores: Scores) -> tuple[float, float]:
    """Mean and unbiased variance in float64."""
    if scores.size < 2:
        return (float(scores[0]) if scores.size else 0.0), 0.0
    mean, total = float(scores.mean(dtype=np.float64)), 0.0
    for start in range(0, scores.size, 1 << 16):  # small enough for the cache
        centred = scores[start : start + (1 << 16)].astype(np.float64) - mean
        # Not np.dot: BLAS starts all threads for it, and waits long for a core that another program uses.
        total += float(np.einsum("i,i->", centred, centred))
    return mean, total / (scores.size - 1)


def _checked(
    scores: ArrayLike,
    same: ArrayLike,
    failed: ArrayLike | None,
    folds: ArrayLike | None,
    fars: Sequence[float],
) -> tuple[Scores, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64] | None]:
    s = np.asarray(scores)
    if s.dtype not in (np.float32, np.float64):
        s = s.astype(np.float64)
    label = np.asarray(same, dtype=bool)
    fail = np.zeros(s.shape, bool) if failed is None else np.asarray(failed, dtype=bool)
    fold = None if folds is None else np.asarray(folds, dtype=np.int64)
    lengths = {a.shape for a in (s, label, fail) if a is not None} | (
        {fold.shape} if fold is not None else set()
    )
    if len(lengths) != 1 or s.ndim != 1:
        raise InputError("Scores, labels, failures and folds must be one-dimensional and of one length.")
    if not s.size:
        raise InputError("There is no pair to evaluate.")
    bad = np.flatnonzero(~np.isfinite(s) & ~fail)
    if bad.size:
        raise InputError(
            f"{bad.size} of {s.size} scores are NaN or infinite, the first at position {bad[0]}.",
            hint="Mark pairs that could not be scored in `failed`, or mend the embeddings.",
        )
    for far in fars:
        if not 0 < far < 1:
            raise InputError(f"A false accept rate lies between 0 and 1; {far} does not.")
    return s, label, fail, fold
