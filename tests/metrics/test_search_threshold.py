"""The threshold of a search: of a tail, of searches, moved with the number of people, and its interval."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from facerec_cli.errors import InputError, UsageError
from facerec_cli.metrics.impostor_tail import score_at
from facerec_cli.metrics.search_threshold import (
    SearchThreshold,
    choose_search_threshold,
    from_searches,
    from_tail,
    from_value,
    per_comparison,
)
from facerec_cli.threshold import ImpostorTail

TAIL = ImpostorTail(
    data="made up",
    people=5000,
    pairs=12_000_000,
    mean=0.08,
    deviation=0.09,
    rates=(1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    scores=(0.197, 0.289, 0.356, 0.412, 0.462, 0.510),
    variation=0.5,
    genuine_mean=0.64,
)


@pytest.fixture
def best() -> np.ndarray:
    return np.random.default_rng(1).gumbel(0.36, 0.025, 1000)


def test_the_binomial_rule_by_hand():
    assert per_comparison(0.01, 1) == pytest.approx(0.01, rel=1e-12)
    assert per_comparison(0.19, 2) == pytest.approx(0.1, rel=1e-12)  # 1 - 0.9 * 0.9
    assert per_comparison(1e-9, 10**9) == pytest.approx(1e-18, rel=1e-6)


def test_a_measured_rate_gives_the_measured_score():
    fpir = -math.expm1(1000 * math.log1p(-1e-5))
    found = from_tail(TAIL, 1000, fpir)
    assert found.value == pytest.approx(0.462, abs=1e-9) and found.expected == fpir
    assert found.measurable and found.source == "impostor tail" and found.people == 1000


def test_beyond_the_tail_it_is_extrapolated_and_says_so():
    found = from_tail(TAIL, 1_000_000, 0.01)
    assert not found.measurable and found.low is None and found.high is None
    assert found.reason.startswith("extrapolated, not measured") and found.value > 0.510
    assert "about 10 of 1,000 strangers get a name (extrapolated, not measured" in found.sentence()


def test_it_never_falls_when_people_are_added_or_fpir_falls():
    sizes = [1, 2, 9, 10, 99, 1000, 4000, 9999, 10_001, 10**6, 10**8]
    for fpir in (0.3, 0.1, 0.01, 0.0001):
        values = [from_tail(TAIL, n, fpir).value for n in sizes]
        assert values == sorted(values) and len(set(values)) == len(values)
    assert from_tail(TAIL, 500, 0.001).value > from_tail(TAIL, 500, 0.01).value


def test_searches_by_hand():
    scores = np.arange(1000) / 1000
    found = from_searches(scores, 50, 0.01, source="outsiders")
    assert found.value == pytest.approx((0.989 + 0.990) / 2)  # ten of 1,000 lie at or above it
    assert (scores >= found.value).sum() == 10
    assert found.expected == pytest.approx(10.5 / 1001)
    assert found.low < 0.01 < found.high and found.measurable


def test_ties_at_the_threshold_are_refused_together():
    found = from_searches(np.array([0.1] * 90 + [0.5] * 10), 5, 0.05, source="outsiders")
    assert found.value > 0.5, "ten of 100 have one score, five may be accepted"


def test_own_searches_come_in_pairs(best):
    own, others = (from_searches(best, 1000, 0.01, source=s) for s in ("own searches", "outsiders"))
    assert own.value == others.value
    assert own.expected == pytest.approx(5.5 / 501) and others.expected == pytest.approx(10.5 / 1001)
    assert own.high - own.low > others.high - others.low


@pytest.mark.parametrize(("count", "source"), [(299, "outsiders"), (599, "own searches")])
def test_too_few_searches_are_not_measurable(count, source):
    found = from_searches(np.linspace(0, 0.5, count), 1000, 0.01, source=source)
    assert found.value is None and not found.measurable
    assert "not measurable" in found.reason and f"{count} searches" in found.reason


def test_the_nearest_to_the_use_is_chosen(best):
    outsiders = np.linspace(0, 0.6, 400)
    assert choose_search_threshold(0.01, 1000, own=best, tail=TAIL, outsiders=outsiders).source == "outsiders"
    assert choose_search_threshold(0.01, 1000, own=best, tail=TAIL).source == "own searches"
    assert choose_search_threshold(0.001, 1000, own=best, tail=TAIL).source == "impostor tail"
    few = choose_search_threshold(0.01, 1000, own=best, tail=TAIL, outsiders=outsiders[:100])
    assert few.source == "own searches" and "too few" in few.caution
    none = choose_search_threshold(0.01, 20)
    assert none.value is None and "600" in none.reason and not none.measurable


def test_it_moves_with_the_people(best):
    small = from_tail(TAIL, 100, 0.01)
    assert small.for_people(1000) == from_tail(TAIL, 1000, 0.01)
    own = choose_search_threshold(0.01, 1000, own=best, tail=TAIL)
    grown = own.for_people(2000)
    step = from_tail(TAIL, 2000, 0.01).value - from_tail(TAIL, 1000, 0.01).value
    assert grown.value == pytest.approx(own.value + step) and grown.people == 2000
    assert grown.measured_people == 1000
    alone = choose_search_threshold(0.01, 1000, own=best).for_people(2000)
    assert own.value + 0.01 < alone.value < own.value + 0.03, "a Gumbel distribution moves by 0.025 ln 2"


def test_a_given_number_stays_and_its_fpir_moves():
    few, many = from_value(0.345, 10, TAIL), from_value(0.345, 1000, TAIL)
    assert few.expected < 0.05 and many.expected > 0.6 and few.value == many.value == 0.345
    assert few.for_people(1000) == many and few.fpir is None and few.source == "given"
    assert from_value(0.5, 10, None).expected is None


def test_the_sentence():
    assert from_tail(TAIL, 1000, 0.01).sentence() == (
        "With 1,000 people enrolled, about 10 of the next 1,000 strangers get a name (95 %: 4 to 17)."
    )
    assert (
        from_tail(TAIL, 1, 0.001)
        .sentence()
        .startswith("With 1 person enrolled, about 1 of the next 1,000 strangers gets a name (95 %: ")
    )


def test_it_comes_back_from_json(best):
    for made in (
        from_tail(TAIL, 1000, 0.01),
        choose_search_threshold(0.01, 1000, own=best),
        choose_search_threshold(0.01, 20),
        from_value(0.4, 3, TAIL),
    ):
        text = json.dumps(made.document(), allow_nan=False)
        assert SearchThreshold.from_document(json.loads(text)) == made
    with pytest.raises(InputError, match="people"):
        SearchThreshold.from_document({**made.document(), "people": 0})


@pytest.mark.parametrize("fpir", [0, 1, -0.1, float("nan")])
def test_an_impossible_rate_is_refused(fpir):
    with pytest.raises(UsageError, match="fpir"):
        from_tail(TAIL, 10, fpir)


def test_an_empty_gallery_and_scores_that_are_none_are_refused(best):
    with pytest.raises(InputError, match="Nobody is enrolled"):
        choose_search_threshold(0.01, 0, tail=TAIL)
    with pytest.raises(InputError, match="not finite"):
        from_searches(np.append(best, np.nan), 10, 0.01, source="outsiders")


def best_of(people: int, shift: float, seed: int = 0) -> np.ndarray:
    """Best scores of own searches in a gallery whose scores are the tail's and some more."""
    random = np.random.default_rng(seed)
    rates = 1 - (1 - random.random(people)) ** (1 / (people - 1))
    return np.array([score_at(TAIL, max(float(rate), 1e-9)) + shift for rate in rates])


