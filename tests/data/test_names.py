"""Names that are no UTF-8, and names that a line of text cannot hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.formats.list import listable
from facerec_cli.data.formats.tar import expand_numbers
from facerec_cli.data.tools.convert import convert
from facerec_cli.data.tools.pairs import draw_pairs, split, write_pairs
from facerec_cli.errors import InputError, OutputError
from facerec_cli.pairs.read import read_pairs

LATIN = os.fsdecode(b"Mar\xeda")


def rename(photo: Path, name: str) -> Path:
    """Give a photo or folder a name, or skip where the disk has no such names."""
    try:
        return photo.rename(photo.with_name(name))
    except OSError:
        pytest.skip("this file system has no such names")


@pytest.mark.parametrize("target", ["x.rec", "x.txt", "tars.tar"])
def test_names_that_are_not_utf8_go_there_and_back(people: Path, tmp_path: Path, target: str):
    rename(people / "bob", LATIN)
    rename(people / LATIN / "0.v1.jpg", os.fsdecode(b"\xff.jpg"))
    convert(open_dataset(people), tmp_path / "out" / target)
    between = open_dataset(tmp_path / "out" / target)
    assert LATIN in between.class_names
    convert(between, tmp_path / "back")
    photos = {path.relative_to(people): path.read_bytes() for path in people.rglob("*.*g")}
    back = tmp_path / "back"
    assert {path.relative_to(back): path.read_bytes() for path in back.rglob("*.*g")} == photos


def test_a_split_of_names_that_are_not_utf8_is_read_back(people: Path, tmp_path: Path):
    for person in ("alice", "bob", "d.v"):
        rename(people / person, person + LATIN)
    split(open_dataset(people), tmp_path / "lists")
    sides = [open_dataset(tmp_path / "lists" / f"{side}.txt") for side in ("train", "test")]
    named = {name for side in sides for name in side.class_names}
    assert named == {"alice" + LATIN, "bob" + LATIN, "d.v" + LATIN, "site/eve", "Ελένη"}
    assert all(side.read(index) for side in sides for index in range(len(side)))


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x0b", "\x0c", "\x1d", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("of", ["person", "photo"])
def test_names_that_would_end_a_line_are_refused_in_lists(people: Path, tmp_path: Path, sign: str, of: str):
    if of == "person":
        rename(people / "bob", f"b{sign}ob")
    else:
        rename(people / "bob" / "0.v1.jpg", f"0{sign}1.jpg")
    shutil.rmtree(people / "site")
    dataset = open_dataset(people)
    pairs = draw_pairs(dataset.labels, 20, folds=1)
    for write in (
        lambda: convert(dataset, tmp_path / "out" / "x.txt"),
        lambda: write_pairs(dataset, pairs, tmp_path / "out" / "pairs.txt"),
        lambda: split(dataset, tmp_path / "out"),
    ):
        with pytest.raises(InputError, match="cannot stand in a list"):
            write()


@pytest.mark.parametrize("target", ["x.rec", "tars.tar", "folder"])
def test_a_carriage_return_is_refused_as_a_line_feed_is(people: Path, tmp_path: Path, target: str):
    rename(people / "bob" / "0.v1.jpg", "0\r.jpg")
    with pytest.raises(InputError, match="no name that can be written"):
        convert(open_dataset(people), tmp_path / target)
    assert not (tmp_path / target).exists()


def test_a_class_with_a_line_break_is_refused(people: Path, tmp_path: Path):
    dataset = open_dataset(people)
    dataset.class_names = ["a\rb", "c", "d", "e", "f"]
    with pytest.raises(InputError, match="has a line break"):
        split(dataset, tmp_path / "out")


def test_names_that_look_like_a_comment_or_a_quote_are_listed(people: Path, tmp_path: Path):
    names = ["#1", '"q"', " blank"]
    for old, new in zip(("alice", "bob", "d.v"), names, strict=True):
        rename(people / old, new)
    convert(open_dataset(people), people / "x.txt")
    listed = open_dataset(people / "x.txt")
    assert np.bincount(listed.labels).tolist() == np.bincount(open_dataset(people).labels).tolist()
    assert all(listed.read(index) for index in range(len(listed)))
    write_pairs(listed, draw_pairs(listed.labels, 20, folds=1), people / "pairs.txt")
    images = read_pairs(people / "pairs.txt").images
    assert {Path(str(image)).parent.name for image in images} >= set(names)
    assert all(Path(str(image)).is_file() for image in images)


@pytest.mark.parametrize("path", ["a/1 ", 'a/1"', "a/1\u00a0"])
def test_a_name_that_would_lose_its_end_is_refused_in_lists(path: str):
    with pytest.raises(InputError, match="cannot stand in a list"):
        listable(path)


@pytest.mark.parametrize("sign", ["\r", "\x0b", "\x0c", "\x85", "\u2028"])
def test_a_list_has_lines_that_end_at_line_feeds(tmp_path: Path, sign: str):
    (tmp_path / "list.txt").write_bytes(f"a{sign}b.jpg\t0\r\nc.jpg\t1\n".encode())
    (tmp_path / "list.classes.txt").write_bytes(f"x{sign}y\r\nz\n".encode())
    dataset = open_dataset(tmp_path / "list.txt")
    assert [dataset.name(0), dataset.name(1)] == [f"a{sign}b.jpg", "c.jpg"]
    assert list(dataset.class_names) == [f"x{sign}y", "z"]


def test_a_name_that_is_too_long_for_the_disk_is_told(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"photo")
    long = "n" * 300
    (tmp_path / "list.csv").write_text(f"a.jpg,{long}\na.jpg,b\n")
    with pytest.raises(OutputError, match="too long"):
        convert(open_dataset(tmp_path / "list.csv"), tmp_path / "people", "folder")
    with pytest.raises(InputError, match="too long"):
        open_dataset(long * 20)


@pytest.mark.parametrize("numbers", ["{000..999999999}", "{0..9999}{0..9999}", "{0..%s}" % ("9" * 4900)])
def test_a_pattern_of_more_shards_than_there_are_is_refused_at_once(numbers):
    with pytest.raises(InputError, match="more than 1,000,000 shards"):
        list(expand_numbers(f"s-{numbers}.tar"))


def test_numbers_of_shards_are_written_out():
    assert list(expand_numbers("s-{008..010}.tar")) == ["s-008.tar", "s-009.tar", "s-010.tar"]
    assert list(expand_numbers("s-{3..1}.tar")) == []
