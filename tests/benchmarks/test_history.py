"""The history of the benchmarks: what a run leaves behind, and what is drawn from it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import history
import pytest

ROWS = [
    {"name": "facerec", "value": 2.0, "unit": "s", "peer": "theirs"},
    {"name": "theirs", "value": 8.0, "unit": "s"},
]


def test_a_run_is_one_line_without_names_of_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "results" / "embed.jsonl"
    settings = {"photos": tmp_path / "lfw", "list": [str(tmp_path / "pairs.txt")], "n": 3}
    history.record("embed", ROWS, settings, file)
    history.record("embed", ROWS, {}, file)
    first, second = map(json.loads, file.read_text().splitlines())
    assert first["settings"] == {"photos": "lfw", "list": ["pairs.txt"], "n": 3}
    assert first["rows"] == ROWS and second["benchmark"] == "embed"
    assert first["machine"]["cores"] >= 1 and first["machine"]["numpy"] and first["when"].endswith("+00:00")
    text = file.read_text()
    assert socket.gethostname() not in text and str(tmp_path) not in text


@pytest.mark.parametrize(
    "rows",
    [
        [{"name": "a", "value": float("nan"), "unit": "s"}],
        [{"name": "a", "value": 1.0, "unit": "s"}] * 2,
        [{"name": "a", "value": 1.0, "unit": "s", "peer": "b"}],
        [{"name": "a", "value": 1.0, "unit": "s", "peer": "b"}, {"name": "b", "value": 1.0, "unit": "ms"}],
        [{"name": "a", "value": 1.0, "unit": "%", "peer": "b"}, {"name": "b", "value": 1.0, "unit": "%"}],
    ],
    ids=["not a number", "twice", "no peer", "another unit", "no direction"],
)
def test_a_run_that_means_nothing_is_refused(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError):
        history.record("embed", rows, {}, tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()


def test_ratios_say_how_many_times_better(tmp_path: Path) -> None:
    history.record("verify", ROWS, {}, tmp_path / "verify.jsonl")
    rates = [{"name": "facerec", "value": 30.0, "unit": "photos/s", "peer": "theirs"},
             {"name": "theirs", "value": 20.0, "unit": "photos/s"}]  # fmt: skip
    history.record("embed", rates, {}, tmp_path / "embed.jsonl")
    history.record("verify", [ROWS[0] | {"value": 4.0}, ROWS[1]], {}, tmp_path / "verify.jsonl")
    embed, verify = history.comparisons(history.read(tmp_path))
    assert (embed.benchmark, embed.ratios) == ("embed", [1.5])
    assert (verify.benchmark, sorted(verify.ratios)) == ("verify", [2.0, 4.0])


@pytest.mark.parametrize("runs", [1, 3])
def test_a_picture_and_a_page(tmp_path: Path, runs: int) -> None:
    for _ in range(runs):
        history.record("verify", ROWS, {"scores": 1000}, tmp_path / "verify.jsonl")
    found = history.read(tmp_path)
    history.draw(history.comparisons(found), tmp_path / "out" / "picture.png")
    assert (tmp_path / "out" / "picture.png").read_bytes().startswith(b"\x89PNG")
    page = history.page(found)
    assert page.count("## verify") == 1
    assert "| facerec | 2 s | 4x theirs |" in page and "| theirs | 8 s |  |" in page
