"""k-fold accuracy by the rule of Labeled Faces in the Wild (Huang et al. 2007, View 2).

The share of right answers says something only where both kinds of pairs are about as many, as in the field's
lists: of 100 different pairs and one same pair, whoever calls all pairs different is right in 99 %. Elsewhere
the figure is the balanced accuracy, the mean of the share of right answers among same and among different
pairs (Brodersen et al. 2010), and its threshold is chosen by the same measure. Guessing gives 50 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.roc import threshold_between

DEFAULT_FOLDS = 10
#: Lists without folds are cut into ten up to this many pairs; larger ones (IJB) are not judged by accuracy.
MAX_PAIRS_FOR_FOLDS = 1_000_000
#: Where the more frequent kind has a larger part of the scored pairs, accuracy is balanced accuracy.
MOST_OF_ONE_KIND = 0.55
PLAIN, BALANCED = "accuracy", "balanced accuracy"


@dataclass(frozen=True, slots=True)
class FoldAccuracy:
    """One fold.

    Attributes:
        fold: Its number.
        accuracy: Share of its scored pairs that the threshold gets right, 0..1; of balanced accuracy the mean
            of that share among its same and its different pairs.
        threshold: Chosen on the other folds.
        pairs: Its scored pairs.
        failures: Its pairs without a score.
    """

    fold: int
    accuracy: float
    threshold: float
    pairs: int
    failures: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Accuracy over folds.

    Attributes:
        mean: Mean of the folds' accuracies, 0..1; pairs without a score are left out.
        standard_error: Standard deviation of the folds (ddof 1) over the square root of their number.
        mean_with_failures: The same mean when a pair without a score counts as wrong.
        folds: Each fold.
        kind: ``accuracy``, or ``balanced accuracy`` where one kind of pairs is much more frequent; all values
            above are of that kind.
    """

    mean: float
    standard_error: float
    mean_with_failures: float
    folds: tuple[FoldAccuracy, ...]
    kind: str = PLAIN


def stratified_folds(same: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Folds for a list that has none: each class is cut, in list order, into ten runs of equal length.

    Runs rather than every tenth pair, because neighbours in a list often show the same person, who should
    not choose the threshold and be judged by it. A list made of LFW's ten sets gets exactly those sets back.

    Args:
        same: (P,) bool.

    Returns:
        (P,) int64, fewer folds where a class has fewer than ten pairs; None where it has fewer than two, or
        where there are more than ``MAX_PAIRS_FOR_FOLDS`` pairs.
    """
    count = min(DEFAULT_FOLDS, int(same.sum()), int((~same).sum()))
    if count < 2 or same.size > MAX_PAIRS_FOR_FOLDS:
        return None
    folds = np.empty(same.size, np.int64)
    for members in (same, ~same):
        size = int(members.sum())
        folds[members] = np.arange(size) * count // size
    return folds


def no_folds(pairs: int) -> str:
    """Why a list of so many pairs, which :func:`stratified_folds` does not cut, has no accuracy."""
    if pairs <= MAX_PAIRS_FOR_FOLDS:
        return "folds need at least two same and two different pairs"
    return (
        f"{pairs:,} pairs without folds are more than the {MAX_PAIRS_FOR_FOLDS:,} that are cut into ten; "
        "TAR at FAR and the equal error rate are measured on all of them"
    )


def kind_for(genuine: int, impostor: int) -> str:
    """Which accuracy so many scored pairs of each kind can have: ``accuracy`` or ``balanced accuracy``."""
    return PLAIN if max(genuine, impostor) <= MOST_OF_ONE_KIND * (genuine + impostor) else BALANCED


def best_threshold(scores: NDArray[Any], same: NDArray[np.bool_], kind: str = PLAIN) -> float:
    """The threshold with the highest accuracy when a pair is accepted if score >= threshold.

    Candidates are the midpoints between neighboring distinct scores, one at the lowest score (accept all)
    and one just above the highest (reject all). Of several best ones the median is taken, the lower of the
    two middle ones when their number is even, so that the threshold does not hug a score by chance.

    Args:
        scores: (P,) ascending.
        same: (P,) bool, in the order of ``scores``.
        kind: Which accuracy.
    """
    genuine, impostor = int(same.sum()), int((~same).sum())
    rejected_right = np.concatenate(([0], np.cumsum(~same)))
    accepted_right = genuine - np.concatenate(([0], np.cumsum(same)))
    if kind == BALANCED:  # both shares over one denominator, so that equal ones are equal
        rejected_right, accepted_right = rejected_right * max(genuine, 1), accepted_right * max(impostor, 1)
    right = rejected_right + accepted_right
    right[1:-1][scores[1:] == scores[:-1]] = -1  # equal scores cannot be told apart
    best = np.flatnonzero(right == right.max())
    cut = int(best[(best.size - 1) // 2])
    if cut == 0:
        return float(scores[0])
    upper = float(scores[cut]) if cut < scores.size else np.inf
    return threshold_between(float(scores[cut - 1]), upper, scores.dtype.type)


def fold_accuracy(
    scores: NDArray[Any],
    same: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    folds: NDArray[np.int64],
) -> Accuracy | str:
    """Accuracy of each fold at the threshold that is best on all the others; which kind, see above.

    Args:
        scores: (P,) float32 or float64; ignored where ``failed``.
        same: (P,) bool.
        failed: (P,) bool, pairs without a score.
        folds: (P,) int64, any numbers.

    Returns:
        The accuracy, or why it cannot be measured.
    """
    order = np.argsort(scores, kind="stable")
    order = order[~failed[order]]
    numbers = np.unique(folds)
    if numbers.size < 2:
        return "needs at least two folds; the list has one"
    genuine = int(same[order].sum())
    kind = kind_for(genuine, order.size - genuine)
    results, with_failures = [], []
    for number in numbers:
        inside = folds[order] == number
        train, test = order[~inside], order[inside]
        if not test.size or not train.size:
            return f"fold {number} or all other folds have no pair with a score"
        threshold = best_threshold(scores[train], same[train], kind)
        right = (scores[test] >= threshold) == same[test]
        failures = failed & (folds == number)
        accuracy, strict = _shares(right, same[test], same[failures], kind)
        if accuracy is None:
            return (
                f"one kind of pairs is much more frequent, so it is balanced accuracy, and fold {number} has "
                "pairs of one kind only"
            )
        results.append(FoldAccuracy(int(number), accuracy, threshold, int(test.size), int(failures.sum())))
        with_failures.append(strict)
    accuracies = np.array([r.accuracy for r in results])
    return Accuracy(
        mean=float(accuracies.mean()),
        standard_error=float(accuracies.std(ddof=1) / np.sqrt(accuracies.size)),
        mean_with_failures=float(np.mean(with_failures)),
        folds=tuple(results),
        kind=kind,
    )


def _shares(
    right: NDArray[np.bool_], same: NDArray[np.bool_], failed_same: NDArray[np.bool_], kind: str
) -> tuple[float | None, float]:
    """A fold's accuracy without its failures and with them as errors; None where a class has no score.

    ``right`` and ``same`` are of its scored pairs, ``failed_same`` is ``same`` of the others.
    """
    if kind == PLAIN:
        count = int(right.sum())
        return count / right.size, count / (right.size + failed_same.size)
    shares = []
    for scored, failures in ((same, failed_same), (~same, ~failed_same)):
        if not scored.any():
            return None, 0.0
        count = int(right[scored].sum())
        shares.append((count / int(scored.sum()), count / int(scored.sum() + failures.sum())))
    return (shares[0][0] + shares[1][0]) / 2, (shares[0][1] + shares[1][1]) / 2
