"""What every search engine of the registry promises, and what settings refuse."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.errors import UsageError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.engine import open_search_engine
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.metrics.scores import unit_vectors


def enrolled(count: int = 300, dimensions: int = 16, seed: int = 1) -> EnrolledPeople:
    """People in two blocks with free rows, in another order than their rows."""
    random = np.random.default_rng(seed)
    rows = unit_vectors(random.standard_normal((count + 20, dimensions)).astype(np.float32))
    person = np.full(count + 20, -1, np.int64)
    person[random.permutation(count + 20)[:count]] = random.permutation(count)
    rows[person < 0] = 0
    names = tuple(f"person {i}" for i in range(count))
    return EnrolledPeople("staff", names, (rows[:100], rows[100:]), person, np.ones(count, np.int64))


def test_the_exact_engine_is_the_search_of_the_people() -> None:
    people = enrolled()
    probes = unit_vectors(np.random.default_rng(2).standard_normal((7, 16)).astype(np.float32))
    found, scores = open_search_engine(SearchEngineOptions()).search(people, probes, 5)
    templates = np.zeros((300, 16), np.float32)
    rows = np.concatenate(people.templates)
    templates[people.person[people.person >= 0]] = rows[people.person >= 0]
    every = probes @ templates.T
    assert found.tolist() == np.argsort(-every, axis=1, kind="stable")[:, :5].tolist()
    np.testing.assert_allclose(scores, np.sort(every, axis=1)[:, ::-1][:, :5], atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "exakt"},
        {"address": "auto"},
        {"actors": 2},
        {"table": "tables"},
        {"engine": "ray", "actors": 0},
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SearchEngineOptions(**wrong)  # type: ignore[arg-type]