@pytest.mark.parametrize("people", [30, 300])
def test_a_gallery_that_looks_more_alike_than_the_tail_gets_a_higher_threshold(people):
    plain = from_tail(TAIL, people, 0.01)
    like = [choose_search_threshold(0.01, people, own=best_of(people, 0, s), tail=TAIL) for s in range(40)]
    assert sum(one == plain for one in like) >= 35
    other = choose_search_threshold(0.01, people, own=best_of(people, 0.08), tail=TAIL)
    assert other.value == pytest.approx(plain.value + 0.08, abs=0.05)
    assert not other.measurable and other.low is None and "more alike" in other.reason
    assert other.for_people(2 * people).value > other.value
    less = choose_search_threshold(0.01, people, own=best_of(people, -0.08), tail=TAIL)
    assert less.value == plain.value and "less alike" in less.caution and less.measurable


def test_a_gallery_of_few_says_that_nobody_can_see_whether_the_tail_holds():
    assert "too few people" in choose_search_threshold(0.1, 12, own=best_of(12, 0), tail=TAIL).caution


def test_two_people_who_look_like_one_are_told():
    own = best_of(300, 0)
    assert "look like one" not in choose_search_threshold(0.01, 300, own=own, tail=TAIL).caution
    own[[3, 7]] = 0.91
    assert "look like one (score 0.91)" in choose_search_threshold(0.01, 300, own=own, tail=TAIL).caution
    assert "look like one" in choose_search_threshold(0.05, 300, own=own, tail=TAIL).caution, "own searches"
    tail = choose_search_threshold(0.001, 300, own=own, tail=TAIL)
    plain = from_tail(TAIL, 300, 0.001)
    assert (tail.value, tail.expected, tail.low) == (plain.value, 0.001, plain.low)
    assert tail.high > plain.high, "strangers may be enrolled under other names too"
