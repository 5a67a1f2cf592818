"""Crops of raw photos: each photo has its own, and going on keeps what is right and nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.datasets import open_dataset
from facerec_cli.datasets.align import align
from facerec_cli.faces import Face
from facerec_cli.study.crops import cut_crops


class OneFace:
    """A model that finds one face in every photo and cuts a crop of the photo's mean colour."""

    def detect(self, photos, *, max_side):
        landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
        return [[Face(np.array([2, 2, 9, 9], np.float32), landmarks, 0.75)] for _ in photos]

    def align(self, photo, face):
        return np.full((112, 112, 3), photo.mean(axis=(0, 1)), np.uint8)


def put(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(path.suffix.lower(), np.full((32, 32, 3), grey, np.uint8))[1]
    path.write_bytes(data.tobytes())


def table(target: Path) -> dict[str, dict[str, str]]:
    with (target / "alignment.tsv").open(newline="", errors="surrogateescape") as file:
        return {row["photo"]: row for row in csv.DictReader(file, delimiter="\t")}


def greys(target: Path) -> dict[str, int]:
    """What each photo of the table became, by the grey of its crop."""
    rows = table(target)
    return {name: round(cv2.imread(str(target / row["crop"])).mean()) for name, row in rows.items()}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name, grey in (("alice/1.jpg", 40), ("alice/1.jpeg", 80), ("alice/1.png", 120), ("bob/1.jpg", 160)):
        put(tmp_path / "raw" / name, grey)
    return tmp_path / "raw"


def test_photos_that_differ_in_the_suffix_have_crops_of_their_own(raw: Path, tmp_path: Path):
    statuses = align(open_dataset(raw), tmp_path / "out", OneFace())
    assert statuses == {"ok": 4}
    assert greys(tmp_path / "out") == {
        "alice/1.jpg": 40, "alice/1.jpeg": 80, "alice/1.png": 120, "bob/1.jpg": 160
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "out" / "alice").iterdir()} == {"1.jpg", "1-2.jpg", "1-3.jpg"}


def test_a_study_names_crops_as_align_does(raw: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("facerec_cli.faces.open_model", lambda name: OneFace())
    found = cut_crops(open_dataset(raw), np.arange(4), tmp_path / "out", aligned=False, faces="main")
    assert len(set(found.values())) == 4
    crops = [cv2.imread(str(tmp_path / "out" / found[index])).mean() for index in range(4)]
    assert crops == [80, 40, 120, 160]  # alice's 1.jpeg comes before 1.jpg
