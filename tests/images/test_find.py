"""From what a user names to a list of files."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.images import find_images
from facerec_cli.images.find import refuse_missing


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
