"""People who look like one are found among many who do not."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics.lookalikes import alike_people, chance_bound


def test_planted_doubles_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    people = rng.standard_normal((2500, 64)).astype(np.float32)
    people[700] = people[20] + 0.3 * rng.standard_normal(64)
    people[1400] = people[3] + 0.1 * rng.standard_normal(64)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    found = alike_people(people)
    assert [(pair.first, pair.second) for pair in found] == [(3, 1400), (20, 700)]
    assert [pair.score for pair in found] == pytest.approx(
        [people[3] @ people[1400], people[20] @ people[700]]
    )


def test_the_bound_is_what_chance_reaches_once_in_twenty_times() -> None:
    rng = np.random.default_rng(4)
    reached = 0
    for _ in range(40):
        people = rng.standard_normal((100, 256)).astype(np.float32)
        people /= np.linalg.norm(people, axis=1, keepdims=True)
        reached += bool(alike_people(people))
    assert reached <= 6  # 2 are expected
    assert chance_bound(people) == pytest.approx(
        4.26 / 16, abs=0.02
    )  # z of 0.05 / 4,950 pairs over sqrt(256)


def test_too_few_people_say_nothing_of_each_other() -> None:
    assert alike_people(np.eye(5, dtype=np.float32)) == ()
