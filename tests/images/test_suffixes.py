"""One table of suffixes: what a folder gives, what is passed over, and what is refused by name."""

from __future__ import annotations

import logging
import os
import pickle
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.data import BrokenPhotoError, open_dataset
from facerec_cli.data.tools.convert import convert
from facerec_cli.images import IMAGE_SUFFIXES, ImageError, find_images, read_image
from facerec_cli.pairs.names import has_suffix

PHOTO = np.random.default_rng(1).integers(0, 256, (24, 24, 3), np.uint8)


def encoded(kind: str) -> bytes:
    return cv2.imencode(kind, PHOTO)[1].tobytes()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A person with a photo of each suffix, in either case, and one with files that are not read."""
    for suffix in IMAGE_SUFFIXES:
        for name in (f"ann/1{suffix}", f"ann/2{suffix.upper()}"):
            path = tmp_path / "people" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(".png"))
    for name in ("bob/1.jpg", "bob/1.MOV", "bob/2.dng", "bob/3.dng", "bob/notes.txt", "bob/.4.dng"):
        path = tmp_path / "people" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(".jpg"))
    return tmp_path / "people"


def test_every_command_takes_the_same_suffixes(people: Path) -> None:
    found = {Path(path).relative_to(people).as_posix() for path in find_images(people)}
    dataset = open_dataset(people)
    assert found == {dataset.name(index) for index in range(len(dataset))}
    assert len(found) == 2 * len(IMAGE_SUFFIXES) + 1
    assert all(has_suffix(name) for name in found)
    assert all(np.array_equal(dataset.image(i)[..., ::-1], PHOTO) for i in range(len(dataset) - 1))


@pytest.mark.parametrize("target", ["tars.tar", "x.rec", "again"])
def test_photos_of_every_suffix_are_converted(people: Path, tmp_path: Path, target: str) -> None:
    dataset = open_dataset(people)
    convert(dataset, tmp_path / "out" / target)
    again = open_dataset(tmp_path / "out" / target)
    assert len(again) == len(dataset)
    assert sorted(again.read(i) for i in range(len(again))) == sorted(
        dataset.read(i) for i in range(len(dataset))
    )


def test_formats_that_are_not_read_are_counted_in_one_line(
    people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "facerec"):
        find_images([people])
    (line,) = caplog.messages
    assert "3 files in formats that are not read (.dng 2, .mov 1)" in line
    warnings = open_dataset(people).warnings
    assert "left out: 4 files that are no photos" in warnings
    assert "of these 3 files in formats that are not read (.dng 2, .mov 1)" in warnings


@pytest.mark.parametrize(
    ("name", "word"),
    [("a.mp4", "video"), ("a.CR2", "raw"), ("a.tga", "TGA"), ("a.exr", "OpenEXR"), ("a.jxl", "JPEG XL")],
)
def test_a_named_file_of_a_format_that_is_not_read_is_named_by_its_suffix(
    tmp_path: Path, name: str, word: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"something that nobody knows")
    with pytest.raises(ImageError, match=word):
        read_image(path)
    path.write_bytes(encoded(".jpg"))  # what it is counts more than what it is called
    assert read_image(path).shape == PHOTO.shape


def tiff(tags: dict[int, int]) -> bytes:
    """A grey TIFF of 8 x 8 with more tags."""
    own = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64} | tags
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(own.items()))
    return (
        b"II*\0" + struct.pack("<I", 72) + bytes(range(64)) + struct.pack("<H", len(own)) + entries + bytes(4)
    )


def test_a_raw_photo_is_not_taken_for_the_thumbnail_in_it(tmp_path: Path) -> None:
    plain = tiff({})
    assert read_image(plain).shape == (8, 8, 3)
    for tags in ({50706: 0x00000401}, {254: 1, 330: 8}, {262: 32803}):
        with pytest.raises(ImageError, match="raw photo"):
            read_image(tiff(tags))
    path = tmp_path / "DSC0001.NEF"
    path.write_bytes(plain)
    with pytest.raises(ImageError, match="raw photo"):
        read_image(path)


def test_training_photos_have_the_statuses_of_all_others(tmp_path: Path) -> None:
    """Nothing is waited for, and each kind of file that is none has its own status and reason."""
    people = tmp_path / "people" / "ann"
    people.mkdir(parents=True)
    (people / "1 empty.jpg").touch()
    (people / "2 gone.jpg").symlink_to(tmp_path / "nowhere")
    (people / "3 text.jpg").write_text("no photo")
    (people / "4 large.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 40_000, 40_000)
    )
    expected = ["empty", "missing", "unreadable", "too_large"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(people / "5 pipe.jpg")
        expected.append("unreadable")
    dataset = open_dataset(tmp_path / "people")
    statuses = []
    for index in range(len(dataset)):
        with pytest.raises(BrokenPhotoError) as caught:
            dataset.image(index)
        again = pickle.loads(pickle.dumps(caught.value))  # as it travels from a worker of the loader
        assert (again.status, str(again)) == (caught.value.status, str(caught.value))
        assert dataset.name(index) in str(again)
        statuses.append(again.status)
    assert statuses == expected
