"""Galleries under kill -9: at every flush, rename, removal, half-finished write and SQL statement.

What a killed command leaves is read as the gallery before or after it, and the next writer clears the rest.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.gallery import enroll_work, facts
from facerec_cli.gallery.enroll import enroll
from facerec_cli.gallery.folder import LOCK
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.person import FaceFacts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and fork")
MODEL = ModelInfo("toy", "5" * 64)
D = 8
MORE = bool(os.environ.get("FACEREC_MORE_KILLS"))
STEP = 9
"""Every so many moments are tried; with FACEREC_MORE_KILLS=1 each of them."""
Change = Callable[[Path], object]
State = dict[str, tuple[bytes, ...]]


@pytest.fixture(autouse=True)
def _nothing_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill does not empty the system's buffers, and flushing is slow."""
    connect = facts._connect

    def unflushed(path: Path, mode: str) -> sqlite3.Connection:
        base = connect(path, mode)
        base.execute("PRAGMA synchronous = OFF")
        return base

    monkeypatch.setattr(facts, "_connect", unflushed)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, D))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def made(path: Path) -> Path:
    """Anna 0, 1; Bob 2; Carl 3, 4, each with a crop."""
    with create_gallery(path, MODEL, D, crops=True) as gallery:
        told = [FaceFacts(f"/p/{i}.jpg", f"{i:064x}", crop=b"crop %d" % i) for i in range(5)]
        gallery.add_faces(["Anna", "Anna", "Bob", "Carl", "Carl"], vectors(5), told)
    return gallery.path


def state(gallery: Gallery) -> State:
    """Whose faces are there; what points nowhere, and templates that are no means, are faults."""
    found = {}
    for person in gallery.people():
        faces = gallery.faces(person)
        rows = gallery.vectors(faces)
        assert all(np.linalg.norm(rows, axis=1) > 0.99)
        for face in faces:
            crop = gallery.crop(face)
            assert crop is None or crop.read_bytes().startswith(b"crop")
        found[person.name] = tuple(row.tobytes() for row in rows)
    enrolled = gallery.enrolled()
    templates = np.concatenate([np.zeros((0, D), np.float32), *enrolled.templates])
    assert sorted(enrolled.names) == sorted(found)
    for row, person in enumerate(enrolled.person.tolist()):
        if person >= 0:
            mean = sum(np.frombuffer(one, np.float32).astype(float) for one in found[enrolled.names[person]])
            np.testing.assert_allclose(templates[row], mean / np.linalg.norm(mean), atol=1e-6)
    return found


def swept(path: Path) -> State:
    """The state once a writer has cleared up: every byte that is there is a fact's."""
    with open_gallery(path, write=True) as gallery:
        now = state(gallery)
        assert gallery._folder.facts.all("SELECT * FROM loose") == []
        for rows, table in ((gallery._folder.faces, "face"), (gallery._folder.templates, "person")):
            owned = {row[0] for row in gallery._folder.facts.all(f"SELECT row FROM {table}")}
            held = set(np.flatnonzero(np.asarray(rows.segment(0)).any(axis=1)).tolist()) if owned else set()
            assert held == owned
        crops = {face.crop for face in gallery.faces() if face.crop}
    names = {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}
    vectors = {"vectors/faces-000001.npy", "vectors/templates-000001.npy"}
    assert names - vectors == {"gallery.toml", "people.sqlite", *(f"crops/{crop}" for crop in crops)}
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []
    return now


