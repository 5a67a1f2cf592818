"""Crops of raw photos: each photo has its own, and going on keeps what is right and nothing else."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.tools.align import align
from facerec_cli.errors import UsageError
from facerec_cli.faces import Face
from facerec_cli.faces.align import template
from facerec_cli.files import lock
from facerec_cli.study.crops import cut_crops


class OneFace:
    """A model that finds one face in every photo and cuts a crop of the photo's mean color."""

    def __init__(self, name: str = "one", hash: str = "1" * 64) -> None:
        encoder = SimpleNamespace(template="arcface", input_size=(112, 112))
        self.pack, self.hash = SimpleNamespace(name=name, encoder=encoder), hash
        self.faint_score = 0.3

    def detect(self, photos, **_):
        landmarks = (template("arcface", (112, 112)) / 8).astype(np.float32)
        return [[Face(np.array([2, 2, 9, 9], np.float32), landmarks, 0.95)] for _ in photos]

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
    monkeypatch.setattr("facerec_cli.faces.open_model", lambda *name: OneFace())
    found = cut_crops(open_dataset(raw), np.arange(4), tmp_path / "out", aligned=False, faces="main")
    assert len(set(found.values())) == 4
    crops = [cv2.imread(str(tmp_path / "out" / found[index])).mean() for index in range(4)]
    assert crops == [80, 40, 120, 160]  # alice's 1.jpeg comes before 1.jpg


def test_going_on_keeps_what_is_known_of_earlier_crops(raw: Path, tmp_path: Path):
    out = tmp_path / "out"
    align(open_dataset(raw), out, OneFace())
    before = table(out)
    put(raw / "carol" / "1.jpg", 200)
    assert align(open_dataset(raw), out, OneFace(), resume=True) == {"kept": 4, "ok": 1}
    after = table(out)
    assert after.pop("carol/1.jpg")["status"] == "ok"
    assert after == before
    assert after["bob/1.jpg"]["score"] == "0.9500"


def test_a_crop_of_another_photo_is_not_kept(raw: Path, tmp_path: Path):
    out = tmp_path / "out"
    align(open_dataset(raw), out, OneFace())
    (raw / "alice" / "1.jpeg").unlink()  # the others move up to its crop's name and the next
    assert align(open_dataset(raw), out, OneFace(), resume=True) == {"kept": 1, "ok": 2}
    assert greys(out) == {"alice/1.jpg": 40, "alice/1.png": 120, "bob/1.jpg": 160}


def test_an_interrupted_run_leaves_the_rows_of_all_crops(raw: Path, tmp_path: Path, monkeypatch):
    out, model = tmp_path / "out", OneFace()
    align(open_dataset(raw), out, model)
    before = table(out)
    for number in range(2, 40):
        put(raw / "aaron" / f"{number}.jpg", number)
    found, calls = model.detect, []

    def detect(photos, **_):
        calls.append(len(photos))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return found(photos)

    monkeypatch.setattr(model, "detect", detect)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        align(open_dataset(raw), out, model, resume=True)
    after = table(out)
    assert before.items() <= after.items()
    assert len(after) == 4 + calls[0]


@pytest.mark.parametrize(
    ("model", "faces", "told"),
    [
        (OneFace(), "largest", "cut with --faces main"),
        (OneFace("two", "2" * 64), "main", "the model one of 11111111, not 22222222"),
    ],
)
def test_going_on_in_another_way_is_refused(raw: Path, tmp_path: Path, model, faces: str, told: str):
    out = tmp_path / "out"
    align(open_dataset(raw), out, OneFace(), uniform=True)
    with pytest.raises(UsageError, match=told):
        align(open_dataset(raw), out, model, faces=faces, resume=True, uniform=True)
    align(open_dataset(raw), out, OneFace(), resume=True, uniform=True)
    assert open_dataset(out).warnings == ()  # what is remembered there is no photo of anybody


