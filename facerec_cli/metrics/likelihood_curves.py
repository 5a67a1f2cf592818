"""Whether stated likelihood ratios hold (reliability), and how often which are stated (Tippett plot)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from facerec_cli.metrics.counted_scores import CountedScores, Floats
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.metrics.scores import cumulated


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


def reliability(stated: CountedScores, *, bins: int = 10) -> tuple[ReliabilityPoint, ...]:
    """Compare stated ratios with how often they were right, in bins of equal width from lowest to highest.

    Where ratios are right the points lie on the diagonal: the likelihood ratio of a ratio is that ratio.

    Args:
        stated: Natural logarithms of likelihood ratios, counted.
        bins: How many at most; those without a pair are left out.
    """
    values, sizes = stated.values, stated.sizes
    low, width = float(values.min()), float(np.ptp(values)) / bins or 1.0
    index = np.minimum(((values - low) / width).astype(np.int64), bins - 1)
    pairs = stated.genuine + stated.impostor
    number, genuine, total = (
        np.bincount(index, weights, minlength=bins) for weights in (pairs, stated.genuine, pairs * values)
    )
    points = []
    for at in np.flatnonzero(number).tolist():
        g, n = round(genuine[at]), round(number[at])
        observed, least, most = (
            _log_odds(share, sizes[1] / sizes[0]) for share in (g / n, *wilson_interval(g, n))
        )
        points.append(ReliabilityPoint(float(total[at]) / n, observed, least, most, g, n - g))
    return tuple(points)


def tippett(stated: CountedScores, *, points: int = 400) -> tuple[Floats, Floats, Floats]:
    """The share of the pairs of each class with a likelihood ratio of at least x.

    Args:
        stated: Natural logarithms of likelihood ratios, counted.
        points: At how many values of x, from the lowest to the highest.

    Returns:
        (N,) log x, and the (N,) shares of genuine and of impostor pairs.
    """
    at = np.linspace(stated.values.min(), stated.values.max(), points)
    below = np.searchsorted(stated.values, at, side="left")
    genuine, impostor = (
        1 - cumulated(part)[below] / part.sum() for part in (stated.genuine, stated.impostor)
    )
    return at, genuine, impostor


def _log_odds(share: float, odds: float) -> float | None:
    return math.log(share / (1 - share) * odds) if 0 < share < 1 else None
