"""From what a user names to a list of files."""

from __future__ import annotations

import io
import os
import sys
import unicodedata
from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.images import find_images
from facerec_cli.images.inputs import refuse_missing


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = [
        "b.jpg",
        "a.PNG",
        "notes.txt",
        ".hidden.jpg",
        "sub/c.webp",
        "sub/deep/d.tiff",
        ".git/e.jpg",
        "f.mp4",
    ]
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_gives_its_photos_in_a_stable_order(tree: Path) -> None:
    expected = ["photos/a.PNG", "photos/b.jpg", "photos/sub/c.webp", "photos/sub/deep/d.tiff"]
    assert find_images(["photos"]) == expected
    assert find_images([Path("photos")]) == expected


def test_a_single_name_is_not_taken_for_its_characters(tree: Path) -> None:
    assert find_images("photos/b.jpg") == ["photos/b.jpg"]
    assert find_images(Path("photos")) == find_images(["photos"])


def test_a_named_file_is_kept_whatever_it_is(tree: Path) -> None:
    named = ["photos/f.mp4", "photos/.hidden.jpg", "photos/none.jpg"]
    assert find_images(named) == named


def test_each_file_comes_once(tree: Path) -> None:
    found = find_images(["photos/b.jpg", "photos", "./photos/b.jpg", str(tree / "photos" / "b.jpg")])
    assert found.count("photos/b.jpg") == 1 and len(found) == 4
    assert found[0] == "photos/b.jpg"


def test_a_list_is_looked_up_beside_itself_and_then_here(tree: Path) -> None:
    (tree / "lists").mkdir()
    (tree / "lists" / "here.jpg").write_bytes(b"x")
    text = "\ufeffhere.jpg\r\nphotos/b.jpg\r\n\r\ngone.jpg\r\nphotos/sub\r\n"
    (tree / "lists" / "all.txt").write_text(text, encoding="utf-8", newline="")
    expected = [
        "lists/here.jpg",
        "photos/b.jpg",
        "lists/gone.jpg",
        "photos/sub/c.webp",
        "photos/sub/deep/d.tiff",
    ]
    assert find_images(["lists/all.txt"]) == expected


def test_lines_of_a_list_may_be_quoted_padded_or_from_windows(tree: Path) -> None:
    (tree / "two words.jpg").write_bytes(b"x")
    (tree / " odd .jpg").write_bytes(b"x")
    (tree / "back\\slash.jpg").write_bytes(b"x")
    lines = [
        '"two words.jpg"',
        "  photos/b.jpg \t",
        "photos\\sub\\c.webp",
        "back\\slash.jpg",
        " odd .jpg",
        "'gone.jpg'",
    ]
    expected = [
        "two words.jpg",
        "photos/b.jpg",
        "photos/sub/c.webp",
        "back\\slash.jpg",
        " odd .jpg",
        "gone.jpg",
    ]
    (tree / "all.txt").write_text("\n".join(lines))
    assert find_images(["all.txt"]) == expected
    assert find_images(["-"], stdin=io.BytesIO("\n".join(lines).encode())) == expected


def test_a_folder_without_photos_is_warned_of(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tree / "none").mkdir()
    assert find_images(["none", "photos/b.jpg"]) == ["photos/b.jpg"]
    assert [record.getMessage() for record in caplog.records] == ["The folder none has no photo in it."]


def test_a_list_may_be_utf_16_as_powershell_writes_it(tree: Path) -> None:
    (tree / "all.txt").write_bytes("photos\\b.jpg\r\n\r\nphotos\\größe.jpg\r\n".encode("utf-16"))
    assert find_images(["all.txt"]) == ["photos/b.jpg", "photos\\größe.jpg"]


def test_standard_input_is_a_list(tree: Path) -> None:
    stream = io.BytesIO(b"photos/b.jpg\nphotos/none.jpg\n")
    assert find_images(["-"], stdin=stream) == ["photos/b.jpg", "photos/none.jpg"]
    stream = io.BytesIO(b"new\nline.jpg\0photos/b.jpg\0")
    assert find_images(["-"], stdin=stream) == ["new\nline.jpg", "photos/b.jpg"]


