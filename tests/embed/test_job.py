"""Runs that write files: formats, statuses, refusals, and interruptions that cost nothing."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dots import SIZE, DotModel

from facerec_cli.embed import EmbedOptions, Summary, embed_to_file, job
from facerec_cli.embeddings.formats import npy
from facerec_cli.embeddings.npz_shards import NpzShards
from facerec_cli.errors import (
    InputError,
    MissingExtraError,
    ModelError,
    OutputError,
    PartialFailure,
    UsageError,
)
from facerec_cli.files import atomic_write, lock, refuse_special

Album = Callable[[int], Path]
SMALL = EmbedOptions(batch_size=4)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SHARD_SIZE", 8)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def bad_album(album: Album) -> Path:
    folder = album(5)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no photo")
    (folder / "gone.jpg").symlink_to(folder / "nothing")
    cv2.imwrite(str(folder / "nobody.png"), np.full((40, 40, 3), 90, np.uint8))
    return folder


def test_inputs_have_rows_and_faces_vectors(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder = bad_album(album)
    summary = embed_to_file([folder, "no such.jpg"], tmp_path / "out.npy", options=SMALL)
    vectors = np.load(tmp_path / "out.npy")
    assert vectors.shape == (5, SIZE) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    rows = table(tmp_path / "out.csv")
    assert [row["status"] for row in rows] == [
        *["ok"] * 5,
        "empty",
        "missing",
        "no_face",
        "unreadable",
        "missing",
    ]
    assert [row["row"] for row in rows] == ["0", "1", "2", "3", "4", *[""] * 5]
    assert [bool(row["reason"]) for row in rows] == [*[False] * 5, *[True] * 5]
    assert rows[0]["path"] == str(folder / "0000.png")
    assert float(rows[0]["nose_x"]) == pytest.approx(60, abs=0.6)
    assert summary.statuses == {"ok": 5, "no_face": 1, "missing": 2, "empty": 1, "unreadable": 1}
    assert isinstance(summary.fault, PartialFailure)
    assert summary.fault.hint.endswith(f"says why: {tmp_path / 'out.csv'}")
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["model"] == {"name": "dots", "sha256": opened.hash}
    assert document["rows"] == 5 and document["settings"]["batch_size"] == 4
    assert not (tmp_path / "out.npy.parts").exists()


def test_npz_and_parquet_hold_the_same_as_npy(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder = bad_album(album)
    for suffix in ("npy", "npz", "parquet"):
        embed_to_file([folder], tmp_path / f"out.{suffix}", options=SMALL, overwrite=True)
    vectors, rows = np.load(tmp_path / "out.npy"), table(tmp_path / "out.csv")
    found = [row for row in rows if row["row"]]
    with np.load(tmp_path / "out.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["embeddings"], vectors)
        assert archive["path"].tolist() == [row["path"] for row in found]
        assert archive["landmarks"].shape == (5, 5, 2)
        np.testing.assert_allclose(archive["norm"], [float(row["norm"]) for row in found], rtol=1e-5)
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out.parquet")
    assert parquet.schema.metadata[b"model_sha256"].decode() == opened.hash
    assert str(parquet.schema.field("embedding").type) == f"fixed_size_list<element: float>[{SIZE}]"
    columns = parquet.to_pydict()
    assert columns["status"] == [row["status"] for row in rows]
    assert columns["row"] == [int(row["row"]) if row["row"] else None for row in rows]
    stored = [vector for vector in columns["embedding"] if vector is not None]
    np.testing.assert_array_equal(np.array(stored, np.float32), vectors)


def test_parquet_without_pyarrow_says_what_to_install(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pip install 'facerec-cli\\[parquet\\]'"):
        embed_to_file([album(1)], tmp_path / "out.parquet")


def test_odd_names_survive_in_the_table(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder = album(1)
    data = (folder / "0000.png").read_bytes()
    names = [
        "with, comma.png",
        'with "quotes".png',
        "new\nline.png",
        "carriage\rreturn.png",
        "写真 😀.png",
        "x" * 240 + ".png",
    ]
    for name in names:
        (folder / name).write_bytes(data)
    raw = os.fsencode(folder) + b"/caf\xe9.png"
    try:
        with open(raw, "wb") as stream:  # noqa: PTH123 - bytes
            stream.write(data)
        names.append(os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pass
    for suffix in ("npy", "npz", "parquet"):
        crops, preview = tmp_path / "crops", tmp_path / "sheet.html"
        out = tmp_path / f"out.{suffix}"
        embed_to_file([folder], out, options=SMALL, overwrite=True, crops=crops, preview=preview)
    rows = table(tmp_path / "out.csv")
    assert {row["path"] for row in rows} == {str(folder / name) for name in (*names, "0000.png")}
    for row in rows:
        assert cv2.imread(str(tmp_path / "crops" / row["crop"])).shape == (112, 112, 3)
    assert len({row["crop"] for row in rows}) == len(rows)


def run_to(folder: Path, inputs: list[Path], **settings: object) -> Summary:
    folder.mkdir(exist_ok=True)
    return embed_to_file(inputs, folder / "out.npz", options=SMALL, **settings)  # type: ignore[arg-type]


def test_a_run_that_failed_half_way_goes_on_to_the_same_bytes(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = album(45)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_to(whole, [folder], crops=whole / "crops")
    store = NpzShards.store

    def interrupt(self: NpzShards, index: int, content: bytes) -> None:
        if index == 3:
            raise KeyboardInterrupt
        store(self, index, content)

    with monkeypatch.context() as patch:
        patch.setattr(NpzShards, "store", interrupt)
        with pytest.raises(KeyboardInterrupt, match=r"24 of 45 photos are safe.*--resume"):
            run_to(cut, [folder], crops=cut / "crops")
    assert [path.name for path in cut.iterdir() if path.is_file()] == []
    with pytest.raises(UsageError, match="--resume, or start over with --overwrite"):
        run_to(cut, [folder])
    done: list[int] = []
    told: list[tuple[int, int]] = []
    opened.seen.clear()
    summary = run_to(
        cut, [folder], crops=cut / "crops", resume=True,
        progress=lambda at, total=None: done.append(at), on_start=lambda model, n, at: told.append((n, at)),
    )  # fmt: skip
    assert (done[0], done[-1], told) == (24, 45, [(45, 24)])
    assert len(opened.seen) == 45 - 24 and summary.resumed == 24
    assert contents(cut) == contents(whole)
    assert contents(cut / "crops") == contents(whole / "crops") and len(contents(cut / "crops")) == 45


def interrupted(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> Path:
    """A run that ended after so many shards; gives the folder that it left."""
    store = NpzShards.store

    def interrupt(self: NpzShards, index: int, content: bytes) -> None:
        if index == after:
            raise KeyboardInterrupt
        store(self, index, content)

    with monkeypatch.context() as patch:
        patch.setattr(NpzShards, "store", interrupt)
        with pytest.raises(KeyboardInterrupt):
            embed_to_file([folder], out, options=SMALL)
    return out.with_name(f"{out.name}.parts")


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "of zeros": lambda data: bytes(len(data)),
    "one bit of a vector": lambda data: flipped(data, 200),
    "a compression that does not exist": lambda data: flipped(data, data.rindex(b"PK\x01\x02") + 10),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_shard_is_made_again(
    opened: DotModel,
    album: Album,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    folder = album(30)
    run_to(tmp_path / "whole", [folder])
    (tmp_path / "cut").mkdir()
    shard = interrupted(folder, tmp_path / "cut" / "out.npz", monkeypatch, after=3) / "000001.npz"
    before = shard.read_bytes()
    shard.write_bytes(DAMAGE[kind](before))
    assert shard.read_bytes() != before
    summary = run_to(tmp_path / "cut", [folder], resume=True)
    assert summary.resumed == 16 and contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert f"{shard} is damaged" in caplog.text and "It is made again." in caplog.text


def test_a_shard_that_is_damaged_while_the_run_lasts_is_no_fault_of_ours(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = album(20), NpzShards.store
    with monkeypatch.context() as patch:
        patch.setattr(NpzShards, "store", lambda self, index, content: store(self, index, content[:300]))
        with pytest.raises(InputError, match=r"000000.npz is damaged.*Go on with --resume"):
            run_to(tmp_path / "out", [folder])
    assert run_to(tmp_path / "out", [folder], resume=True).resumed == 0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("run.json", b"[1]", r"run.json cannot be read"),
        ("inputs.jsonl", None, r"inputs.jsonl cannot be read"),
        ("inputs.jsonl", b"\xff\xfe", r"the list of the earlier run's photos is damaged"),
        ("inputs.jsonl", b"7\n", r"the list of the earlier run's photos is damaged"),
    ],
)
def test_what_an_interrupted_run_says_of_itself_may_be_damaged(
    opened: DotModel,
    album: Album,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | None,
    told: str,
) -> None:
    folder, out = album(20), tmp_path / "out.npy"
    parts = interrupted(folder, out, monkeypatch, after=1)
    (parts / name).unlink()
    if content is not None:
        (parts / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"{told}.*Start over with --overwrite"):
        embed_to_file([folder], out, options=SMALL, resume=True)


def test_resume_refuses_another_run_and_says_what_differs(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = album(20), tmp_path / "out.npy"

    def interrupt(self: NpzShards, index: int, content: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(NpzShards, "store", interrupt)
        with pytest.raises(KeyboardInterrupt):
            embed_to_file([folder], out, options=SMALL)

    def refusal(**settings: object) -> str:
        with pytest.raises(UsageError) as caught:
            embed_to_file([folder], out, resume=True, **{"options": SMALL, **settings})  # type: ignore[arg-type]
        return str(caught.value)

    assert "settings.flip was False and is True" in refusal(options=EmbedOptions(batch_size=4, flip=True))
    opened.hash = "other"
    assert "model.sha256 was" in refusal()
    opened.hash = DotModel.hash
    changed = folder / "0007.png"
    before = changed.stat()
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert f"{changed} was changed" in refusal()
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "0007b.png").write_bytes(changed.read_bytes())
    assert f"{folder / '0007b.png'} is new" in refusal()
    (folder / "0007b.png").unlink()
    (folder / "0019.png").unlink()
    assert f"{folder / '0019.png'} is gone" in refusal()
    assert embed_to_file([folder], out, options=SMALL, overwrite=True).photos == 19


@pytest.mark.parametrize("output", ["out.npy", "out.npz", "out.parquet"])
@pytest.mark.parametrize("how", ["gone", "cut", "a bit", "another run's"])
def test_a_finished_result_that_is_missing_or_damaged_is_made_again(
    opened: DotModel, album: Album, tmp_path: Path, output: str, how: str
) -> None:
    folder, out, other = album(6), tmp_path / "new" / output, tmp_path / "other" / output
    if output.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    embed_to_file([folder], other, options=EmbedOptions(batch_size=4, flip=True))
    embed_to_file([folder], out, options=SMALL)
    before = contents(out.parent)
    for name in before:
        if name.endswith(".json") and how != "gone":
            continue  # what a description says of itself is compared with the run
        path = out.with_name(name)
        content = bytearray(before[name])
        if how == "gone":
            path.unlink()
        elif how == "a bit":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        else:
            path.write_bytes(content[:-1] if how == "cut" else other.with_name(name).read_bytes())
        opened.seen.clear()
        if (how, name) == ("another run's", "out.parquet"):  # it says so itself
            with pytest.raises(UsageError, match=r"settings\.flip"):
                embed_to_file([folder], out, options=SMALL, resume=True)
            continue
        embed_to_file([folder], out, options=SMALL, resume=True)
        assert len(opened.seen) == 6 and contents(out.parent) == before, name


def test_embeddings_without_a_description_of_other_photos_are_not_replaced(
    opened: DotModel, album: Album, tmp_path: Path
) -> None:
    folder, out = album(6), tmp_path / "out.npy"
    embed_to_file([folder], out, options=SMALL)
    (tmp_path / "out.json").unlink()
    (folder / "0000.png").unlink()
    for resume in (True, False):
        with pytest.raises(UsageError, match="says nothing about its model"):
            embed_to_file([folder], out, options=SMALL, resume=resume)
    assert np.load(out).shape == (6, SIZE)


def test_a_result_is_replaced_by_itself_or_by_force(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder, out = album(6), tmp_path / "out.npy"
    embed_to_file([folder], out, options=SMALL)
    before = contents(tmp_path)
    opened.seen.clear()
    for resume in (False, True):
        again = embed_to_file([folder], out, options=SMALL, resume=resume)
        assert opened.seen == [] and (again.resumed, again.embeddings) == (6, 6)
    assert contents(tmp_path) == before
    for change, why in (
        (EmbedOptions(batch_size=4, flip=True), "settings.flip"),
        (EmbedOptions(), "batch_size"),
    ):
        with pytest.raises(UsageError, match=why):
            embed_to_file([folder], out, options=change)
    with pytest.raises(UsageError, match="other photos"):
        embed_to_file([folder / "0000.png"], out, options=SMALL)
    opened.hash = "other"
    with pytest.raises(UsageError, match=r"model.sha256.*--overwrite"):
        embed_to_file([folder], out, options=SMALL)
    assert contents(tmp_path) == before
    embed_to_file([folder], out, options=SMALL, overwrite=True)
    assert contents(tmp_path) != before


def test_a_foreign_file_is_not_overwritten(opened: DotModel, album: Album, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        embed_to_file([album(1)], tmp_path / "labels.npy")
    assert (tmp_path / "labels.csv").read_text() == "precious"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_the_shards(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    folder, out = album(30), tmp_path / "out.npy"
    sync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 5:
            raise OSError(code, os.strerror(code))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"written: .*(space|quota).* What is done is safe.* --resume"):
            embed_to_file([folder], out, options=SMALL)
    assert NpzShards(tmp_path / "out.npy.parts").numbers() == [0, 1]
    assert embed_to_file([folder], out, options=SMALL, resume=True).resumed == 16
    assert np.load(out).shape == (30, SIZE)


def test_nothing_to_read_is_an_input_error(opened: DotModel, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="No photo was found"):
        embed_to_file([tmp_path / "photos"], tmp_path / "out.npy")
    (tmp_path / "list.txt").write_text("gone.jpg\nlost.jpg\n")
    summary = embed_to_file([tmp_path / "list.txt"], tmp_path / "out.npy")
    assert isinstance(summary.fault, InputError) and summary.document()["exit_code"] == 3
    assert np.load(tmp_path / "out.npy").shape == (0, SIZE)
    assert [row["status"] for row in table(tmp_path / "out.csv")] == ["missing", "missing"]


def test_a_mistyped_input_does_not_block_the_correct_run(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album(2)
    monkeypatch.chdir(tmp_path)
    wrong = {
        "phots/": "phots/: no such file or folder",
        "*.xyz": r"the pattern \*\.xyz matches nothing",
        "gone.txt": "gone.txt: no such file or folder",
    }
    for name, why in wrong.items():
        with pytest.raises(InputError, match=rf"^No photo was found\. {why}\. Correct the name"):
            embed_to_file(name, "new/out.npy", options=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert embed_to_file("photos/", "new/out.npy", options=SMALL).embeddings == 2
    mixed = embed_to_file(["phots/", "*.xyz", "photos/"], "mixed.npy", options=SMALL)
    assert mixed.statuses == {"ok": 2, "missing": 2}


def test_a_broken_model_leaves_no_result(opened: DotModel, album: Album, tmp_path: Path) -> None:
    opened.scale = float("nan")
    with pytest.raises(ModelError):
        embed_to_file([album(3)], tmp_path / "out.npy")
    assert not (tmp_path / "out.npy").exists()


def test_two_at_once_do_not_write_one_result(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder, out = album(3), tmp_path / "out.npy"
    with lock(out):
        for settings in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(UsageError, match="Another facerec is writing"):
                embed_to_file([folder], out, options=SMALL, **settings)  # type: ignore[arg-type]
        embed_to_file([folder], tmp_path / "other.npy", options=SMALL)
    embed_to_file([folder], out, options=SMALL)
    assert not list(tmp_path.glob(".*"))


def test_folders_without_locks_do_as_well(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert embed_to_file([album(3)], tmp_path / "out.npy", options=SMALL).embeddings == 3


def test_unfinished_files_lie_among_the_parts_where_they_are_cleared_away(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill while the results are put together must not leave half a table beside them for ever."""
    seen: list[set[str]] = []
    finish = npy.write_npy

    def look(*arguments: Any) -> None:
        seen.append({path.name for path in tmp_path.iterdir()})
        (unfinished,) = (tmp_path / "out.npy.parts").glob(".facerec.*.tmp")
        assert unfinished.is_file()
        finish(*arguments)

    monkeypatch.setattr(npy, "write_npy", look)
    embed_to_file([album(3)], tmp_path / "out.npy", options=SMALL)
    assert seen == [{"photos", ".facerec.out.npy.lock", "out.npy.parts"}]
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out.csv", "out.json", "out.npy"}


