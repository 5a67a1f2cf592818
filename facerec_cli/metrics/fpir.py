"""FPIR of a search among N people: the binomial rule, how many searches measure it, and its interval.

**The interval** says how many of the next 1,000 strangers get a name, in 95 of 100 cases, as a share. In it
are what is not known of FPIR, and chance: with FPIR 1 % some thousands of strangers are not ten each. It is
that of a beta-binomial distribution; the beta is for the FPIR of this gallery:

* After M searches for strangers of which k lie at or above T: Beta(k + 1/2, M - k + 1/2), as T lies midway
  between the last that is accepted and the first that is not (Jeffreys' interval, but for the chance).
* After own searches the same with half of both numbers, for they come in pairs, and the relative variance
  ``variation`` / N: the people who are searched for are the gallery's, not strangers.
* From a tail: mean FPIR, and the relative variance ``variation`` (1 / N + 4 / people) + 1 / (f pairs). The
  first is that this gallery's people are others than the tail's and people differ in how many they look
  like, the second and third that the tail was measured on so many people and pairs (the variance of a
  U-statistic). Where templates of several photos have raised the tail, a quarter of what that does to FPIR
  is added as a deviation: so well does the rule for it hold (docs/search-thresholds.md). Where people of the
  gallery look like one, strangers may be enrolled under other names as often; the upper end counts these.

``benchmarks/search_thresholds.py`` counts how often it holds. It does not know of other cameras, other light
or other groups of people than what was measured: docs/search-thresholds.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

STRANGERS = 1000
"""How many strangers the interval is for."""


def per_comparison(fpir: float, people: int) -> float:
    """The false match rate of one comparison with which a search among ``people`` has this FPIR.

    f = 1 - (1 - FPIR)^(1 / N), the binomial rule.
    """
    return -math.expm1(math.log1p(-fpir) / people)


def of_search(rate: float, people: int) -> float:
    """The FPIR of a search among ``people`` where one comparison has this false match rate."""
    return 1.0 if rate >= 1 else -math.expm1(math.log1p(-rate) * people)


def searches_needed(fpir: float, *, own: bool) -> int:
    """How many searches measure ``fpir``: 3 / FPIR; of own ones twice that, for they come in pairs."""
    return math.ceil((6 if own else 3) / fpir - 1e-6)


def interval(expected: float, relative: float) -> tuple[float, float]:
    """95 % interval of the share of 1,000 strangers who get a name, where FPIR is Beta distributed.

    Args:
        expected: Mean of the beta distribution, 0 to 1.
        relative: Its variance over the mean squared.
    """
    if not 0 < expected < 1:
        return expected, expected
    strength = min(max((1 - expected) / (expected * max(relative, 1e-9)) - 1, 0.1), 1e9)  # a + b
    a, b = expected * strength, (1 - expected) * strength
    x = np.arange(STRANGERS + 1.0)
    logs = _lgamma(x + a) + _lgamma(STRANGERS - x + b) - _lgamma(x + 1) - _lgamma(STRANGERS - x + 1)
    cumulated = np.cumsum(np.exp(logs - logs.max()))
    low, high = np.searchsorted(cumulated / cumulated[-1], [0.025, 0.975])
    return float(low) / STRANGERS, float(high) / STRANGERS


def after_searches(
    hits: float, searches: int, *, pair: int, relative: float = 0.0
) -> tuple[float, float, float]:
    """The expected FPIR, and its interval, after non-mated searches of which some reach the threshold.

    Args:
        hits: Those that do.
        searches: All of them.
        pair: How many meet the same two people: 2 of own searches, 1 for strangers.
        relative: Further variance, over the mean squared.
    """
    a, b = hits / pair + 0.5, (searches - hits) / pair + 0.5
    expected = a / (a + b)
    return expected, *interval(expected, b / (a * (a + b + 1)) + relative)


def _lgamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([math.lgamma(value) for value in values.tolist()])
