"""What a file is by its first bytes, and lists that are none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.embeddings.read import open_table
from facerec_cli.errors import InputError, ModelError
from facerec_cli.images import ImageError, find_images, read_image
from facerec_cli.sniff import recognize, refuse_as_list, refuse_pointer
from facerec_cli.tables.text import list_lines, read_lines

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n<!-- x -->\n<!DOCTYPE html>\n<html><body>Sign in</body></html>"


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a.jpg", b"x")
    return stream.getvalue()


def array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


# name -> (bytes, word of what it is, word of what to do)
OTHERS = {
    "git lfs": (POINTER, "Git LFS pointer", "git lfs pull"),
    "page": (PAGE, "web page", "download the file again"),
    "xml": (
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "XML",
        "download the file again",
    ),
    "json": (b'{"message": "Not Found"}', "JSON", "download the file again"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "convert"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF", "save its pictures"),
    "psd": (b"8BPS\0\1" + bytes(20), "Photoshop", "convert"),
    "jxl": (b"\xff\x0a\xfa\x1f\x01\x00", "JPEG XL", "convert"),
    "exr": (b"\x76\x2f\x31\x01\x02\0\0\0", "OpenEXR", "convert"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "raw photo", "raw converter"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "raw photo", "raw converter"),
    "raf": (b"FUJIFILMCCD-RAW 0201FF1\0\0\0", "raw photo", "raw converter"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\2\0", "video", "ffmpeg"),
    "mov": (b"\0\0\0\x14ftypqt  \0\0\2\0", "video", "ffmpeg"),
    "mkv": (b"\x1aE\xdf\xa3\x01\0\0\0", "video", "ffmpeg"),
    "zip": (archive(), "ZIP archive", "unpack"),
    "gz": (b"\x1f\x8b\x08\x00" + bytes(10), "compressed", "unpack"),
    "npy": (array(), "NumPy array", ""),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_photo_is_named_with_what_to_do(kind: str, tmp_path: Path) -> None:
    data, what, advice = OTHERS[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert caught.value.status == "unreadable"
    assert what in caught.value.reason and advice in caught.value.reason


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_list_is_named_wherever_a_list_is_read(kind: str, tmp_path: Path) -> None:
    data, what, _ = OTHERS[kind]
    path = tmp_path / "photos.txt"
    path.write_bytes(data)
    for read in (
        lambda: find_images([path]),
        lambda: find_images(["-"], stdin=io.BytesIO(data)),
        lambda: list_lines(data, "standard input"),
        lambda: list(read_lines(path, "list")),
    ):
        with pytest.raises(InputError, match=what):
            read()


@pytest.mark.parametrize("photo", sorted((Path(__file__).parents[1] / "examples" / "photos").iterdir())[:2])
def test_a_photo_in_a_lists_place_says_how_photos_are_named(photo: Path) -> None:
    with pytest.raises(InputError, match=r"^Standard input is a JPEG photo and no list") as caught:
        find_images(["-"], stdin=io.BytesIO(photo.read_bytes()))
    assert caught.value.hint == "Name photos by their own names, as in: facerec embed photo.jpg"


def test_the_name_of_a_file_is_told_as_it_is() -> None:
    with pytest.raises(InputError, match=r"^photos\.txt is a web page and no list\."):
        refuse_as_list(PAGE, "photos.txt")


LISTS = [
    b"BMW/1.jpg\n", b"P1\t1\t2\nP5\t1\t2\n", b"P5 12 13\n", b"MZ/1.jpg", b"GIF89a/1.jpg\n", b"8BPS/a.jpg\n",
    b"PK\n", b"RIFF.jpg\n", b"# photos\na.jpg\n", b"[old]/1.jpg\n", b"{a}/b.jpg\n",
    b"<a>/1.jpg\n", b"a.jpg\0b.jpg\0",
    "BMé/1.jpg\n".encode("utf-16"), b"", b"version 1.jpg\n", b"PAR1/x.jpg 0\n", b"ID3 a b 1\n", b"%a.jpg\n",
]  # fmt: skip


@pytest.mark.parametrize("data", LISTS)
def test_lists_that_begin_like_something_else_are_lists(data: bytes) -> None:
    refuse_as_list(data, "list")


def test_only_pointers_and_pages_are_refused_in_the_place_of_any_file() -> None:
    for data in (POINTER, PAGE):
        with pytest.raises(InputError, match=r"^model\.onnx is a "):
            refuse_pointer(data, "model.onnx")
    refuse_pointer(b"\x08\x07\x12\x07pytorch", "model.onnx")
    refuse_pointer(array(), "e.npy")


@pytest.mark.parametrize("name", ["train.rec", "a.tar", "shards/a.tar"])
def test_a_pointer_in_the_place_of_training_data_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(POINTER)
    given = path.parent if name == "shards/a.tar" else path
    with pytest.raises(InputError, match="Git LFS pointer") as caught:
        open_dataset(given)
    assert "git lfs pull" in caught.value.hint


@pytest.mark.parametrize("name", ["e.npy", "e.npz", "e.parquet"])
def test_a_pointer_in_the_place_of_embeddings_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(InputError, match="Git LFS pointer"):
        open_table(tmp_path / name)


def test_a_pointer_in_the_place_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    checkpoint = pytest.importorskip("facerec_cli.training.checkpoint", exc_type=ImportError)
    (tmp_path / "last.pt").write_bytes(POINTER)
    with pytest.raises(ModelError, match="Git LFS pointer"):
        checkpoint.read_tensors(tmp_path / "last.pt")


def test_a_model_and_a_record_file_are_known_by_their_bytes() -> None:
    for data, word in ((b"\x08\x07\x12\x07pytorch", "ONNX"), (b"\x0a\x23\xd7\xce\x20\0\0\0", "RecordIO")):
        found = recognize(data)
        assert found is not None and word in found.name


def test_json_is_text_only_for_who_reads_json(tmp_path: Path) -> None:
    from facerec_cli.tables.text import read_text

    path = tmp_path / "pairs.jsonl"
    path.write_text('\ufeff{"a": "x.jpg"}\n{"a": "y.jpg"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="JSON"):
        read_text(path, "pair list")
    assert read_text(path, "pair list", json=True) == '{"a": "x.jpg"}\n{"a": "y.jpg"}\n'
    path.write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(InputError):
        read_text(path, "pair list", json=True)
