"""Damaged galleries, full disks and two writers: a clear error, and nothing lost."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import FacerecError, InputError, OutputError
from facerec_cli.gallery import facts, folder, vectors
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.person import FaceFacts

MODEL = ModelInfo("toy", "5" * 64)
D = 8


def drawn(count: int, seed: int = 0) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=(count, D))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def staff(tmp_path: Path) -> Path:
    with create_gallery(tmp_path / "staff", MODEL, D, crops=True) as gallery:
        gallery.add_faces(["Anna", "Anna", "Bob"], drawn(3), [FaceFacts(f"/p/{i}.jpg") for i in range(3)])
    return gallery.path


def everything(gallery: Gallery) -> tuple[object, ...]:
    faces = gallery.faces()
    person = gallery.enrolled().person
    rows = np.concatenate(gallery.enrolled().templates)[np.argsort(person, kind="stable")]
    rows = rows[np.flatnonzero(np.sort(person) >= 0)]
    return gallery.people(), faces, gallery.vectors(faces).tobytes(), rows.tobytes()


def test_what_is_no_gallery(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.gallery").mkdir()
    for name, said in (
        ("nowhere", "There is no gallery"),
        ("folder", "There is no gallery"),
        ("empty", "is no gallery"),
    ):
        for write in (False, True):
            with pytest.raises(InputError, match=said) as fault:
                open_gallery(tmp_path / name, write=write)
            assert "facerec gallery enroll" in fault.value.hint
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["empty.gallery", "folder"]


def test_an_empty_gallery(tmp_path: Path) -> None:
    with create_gallery(tmp_path / "staff", MODEL, D) as gallery:
        assert (gallery.people(), len(gallery.enrolled())) == ((), 0)
        assert gallery.identify(drawn(2), k=3).people.tolist() == [[-1] * 3] * 2
        assert gallery.identify(drawn(2)).decide(threshold=-1) == [None, None]
        with pytest.raises(InputError, match="Nobody is enrolled"):
            gallery.calibrate(0.01)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("gallery.toml", b"schema = 1", b"schema = 9", "made by a newer facerec"),
        ("gallery.toml", b"schema", b"schema schema", "cannot be read as TOML"),
        ("gallery.toml", b'model = "toy"\n', b"", "'model' is missing"),
        ("gallery.toml", b"mean of unit", b"sum of all", "template rule"),
        ("people.sqlite", b"SQLite format 3", b"SQLite format 4", "damaged, or no file of a gallery"),
        ("people.sqlite", b"", b"", "no file of a gallery"),
        ("vectors/faces-000001.npy", b"NUMPY", b"NUMPI", "its beginning is not that of"),
        ("vectors/faces-000001.npy", b"(65536, 8)", b"(65536, 9)", "its beginning is not that of"),
    ],
)
def test_damaged_files(staff: Path, name: str, old: bytes, new: bytes, said: str) -> None:
    whole = (staff / name).read_bytes()
    (staff / name).write_bytes(whole.replace(old, new, 1) if old else whole[: len(whole) // 2])
    damaged = {one: one.read_bytes() for one in staff.rglob("*") if one.is_file()}
    with pytest.raises(InputError) as fault, open_gallery(staff) as gallery:
        gallery.vectors(gallery.faces())
    assert said in str(fault.value)
    assert fault.value.hint
    assert {one: one.read_bytes() for one in staff.rglob("*") if one.is_file()} == damaged
    (staff / name).write_bytes(whole)
    with open_gallery(staff) as gallery:
        assert len(gallery.enrolled()) == 2


def test_short_and_missing_files(staff: Path) -> None:
    path = staff / "vectors" / "faces-000001.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with (
        open_gallery(staff) as gallery,
        pytest.raises(InputError, match=r"it has 1,000 bytes instead of 2,097,280"),
    ):
        gallery.vectors(gallery.faces())
    path.unlink()
    with open_gallery(staff) as gallery, pytest.raises(InputError, match="Put it back from a copy"):
        gallery.vectors(gallery.faces())
    with open_gallery(staff, write=True) as gallery, pytest.raises(InputError, match="faces-000001"):
        gallery.add("Anna", drawn(1, seed=3))
    path.write_bytes(whole)
    (staff / "people.sqlite").rename(staff / "away")
    with pytest.raises(InputError, match="is missing"):
        open_gallery(staff)


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
def test_damaged_templates_are_made_anew(staff: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = staff / "vectors" / "templates-000001.npy"
    with open_gallery(staff) as gallery:
        before = everything(gallery)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:5000] if damage == "short" else b"x" * len(whole))
    with open_gallery(staff) as gallery:
        assert everything(gallery) == before
    with open_gallery(staff, write=True) as gallery:
        assert everything(gallery) == before
    assert path.read_bytes() == whole
    assert "made anew of the faces" in caplog.text


def test_rows_that_are_not_finite(staff: Path) -> None:
    for kind in ("templates", "faces"):
        path = staff / "vectors" / f"{kind}-000001.npy"
        data = bytearray(path.read_bytes())
        data[128:132] = np.float32(np.nan).tobytes()
        with open_gallery(staff) as gallery:
            before = everything(gallery) if kind == "templates" else ()
        path.write_bytes(data)
        with open_gallery(staff) as gallery:
            if kind == "templates":  # it is made of the faces again
                found = gallery.enrolled()
                rows = np.concatenate(found.templates)[found.person == 0]
                assert rows.tobytes() == before[3][: 4 * D]  # type: ignore[index]
            else:
                with pytest.raises(InputError, match="a vector is not of unit length"):
                    gallery.enrolled()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_vectors_that_cannot_be_enrolled(staff: Path, bad: float) -> None:
    rows = drawn(3, seed=4)
    rows[1] = bad
    with open_gallery(staff, write=True) as gallery:
        before = everything(gallery)
        with pytest.raises(InputError, match=r"1 of 3 embeddings are not finite or are all zero, .* row 1"):
            gallery.add("Carl", rows)
        with pytest.raises(InputError, match="embeddings of 8 numbers, these have 9"):
            gallery.add("Carl", np.ones((1, 9), np.float32))
        with pytest.raises(InputError, match="with 1 names"):
            gallery.add_faces(["Carl"], drawn(2))
        assert everything(gallery) == before


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["vectors", "crops", "facts"])
def test_a_full_disk_changes_nothing(staff: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_gallery(staff, write=True) as gallery:
        before = everything(gallery)
        count = 4000 if where == "facts" else 1
        told = [
            FaceFacts(f"/a long path/{i}.jpg", crop=b"" if where == "facts" else b"crop")
            for i in range(count)
        ]
        with monkeypatch.context() as patch:
            if where == "vectors":
                patch.setattr(vectors, "_write_all", full)
            elif where == "crops":
                patch.setattr(folder, "write_crops", full)
                patch.setattr(
                    "facerec_cli.gallery.changes.write_crops", lambda crops: _written_in_part(crops)
                )
            else:
                gallery._folder.facts.base.execute("PRAGMA max_page_count = 40")
            with pytest.raises(OutputError) as fault:
                gallery.add("Anna", drawn(count, seed=5), told)
            assert fault.value.exit_code == 8
        gallery._folder.facts.base.execute("PRAGMA max_page_count = 100000")
        assert everything(gallery) == before
    with open_gallery(staff, write=True) as gallery:
        assert everything(gallery) == before
        assert gallery._folder.facts.all("SELECT * FROM loose") == []
        rows = np.asarray(gallery._folder.faces.segment(0))
        assert np.flatnonzero(rows.any(axis=1)).tolist() == [0, 1, 2]
        assert list(gallery._folder.crops.iterdir()) == []
        gallery.add("Anna", drawn(1, seed=5), told[:1])
        assert gallery.person("Anna").faces == 3


def _written_in_part(crops: dict[Path, bytes]) -> None:
    for path in crops:
        path.write_bytes(b"cr")
        with folder.writing(path):
            full()


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_two_writers_wait_for_each_other(staff: Path) -> None:
    writers = []
    for number in range(2):
        process = os.fork()
        if not process:
            try:
                for i in range(4):
                    with open_gallery(staff, write=True, wait=60) as gallery:
                        gallery.add(f"n{number}{i}", drawn(1, seed=10 * number + i))
                        gallery.add("Anna", drawn(1, seed=100 + 10 * number + i))
                os._exit(0)
            except FacerecError:
                os._exit(1)
        writers.append(process)
    for _ in range(20):  # a reader beside them
        with open_gallery(staff) as gallery:
            assert len(gallery.enrolled()) >= 2
    assert [os.waitpid(process, 0)[1] for process in writers] == [0, 0]
    with open_gallery(staff) as gallery:
        assert {one.name for one in gallery.people()} == {
            "Anna", "Bob", *(f"n{number}{i}" for number in range(2) for i in range(4))
        }  # fmt: skip
        assert gallery.person("Anna").faces == 10
        assert np.linalg.norm(gallery.vectors(gallery.faces()), axis=1) == pytest.approx(1)


def test_a_freed_row_is_given_again_after_a_day(staff: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_gallery(staff, write=True) as gallery:
        gallery.remove("Anna")
        gallery.add("Carl", drawn(1, seed=6))
        assert [face.row for face in gallery.faces()] == [2, 3]
        monkeypatch.setattr(facts, "RESTS", -1)
        gallery.add("Dora", drawn(3, seed=7))
        assert [face.row for face in gallery.faces("Dora")] == [0, 1, 4]
        assert gallery.vectors(gallery.faces("Dora")).tobytes() == drawn(3, seed=7).tobytes()


def test_vectors_that_cancel_out(staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        gallery.add("Janus", np.concatenate([drawn(1), -drawn(1)]))
        found = gallery.enrolled()
        assert found.search(drawn(1), 1)[1][0, 0] == pytest.approx(1, abs=1e-6)


def test_a_newer_file_of_facts(staff: Path) -> None:
    base = sqlite3.connect(staff / "people.sqlite")
    base.execute("PRAGMA user_version = 7")
    base.close()
    with pytest.raises(InputError, match="has schema 7, this facerec knows 1") as fault:
        open_gallery(staff)
    assert "Update facerec" in fault.value.hint
