"""What every search engine of the registry promises, and what settings refuse."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from crowd import crowd

from facerec_cli.errors import UsageError
from facerec_cli.gallery.search_engines.engine import open_search_engine
from facerec_cli.gallery.search_engines.settings import EXACT_ENGINES, SearchEngineOptions
from facerec_cli.registry import SEARCH_ENGINES

NEEDS = {"index": ("faiss", "index"), "ray": ("ray", "ray"), "lancedb": ("lancedb", "lancedb")}


@pytest.mark.parametrize("name", SEARCH_ENGINES)
def test_every_engine_finds_the_nearest_people_with_their_exact_scores(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    package, extra = NEEDS.get(name, ("numpy", ""))
    if find_spec(package) is None:
        pytest.skip(f"needs {package}: pip install 'facerec-cli[{extra}]'")
    made = crowd()
    probes = made.probes(12)
    every = probes @ np.concatenate(made.people.templates)[np.argsort(made.people.person)][20:].T
    table = str(tmp_path / "tables") if name == "lancedb" else None
    address = request.getfixturevalue("cluster").address if name == "ray" else None
    options = SearchEngineOptions(name, address=address, table=table)
    engine = open_search_engine(options, tmp_path)
    try:
        found, scores = engine.search(made.people, probes, 5)
        assert found.tolist() == np.argsort(-every, axis=1, kind="stable")[:, :5].tolist()
        assert (found.dtype, scores.dtype) == (np.int64, np.float32)
        np.testing.assert_allclose(scores, np.sort(every, axis=1)[:, :-6:-1], atol=1e-6)
        if name in EXACT_ENGINES:
            exact = made.people.search(probes, 5)
            assert (found.tobytes(), scores.tobytes()) == (exact[0].tobytes(), exact[1].tobytes())
        found, scores = engine.search(made.people, probes[:2], 310)
        assert sorted(found[0, :300].tolist()) == list(range(300))  # all there are, and then nobody
        assert found[:, 300:].tolist() == [[-1] * 10] * 2 and np.isneginf(scores[:, 300:]).all()
        assert engine.search(made.people, probes[:0], 3)[0].shape == (0, 3)
    finally:
        engine.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "exakt"},
        {"address": "auto"},
        {"actors": 2},
        {"table": "tables"},
        {"engine": "ray", "actors": 0},
        {"engine": "lancedb"},
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SearchEngineOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SEARCH_ENGINES)
def test_error_rates_are_made_by_exact_engines_only(name: str) -> None:
    options = SearchEngineOptions(name, table="tables" if name == "lancedb" else None)
    if name in EXACT_ENGINES:
        options.require_exact("An evaluation")
    else:
        with pytest.raises(UsageError, match="An evaluation compares every person"):
            options.require_exact("An evaluation")