@pytest.mark.parametrize("where", ["output", "table", "preview", "crops"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    opened: DotModel, album: Album, tmp_path: Path, where: str
) -> None:
    folder, settings = album(2), {}
    if where == "crops":
        (tmp_path / "taken").write_text("mine")
        settings = {"crops": tmp_path / "taken"}
    elif where == "preview":
        settings = {"preview": folder}
    else:
        (tmp_path / ("out.npy" if where == "output" else "out.csv")).mkdir()
    with pytest.raises(UsageError, match=r"is a (folder|file)"):
        embed_to_file([folder], tmp_path / "out.npy", options=SMALL, overwrite=True, **settings)  # type: ignore[arg-type]
    assert opened.seen == [] and not (tmp_path / "out.npy.parts").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX pipes")
@pytest.mark.parametrize("where", ["out.npy", "out.csv", "sheet.html", "link.html"])
def test_a_pipe_is_not_replaced_by_a_file(opened: DotModel, album: Album, tmp_path: Path, where: str) -> None:
    pipe = tmp_path / where.replace("link", "pipe")
    os.mkfifo(pipe)
    if where == "link.html":
        (tmp_path / where).symlink_to(pipe)
    preview = tmp_path / where if where.endswith(".html") else None
    with pytest.raises(UsageError, match="is a device, pipe or socket"):
        embed_to_file([album(2)], tmp_path / "out.npy", preview=preview, overwrite=True)
    assert opened.seen == [] and pipe.is_fifo()
    with pytest.raises(UsageError, match="is a device"), atomic_write(pipe):
        pass
    assert pipe.is_fifo()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such folders")
@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout", "/dev/no such device", "/proc/self/fd/1"])
def test_devices_are_known_by_their_folder_too(name: str) -> None:
    """Asked, never written to: a test that fails here must not take the machine's devices."""
    with pytest.raises(UsageError, match="is a device"):
        refuse_special(Path(name))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete the current folder")
@pytest.mark.parametrize("output", ["out.npy", "out/"])
def test_a_deleted_current_folder_is_told_of(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    folder = album(1)
    if output.endswith("/"):
        pytest.importorskip("pyarrow")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="The current folder has been deleted"):
        embed_to_file([folder], output)


@pytest.mark.parametrize("name", ["out", "out.txt", "out.h5"])
def test_unknown_formats_are_refused(opened: DotModel, album: Album, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"Use one of \.npy, \.npz, \.parquet"):
        embed_to_file([album(1)], tmp_path / name)


def test_crops_written_among_the_photos_are_not_embedded(opened: DotModel, album: Album) -> None:
    folder = album(4)
    embed_to_file([folder], folder / "out.npy", crops=folder / "crops")
    assert embed_to_file([folder], folder / "out.npy", crops=folder / "crops").photos == 4


def test_the_contact_sheet_shows_every_photo(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder = bad_album(album)
    (folder / "<b>.jpg").write_text("no photo")
    embed_to_file([folder], tmp_path / "out.npy", preview=tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("<figure class=") == 10 and page.count("data:image/jpeg;base64,") == 6
    assert "5 faces in 10 photos" in page and "&lt;b&gt;.jpg" in page and "<b>.jpg" not in page
    assert "http" not in page


SCRIPT = """
import sys
from facerec_cli.embed import EmbedOptions, embed_to_file, job
job.SHARD_SIZE = 8
embed_to_file([sys.argv[1]], sys.argv[2], options=EmbedOptions(batch_size=4, aligned=True),
              threads=2, resume="--resume" in sys.argv)
"""


def start(arguments: list[object], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
def test_a_killed_process_loses_at_most_a_shard(tmp_path: Path, number: str) -> None:
    """The default pack, in a process of its own that is killed in the middle and taken up again."""
    if not hasattr(signal, number):
        pytest.skip("needs POSIX signals")
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for index in range(56):
        crop = cv2.resize(random.integers(0, 255, (14, 14, 3), np.uint8), (112, 112))
        cv2.imwrite(str(photos / f"{index:03d}.png"), crop)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = start([photos, tmp_path / "whole" / "out.npy"], {})
    assert whole.wait(120) == 0, whole.stderr and whole.stderr.read()
    out = tmp_path / "cut" / "out.npy"
    parts = NpzShards(out.with_name("out.npy.parts"))
    killed = start([photos, out], {})
    deadline = time.monotonic() + 60
    while len(parts.numbers()) < 2 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(getattr(signal, number))
    killed.wait(60)
    safe = len(parts.numbers())
    assert killed.returncode != 0 and 2 <= safe < 7 and not out.exists()
    again = start([photos, out, "--resume"], {})
    assert again.wait(120) == 0, again.stderr and again.stderr.read()
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert np.load(out).shape == (56, 128)


@pytest.mark.parametrize("form", [".npy", ".npz", ".parquet", "/"])
def test_a_list_that_names_a_photo_twice_has_a_row_for_each_line(
    opened: DotModel, album: Album, tmp_path: Path, form: str
) -> None:
    folder = album(4)
    names = [f"{number:04d}.png" for number in (0, 1, 0, 0, 3, 2, 1, 0, 3, 0)]  # more than a shard
    (folder / "list.txt").write_text("\n".join(names) + "\n")
    output = f"{tmp_path}/out{form}"
    crops = None if form == "/" else tmp_path / "crops"
    preview = None if form == "/" else tmp_path / "sheet.html"
    summary = embed_to_file(folder / "list.txt", output, options=SMALL, crops=crops, preview=preview)
    assert (summary.photos, summary.embeddings) == (10, 10)
    if form in (".npy", ".npz"):
        rows, vectors = table(tmp_path / "out.csv"), np.load(output)
        vectors = vectors["embeddings"] if form == ".npz" else vectors
    else:
        parquet = pytest.importorskip("pyarrow.parquet").read_table(output)
        rows, vectors = parquet.to_pylist(), np.array(parquet["embedding"].to_pylist())
    assert [Path(str(row["path"])).name for row in rows] == names
    for number in range(4):
        own = vectors[[at for at, name in enumerate(names) if name == f"{number:04d}.png"]]
        assert (own == own[0]).all()
    if crops is not None and preview is not None:
        assert len({row["crop"] for row in rows}) == len(list(crops.iterdir())) == 10
        assert preview.read_text().count("<figure class=") == 10
    if form != "/":
        from facerec_cli.embeddings.read import open_table

        matched = open_table(output).one_per_photo().match(["0003.png", "0000.png"])
        assert np.allclose(matched.vectors, vectors[[4, 0]], atol=1e-6)
    again = embed_to_file(folder / "list.txt", output, options=SMALL, resume=True)
    assert again.resumed == 10


@pytest.mark.parametrize("url", ["s3://bucket/a.jpg", "https://example.org/a.jpg", "nosuch://place/a.jpg"])
def test_urls_that_nothing_here_can_open_are_refused_before_anything_is_written(
    opened: DotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    if not url.startswith("nosuch"):
        monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
        monkeypatch.delattr("pyarrow.fs", raising=False)
    with pytest.raises((MissingExtraError, InputError)) as refusal:
        embed_to_file([url], tmp_path / "out.npy")
    assert refusal.value.hint
    assert not list(tmp_path.iterdir())