def test_a_folder_that_several_rules_share_is_not_refused(raw: Path, tmp_path: Path):
    """As a study does, which removes the crops of another rule itself."""
    for faces in ("main", "largest"):
        align(open_dataset(raw), tmp_path / "out", OneFace(), faces=faces, resume=True)


def test_crops_of_unknown_settings_are_kept_with_a_warning(raw: Path, tmp_path: Path, caplog):
    align(open_dataset(raw), tmp_path / "out", OneFace())
    align(open_dataset(raw), tmp_path / "out", OneFace(), resume=True, uniform=True)
    assert "does not say how its crops were cut" in caplog.text
    (tmp_path / "out" / ".alignment.json").write_text("[]")
    with pytest.raises(UsageError, match="damaged"):
        align(open_dataset(raw), tmp_path / "out", OneFace(), resume=True, uniform=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from test_align_photos import OneFace
from facerec_cli.data import open_dataset
from facerec_cli.data.tools.align import align
count = [0]
for name in ("fsync", "replace", "unlink", "mkdir"):
    def stop(*given, name=name, call=getattr(os, name), **more):
        count[0] += 1
        if count[0] == int(sys.argv[4]):
            os._exit(9)  # at once, as a kill from outside
        return call(*given, **more)
    setattr(os, name, stop)
align(open_dataset(sys.argv[1]), Path(sys.argv[2]), OneFace(), uniform=True)
"""


def killed_at(point: int, raw: Path, out: Path) -> bool:
    command = [sys.executable, "-c", KILLED, str(raw), str(out), str(Path(__file__).parent), str(point)]
    return subprocess.run(command, check=False, timeout=60).returncode == 9


@pytest.mark.parametrize("point", [2, 4, 5, 6, 8, 11, 14])
def test_a_killed_run_goes_on_to_what_an_uninterrupted_one_makes(raw: Path, tmp_path: Path, point: int):
    (raw / "bob" / "2.jpg").write_text("no photo")
    whole, cut = tmp_path / "whole" / "out", tmp_path / "cut" / "out"
    align(open_dataset(raw), whole, OneFace(), uniform=True)
    cut.parent.mkdir()
    assert killed_at(point, raw, cut), "the point lies beyond the end of the run"
    align(open_dataset(raw), cut, OneFace(), uniform=True, resume=True)
    after, expected = contents(cut.parent), contents(whole.parent)
    for found in (after, expected):  # a crop whose line was written twice is the only difference
        found[f"out{os.sep}.alignment.jsonl"] = b"".join(
            sorted(set(found[f"out{os.sep}.alignment.jsonl"].splitlines()))
        )
    assert after == expected


@pytest.mark.parametrize("how", ["cut", "a bit", "gone", "replaced photo"])
def test_a_damaged_crop_and_one_of_a_replaced_photo_are_cut_again(raw: Path, tmp_path: Path, how: str):
    out = tmp_path / "out"
    align(open_dataset(raw), out, OneFace(), uniform=True)
    rows, crop = table(out), out / "bob" / "1.jpg"
    content = crop.read_bytes()
    if how == "gone":
        crop.unlink()
    elif how == "replaced photo":
        put(raw / "bob" / "1.jpg", 222)
    else:
        crop.write_bytes(content[:-9] if how == "cut" else content[:400] + b"\0" + content[401:])
    assert align(open_dataset(raw), out, OneFace(), uniform=True, resume=True) == {"kept": 3, "ok": 1}
    assert table(out) == rows
    assert greys(out)["bob/1.jpg"] == (222 if how == "replaced photo" else 160)


def test_two_alignments_of_one_folder_do_not_mix(raw: Path, tmp_path: Path):
    out = tmp_path / "out"
    align(open_dataset(raw), out, OneFace())
    with lock(out, inside=True), pytest.raises(UsageError, match="Another facerec is writing"):
        align(open_dataset(raw), out, OneFace(), resume=True)
