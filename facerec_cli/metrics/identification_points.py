"""The figures of a 1:N search counted from what each search returned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.identification_figures import (
    RULES,
    THRESHOLD_RULE,
    Asked,
    IdentificationEvaluation,
    MissPoint,
    RankPoint,
    SearchPoint,
)
from facerec_cli.metrics.labeled_searches import LabeledSearches, SearchCounts
from facerec_cli.metrics.roc import (
    distributions,
    operating_point,
    pairs_needed,
    threshold_between,
    wilson_interval,
)
from facerec_cli.metrics.scores import Scores
from facerec_cli.metrics.searches import SearchOutcomes


def figures(outcomes: SearchOutcomes, searches: LabeledSearches, asked: Asked) -> IdentificationEvaluation:
    """All figures of searches.

    Args:
        outcomes: What each search returned.
        searches: What was searched for; of the same length.
        asked: Rates and ranks.
    """
    counts, mated = searches.counts, outcomes.mated
    rank, ties = outcomes.rank[mated], outcomes.ties[mated]
    points = _points(outcomes, counts, asked.fpirs)
    precision = outcomes.precision[mated] if asked.template == "images" else np.zeros(0)
    found = precision * searches.found_faces[mated] if precision.size else precision
    return IdentificationEvaluation(
        rule=f"{RULES[asked.template]}; {THRESHOLD_RULE}",
        template=asked.template,
        counts=counts,
        tied=int((ties > 0).sum()),
        tied_first=int(((ties > 0) & (rank - ties == 1)).sum()),
        cmc=tuple(_rank_point(k, rank, counts) for k in asked.ranks),
        tpir_at_fpir=points,
        fnir=_misses(points, asked.ranks, rank, outcomes.mate[mated], counts),
        mean_average_precision=float(precision.mean()) if precision.size else None,
        mean_average_precision_with_failures=float(found.sum()) / counts.mated if precision.size else None,
        outcomes=outcomes,
        searches=searches,
    )


def accepted_scores(outcomes: SearchOutcomes) -> Scores:
    """(mated searches,) the score of each mate that is first; of others one below all scores."""
    mated = outcomes.mated
    mate = outcomes.mate[mated]
    finite = [x[np.isfinite(x)].min() for x in (mate, outcomes.best) if np.isfinite(x).any()]
    lowest = min(finite, default=mate.dtype.type(0))
    lowest = min(lowest - mate.dtype.type(1), np.nextafter(lowest, mate.dtype.type(-np.inf)))
    return np.where(outcomes.rank[mated] == 1, mate, lowest)


def threshold_below_mates(threshold: float, strangers: Scores, mates: Scores) -> float:
    """The threshold that accepts the same strangers, and lies below every mate's score that it can accept.

    Where only the mates that are first are asked for, one of rank 2 may lie between the highest rejected
    stranger and the midpoint above it, and a list of two people would miss it for no reason.

    Args:
        threshold: Parts the strangers.
        strangers: (X,) scores, some below the threshold.
        mates: (Y,) scores, whatever their rank.
    """
    rejected = strangers[strangers < threshold].max()
    following = [x[x > rejected].min() for x in (strangers, mates) if np.any(x > rejected)]
    return threshold_between(float(rejected), float(min(following, default=np.inf)), strangers.dtype.type)


def _points(
    outcomes: SearchOutcomes, counts: SearchCounts, fpirs: Sequence[float]
) -> tuple[SearchPoint, ...]:
    strangers, mates = outcomes.best[~outcomes.mated], outcomes.mate[outcomes.mated]
    genuine, impostor = distributions(accepted_scores(outcomes), strangers, fpirs)
    points = []
    for fpir in fpirs:
        point = operating_point(fpir, genuine, impostor, failed_genuine=counts.mated_failed)
        if point.measured_far is None or point.accepted_impostor is None:
            reason = point.reason
            if strangers.size < pairs_needed(fpir):
                reason = (
                    f"not measurable with {strangers.size:,} non-mated searches; "
                    f"needs {pairs_needed(fpir):,} (3 / FPIR)"
                )
            elif not genuine.size:
                reason = "there is no mated search that could be made"
            points.append(SearchPoint(fpir, False, reason=reason))
            continue
        assert point.threshold is not None
        low, high = wilson_interval(point.accepted_impostor, strangers.size)
        points.append(
            SearchPoint(
                fpir=fpir,
                measurable=True,
                tpir=point.tar,
                low=point.low,
                high=point.high,
                threshold=threshold_below_mates(point.threshold, strangers, mates),
                measured_fpir=point.measured_far,
                fpir_low=low,
                fpir_high=high,
                tpir_with_failures=point.tar_with_failures,
                fpir_with_failures=point.accepted_impostor / counts.non_mated,
                accepted_mated=point.accepted_genuine,
                accepted_non_mated=point.accepted_impostor,
            )
        )
    return tuple(points)


def _rank_point(k: int, rank: NDArray[np.int64], counts: SearchCounts) -> RankPoint:
    hits = int((rank <= k).sum())
    overall = hits / counts.mated if counts.mated else None
    if not rank.size:
        return RankPoint(k, None, None, None, overall, 0)
    return RankPoint(k, hits / rank.size, *wilson_interval(hits, rank.size), overall, hits)


def _misses(
    points: Sequence[SearchPoint],
    ranks: Sequence[int],
    rank: NDArray[np.int64],
    mate: Scores,
    counts: SearchCounts,
) -> tuple[MissPoint, ...]:
    found = []
    for point in points:
        if point.threshold is None:
            continue
        for k in ranks:
            hits = int(((rank <= k) & (mate >= point.threshold)).sum())
            misses = rank.size - hits
            found.append(
                MissPoint(
                    point.fpir,
                    point.threshold,
                    k,
                    misses / rank.size,
                    *wilson_interval(misses, rank.size),
                    1 - hits / counts.mated,
                )
            )
    return tuple(found)
