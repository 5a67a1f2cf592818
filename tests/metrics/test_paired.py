"""Models on the same pairs: figures by plain loops, the null, an effect, and McNemar by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.paired import compare_scores, exact_mcnemar
from facerec_cli.metrics.roc import equal_error_rate

PEOPLE = 60


def _drawn(seed: int, *noise: float) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_], tuple]:
    """Scores of one model for each noise, on 300 genuine and 3,000 impostor pairs of 60 people."""
    random = np.random.default_rng(seed)
    genuine = random.integers(0, PEOPLE, 300)
    first = random.integers(0, PEOPLE, 3000)
    second = (first + random.integers(1, PEOPLE, 3000)) % PEOPLE
    same = np.repeat([True, False], [300, 3000])
    people = np.concatenate([genuine, first]), np.concatenate([genuine, second])
    common = np.where(same, 3.0, 0.0) + random.normal(size=3300) * 0.5
    return [common + random.normal(size=3300) * size for size in noise], same, people


def test_the_figures_are_those_of_each_model_and_the_rounds_are_plain_resampling() -> None:
    scores, same, people = _drawn(1, 0.8, 0.6)
    compared = compare_scores(scores, same, people, fars=(0.01, 0.1), rounds=40, seed=3)
    pair = compared.pairs[0]
    alone = [evaluate(one, same, fars=(0.01, 0.1)) for one in scores]
    assert compared.far == 0.01 and pair.primary == pair.figures[0]
    for figure in pair.figures:
        if figure.figure == "TAR":
            told = [e.point(figure.far).tar for e in alone]  # type: ignore[union-attr]
        else:
            told = [e.eer if figure.figure == "EER" else e.accuracy.mean for e in alone]  # type: ignore[union-attr]
        assert [figure.first, figure.second] == pytest.approx(told)
        assert figure.difference == pytest.approx(told[1] - told[0])
    random = np.random.default_rng(3)
    differences = []
    for _ in range(40):
        times = np.bincount(random.integers(0, PEOPLE, PEOPLE), minlength=PEOPLE)
        weights = np.where(same, times[people[0]], times[people[0]] * times[people[1]])
        rows = np.repeat(np.arange(len(same)), weights)
        values = [evaluate(one[rows], same[rows], fars=(0.01,)) for one in scores]
        tar = [value.point(0.01).tar for value in values]  # type: ignore[union-attr]
        eer = [equal_error_rate(value.genuine, value.impostor) for value in values]
        differences.append((tar[1] - tar[0], eer[1] - eer[0]))
    for column, name in enumerate(("TAR", "EER")):
        figure = next(f for f in pair.figures if f.figure == name)
        ends = np.percentile([d[column] for d in differences], [2.5, 97.5])
        assert [figure.low, figure.high] == pytest.approx(ends, abs=1e-12)


def test_a_model_against_itself_has_no_difference() -> None:
    scores, same, people = _drawn(2, 0.7)
    pair = compare_scores([scores[0], scores[0]], same, people, rounds=100).pairs[0]
    assert pair.verdict == "no difference shown"
    assert all((f.difference, f.low, f.high) == (0, 0, 0) for f in pair.figures)
    assert pair.mcnemar is not None and pair.mcnemar.p == 1


def test_equal_models_are_hardly_ever_called_different_and_a_better_one_is() -> None:
    called = 0
    for seed in range(40):
        scores, same, people = _drawn(100 + seed, 0.8, 0.8)
        called += (
            compare_scores(scores, same, people, far=0.01, rounds=100).pairs[0].verdict
            != "no difference shown"
        )
    assert called <= 3
    scores, same, people = _drawn(5, 1.6, 0.1)
    assert compare_scores(scores, same, people, far=0.01, rounds=200).pairs[0].verdict == "second is better"
    assert (
        compare_scores(scores[::-1], same, people, far=0.01, rounds=200).pairs[0].verdict == "first is better"
    )


def test_the_intervals_of_several_models_hold_at_once() -> None:
    scores, same, people = _drawn(6, 0.8, 0.7, 0.6)
    three = compare_scores(scores, same, people, far=0.01, rounds=300)
    two = compare_scores(scores[:2], same, people, far=0.01, rounds=300)
    assert [(p.first, p.second) for p in three.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert three.confidence == pytest.approx(1 - 0.05 / 3) and two.confidence == 0.95
    wide, narrow = three.pairs[0].primary, two.pairs[0].primary
    assert wide is not None and narrow is not None
    assert wide.low <= narrow.low and wide.high >= narrow.high  # type: ignore[operator]


def test_too_few_people_or_pairs_give_no_verdict() -> None:
    scores, same, people = _drawn(7, 0.8, 0.7)
    few = people[0] % 5, people[1] % 5
    pair = compare_scores(scores, same, few, far=0.01, rounds=100).pairs[0]
    assert pair.verdict == "not measurable" and "people" in pair.figures[0].reason
    pair = compare_scores(scores, same, people, far=1e-6, rounds=100).pairs[0]
    assert pair.verdict == "not measurable" and pair.primary is None and pair.mcnemar is None
    with pytest.raises(InputError, match="two models"):
        compare_scores(scores[:1], same, people)
    with pytest.raises(InputError, match="different pairs"):
        compare_scores([scores[0], scores[1][1:]], same, people)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (3, 9), (0, 5), (40, 41), (400, 300)])
def test_mcnemar_is_the_exact_binomial_test(only_first: int, only_second: int) -> None:
    total = only_first + only_second
    tail = sum(comb(total, k) for k in range(min(only_first, only_second) + 1))
    assert exact_mcnemar(only_first, only_second) == pytest.approx(min(1.0, 2 * tail / 2**total))
