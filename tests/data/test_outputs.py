"""What is written never replaces what it is made of, and a place that cannot be written is told as that."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.data import open_dataset
from facerec_cli.errors import OutputError
from facerec_cli.files import writing


def refused(*arguments: object, told: str, code: int = 2, hint: str = "") -> None:
    """The command ends as a mistake of the user's, with a hint, and no file is another one than before."""
    result = CliRunner().invoke(build_app(["data"]), ["data", *map(str, arguments)])
    assert result.exit_code == code, result.output + str(result.exception)
    message = " ".join(result.stderr.split())
    assert told in message
    assert hint in message if hint else "ame another" in message or "Name a " in message


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
def test_an_older_result_is_replaced_at_a_word_only(people: Path, tmp_path: Path, command: str):
    result = tmp_path / "result"
    done(command, people, "-o", result, "--seed", 0, *FEW)
    before = result.read_bytes()
    refused(command, people, "-o", result, "--seed", 1, *FEW, told="result exists. Name another place, or")
    assert result.read_bytes() == before
    for word in ("--overwrite", "--force"):
        done(command, people, "-o", result, "--seed", 1, word, *FEW)
    assert result.read_bytes() != before


def test_pairs_do_not_replace_the_list_of_a_split(people: Path, tmp_path: Path):
    lists = tmp_path / "lists"
    done("split", people, "-o", lists)
    before = {path.name: path.read_bytes() for path in lists.iterdir()}
    refused("pairs", lists / "train.txt", "-o", lists / "test.txt", *FEW, told="test.txt exists")
    refused("split", people, "-o", lists, "--seed", 5, told="exists")
    assert {path.name: path.read_bytes() for path in lists.iterdir()} == before
    done("split", people, "-o", lists, "--seed", 5, "--overwrite")
    assert sorted(path.name for path in lists.iterdir()) == sorted(before)
    assert (lists / "test.txt").read_bytes() != before["test.txt"]


def test_lists_are_not_put_among_the_people(people: Path):
    for place in (people, people / "lists", next(path for path in people.iterdir() if path.is_dir())):
        refused("split", people, "-o", place, told="is in the folder of the photos")
    assert not list(people.glob("*.txt"))


@pytest.mark.parametrize("target", ["x.rec", "x.txt"])
def test_convert_replaces_its_own_files_at_a_word_only(people: Path, tmp_path: Path, target: str):
    done("convert", people, "-o", tmp_path / target)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("x.*")}
    shutil.rmtree(people / "alice")
    refused("convert", people, "-o", tmp_path / target, told="exists")
    assert {path.name: path.read_bytes() for path in tmp_path.glob("x.*")} == before
    done("convert", people, "-o", tmp_path / target, "--overwrite")
    assert {path.name for path in tmp_path.glob("x.*")} == set(before)
    assert len(open_dataset(tmp_path / target)) == 15


def test_convert_replaces_neither_a_folder_nor_what_it_reads(people: Path, tmp_path: Path, listed: Path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    refused("convert", people, "-o", tmp_path / "taken", "--overwrite", told="exists and is a folder")
    refused("convert", listed, "-o", listed, "--overwrite", told="is what is read, and would be lost")
    assert (tmp_path / "taken" / "mine").exists() and len(open_dataset(listed)) == 16


@pytest.mark.parametrize("command", ["convert", "align"])
def test_the_output_is_named_with_o_or_as_a_second_word(people: Path, tmp_path: Path, command: str):
    for number, words in enumerate((["-o"], ["--output"], [])):
        target = tmp_path / str(number)
        result = CliRunner().invoke(build_app(["data"]), ["data", command, str(people), *words, str(target)])
        assert result.exit_code in (0, 5) and target.is_dir(), result.output
    refused(command, people, told="not said where to", hint="Give one -o TARGET")
    refused(command, people, tmp_path / "x", "-o", tmp_path / "x", told="said twice", hint="Give one -o")
    assert not (tmp_path / "x").exists()


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


KILLED = """
import os, sys
from pathlib import Path
count = [0]
for name in ("fsync", "replace", "unlink", "mkdir", "rmdir"):
    def stop(*given, name=name, call=getattr(os, name), **more):
        count[0] += 1
        if count[0] == int(sys.argv[1]):
            os._exit(9)  # at once, as a kill from outside
        return call(*given, **more)
    setattr(os, name, stop)
sys.argv = ["facerec", "data", *sys.argv[2:]]
from facerec_cli.cli import main
main()
"""
POINTS = range(1, 40) if os.environ.get("FACEREC_MORE_KILLS") else (1, 3, 4, 5, 6, 7, 8, 9, 11, 13)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "output"),
    [("convert", "x.rec"), ("convert", "x.tar"), ("convert", "x"), ("split", "lists")],
)
def test_a_killed_command_leaves_nothing_after_the_next_one(
    people: Path, tmp_path: Path, command: str, output: str
):
    """Killed at one point after the other, the same command makes what one that was left alone makes."""
    (tmp_path / "whole").mkdir()
    done(command, people, "-o", tmp_path / "whole" / output)
    whole = contents(tmp_path / "whole")
    for point in POINTS:
        cut = tmp_path / f"cut{point}"
        cut.mkdir()
        words = [str(point), command, str(people), "-o", str(cut / output)]
        killed = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, timeout=60)
        again = CliRunner().invoke(build_app(["data"]), ["data", command, str(people), "-o", words[-1]])
        after = contents(cut)
        assert again.exit_code == 0 or (again.exit_code == 2 and "exists" in again.stderr), again.output
        assert after == whole, (point, killed.returncode)
        assert sorted(path.name for path in cut.rglob("*")) == sorted(
            path.name for path in (tmp_path / "whole").rglob("*")
        )
        if killed.returncode == 0:
            return  # there are no more points
