"""The figures of a 1:N search counted from what each search returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facerec_cli.metrics.identification_points import (
    DetPoint,
    MissPoint,
    RankPoint,
    RatesAtThreshold,
    SearchPoint,
)
from facerec_cli.metrics.labeled_searches import SearchCounts
from facerec_cli.metrics.roc import accepted_at_most, pairs_needed, threshold_between, wilson_interval
from facerec_cli.metrics.scores import Scores
from facerec_cli.metrics.searches import SearchOutcomes
from facerec_cli.wording import counted

_DET_POINTS = 100


def least_threshold(fpir: float, strangers: Scores, mates: Scores) -> float:
    """The least threshold that returns somebody in at most ``fpir`` of the non-mated searches.

    It lies midway between the highest score that must be rejected and the next higher one, so that it parts
    them wherever scores are computed again; below the mates of any rank, so that it fits lists of any length.

    Args:
        fpir: 0 < fpir < 1.
        strangers: (X,) highest score of each non-mated search, one or more.
        mates: (A,) score of each mate.
    """
    place = strangers.size - 1 - accepted_at_most(fpir, strangers.size)
    return _threshold_above(np.partition(strangers, place)[place], strangers, mates)


def _threshold_above(rejected: Any, strangers: Scores, mates: Scores) -> float:
    following = [x[x > rejected].min() for x in (strangers, mates) if np.any(x > rejected)]
    return threshold_between(float(rejected), float(min(following, default=np.inf)), strangers.dtype.type)


def accepted_scores(outcomes: SearchOutcomes) -> Scores:
    """(mated searches,) the score of each mate that is first; -inf, which no threshold accepts, of others."""
    mate = outcomes.mate[outcomes.mated]
    return np.where(outcomes.rank[outcomes.mated] == 1, mate, mate.dtype.type(-np.inf))


def rates_at(outcomes: SearchOutcomes, counts: SearchCounts, threshold: float) -> RatesAtThreshold:
    """TPIR and FPIR at one threshold."""

    def rates(
        scores: Scores, everybody: int
    ) -> tuple[int, float | None, float | None, float | None, float | None]:
        accepted = int((scores >= threshold).sum())
        overall = accepted / everybody if everybody else None
        if not scores.size:
            return accepted, None, None, None, overall
        return accepted, accepted / scores.size, *wilson_interval(accepted, scores.size), overall

    hits, tpir, low, high, tpir_overall = rates(accepted_scores(outcomes), counts.mated)
    alarms, fpir, fpir_low, fpir_high, fpir_overall = rates(outcomes.best[~outcomes.mated], counts.non_mated)
    return RatesAtThreshold(
        threshold=threshold,
        tpir=tpir,
        low=low,
        high=high,
        fpir=fpir,
        fpir_low=fpir_low,
        fpir_high=fpir_high,
        tpir_with_failures=tpir_overall,
        fpir_with_failures=fpir_overall,
        accepted_mated=hits,
        accepted_non_mated=alarms,
    )


def search_points(
    outcomes: SearchOutcomes, counts: SearchCounts, fpirs: Sequence[float]
) -> tuple[SearchPoint, ...]:
    """TPIR at each FPIR."""
    strangers, mates = outcomes.best[~outcomes.mated], outcomes.mate[outcomes.mated]

    def point(fpir: float) -> SearchPoint:
        if strangers.size < pairs_needed(fpir):
            needed = f"needs {pairs_needed(fpir):,} (3 / FPIR)"
            searches = counted(strangers.size, "non-mated search", "non-mated searches")
            return SearchPoint(fpir, False, reason=f"not measurable with {searches}; {needed}")
        if not mates.size:
            return SearchPoint(fpir, False, reason="there is no mated search that could be made")
        threshold = least_threshold(fpir, strangers, mates)
        found = rates_at(outcomes, counts, threshold)
        return SearchPoint(
            fpir=fpir,
            measurable=True,
            tpir=found.tpir,
            low=found.low,
            high=found.high,
            threshold=threshold,
            measured_fpir=found.fpir,
            fpir_low=found.fpir_low,
            fpir_high=found.fpir_high,
            tpir_with_failures=found.tpir_with_failures,
            fpir_with_failures=found.fpir_with_failures,
            accepted_mated=found.accepted_mated,
            accepted_non_mated=found.accepted_non_mated,
        )

    return tuple(point(fpir) for fpir in fpirs)


def rank_points(
    outcomes: SearchOutcomes, counts: SearchCounts, ranks: Sequence[int]
) -> tuple[RankPoint, ...]:
    """The CMC at each rank."""
    rank = outcomes.rank[outcomes.mated]

    def point(k: int) -> RankPoint:
        hits = int((rank <= k).sum())
        overall = hits / counts.mated if counts.mated else None
        if not rank.size:
            return RankPoint(k, None, None, None, overall, 0)
        return RankPoint(k, hits / rank.size, *wilson_interval(hits, rank.size), overall, hits)

    return tuple(point(k) for k in ranks)


def miss_points(
    outcomes: SearchOutcomes, counts: SearchCounts, points: Sequence[SearchPoint], ranks: Sequence[int]
) -> tuple[MissPoint, ...]:
    """FNIR(N, R, T) at the threshold of each measured point, for each rank."""
    rank, mate = outcomes.rank[outcomes.mated], outcomes.mate[outcomes.mated]

    def miss(fpir: float, threshold: float, k: int) -> MissPoint:
        misses = int(((rank > k) | (mate < threshold)).sum())
        interval = wilson_interval(misses, rank.size)
        overall = (misses + counts.mated_failed) / counts.mated
        return MissPoint(fpir, threshold, k, misses / rank.size, *interval, overall)

    measured = [(point.fpir, point.threshold) for point in points if point.threshold is not None]
    return tuple(miss(fpir, threshold, k) for fpir, threshold in measured for k in ranks)


def det_points(outcomes: SearchOutcomes) -> tuple[DetPoint, ...]:
    """The DET curve at no more than some hundred numbers of strangers, evenly on a logarithmic axis."""
    strangers, mates = np.sort(outcomes.best[~outcomes.mated])[::-1], outcomes.mate[outcomes.mated]
    if not strangers.size or not mates.size:
        return ()
    accepted = accepted_scores(outcomes)
    let_through = np.unique(np.geomspace(1, strangers.size, _DET_POINTS).astype(np.int64))
    rejected = np.unique(strangers[np.append(0, let_through[:-1])])[::-1]
    thresholds = [_threshold_above(score, strangers, mates) for score in rejected]
    thresholds.append(float(min(strangers[-1], mates.min())))  # accepts everything
    return tuple(
        DetPoint(t, float((strangers >= t).mean()), float((accepted < t).mean())) for t in thresholds
    )
