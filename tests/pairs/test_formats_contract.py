"""What every pair format of the registry promises, on a list of a genuine and an impostor pair."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli import registry
from facerec_cli.errors import FacerecError
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.read import files_of, open_format, read_pairs, recognize

LFW, LABELED = "ann 1 2\nann 1 bob 1\n", "ann/1.jpg ann/2.jpg 1\nann/1.jpg bob/1.jpg 0\n"
CALFW = "ann/1.jpg 1\nann/2.jpg 1\nann/1.jpg 0\nbob/1.jpg 0\n"


def text(content: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "list.txt"
        path.write_text(content)
        return path

    return write


def a_bin(folder: Path) -> Path:
    path = folder / "set.bin"
    path.write_bytes(pickle.dumps(([b"ann 1", b"ann 2", b"ann 1", b"bob 1"], [True, False]), protocol=4))
    return path


def ijb(folder: Path) -> Path:
    (folder / "x_face_tid_mid.txt").write_text("ann/1.jpg 1 1\nann/2.jpg 2 2\nbob/1.jpg 3 3\n")
    (folder / "x_template_pair_label.txt").write_text("1 2 1\n1 3 0\n")
    return folder


def cfp(folder: Path) -> Path:
    protocol = folder / "Protocol"
    fold = protocol / "Split" / "FP" / "01"
    fold.mkdir(parents=True)
    (protocol / "Pair_list_F.txt").write_text("1 ../ann/1.jpg\n")
    (protocol / "Pair_list_P.txt").write_text("1 ../ann/2.jpg\n2 ../bob/1.jpg\n")
    (fold / "same.txt").write_text("1,1\n")
    (fold / "diff.txt").write_text("1,2\n")
    return protocol


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "lfw": text(LFW),
    "labeled": text(LABELED),
    "calfw": text(CALFW),
    "bin": a_bin,
    "ijb": ijb,
    "cfp": cfp,
}
"""Writes a list of each format into a folder: photos 1 and 2 of ann are a pair, and 1 of ann and 1 of bob."""

each = pytest.mark.parametrize("name", registry.PAIR_FORMATS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ann/1.jpg", "ann/2.jpg", "bob/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"a photo")
    return tmp_path


@each
def test_its_lists_are_known_and_nobody_elses(folder: Path, name: str) -> None:
    assert name in SAMPLES, f"SAMPLES needs a list of the format {name}"
    path = SAMPLES[name](folder)
    assert recognize(path) == name
    claimed = [other for other in registry.PAIR_FORMATS if open_format(other).recognizes(ListHead(path))]
    assert claimed == [name]


@each
def test_pairs_photos_and_labels_are_read(folder: Path, name: str) -> None:
    pairs = read_pairs(SAMPLES[name](folder))
    assert (pairs.format, len(pairs), pairs.impostors, pairs.same.tolist()) == (name, 2, 1, [True, False])
    assert (pairs.first.dtype, pairs.second.dtype, pairs.same.dtype) == (np.int64, np.int64, np.bool_)
    assert pairs.first.tolist() == [0, 0] and pairs.second.tolist() == [1, 2]
    assert len(pairs.images) == len(pairs.names) == len(set(pairs.names)) == 3
    assert all(isinstance(image, bytes) or image.is_file() for image in pairs.images)
    for column in (pairs.identity, pairs.landmarks):
        assert column is None or len(column) == 3
    assert pairs.identity is None or pairs.identity.tolist() == [0, 0, 1]
    assert pairs.fold is None or pairs.fold.shape == (2,)


@each
def test_it_may_be_named(folder: Path, name: str) -> None:
    path = SAMPLES[name](folder)
    assert read_pairs(path, name, images=False).names == read_pairs(path, images=False).names


@each
def test_what_it_reads_is_no_place_for_an_output(folder: Path, name: str) -> None:
    path = SAMPLES[name](folder)
    written = {*folder.rglob("*.txt"), *folder.rglob("*.bin")}
    assert written and written <= set(files_of(path))


@each
def test_damaged_lists_are_refused_and_no_other_error_comes(folder: Path, name: str) -> None:
    path = SAMPLES[name](folder)
    reader = open_format(name)
    refused = 0
    for file in [path] if path.is_file() else list(path.rglob("*.txt")):
        whole = file.read_bytes()
        for damaged in (
            *(whole[:end] for end in range(0, len(whole), 5)),
            b"\xff\0" + whole,
            whole * 2 + b"x",
        ):
            file.write_bytes(damaged)
            try:
                reader.read(path)
                recognize(path)
            except FacerecError as fault:
                refused += bool(fault.message)
        file.write_bytes(whole)
    assert refused > 2 and recognize(path) == name


@each
def test_it_is_described_in_a_line_and_made_without_arguments(name: str) -> None:
    reader = open_format(name)
    assert 10 < len(reader.description) < 100 and "\n" not in reader.description
    assert not inspect.signature(type(reader)).parameters
    assert all("{stem}" in pattern or "{name}" in pattern for pattern in reader.photo_patterns)


def test_the_help_names_every_format_and_reads_none() -> None:
    from facerec_cli.cli import app

    shown = " ".join(CliRunner().invoke(app, ["verify", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert all(name in shown for name in registry.PAIR_FORMATS)
    code = (
        "import sys\n"
        "from facerec_cli import registry\n"
        "print(list(registry.PAIR_FORMATS), [m for m in sys.modules if m.startswith('facerec_cli.pairs')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip().endswith("[]")


def test_every_format_is_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "verify.md").read_text(encoding="utf-8")
    assert all(f"\n| `{name}` |" in page for name in registry.PAIR_FORMATS)
