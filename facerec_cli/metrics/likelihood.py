"""What a score is worth: likelihood ratios calibrated on labeled scores, their bounds, and Cllr.

A likelihood ratio says how many times more likely a score is for one person than for two. Logarithms are
natural. Both classes weigh alike, whatever the numbers of their pairs (a prior of 0.5), so that the ratio
does not depend on how many pairs of each kind a list has. ``likelihood_bounds.py`` says how large a ratio may
be stated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from facerec_cli.errors import InputError
from facerec_cli.metrics.counted_scores import CountedScores, Floats, checked, count_scores
from facerec_cli.metrics.likelihood_bounds import counted_bounds
from facerec_cli.threshold import LARGEST, Likelihood

#: Weight of the squared slope, in standard deviations of the scores. It makes the fit of classes that
#: separate finite and is far too small to be seen elsewhere.
RIDGE = 1e-6

_STEPS = 100  # of Newton's method; it takes about ten
_FLAT = 1e-15  # where no pair is doubted the cost is flat
_LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class LikelihoodModel:
    """The log likelihood ratio of a score as ``slope * score + intercept``, and the range that is stated.

    Attributes:
        slope: Above 0.
        intercept: Of the same line.
        low: The lowest log likelihood ratio that the data carry, <= 0.
        high: The highest, >= 0.
    """

    slope: float
    intercept: float
    low: float
    high: float

    def unbounded(self, scores: ArrayLike) -> Floats:
        """The log likelihood ratio of each score, without bounds."""
        return self.slope * np.asarray(scores, np.float64) + self.intercept

    def llr(self, scores: ArrayLike) -> Floats:
        """The log likelihood ratio of each score as it may be stated: within the bounds."""
        return np.clip(self.unbounded(scores), self.low, self.high)


@dataclass(frozen=True, slots=True, eq=False)
class IsotonicModel:
    """The log likelihood ratio as the stairs that fit best of all that never fall.

    Attributes:
        starts: (B,) the lowest score of each step, ascending.
        steps: (B,) its log likelihood ratio, ascending; -inf and inf at the ends where a class has none.
        low: The lowest that the data carry, <= 0.
        high: The highest, >= 0.
    """

    starts: Floats
    steps: Floats
    low: float
    high: float

    def unbounded(self, scores: ArrayLike) -> Floats:
        """The log likelihood ratio of each score, without bounds; below the first step that of the first."""
        at = np.searchsorted(self.starts, np.asarray(scores, np.float64), side="right") - 1
        return np.asarray(self.steps[np.maximum(at, 0)])

    def llr(self, scores: ArrayLike) -> Floats:
        """The log likelihood ratio of each score as it may be stated: within the bounds."""
        return np.clip(self.unbounded(scores), self.low, self.high)


Calibration = LikelihoodModel | IsotonicModel
Method = Literal["logistic", "isotonic"]


def fit_logistic(
    scores: ArrayLike, same: ArrayLike, *, people: int | None = None, person_pairs: int | None = None
) -> LikelihoodModel:
    """Fit a line by logistic regression in which both classes weigh alike.

    It minimizes the Cllr of these scores (Brümmer and du Preez 2006, "Application-independent evaluation of
    speaker detection"), with a ridge of ``RIDGE`` / 2 times the squared slope of the scores in
    standard deviations, by Newton's method.

    Args:
        scores: (P,) finite, larger is more alike.
        same: (P,) bool.
        people: How many people the genuine pairs show; None where each pair shows another one.
        person_pairs: How many pairs of two people the impostor pairs show; None likewise.

    Raises:
        InputError: A class has no score, scores are not finite, or higher ones do not speak for one person.
    """
    return line_of(count_scores(*checked(scores, same)), people, person_pairs)


def line_of(
    counted: CountedScores, people: int | None = None, person_pairs: int | None = None
) -> LikelihoodModel:
    """:func:`fit_logistic` of scores that are counted."""
    sizes = counted.sizes
    if counted.values.size < 2:
        raise InputError("All scores are equal, so they tell nothing of who is who.")
    total = counted.genuine + counted.impostor
    center = float(np.average(counted.values, weights=total))
    spread = math.sqrt(float(np.average((counted.values - center) ** 2, weights=total)))
    slope, intercept = _newton(
        (counted.values - center) / spread,
        0.5 * counted.genuine / sizes[0],
        0.5 * counted.impostor / sizes[1],
    )
    if slope <= 0:
        raise InputError(
            "Pairs of one person do not score higher than pairs of two, so no likelihood ratio rises with "
            "the score.",
            hint="Look whether the labels are the wrong way round.",
        )
    slope /= spread
    intercept -= slope * center
    low, high = counted_bounds(slope * counted.values + intercept, counted, people, person_pairs)
    return LikelihoodModel(slope, intercept, low, high)


def fit_isotonic(
    scores: ArrayLike, same: ArrayLike, *, people: int | None = None, person_pairs: int | None = None
) -> IsotonicModel:
    """Fit stairs that never fall, by pooling adjacent violators (Ayer et al. 1955); equal scores are one.

    They are the slopes of the convex hull of the ROC curve (Fawcett and Niculescu-Mizil 2007), exact: shares
    are compared as whole numbers. No monotone function of the scores has a lower Cllr on them.

    Args:
        scores: (P,) finite, larger is more alike.
        same: (P,) bool.
        people: How many people the genuine pairs show; None where each pair shows another one.
        person_pairs: How many pairs of two people the impostor pairs show; None likewise.

    Raises:
        InputError: A class has no score, or scores are not finite.
    """
    return stairs_of(count_scores(*checked(scores, same)), people, person_pairs)


def stairs_of(
    counted: CountedScores, people: int | None = None, person_pairs: int | None = None
) -> IsotonicModel:
    """:func:`fit_isotonic` of scores that are counted."""
    starts, genuine, impostor = counted.pooled()
    with np.errstate(divide="ignore"):
        steps = np.log(genuine / genuine.sum()) - np.log(impostor / impostor.sum())
    free = IsotonicModel(starts, steps, -math.inf, math.inf)
    low, high = counted_bounds(free.unbounded(counted.values), counted, people, person_pairs)
    return IsotonicModel(starts, steps, low, high)


#: The fit of each method to scores that are counted, with the numbers of people and of pairs of two people.
FITS: Mapping[Method, Callable[[CountedScores, int | None, int | None], Calibration]] = {
    "logistic": line_of,
    "isotonic": stairs_of,
}


def parameters(model: Calibration) -> dict[str, Any]:
    """What a calibration consists of, but for its bounds, as plain finite values for JSON and TOML."""
    if isinstance(model, LikelihoodModel):
        return {"slope": model.slope, "intercept": model.intercept}
    steps = np.nan_to_num(model.steps, posinf=LARGEST, neginf=-LARGEST)
    return {"starts": model.starts.tolist(), "steps": steps.tolist()}


def calibration_of(kept: Likelihood) -> Calibration:
    """The calibration that a card or a manifest keeps."""
    if kept.slope is None or kept.intercept is None:
        return IsotonicModel(np.array(kept.starts), np.array(kept.steps), kept.low, kept.high)
    return LikelihoodModel(kept.slope, kept.intercept, kept.low, kept.high)


def cllr(llr: ArrayLike, same: ArrayLike) -> float:
    """The log-likelihood-ratio cost, in bits (Brümmer and du Preez 2006).

    0 for ratios that are right and without doubt, 1 for one that is always 1, more for ratios that mislead.

    Args:
        llr: (P,) natural logarithms of likelihood ratios; infinite ones are allowed.
        same: (P,) bool.

    Raises:
        InputError: A class has no score, or one is NaN.
    """
    ratios, label = checked(llr, same, infinite=True)
    return cost_of(CountedScores(ratios, label.astype(np.int64), (~label).astype(np.int64)))


def cost_of(stated: CountedScores) -> float:
    """:func:`cllr` of log likelihood ratios that are counted."""
    cost = 0.0
    for ratios, pairs in ((-stated.values, stated.genuine), (stated.values, stated.impostor)):
        there = pairs > 0  # an infinite ratio costs nothing where no pair has it
        cost += float(pairs[there] @ np.logaddexp(0.0, ratios[there])) / int(pairs.sum())
    return cost / (2 * _LN2)


def min_cllr(scores: ArrayLike, same: ArrayLike) -> float:
    """The lowest Cllr that a monotone function of these scores can have, in bits: that of ``fit_isotonic``.

    Raises:
        InputError: A class has no score, or scores are not finite.
    """
    return least_cost(count_scores(*checked(scores, same)))


def least_cost(counted: CountedScores) -> float:
    """:func:`min_cllr` of scores that are counted."""
    _, genuine, impostor = counted.pooled()
    shares = genuine / genuine.sum(), impostor / impostor.sum()
    total = shares[0] + shares[1]
    # The cost of a genuine pair of a step is log2(1 + i / g), of an impostor pair log2(1 + g / i).
    cost = sum(
        float((share[share > 0] * np.log2(total[share > 0] / share[share > 0])).sum()) for share in shares
    )
    return cost / 2


def _newton(z: Floats, genuine: Floats, impostor: Floats) -> tuple[float, float]:
    """Slope and intercept with the lowest cost, of scores with their weights in both classes."""

    def cost(at: Floats) -> float:
        ratio = at[0] * z + at[1]
        return float(
            genuine @ np.logaddexp(0.0, -ratio) + impostor @ np.logaddexp(0.0, ratio) + RIDGE / 2 * at[0] ** 2
        )

    at, before = np.zeros(2), _LN2
    for _ in range(_STEPS):
        share = 0.5 * (1 + np.tanh(0.5 * (at[0] * z + at[1])))  # of one person, where both are as likely
        pull, stiff = impostor * share - genuine * (1 - share), (genuine + impostor) * share * (1 - share)
        gradient = np.array([pull @ z + RIDGE * at[0], pull.sum()])
        cross = stiff @ z
        step = np.linalg.solve([[stiff @ (z * z) + RIDGE, cross], [cross, stiff.sum() + _FLAT]], gradient)
        size = 1.0
        while (after := cost(at - size * step)) > before + 1e-12 and size > 1e-9:
            size /= 2
        at = at - size * step
        if size * np.abs(step).max() < 1e-10 * (1 + np.abs(at).max()):
            break
        before = after
    return float(at[0]), float(at[1])
