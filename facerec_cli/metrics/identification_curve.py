"""What the same searches return in smaller galleries: the curve over N, of two ways to set the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.identification_counting import least_threshold
from facerec_cli.metrics.identification_points import SearchPoint, SizePoint, SizeRate
from facerec_cli.metrics.scores import Scores
from facerec_cli.metrics.searches import SearchOutcomes

_DRAWS = 10


def subset_sizes(people: int) -> tuple[tuple[int, int], ...]:
    """(n, galleries drawn) for n = 10, 30, 100, 300 ... below ``people``."""
    sizes = [n for power in range(1, 19) for n in (10**power, 3 * 10**power) if n < people]
    return tuple((n, min(_DRAWS, people // n)) for n in sizes)


def curve_over_people(
    outcomes: SearchOutcomes, people: int, points: Sequence[SearchPoint]
) -> tuple[SizePoint, ...]:
    """The figures in galleries of n of the N people.

    The gallery's people lie in a drawn order, and each n of them, one after the other, are a gallery. The
    search that gave the figures of all N has noted the highest score of another person in each, so no
    score is computed again. Every mated search is made in every gallery: the mate takes the place of the
    last of the n where it is none of them, so all sizes are measured with the same searches.

    Args:
        outcomes: With ``subsets``.
        people: N.
        points: The measured points of the whole gallery.
    """
    mated = outcomes.mated
    if not mated.any():
        return ()
    mate = outcomes.mate[mated, None]
    measured = [(point.fpir, point.threshold) for point in points if point.threshold is not None]
    found = []
    for n, best in (*outcomes.subsets.items(), (people, outcomes.best[:, None])):
        first, strangers = mate > best[mated], best[~mated]
        rates = tuple(_rate(fpir, threshold, mate, first, strangers) for fpir, threshold in measured)
        found.append(SizePoint(n, best.shape[1], float(first.mean()), rates))
    return tuple(found)


def _rate(
    fpir: float, threshold: float, mate: Scores, first: NDArray[np.bool_], strangers: Scores
) -> SizeRate:
    """``first`` (A, draws) and ``strangers`` (X, draws) in galleries of one size."""
    alarms = (strangers >= threshold).mean(axis=0)
    kept = (first & (mate >= threshold)).mean()
    own = [least_threshold(fpir, column, mate[:, 0]) for column in strangers.T]
    tpir = (first & (mate >= np.array(own, mate.dtype))).mean(axis=0)
    several = len(own) > 1
    return SizeRate(
        fpir=fpir,
        threshold=threshold,
        measured_fpir=float(alarms.mean()),
        fpir_sd=float(alarms.std(ddof=1)) if several else None,
        tpir=float(kept),
        own_threshold=float(np.mean(own)),
        own_tpir=float(tpir.mean()),
        own_tpir_sd=float(tpir.std(ddof=1)) if several else None,
    )
