"""Whether stated likelihood ratios hold (reliability), and how often which are stated (Tippett plot)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from facerec_cli.metrics.counted_scores import Floats, checked
from facerec_cli.metrics.roc import wilson_interval


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """What was stated of some pairs, and how it was; logarithms are natural.

    Attributes:
        stated: Mean log likelihood ratio of these pairs.
        observed: Logarithm of the share of genuine pairs that are among them over that of impostor pairs;
            None where one kind is not.
        low: Lower end of its 95 % interval: that of Wilson for the share of genuine pairs among these, which
            takes pairs as independent; None where it is not bounded.
        high: Upper end.
        genuine: How many pairs of one person.
        impostor: How many of two.
    """

    stated: float
    observed: float | None
    low: float | None
    high: float | None
    genuine: int
    impostor: int


def reliability(llr: ArrayLike, same: ArrayLike, *, bins: int = 10) -> tuple[ReliabilityPoint, ...]:
    """Compare stated ratios with how often they were right, in bins of equal width from lowest to highest.

    Where ratios are right the points lie on the diagonal: the likelihood ratio of a ratio is that ratio.

    Args:
        llr: (P,) finite natural logarithms of likelihood ratios.
        same: (P,) bool.
        bins: How many at most; those without a pair are left out.

    Raises:
        InputError: A class has no pair, or a ratio is not finite.
    """
    ratios, label = checked(llr, same)
    low, width = float(ratios.min()), float(np.ptp(ratios)) / bins or 1.0
    index = np.minimum(((ratios - low) / width).astype(np.int64), bins - 1)
    number, total = np.bincount(index, minlength=bins), np.bincount(index, ratios, minlength=bins)
    genuine = np.bincount(index[label], minlength=bins)
    odds = int((~label).sum()) / int(label.sum())
    points = []
    for at in np.flatnonzero(number).tolist():
        g, n = int(genuine[at]), int(number[at])
        least, most = wilson_interval(g, n)
        observed = _log_odds(g / n, odds)
        ends = _log_odds(least, odds), _log_odds(most, odds)
        points.append(ReliabilityPoint(float(total[at]) / n, observed, *ends, g, n - g))
    return tuple(points)


def tippett(llr: ArrayLike, same: ArrayLike, *, points: int = 400) -> tuple[Floats, Floats, Floats]:
    """The share of the pairs of each class with a likelihood ratio of at least x.

    Args:
        llr: (P,) natural logarithms of likelihood ratios.
        same: (P,) bool.
        points: At how many values of x, from the lowest to the highest.

    Returns:
        (N,) log x, and the (N,) shares of genuine and of impostor pairs.

    Raises:
        InputError: A class has no pair, or a ratio is not finite.
    """
    ratios, label = checked(llr, same)
    at = np.linspace(ratios.min(), ratios.max(), points)
    genuine, impostor = (
        1 - np.searchsorted(np.sort(part), at, side="left") / part.size
        for part in (ratios[label], ratios[~label])
    )
    return at, genuine, impostor


def _log_odds(share: float, odds: float) -> float | None:
    return math.log(share / (1 - share) * odds) if 0 < share < 1 else None
