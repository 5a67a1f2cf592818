"""Figures of 1:N searches by plain loops over a matrix of scores: what they are by definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def plain_figures(
    scores: np.ndarray,
    people: np.ndarray,
    identity: np.ndarray,
    failed_gallery: np.ndarray,
    failed_probes: np.ndarray,
    fpirs: tuple[float, ...],
    ranks: tuple[int, ...],
    template: str = "max",
) -> dict[str, Any]:
    """Everything counted one search at a time, failures in and out."""
    columns = [c for c in range(len(people)) if not failed_gallery[c]]
    enrolled = {int(people[c]) for c in range(len(people))}
    with_template = {int(people[c]) for c in columns}
    mated, strangers = [], []  # (rank, ties, mate, best other, AP) and best; None for what has no search
    for p, who in enumerate(identity):
        is_mated = int(who) in enrolled
        if failed_probes[p] or (is_mated and int(who) not in with_template):
            (mated if is_mated else strangers).append(None)
            continue
        of_person: dict[int, list[Any]] = {}
        for c in columns:
            of_person.setdefault(int(people[c]), []).append(scores[p, c])
        best = {g: max(s) for g, s in of_person.items()}
        if not is_mated:
            strangers.append(max(best.values()))
            continue
        mate = best[int(who)]
        others = [s for g, s in best.items() if g != who]
        photos = [s for g, listed in of_person.items() if g != who for s in listed]
        listed = photos if template == "images" else others
        precision = []
        for number, s in enumerate(sorted(of_person[int(who)], reverse=True), start=1):
            precision.append(number / (number + sum(o >= s for o in photos)))
        faces = sum(int(g) == who for g in people)
        mated.append(
            {
                "rank": 1 + sum(s >= mate for s in listed),
                "ties": sum(s == mate for s in listed),
                "mate": mate,
                "ap": sum(precision) / len(precision),
                "ap_with_failures": sum(precision) / faces,
            }
        )
    made = [m for m in mated if m]
    best_of_strangers = sorted((s for s in strangers if s is not None), reverse=True)
    result: dict[str, Any] = {
        "mated": len(mated),
        "mated_failed": len(mated) - len(made),
        "non_mated": len(strangers),
        "non_mated_failed": len(strangers) - len(best_of_strangers),
        "tied": sum(m["ties"] > 0 for m in made),
        "tied_first": sum(m["ties"] > 0 and m["rank"] - m["ties"] == 1 for m in made),
        "cmc": [sum(m["rank"] <= k for m in made) for k in ranks],
        "ap": [m["ap"] for m in made],
        "ap_with_failures": [m["ap_with_failures"] for m in made],
        "points": [],
    }
    for fpir in fpirs:
        searches = len(best_of_strangers)
        if searches < 3 / fpir - 1e-9 or not made:
            result["points"].append(None)
            continue
        # The least threshold by trying every score there is, and one above them all.
        tried = [*sorted({*best_of_strangers, *(m["mate"] for m in made)}), math.inf]
        allowed = math.floor(fpir * searches + 1e-9)
        least = next(t for t in tried if sum(s >= t for s in best_of_strangers) <= allowed)
        alarms = sum(s >= least for s in best_of_strangers)
        hits = [m for m in made if m["mate"] >= least]
        result["points"].append(
            {
                "alarms": alarms,
                "hits": sum(m["rank"] == 1 for m in hits),
                "within": [sum(m["rank"] <= k for m in hits) for k in ranks],
            }
        )
    return result


def assert_equal(found: Any, plain: dict[str, Any], ranks: tuple[int, ...]) -> None:
    """An ``IdentificationEvaluation`` says what was counted by hand."""
    counts = found.counts
    for name in ("mated", "mated_failed", "non_mated", "non_mated_failed"):
        assert getattr(counts, name) == plain[name], name
    assert (found.tied, found.tied_first) == (plain["tied"], plain["tied_first"])
    made = plain["mated"] - plain["mated_failed"]
    strangers = plain["non_mated"] - plain["non_mated_failed"]
    assert [point.hits for point in found.cmc] == plain["cmc"]
    for point in found.cmc:
        assert point.rate == (point.hits / made if made else None)
        assert point.rate_with_failures == (point.hits / plain["mated"] if plain["mated"] else None)
    if found.template == "images" and made:
        np.testing.assert_allclose(found.mean_average_precision, np.mean(plain["ap"]), atol=1e-12)
        overall = sum(plain["ap_with_failures"]) / plain["mated"]
        np.testing.assert_allclose(found.mean_average_precision_with_failures, overall, atol=1e-12)
    misses = {(miss.fpir, miss.rank): miss for miss in found.fnir}
    for point, expected in zip(found.tpir_at_fpir, plain["points"], strict=True):
        assert point.measurable == (expected is not None)
        if expected is None:
            assert point.tpir is None and point.reason
            continue
        assert (point.accepted_mated, point.accepted_non_mated) == (expected["hits"], expected["alarms"])
        assert point.tpir == expected["hits"] / made
        assert point.measured_fpir == expected["alarms"] / strangers <= point.fpir
        assert point.tpir_with_failures == expected["hits"] / plain["mated"]
        assert point.fpir_with_failures == expected["alarms"] / plain["non_mated"]
        assert point.low <= point.tpir <= point.high
        assert point.fpir_low <= point.measured_fpir <= point.fpir_high
        for k, hits in zip(ranks, expected["within"], strict=True):
            miss = misses[point.fpir, k]
            assert miss.fnir == (made - hits) / made
            assert abs(miss.fnir_with_failures - (plain["mated"] - hits) / plain["mated"]) < 1e-12
