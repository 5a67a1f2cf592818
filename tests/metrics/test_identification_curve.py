"""The curve over N and the DET curve against galleries that are really made smaller, and thresholds tried."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics import identification, searches
from facerec_cli.metrics.identification import evaluate_identification, evaluate_scores
from facerec_cli.metrics.identification_curve import subset_sizes
from facerec_cli.metrics.labeled_searches import enroll_rows

PEOPLE, PROBES = 37, 200
SIZES = ((2, 10), (5, 7), (12, 3), (30, 1))


@pytest.fixture(params=[2048, 8])
def drawn(request, monkeypatch):
    monkeypatch.setattr(searches, "COLUMNS", request.param)
    monkeypatch.setattr(searches, "ROWS", 64)
    monkeypatch.setattr(identification, "subset_sizes", lambda people: SIZES)
    random = np.random.default_rng(0)
    people = np.append(np.arange(PEOPLE), random.integers(0, PEOPLE, 20))
    identity = random.integers(0, 2 * PEOPLE, PROBES)
    scores = random.integers(0, 200, (PROBES, len(people))) / 200 + 0.3 * (identity[:, None] == people)
    return scores, people, identity


def test_smaller_galleries_are_those_that_are_searched_by_themselves(drawn):
    scores, people, identity = drawn
    fpirs = (0.2, 0.05)
    found = evaluate_scores(scores, people, identity, fpirs=fpirs, seed=3)
    order = enroll_rows(people, np.zeros(len(people), bool), 3).people
    best = np.stack([scores[:, people == g].max(axis=1) for g in range(PEOPLE)], axis=1)
    whole = {point.fpir: point.threshold for point in found.tpir_at_fpir}
    assert [(point.people, point.draws) for point in found.curve] == [*SIZES, (PEOPLE, 1)]
    for point, (n, draws) in zip(found.curve[:-1], SIZES, strict=True):
        rank_1, kept, own = [], {f: [] for f in fpirs}, {f: [] for f in fpirs}
        for d in range(draws):
            enrolled = order[d * n : (d + 1) * n].tolist()
            strangers, mated = [], []
            for p, who in enumerate(identity.tolist()):
                if who >= PEOPLE:
                    strangers.append(best[p, enrolled].max())
                else:
                    others = [g for g in enrolled if g != who][: n - 1]
                    mated.append((best[p, who], best[p, others].max()))
            rank_1 += [mate > other for mate, other in mated]
            for fpir in fpirs:
                alarms = np.mean([s >= whole[fpir] for s in strangers])
                kept[fpir].append((alarms, np.mean([m > o and m >= whole[fpir] for m, o in mated])))
                rejected = sorted(strangers, reverse=True)[int(fpir * len(strangers) + 1e-9)]
                own[fpir].append(np.mean([m > o and m > rejected for m, o in mated]))
        assert point.rank_1 == pytest.approx(np.mean(rank_1), abs=1e-12)
        for rate in point.rates:
            alarms, tpir = np.transpose(kept[rate.fpir])
            assert rate.measured_fpir == pytest.approx(alarms.mean(), abs=1e-12)
            assert rate.tpir == pytest.approx(tpir.mean(), abs=1e-12)
            assert rate.own_tpir == pytest.approx(np.mean(own[rate.fpir]), abs=1e-12)
            if draws == 1:
                assert rate.fpir_sd is None and rate.own_tpir_sd is None
            else:
                assert rate.fpir_sd == pytest.approx(alarms.std(ddof=1), abs=1e-12)
                assert rate.own_tpir_sd == pytest.approx(np.std(own[rate.fpir], ddof=1), abs=1e-12)
    last = found.curve[-1]
    assert last.rank_1 == found.cmc[0].rate
    for rate, point in zip(last.rates, found.tpir_at_fpir, strict=True):
        assert (rate.tpir, rate.measured_fpir) == (point.tpir, point.measured_fpir)
        assert (rate.own_tpir, rate.own_threshold) == (point.tpir, point.threshold)


def test_fpir_and_threshold_grow_with_the_gallery():
    random = np.random.default_rng(1)
    gallery, probes = random.normal(size=(1000, 32)), random.normal(size=(600, 32))
    probes[:300] += 2 * gallery[:300]
    identity = np.append(np.arange(300), np.full(300, -1))
    found = evaluate_identification(gallery, np.arange(1000), probes, identity, fpirs=(0.05,))
    sizes = [point.people for point in found.curve]
    assert sizes == [10, 30, 100, 300, 1000]
    rates = [point.rates[0] for point in found.curve]
    for figure in ("measured_fpir", "own_threshold"):
        values = [getattr(rate, figure) for rate in rates]
        assert values == sorted(values) and values[0] < values[-1]
    rank_1 = [point.rank_1 for point in found.curve]
    assert rank_1 == sorted(rank_1, reverse=True)


def test_sizes_are_smaller_than_the_gallery():
    assert subset_sizes(10) == ()
    assert subset_sizes(31) == ((10, 3), (30, 1))
    assert subset_sizes(150_000)[-1] == (100_000, 1)
    assert all(n * draws <= 5000 for n, draws in subset_sizes(5000))


def test_det_points_are_rates_at_their_thresholds(drawn):
    scores, people, identity = drawn
    found = evaluate_scores(scores, people, identity)
    best = np.stack([scores[:, people == g].max(axis=1) for g in range(PEOPLE)], axis=1)
    strangers, mated = best[identity >= PEOPLE], identity < PEOPLE
    mate = best[np.flatnonzero(mated), identity[mated]]
    others = best[mated]
    others[np.arange(len(others)), identity[mated]] = -1
    first = mate > others.max(axis=1)
    for point in found.det:
        assert point.fpir == (strangers.max(axis=1) >= point.threshold).mean()
        assert point.fnir == pytest.approx(1 - (first & (mate >= point.threshold)).mean(), abs=1e-12)
    fpirs = [point.fpir for point in found.det]
    assert fpirs[0] == 0.0 and fpirs[-1] == 1.0 and fpirs == sorted(set(fpirs))
    assert found.det[-1].fnir == pytest.approx(1 - found.cmc[0].rate, abs=1e-12)
