"""Models on the same searches: figures and rounds by plain loops, null, effect and exact intervals."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics.identification import evaluate_scores
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.paired import exact_mcnemar
from facerec_cli.metrics.paired_searches import compare_searches, discordant_interval

PEOPLE = 30  # enrolled; as many strangers
IDENTITY = np.concatenate([np.repeat(np.arange(PEOPLE), 3), np.repeat(PEOPLE + np.arange(PEOPLE), 2)])


def matrices(seed: int, *noise: float) -> list[np.ndarray]:
    """Scores of each probe with each person, of one model for each noise; rounded, so that some tie."""
    random = np.random.default_rng(seed)
    shared = (
        np.where(IDENTITY[:, None] == np.arange(PEOPLE), 1.2, 0.0) + random.normal(size=(150, PEOPLE)) * 0.4
    )
    return [np.round(shared + random.normal(size=shared.shape) * size, 2) for size in noise]


def measured(scores: np.ndarray, rows: np.ndarray | None = None) -> IdentificationEvaluation:
    rows = np.arange(len(IDENTITY)) if rows is None else rows
    return evaluate_scores(
        scores[rows], np.arange(PEOPLE), IDENTITY[rows], fpirs=(0.1, 0.5), ranks=(1,), template="max"
    )


def plain(scores: np.ndarray, identity: np.ndarray, fpir: float | None) -> float:
    """TPIR at an FPIR, or the rate at rank 1, one search after the other."""
    known = [
        (row[who], max(np.delete(row, who)))
        for row, who in zip(scores, identity, strict=True)
        if who < PEOPLE
    ]
    strangers = sorted(
        (max(row) for row, who in zip(scores, identity, strict=True) if who >= PEOPLE), reverse=True
    )
    least = -np.inf if fpir is None else strangers[int(fpir * len(strangers) + 1e-9)]
    return float(np.mean([mate > other and mate > least for mate, other in known]))


def test_figures_and_rounds_are_plain_resampling_over_two_trials() -> None:
    halves = (np.arange(150), np.setdiff1d(np.arange(150), np.arange(0, 150, 4)))
    tables = matrices(1, 0.3, 0.5)
    models = [[measured(table, rows) for rows in halves] for table in tables]
    people = [IDENTITY[rows][model.searches.made] for rows, model in zip(halves, models[0], strict=True)]
    compared = compare_searches(models, people, fpir=0.1, rounds=25, seed=2)
    pair = compared.pairs[0]
    for figure in pair.figures:
        told = [np.mean([plain(t[rows], IDENTITY[rows], figure.far) for rows in halves]) for t in tables]
        assert [figure.first, figure.second] == pytest.approx(told)
        assert figure.difference == pytest.approx(told[1] - told[0])
    drawers = [np.random.default_rng([2, side]) for side in (0, 1)]
    differences = []
    for _ in range(25):
        drawn = [drawers[side].integers(0, PEOPLE, PEOPLE) + side * PEOPLE for side in (0, 1)]
        times = np.bincount(np.concatenate(drawn), minlength=2 * PEOPLE)
        both = []
        for table in tables:
            rates = []
            for rows in halves:
                again = np.repeat(rows, times[IDENTITY[rows]])
                rates.append(plain(table[again], IDENTITY[again], 0.1))
            both.append(np.mean(rates))
        differences.append(both[1] - both[0])
    low, high = np.percentile(differences, [2.5, 97.5])
    mcnemar, primary = pair.mcnemar, pair.primary
    assert mcnemar is not None and primary is not None
    exact = discordant_interval(
        mcnemar.only_first, mcnemar.only_second, sum(int((p < PEOPLE).sum()) for p in people), 0.95
    )
    assert [primary.low, primary.high] == pytest.approx([min(low, exact[0]), max(high, exact[1])])


def test_a_model_against_itself_has_no_difference() -> None:
    (table,) = matrices(2, 0.4)
    compared = compare_searches([[measured(table)]] * 2, [IDENTITY], rounds=100)
    pair = compared.pairs[0]
    assert pair.verdict == "no difference shown" and compared.fpir == 0.5  # 30 of 60 strangers
    assert [figure.figure for figure in pair.figures] == ["TPIR", "TPIR", "rank 1"]
    assert all((f.difference, f.low, f.high) == (0, 0, 0) for f in pair.figures)
    assert pair.mcnemar is not None and (pair.mcnemar.only_first, pair.mcnemar.p) == (0, 1)


def test_equal_models_are_hardly_ever_called_different_and_a_better_one_is() -> None:
    called = 0
    for seed in range(20):
        models = [[measured(table)] for table in matrices(50 + seed, 0.4, 0.4)]
        called += (
            compare_searches(models, [IDENTITY], fpir=0.1, rounds=100).pairs[0].verdict
            != "no difference shown"
        )
    assert called <= 2
    worse, better = ([measured(table)] for table in matrices(5, 1.2, 0.05))
    for models, verdict in (([worse, better], "second is better"), ([better, worse], "first is better")):
        assert compare_searches(models, [IDENTITY], fpir=0.1, rounds=200).pairs[0].verdict == verdict


def test_several_models_have_wider_intervals() -> None:
    models = [[measured(table)] for table in matrices(6, 0.5, 0.4, 0.3)]
    three = compare_searches(models, [IDENTITY], fpir=0.1, rounds=300)
    two = compare_searches(models[:2], [IDENTITY], fpir=0.1, rounds=300)
    assert [(p.first, p.second) for p in three.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert three.confidence == pytest.approx(1 - 0.05 / 3)
    wide, narrow = three.pairs[0].primary, two.pairs[0].primary
    assert wide is not None and narrow is not None
    assert wide.low < narrow.low and wide.high > narrow.high  # type: ignore[operator]


def test_what_cannot_be_compared_is_told() -> None:
    one, other = ([measured(table)] for table in matrices(7, 0.4, 0.3))
    few = compare_searches([one, other], [IDENTITY % 5], rounds=50).pairs[0]
    assert few.verdict == "not measurable" and "5 people of mated searches" in few.figures[0].reason
    rare = compare_searches([one, other], [IDENTITY], fpir=0.001, rounds=50).pairs[0]
    assert (rare.verdict, rare.primary, rare.mcnemar) == ("not measurable", None, None)
    mated = [[measured(table, np.arange(90))] for table in matrices(7, 0.4, 0.3)]
    closed = compare_searches(mated, [IDENTITY[:90]], rounds=50)
    assert closed.fpir is None and closed.pairs[0].primary.figure == "rank 1"  # type: ignore[union-attr]
    with pytest.raises(InputError, match="two models"):
        compare_searches([one], [IDENTITY])
    with pytest.raises(InputError, match="different searches"):
        compare_searches([one, [measured(matrices(7, 0.3)[0], np.arange(149))]], [IDENTITY])
    strangers = [[measured(table, np.arange(90, 150))] for table in matrices(7, 0.4, 0.3)]
    with pytest.raises(InputError, match="no mated search"):
        compare_searches(strangers, [IDENTITY[90:]])


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_exact_interval_is_clopper_and_pearsons_and_agrees_with_mcnemar(confidence: float) -> None:
    for first in (0, 1, 4, 5, 12):
        for second in range(0, 13, 2):
            low, high = discordant_interval(first, second, 200, confidence)
            assert ((low > 0) or (high < 0)) == (exact_mcnemar(first, second) < 1 - confidence)
    low, high = discordant_interval(2, 7, 200, confidence)
    for end, tail in ((low, range(7, 10)), (high, range(8))):
        share = (end * 200 / 9 + 1) / 2  # at the ends the counts have probability (1 - confidence) / 2
        reached = sum(comb(9, k) * share**k * (1 - share) ** (9 - k) for k in tail)
        assert reached == pytest.approx((1 - confidence) / 2)