def killed(change: Change, path: Path, point: int) -> bool:
    """Run ``change`` in a process that ends at its ``point``-th moment; whether it got that far."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    try:
        _count_moments(point)
        change(path)
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def _count_moments(last: int) -> None:
    seen = 0

    def moment(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # it is on its way

    for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir"):
        call = getattr(os, name)
        setattr(os, name, lambda *given, call=call, **more: (moment(), call(*given, **more))[1])
    write = os.write

    def in_halves(handle: int, data: Any) -> int:
        done = write(handle, bytes(data)[: len(data) // 2 or 1])
        moment()
        return done

    os.write = in_halves
    connect = facts._connect

    def traced(path: Path, mode: str) -> sqlite3.Connection:
        base = connect(path, mode)
        base.set_trace_callback(moment)
        return base

    facts._connect = traced


def add_one(path: Path) -> None:
    with open_gallery(path, write=True) as gallery:
        told = [FaceFacts("/p/7.jpg", "7" * 64, crop=b"crop 7"), FaceFacts("/p/8.jpg", "8" * 64)]
        gallery.add_faces(["Anna", "Dora"], vectors(2, seed=7), told)


def changed(name: str, *given: Any) -> Change:
    def change(path: Path) -> None:
        with open_gallery(path, write=True) as gallery:
            getattr(gallery, name)(*given)

    return change


def split_carl(path: Path) -> None:
    with open_gallery(path, write=True) as gallery:
        gallery.split([gallery.faces("Carl")[0]], "Eve")


CHANGES: dict[str, Change] = {
    "add": add_one,
    "remove": changed("remove", "Anna"),
    "rename": changed("rename", "Anna", "Zoe"),
    "merge": changed("merge", "Bob", "Anna"),
    "split": split_carl,
}


def moments(change: Change, path: Path, start: Path | None) -> Iterator[Path]:
    """A copy of ``start`` for each moment of ``change``, which was killed there."""
    point = 1 if MORE else random.randint(1, STEP)
    while True:
        cut = path / f"cut{point}" / "staff.gallery"
        if start is None:
            cut.parent.mkdir()
        else:
            shutil.copytree(start, cut)
        if not killed(change, cut, point):
            break
        yield cut
        shutil.rmtree(cut)
        point += 1 if MORE else STEP
    assert point > 10


@pytest.mark.parametrize("name", CHANGES)
def test_a_killed_change_is_made_or_not(name: str, tmp_path: Path) -> None:
    change = CHANGES[name]
    start = made(tmp_path / "start")
    whole = Path(shutil.copytree(start, tmp_path / "whole.gallery"))
    before = swept(start)
    change(whole)
    after = swept(whole)
    assert after != before
    seen = set()
    for cut in moments(change, tmp_path, start):
        with open_gallery(cut) as reader:
            now = state(reader)
        assert now in (before, after)
        assert swept(cut) == now
        if now == before:
            change(cut)
            assert swept(cut) == after
        elif name == "remove":
            data = b"".join(one.read_bytes() for one in cut.rglob("*") if one.is_file())
            assert b"Anna" not in data
            assert not any(vector.tobytes() in data for vector in vectors(2))
            assert b"crop 0" not in data
        elif name == "rename":
            assert b"Anna" not in (cut / "people.sqlite").read_bytes()
        seen.add(now == after)
    assert seen == {True, False} or not MORE


def test_killed_enrolling_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enroll_work, "BATCH", 2)
    names = [f"/x/p{i // 2}/{i}.jpg" for i in range(6)]
    np.save(tmp_path / "e.npy", vectors(6))
    rows = "".join(f"{name},{row},0,ok\n" for row, name in enumerate(names))
    (tmp_path / "e.csv").write_text("path,row,face,status\n" + rows)
    (tmp_path / "e.json").write_text('{"model": {"name": "toy", "sha256": "' + "5" * 64 + '"}}')

    def change(path: Path) -> None:
        enroll(path, [tmp_path / "e.npy"])

    change(tmp_path / "whole.gallery")
    whole = swept(tmp_path / "whole.gallery")
    assert len(whole) == 3
    sizes = set()
    for cut in moments(change, tmp_path, None):
        if cut.exists():
            with open_gallery(cut) as reader:
                now = state(reader)
            assert all(whole[name][: len(rows)] == rows for name, rows in now.items())
            sizes.add(len(now))
        change(cut)
        assert swept(cut) == whole
    assert sizes == {0, 1, 2, 3} if MORE else len(sizes) > 1


def test_killed_at_any_time(tmp_path: Path) -> None:
    """Kills that hit SQLite in the middle of writing its files."""
    path = made(tmp_path / "staff")
    for number in range(12):
        process = os.fork()
        if not process:
            with open_gallery(path, write=True) as gallery:
                for i in range(1000):
                    gallery.add(f"n{number}-{i}", vectors(1, seed=i))
                    gallery.rename(f"n{number}-{i}", f"m{number}-{i}")
                    gallery.remove(f"m{number}-{i}")
            os._exit(0)
        time.sleep(random.uniform(0.02, 0.3))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        with open_gallery(path) as reader:
            assert len(state(reader)) in (3, 4)
        for name in set(swept(path)) - {"Anna", "Bob", "Carl"}:
            changed("remove", name)(path)
    assert set(swept(path)) == {"Anna", "Bob", "Carl"}
    assert not (path / LOCK).exists()
