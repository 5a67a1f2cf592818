"""The rules for choosing and shipping a network for hard photos, on figures and photos that are made up."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def program(repository: Path) -> ModuleType:
    path = repository / "models" / "judge_degraded.py"
    spec = importlib.util.spec_from_file_location("judge_degraded", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge_degraded"] = module
    spec.loader.exec_module(module)
    return module


def figures(program: ModuleType, better: int, real: float) -> dict[str, Any]:
    """``better`` conditions are clearly better, the others level; a real set differs by ``real``."""
    found = {}
    for number, name in enumerate((*program.PHOTO_CONDITIONS, "clean", "FG-NET, ages")):
        difference = 0.02 if number < better else 0.0
        difference = real if name.startswith("FG") else difference
        entry = {
            "model": "new",
            "difference": difference,
            "low": difference - 0.01,
            "high": difference + 0.01,
        }
        found[name] = {"against_first": [entry]}
    return found


@pytest.mark.parametrize(
    ("better", "real", "ships"), [(4, 0.0, True), (4, -0.0049, True), (4, -0.005, False), (3, 0.01, False)]
)
def test_a_network_ships_by_the_rule(program: ModuleType, better: int, real: float, ships: bool):
    assert program._verdicts(figures(program, better, real), ["sface", "new"]) == {"new": ships}


def test_photos_and_lists_are_of_people_of_their_part(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    people = [f"person{i}" for i in range(6)]
    split = {"people": {"train": people[:2], "validation": people[2:4], "test": people[4:]}}
    (tmp_path / "split.json").write_text(json.dumps(split))
    monkeypatch.setattr(program, "SPLIT", tmp_path / "split.json")
    for number, person in enumerate(people):
        (tmp_path / "lfw" / person).mkdir(parents=True)
        for photo in range(6 if number == 4 else 2):
            image = np.full((64, 64, 3), 40 * number + photo, np.uint8)
            cv2.imwrite(str(tmp_path / "lfw" / person / f"{photo}.png"), image)
    out = tmp_path / "out"
    program.write_photos(tmp_path / "lfw", out)
    assert {p.name for p in (out / "validation" / "small").iterdir()} == {"person2", "person3"}
    assert len(list((out / "test" / "night").rglob("*.png"))) == 4 + 2
    rows = [line.split("\t") for line in (out / "test" / "small.txt").read_text().splitlines()]
    assert len(rows) == 6 * 5  # each of two photos is the clean one once
    assert sum(row[2] == "1" for row in rows) == 2 * (6 + 1)
    assert all(row[0].startswith("clean/") and row[1].startswith("small/") for row in rows)
    clean = (out / "test" / "clean.txt").read_text().splitlines()
    assert len(clean) == 15 and sum(line.endswith("\t1") for line in clean) == 7
