"""Training lists as people and other programs write them."""

from __future__ import annotations

import struct
import unicodedata
from pathlib import Path

import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.tools.convert import convert
from facerec_cli.data.tools.pairs import split
from facerec_cli.errors import InputError

PHOTOS = [f"p/{name}.jpg" for name in ("c1", "c2", "c3", "t1", "t2")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    for photo in PHOTOS:
        (tmp_path / photo).write_bytes(photo.encode())
    return tmp_path


def rows(form: str, **more: str) -> str:
    """A line of this form for each photo, with number, path and label; c belongs to 0, t to 1."""
    return "".join(
        form.format(n=n, p=p, w=p.replace("/", "\\"), l=int("t" in p), name="tom" if "t" in p else "cat")
        + "\n"
        for n, p in enumerate(PHOTOS)
    )


@pytest.mark.parametrize(
    "text",
    [
        rows("{p} {l}"),
        rows("{p}\t{l}"),
        rows("{p},{l}"),
        rows("{p};{l}"),
        rows('"{p}", {l}'),
        rows("{l} {p}"),
        rows("{l}\t{p}"),
        rows("{l},{p}"),
        rows("{w}\t{l}"),
        rows("{w} {l}").replace("\n", "\r\n"),
        rows("C:\\data\\{w},{l}"),
        rows("D:/faces/{p} {l}"),
        "path,label\n" + rows("{p},{l}"),
        "label;image\n" + rows("{l};{p}"),
        "Image Path\tIdentity\n" + rows("{p}\t{l}"),
        ",path,label\n" + rows("{n},{p},{l}"),
        "id,age,file\n" + rows("{l},30,{p}"),
        "# mine\n\nfile label\n" + rows("{p} {l}") + "\n# end\n",
        "photo of\tperson no\n" + rows("{p}\t{l}"),
        rows("{n}\t{l}.000000\t{p}"),  # im2rec
        rows("{n}\t{l}\t0.5\t0.25\t{p}"),  # im2rec, several labels
        rows("{n}\t2\t5\t{l}\t0.1\t0.1\t0.9\t0.9\t{p}"),  # im2rec, boxes
        rows("{n}\t4\t5\t112\t112\t{l}\t0.1\t0.1\t0.9\t0.9\t{p}"),
        rows("1\t{p}\t{l}"),  # insightface
        rows("1\t{p}\t{l}\t10\t10\t90\t90\t" + "\t".join("12345678901"[:10])),
        rows("{n} {p} {l}"),
        rows("{p} {l} 10.5 10 90 90"),
    ],
)
def test_every_form_of_a_list_says_the_same(folder: Path, text: str):
    (folder / "list.txt").write_text(text)
    dataset = open_dataset(folder / "list.txt")
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1]
    assert list(dataset.class_names) == ["0", "1"]
    assert [dataset.name(index) for index in range(5)] == PHOTOS
    assert [dataset.read(index).decode() for index in range(5)] == PHOTOS


@pytest.mark.parametrize(
    "text", [rows("{n}\t{name}\t{p}"), rows("{name},{p}"), rows("{p},30,{name}"), rows("{p} {name} b")]
)
def test_names_of_people_may_stand_in_any_column(folder: Path, text: str):
    (folder / "list.txt").write_text(text)
    dataset = open_dataset(folder / "list.txt")
    assert [name.split()[0] for name in dataset.class_names] == ["cat", "tom"]
    assert [dataset.name(index) for index in range(5)] == PHOTOS


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lists_in_any_encoding(folder: Path, encoding: str, end: str):
    (folder / "list.csv").write_bytes(rows("{p},Zoë {name}").replace("\n", end).encode(encoding))
    dataset = open_dataset(folder / "list.csv")
    assert list(dataset.class_names) == ["Zoë cat", "Zoë tom"]
    assert all(dataset.read(index) for index in range(5))


def test_it_is_said_which_columns_are_read(folder: Path):
    for text, told in (
        (rows("{p} {l}"), ()),
        (rows("{l} {p}"), ("the lines are read as label and path",)),
        (rows("{n}\t{l}.0\t{p}"), ("the lines are read as index, label and path, as im2rec writes them",)),
    ):
        (folder / "list.txt").write_text(text)
        assert open_dataset(folder / "list.txt").warnings == told


def test_a_table_whose_person_cannot_be_told_is_refused(folder: Path):
    (folder / "list.txt").write_text(rows("{p},30,{l}"))
    with pytest.raises(InputError, match=r"3 columns, and which of them is the person.*heading"):
        open_dataset(folder / "list.txt")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (rows("{p}\t{l}") + "p/c1.jpg\n", 6),
        ("path,label\n" + rows("{p},{l}") + ",\n", 7),
        (rows("{n}\t{l}\t{p}") + "# x\n7\t1\n", 7),
    ],
)
def test_a_line_without_both_is_refused_by_its_number(folder: Path, text: str, line: int):
    (folder / "list.txt").write_text(text)
    with pytest.raises(InputError, match=f"Line {line} of"):
        open_dataset(folder / "list.txt")


