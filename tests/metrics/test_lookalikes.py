"""People who look like one are found among many who do not."""

from __future__ import annotations

import numpy as np

from facerec_cli.metrics.lookalikes import alike_people


def test_planted_doubles_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    people = rng.standard_normal((1500, 64)).astype(np.float32)
    people[700] = people[20] + 0.3 * rng.standard_normal(64)
    people[1400] = people[3] + 0.1 * rng.standard_normal(64)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    found = alike_people(people)
    assert found.pairs.tolist() == [[3, 1400], [20, 700]]
    assert np.allclose(found.scores, [people[3] @ people[1400], people[20] @ people[700]])
    assert 0.5 < found.threshold < 0.8


def test_too_few_people_say_nothing_of_each_other() -> None:
    found = alike_people(np.eye(5, dtype=np.float32))
    assert not len(found.pairs) and found.threshold == float("inf")
