"""How large a likelihood ratio labeled scores can carry: none is stated that they could not contradict.

Where ratios of x or more are right, impostors have them at most 1 / x times as often as genuine pairs do, so
x may not exceed TAR(x) / FAR(x), the shares of both classes with a ratio of at least x. For FAR(x) stands
what it is at most, at 95 %, by the number of impostors that were seen there; where none was, that is 3 / I,
the rule of three. For TAR(x) stands what it would be with three more genuine pairs that have no such ratio.
The bound is the first x at which the rule fails, going out from 1, and likewise for 1 / x with the classes
changed. With I impostors, and classes that do not overlap, it is about I / 3.

The rule is that of the empirical lower and upper bound (Vergeer, van Es, de Jongh, Alberink and Stoel 2016,
"Numerical likelihood ratios outputted by LR systems are often based on extrapolation: when to stop
extrapolating?", Science & Justice 56, 482-491: the normalized Bayes error rate stays below 1), which adds
one misleading score to each class where this takes the limit at 95 %: so what is stated at the bound is
rarely more than is true (tests/metrics/test_likelihood_bounds.py). As pairs share people, a class has no
more independent scores than there are people with a genuine pair, or pairs of two people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from facerec_cli.metrics.counted_scores import CountedScores, Floats, Numbers, checked

#: So many scores of the class that a ratio speaks for may not have been seen: the rule of three.
MISLEADING = 3

_Z = 1.6448536269514722  # the normal distribution's 95 % point


def bounds(
    llr: ArrayLike, same: ArrayLike, *, people: int | None = None, person_pairs: int | None = None
) -> tuple[float, float]:
    """Between which log likelihood ratios the data carry a statement; by the rule at the top.

    Args:
        llr: (P,) that a method gives to labeled scores; infinite ones are allowed.
        same: (P,) bool.
        people: How many people the genuine pairs show; None where each pair shows another one.
        person_pairs: How many pairs of two people the impostor pairs show; None likewise.

    Returns:
        The lowest, <= 0, and the highest, >= 0; both 0 where nothing can be said.
    """
    ratios, label = checked(llr, same, infinite=True)
    levels, index = np.unique(ratios, return_inverse=True)
    return counted_bounds(levels, CountedScores.at(levels, index, label), people, person_pairs)


def at_most(count: Floats) -> Floats:
    """The mean that a count has at most, at 95 %: the upper Poisson limit (Wilson and Hilferty 1931)."""
    more = count + 1
    return np.asarray(more * (1 - 1 / (9 * more) + _Z / (3 * np.sqrt(more))) ** 3)


def counted_bounds(
    ratios: Floats, counted: CountedScores, people: int | None, person_pairs: int | None
) -> tuple[float, float]:
    """:func:`bounds` of counted scores whose log likelihood ratios are ``ratios``, ascending."""
    genuine, impostor = counted.genuine, counted.impostor
    units = people or int(genuine.sum()), person_pairs or int(impostor.sum())
    low = _bound(-ratios[::-1], impostor[::-1], genuine[::-1], units[::-1])
    return 0.0 - low, _bound(ratios, genuine, impostor, units)


def _bound(ratios: Floats, right: Numbers, wrong: Numbers, units: tuple[int, int]) -> float:
    """The highest log likelihood ratio that is carried.

    Args:
        ratios: (V,) ascending.
        right: (V,) how many scores of the class that high ratios speak for have each of them.
        wrong: (V,) how many of the other.
        units: How many scores of both are independent.
    """
    levels, first = np.unique(ratios, return_index=True)
    share, misled = (part[::-1].cumsum()[::-1][first] / part.sum() for part in (right, wrong))
    share = share * units[0] / (units[0] + MISLEADING)
    misled = at_most(misled * units[1]) / units[1]
    with np.errstate(divide="ignore"):
        carried = np.log(share) - np.log(misled)  # by ratios above the level before, up to this one
    above = np.flatnonzero(levels > 0)
    failing = above[levels[above] > carried[above]]
    if not failing.size:
        return float(levels[-1]) if above.size else 0.0
    at = failing[0]
    return max(0.0, float(levels[at - 1]) if at else 0.0, float(carried[at]))