def test_photos_that_are_all_missing_are_told_by_their_suffix(tmp_path: Path):
    (tmp_path / "list.txt").write_text("1 a/1.jpg\n2 b/1.jpg\n")
    assert [open_dataset(tmp_path / "list.txt").name(i) for i in (0, 1)] == ["a/1.jpg", "b/1.jpg"]
    (tmp_path / "list.txt").write_text("Smith, John/1.jpg 3\nDoe, Jane/1.jpg 4\n")
    assert open_dataset(tmp_path / "list.txt").name(0) == "Smith, John/1.jpg"


@pytest.mark.parametrize("of_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("of_list", ["NFC", "NFD"])
def test_names_in_another_unicode_form(folder: Path, tmp_path: Path, of_disk: str, of_list: str):
    for name in ("Zoë", "한글"):
        person = folder / unicodedata.normalize(of_disk, name)
        person.mkdir()
        (person / unicodedata.normalize(of_disk, "é.jpg")).write_bytes(b"x")
    lines = "Zoë/é.jpg Zoë\n한글/é.jpg 한글\n" + "p/c1.jpg Zo\u0065\u0308\n"
    (folder / "list.txt").write_text(unicodedata.normalize(of_list, lines), encoding="utf-8")
    dataset = open_dataset(folder / "list.txt")
    assert [dataset.read(index) for index in range(3)] == [b"x", b"x", b"p/c1.jpg"]
    assert list(dataset.class_names) == ["Zoë", "한글"] and dataset.labels.tolist() == [0, 1, 0]
    convert(dataset, tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 3
    split(dataset, tmp_path / "lists", test_identities=1)
    again = open_dataset(tmp_path / "lists" / "train.txt")
    assert all(again.read(index) for index in range(len(again)))


def _varied(head: bytes, length: int = 400) -> bytes:
    return head + bytes(length)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.rec",
            struct.pack("<II", 0xCED7230A, 24) + b"\x0a\x22\x0a\x06values\x12\x18" + bytes(12),
            "SageMaker",
        ),
        (
            "a.rec",
            struct.pack("<II", 0xCED7230A, 24) + b"\x12\x12\x0a\x05label\x12\x09" + bytes(13),
            "SageMaker",
        ),
        (
            "a.tfrecord",
            struct.pack("<QI", 40, 7) + b"\x0a\x26\x0a\x24\x0a\x05image\x12" + bytes(60),
            "TFRecord",
        ),
        (
            "train-00000-of-00004",
            struct.pack("<QI", 40, 7) + b"\x0a\x26\x0a\x24\x0a\x05label\x12" + bytes(60),
            "TFRecord",
        ),
        ("data.mdb", _varied(bytes(16) + b"\xde\xc0\xef\xbe"), "LMDB"),
        ("a.tar.gz", _varied(b"\x1f\x8b\x08"), "gunzip"),
        ("a.tgz", _varied(b"\x1f\x8b\x08"), "gunzip"),
    ],
)
def test_known_formats_that_are_not_read_are_named(tmp_path: Path, name: str, content: bytes, told: str):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / name).write_bytes(content)
    for spec in (folder / name, *((folder,) if "of" not in name else ())):
        with pytest.raises(InputError, match=told) as caught:
            open_dataset(spec)
        assert caught.value.hint and "damaged" not in str(caught.value)


def test_an_lmdb_folder_is_known_by_its_two_files(tmp_path: Path):
    for name in ("data.mdb", "lock.mdb"):
        (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(InputError, match="is an LMDB database"):
        open_dataset(tmp_path)


def test_a_real_protobuf_rec(shared: Path):
    path = shared / "cases" / "sagemaker_protobuf.rec"
    if not path.is_file():
        pytest.skip("needs ../shared/cases/sagemaker_protobuf.rec")
    with pytest.raises(InputError, match="SageMaker"):
        open_dataset(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", ["Zoë\r\nTom\r\n", "Zoë\nTom"])
def test_the_names_of_classes_as_an_editor_saves_them(folder: Path, encoding: str, text: str):
    (folder / "list.txt").write_text(rows("{p} {l}"))
    (folder / "list.classes.txt").write_bytes(text.encode(encoding))
    assert list(open_dataset(folder / "list.txt").class_names) == ["Zoë", "Tom"]


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("id,path,label,age", "{n},{path},{who},33"),
        ("id,name,path", "{n},{who},{path}"),
        ("path,id,name,identity", "{path},{n},somebody {n},{who}"),
    ],
)
def test_the_number_of_a_row_is_no_person(tmp_path: Path, heading: str, row: str) -> None:
    lines = [row.format(n=n, path=f"{n}.jpg", who=who) for n, who in enumerate(["ann", "ann", "ben"])]
    listed = tmp_path / "train.csv"
    listed.write_text("\n".join([heading, *lines]), encoding="utf-8")
    dataset = open_dataset(str(listed))
    assert list(dataset.class_names) == ["ann", "ben"] and dataset.labels.tolist() == [0, 0, 1]
