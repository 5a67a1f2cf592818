"""Exact search on a real Ray cluster of two node processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crowd import crowd

from facerec_cli.errors import InputError, ResourceError
from facerec_cli.gallery.search_engines import ray as ray_search
from facerec_cli.gallery.search_engines.ray import RaySearch, gallery_parts, merge, search_part, software
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions


def test_lists_are_merged_by_score_and_of_equal_ones_by_row() -> None:
    rows, scores = np.array([[4, 9, -1]]), np.float32([[0.5, 0.2, -np.inf]])
    merge(rows, scores, np.array([[7, 2, 8]]), np.float32([[0.5, 0.5, 0.2]]))
    assert rows.tolist() == [[2, 4, 7]] and scores.tolist() == [[0.5, 0.5, 0.5]]
    merge(rows, scores, np.array([[1, 3, -1]]), np.float32([[0.9, 0.1, -np.inf]]))
    assert rows.tolist() == [[1, 2, 4]]


def test_the_parts_of_a_gallery_are_merged_to_the_bytes_of_one_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without Ray: what workers do, in another order, with equal rows in two parts."""
    monkeypatch.setattr(ray_search, "ROWS", 64)
    made = crowd()
    made.people.templates[1][100:110] = made.people.templates[0][:10]
    probes = np.concatenate([made.probes(9), made.people.templates[0][3:5]])
    parts = list(gallery_parts(made.people))
    assert [len(part.vectors) for part in parts] == [64, 36, 64, 64, 64, 28]
    rows = np.full((11, 7), -1, np.int64)
    scores = np.full((11, 7), -np.inf, np.float32)
    for part in parts[::-1]:
        more, others, fault = search_part(part, probes, 7, software())
        assert not fault
        merge(rows, scores, more, others)
    people, exact = made.people.search(probes, 7)
    assert scores.tobytes() == exact.tobytes()
    assert np.append(made.people.person, -1)[rows].tolist() == people.tolist()


def test_a_worker_with_other_versions_says_so() -> None:
    part = next(gallery_parts(crowd().people))
    _, _, fault = search_part(part, crowd().probes(2), 3, {"facerec": "0.0", "NumPy": "1.0"})
    assert "not 0.0" in fault and "not 1.0" in fault


def test_an_address_where_nothing_listens_is_told() -> None:
    if find_spec("ray") is None:
        pytest.skip("needs ray: pip install 'facerec-cli[ray]'")
    engine = RaySearch(SearchEngineOptions("ray", address="127.0.0.1:1"))
    with pytest.raises(ResourceError, match="No Ray cluster answers"):
        engine.search(crowd().people, crowd().probes(2), 3)


@pytest.mark.slow
def test_the_same_bytes_come_out_when_a_node_is_killed(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import psutil

    monkeypatch.setattr(ray_search, "ROWS", 256)
    monkeypatch.setattr(ray_search, "PROBES", 512)
    doomed = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    raylet = psutil.Process(doomed.all_processes["raylet"][0].process.pid)
    lost: list[Any] = []

    def kill_once(*lists: Any) -> None:
        merge(*lists)
        if not lost:
            lost.extend(child for child in raylet.children() if "search_part" in " ".join(child.cmdline()))
            if lost:
                os.kill(raylet.pid, signal.SIGKILL)

    monkeypatch.setattr(ray_search, "merge", kill_once)
    made = crowd(6000)
    probes = np.concatenate([made.people.templates[0], made.people.templates[1]])  # all against all
    engine = RaySearch(SearchEngineOptions("ray", address=cluster.address))
    steps: list[tuple[int, int | None]] = []
    try:
        found, scores = engine.search(
            made.people, probes, 5, progress=lambda done, total=None: steps.append((done, total))
        )
        with pytest.raises(InputError, match="dimensions"):
            engine.search(made.people, probes[:, :16], 5)
    finally:
        engine.close()
    assert lost, "no worker ran on the node that was to be killed"
    exact = made.people.search(probes, 5)
    assert (found.tobytes(), scores.tobytes()) == (exact[0].tobytes(), exact[1].tobytes())
    assert steps[-1] == (6020, 6020)