def test_standard_input_may_be_closed_or_unreadable(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tree / "write only").open("wb") as stream, pytest.raises(InputError, match="cannot be read"):
        find_images(["-"], stdin=open(stream.fileno(), "rb", closefd=False))  # noqa: SIM115
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match=r"Standard input is closed.*Pipe one in: find"):
        find_images(["-"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete the current folder")
def test_the_current_folder_may_be_gone(tree: Path) -> None:
    (tree / "gone").mkdir()
    os.chdir(tree / "gone")
    (tree / "gone").rmdir()
    for name in (".", "none.jpg"):
        with pytest.raises(InputError, match=r"The current folder has been deleted.*full paths"):
            find_images([name])
    assert find_images([tree / "photos" / "b.jpg"]) == [str(tree / "photos" / "b.jpg")]


def test_patterns_are_expanded_and_one_without_a_match_is_kept(tree: Path) -> None:
    assert find_images(["photos/*.jpg"]) == ["photos/b.jpg"]
    assert find_images(["photos/**/*.tiff"]) == ["photos/sub/deep/d.tiff"]
    assert find_images(["photos/*.gif"]) == ["photos/*.gif"]
    (tree / "odd[1].jpg").write_bytes(b"x")
    assert find_images(["odd[1].jpg"]) == ["odd[1].jpg"]
    no_path = "p/?.jpg" * 20_000  # as a list without line ends reads
    assert find_images([no_path]) == [no_path]


@pytest.mark.parametrize(
    "name",
    [
        "photos",
        "photos/f.mp4",
        "photos/*.jpg",
        "photos/s*",
        "-",
        "s3://b/gone",
        "all.txt",
        "odd[1].jpg",
        "a\0b",
        "a\0*/b?",
    ],
)
def test_inputs_of_which_one_exists_are_taken(tree: Path, name: str) -> None:
    (tree / "all.txt").write_text("gone.jpg\n")
    (tree / "odd[1].jpg").write_bytes(b"x")
    refuse_missing(["gone.jpg", name])
    refuse_missing([name, "*.xyz"])


def test_inputs_of_which_none_exists_are_refused(tree: Path) -> None:
    wrong = ["phots/", "photos/*.xyz", "photos/b.jpg/c.jpg", "x" * 5000, f"file://{tree}/phots"]
    for name in wrong:
        with pytest.raises(InputError, match=r"no such file or folder|matches nothing"):
            refuse_missing([name])
    with pytest.raises(InputError) as caught:
        refuse_missing(wrong)
    assert caught.value.message == (
        "No photo was found. phots/: no such file or folder; the pattern photos/*.xyz matches nothing; "
        "photos/b.jpg/c.jpg: no such file or folder; and 2 more."
    )
    refuse_missing([])


def test_links_to_folders_are_followed_once(tree: Path) -> None:
    (tree / "photos" / "sub" / "back").symlink_to(tree / "photos")
    (tree / "photos" / "self").symlink_to(tree / "photos" / "self")
    other = tree / "elsewhere"
    other.mkdir()
    (other / "g.jpg").write_bytes(b"x")
    (tree / "photos" / "linked").symlink_to(other)
    found = find_images(["photos"])
    assert "photos/linked/g.jpg" in found
    assert len(found) == 5


def test_broken_links_in_a_folder_are_reported(tree: Path) -> None:
    (tree / "photos" / "z.jpg").symlink_to(tree / "gone")
    assert find_images(["photos"])[-1] == "photos/z.jpg"


def test_folders_of_results_are_passed_over(tree: Path) -> None:
    assert find_images(["photos"], exclude=["photos/sub"]) == ["photos/a.PNG", "photos/b.jpg"]


def test_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    try:
        with open(name, "wb") as file:  # noqa: PTH123 - bytes
            file.write(b"x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    (found,) = find_images([tmp_path])
    assert os.fsencode(found) == name


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_a_folder_that_cannot_be_opened_is_reported(tree: Path) -> None:
    sealed = tree / "photos" / "sub"
    sealed.chmod(0)
    for folder in (tree, *list(tree.parents)[:2]):
        folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        found = find_images(["photos"])
    finally:
        if root:
            os.seteuid(0)
        sealed.chmod(0o755)
    assert found == ["photos/a.PNG", "photos/b.jpg", "photos/sub"]


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert find_images([tmp_path]) == []


# ---- each line of a list has its row


def test_each_line_of_a_list_has_its_place_and_blank_lines_and_comments_none(tree: Path) -> None:
    (tree / "all.txt").write_text(
        "photos/b.jpg\n\n# again\nphotos/a.PNG\nphotos/b.jpg\n./photos/b.jpg\n  \ngone\ngone\n"
    )
    expected = ["photos/b.jpg", "photos/a.PNG", "photos/b.jpg", "./photos/b.jpg", "gone", "gone"]
    assert find_images(["all.txt"]) == expected
    assert find_images(["-"], stdin=io.BytesIO((tree / "all.txt").read_bytes())) == expected
    assert find_images(["all.txt", "photos/b.jpg", "photos/*.jpg"]) == expected
    assert find_images(["photos/b.jpg", "all.txt"]) == ["photos/b.jpg", *expected]
    assert find_images(["photos/b.jpg", "photos/b.jpg"]) == ["photos/b.jpg"]


def test_find_that_names_folders_too_gives_each_photo_once(tree: Path) -> None:
    lines = [
        "photos",
        "photos/b.jpg",
        "photos/sub",
        "photos/sub/c.webp",
        "photos/sub/deep/d.tiff",
        "photos/a.PNG",
    ]
    expected = [line for line in lines if "." in line]
    assert find_images(["-"], stdin=io.BytesIO("\n".join(lines).encode())) == expected
    assert find_images(["-"], stdin=io.BytesIO("\0".join(lines).encode() + b"\0")) == expected


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_lists_in_any_encoding_with_a_mark_or_without(tree: Path, encoding: str) -> None:
    (tree / "größe.jpg").write_bytes(b"x")
    (tree / "all.txt").write_bytes("photos/b.jpg\r\ngröße.jpg\r\nphotos/none.jpg\r\n".encode(encoding))
    assert find_images(["all.txt"]) == ["photos/b.jpg", "größe.jpg", "photos/none.jpg"]


def test_a_damaged_utf_16_list_is_not_taken_for_its_letters(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split at NULs, each "/" was a line, and the whole disk was walked."""
    walked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: walked.append(str(folder)) or scandir(folder))
    data = "photos/b.jpg\n\0pho\0s/c.jpg\n/\nphotos/none.jpg\n".encode("utf-16-le")[:-1]
    (tree / "all.txt").write_bytes(data)
    assert find_images(["all.txt"]) == ["photos/b.jpg", "\0pho\0s/c.jpg", "/", "photos/none.jpg\ufffd"]
    assert walked == []


@pytest.mark.parametrize("root", ["/", "//", "/.", "/../"])
def test_the_root_of_the_disk_in_a_list_is_not_walked(
    tree: Path, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_images(["-"], stdin=io.BytesIO(f"photos/b.jpg\0{root}\0".encode())) == ["photos/b.jpg", root]
    assert "root of the disk" in caplog.text


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01",
        b"\0" * 64,
        b"\x93NUMPY\x01\0v\0{'descr'",
        b"ab.jpg\0\0\0/\0c.jpg\0",
    ],
)
def test_a_binary_file_is_no_list(tree: Path, data: bytes) -> None:
    (tree / "all.txt").write_bytes(data)
    with pytest.raises(InputError, match="no list"):
        find_images(["all.txt"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("path\nphotos/b.jpg\nphotos/sub/c.webp\n", "all.txt"),
        ("0\t3.000000\tphotos/b.jpg\n1\t4.000000\tphotos/sub/c.webp\n", "all.lst"),
        ("1\tphotos/b.jpg\t0\n1\tphotos/sub/c.webp\t1\n", "all.lst"),
        ("path,label\nphotos/b.jpg,ann\nphotos\\sub\\c.webp,bob\n", "all.csv"),
        ("label;file name\nann;photos/b.jpg\nbob;photos/sub/c.webp\n", "all.txt"),
        ("photos/b.jpg 0\nphotos/sub/c.webp 1\n", "all.txt"),
        ('"photos/b.jpg","x"\n"photos/sub/c.webp","y"\n', "all.csv"),
        ("C:\\data\\photos\\b.jpg\r\nC:\\data\\photos\\sub\\c.webp\r\n", "all.txt"),
    ],
)
def test_headings_and_tables_of_paths(tree: Path, text: str, name: str) -> None:
    (tree / name).write_text(text)
    assert find_images([name]) == ["photos/b.jpg", "photos/sub/c.webp"]


def test_names_that_look_like_tables_stay_names(tree: Path) -> None:
    for name in ("1.jpg", "John 1.jpg", "a, b.jpg", "x\ty.jpg"):
        (tree / name).write_bytes(b"x")
    (tree / "all.txt").write_text("Ann 1.jpg\nBob 1.jpg\na, b.jpg\nc, b.jpg\n")
    assert find_images(["all.txt"]) == ["Ann 1.jpg", "Bob 1.jpg", "a, b.jpg", "c, b.jpg"]
    (tree / "all.txt").write_text("x\ty.jpg\nJohn 1.jpg\n")
    assert find_images(["all.txt"]) == ["x\ty.jpg", "John 1.jpg"]


@pytest.mark.parametrize("of_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("of_list", ["NFC", "NFD", "NFKC"])
def test_names_are_found_in_any_unicode_form(tree: Path, of_disk: str, of_list: str) -> None:
    for name in ("Zoë", "한글"):
        folder = tree / unicodedata.normalize(of_disk, name)
        folder.mkdir()
        (folder / "é.jpg").write_bytes(b"x")
    lines = [unicodedata.normalize(of_list, line) for line in ("Zoë/é.jpg", "한글/é.jpg", "Zoë/none.jpg")]
    (tree / "all.txt").write_text("\n".join(lines), encoding="utf-8")
    found = find_images(["all.txt"])
    assert [os.path.exists(path) for path in found] == [True, True, False]  # noqa: PTH110
    assert found[2] == lines[2]


def test_a_list_in_latin_1_finds_names_in_utf_8(tree: Path) -> None:
    (tree / "größe.jpg").write_bytes(b"x")
    (tree / "all.txt").write_bytes("größe.jpg\n".encode("latin-1"))
    assert find_images(["all.txt"]) == ["größe.jpg"]
