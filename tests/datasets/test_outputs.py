"""What is written never replaces what it is made of, and a place that cannot be written is told as that."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.datasets import open_dataset
from facerec_cli.errors import OutputError
from facerec_cli.files import writing


def refused(*arguments: object, told: str, code: int = 2) -> None:
    """The command ends as a mistake of the user's, with a hint, and no file is another one than before."""
    result = CliRunner().invoke(build_app(["data"]), ["data", *map(str, arguments)])
    assert result.exit_code == code, result.output + str(result.exception)
    message = " ".join(result.stderr.split())
    assert told in message
    assert "ame another" in message or "Name a file" in message


def done(*arguments: object) -> None:
    result = CliRunner().invoke(build_app(["data"]), ["data", *map(str, arguments)])
    assert result.exit_code == 0, result.output + str(result.exception)


@pytest.fixture
def listed(people: Path) -> Path:
    done("convert", people, people / "list.txt")
    return people / "list.txt"


FEW = ("--pairs", 8, "--folds", 2)


def test_results_do_not_replace_the_list_they_are_made_of(people: Path, listed: Path):
    before = listed.read_bytes()
    link = listed.with_name("link.txt")
    link.symlink_to(listed)
    for command in ("pairs", "bin"):
        refused(command, listed, "-o", listed, *FEW, told="would be lost")
        refused(command, listed, "-o", link, *FEW, told="would be lost")
        refused(command, listed, "-o", listed.with_suffix(".classes.txt"), *FEW, told="would be lost")
    assert listed.read_bytes() == before


@pytest.mark.parametrize("command", ["pairs", "bin"])
def test_results_do_not_replace_photos(people: Path, command: str):
    photo = people / "alice" / "0.v1.jpg"
    before = photo.read_bytes()
    refused(command, people, "-o", photo, *FEW, told="would be lost")
    assert photo.read_bytes() == before


@pytest.mark.parametrize("command", ["pairs", "bin"])
def test_an_older_result_is_replaced(people: Path, tmp_path: Path, command: str):
    for seed in (0, 1):
        done(command, people, "-o", tmp_path / "result", "--seed", seed, *FEW)


@pytest.mark.parametrize("name", ["train.txt", "test.txt", "train.classes.txt", "test.classes.txt"])
def test_split_replaces_no_list(people: Path, tmp_path: Path, name: str):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    refused("split", people, "-o", out, told=f"{name} exists")
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("target", "mine"), [("x.txt", "x.classes.txt"), ("x.rec", "x.classes.txt"), ("x.rec", "x.lst")]
)
def test_convert_replaces_nothing_beside_its_target(people: Path, tmp_path: Path, target: str, mine: str):
    (tmp_path / mine).write_text("mine")
    refused("convert", people, tmp_path / target, told=f"{mine} exists")
    assert (tmp_path / mine).read_text() == "mine"
    assert not (tmp_path / target).exists()


def test_a_list_becomes_a_rec_beside_it(people: Path, listed: Path):
    done("convert", listed, listed.with_suffix(".rec"))  # the class names of both are the same file
    shutil.rmtree(people / "alice")
    assert len(open_dataset(listed.with_suffix(".rec"))) == 16


def test_a_folder_is_no_place_for_a_file_and_a_file_none_for_a_folder(people: Path, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for command in ("pairs", "bin"):
        refused(command, people, "-o", tmp_path / "folder", *FEW, told="is a folder")
        refused(command, people, "-o", tmp_path / "file" / "x", *FEW, told="cannot be written", code=8)
    refused("split", people, "-o", tmp_path / "file", told="cannot be written", code=8)
    for target in ("x", "x.rec", "x.txt", "x.tar"):
        refused("convert", people, tmp_path / "file" / target, told="cannot be written", code=8)
    refused("convert", people, tmp_path / "folder", "--to", "list", told="exists")
    refused("align", people, tmp_path / "file", told="cannot be written", code=8)
    refused("align", people, tmp_path / "file" / "x", told="cannot be written", code=8)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("command", ["pairs", "bin"])
def test_a_result_goes_through_a_pipe(people: Path, tmp_path: Path, command: str):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    done(command, people, "-o", pipe, *FEW)
    reader.join(10)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    done(command, people, "-o", tmp_path / "file", *FEW)
    assert read == [(tmp_path / "file").read_bytes()]


def test_a_full_disk_is_told_and_a_reader_that_left_is_not():
    with (
        pytest.raises(OutputError, match=r"x cannot be written: No space left .* Make room"),
        writing(Path("x")),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(BrokenPipeError), writing(Path("x")):
        raise BrokenPipeError
