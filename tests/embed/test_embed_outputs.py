"""Outputs that would take something from each other or from the input are refused before any work."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dots import DotModel

from facerec_cli import files
from facerec_cli.embed import embed_to_file
from facerec_cli.errors import OutputError, UsageError

Album = Callable[[int], Path]


@pytest.fixture
def photos(opened: DotModel, album: Album, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three photos, in the current folder."""
    folder = album(3)
    monkeypatch.chdir(folder.parent)
    return folder


def refused(inputs: list[str], output: str = "out.npy", **places: str) -> str:
    """What a run is told that must change nothing."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(UsageError) as caught:
        embed_to_file(inputs, output, overwrite=True, **{flag: Path(path) for flag, path in places.items()})
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return str(caught.value)


@pytest.mark.parametrize(
    "given",
    ["photos", "photos/0001.png", "./photos/../photos/0001.png", "link.jpg", "photos/*.png", "list.txt", "-"],
)
@pytest.mark.parametrize("preview", ["photos/0001.png", "link.jpg"])
def test_a_photo_is_not_overwritten(
    photos: Path, monkeypatch: pytest.MonkeyPatch, given: str, preview: str
) -> None:
    Path("link.jpg").symlink_to("photos/0001.png")
    Path("list.txt").write_text("photos/0001.png\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"photos/0001.png\n")))
    message = refused([given], preview=preview)
    assert f"is an input and would be overwritten by --preview {preview}" in message


def test_neither_are_a_list_and_a_named_file(photos: Path) -> None:
    Path("list.txt").write_text("photos/0001.png\n")
    assert "list.txt is an input" in refused(["list.txt"], preview="list.txt")
    Path("out.csv").write_text("photos/0001.png\n")
    assert "out.csv is an input and would be overwritten by -o out.npy" in refused(["out.csv", "photos"])
    url = f"file://{photos}/0001.png"
    assert f"{url} is an input" in refused([url], preview="photos/0001.png")


@pytest.mark.parametrize(
    ("output", "preview"),
    [
        ("out.npy", "out.npy"),
        ("out.npy", "out.csv"),
        ("out.npy", "./photos/../out.json"),
        ("out.npz", "out.csv"),
        ("out.npy", "out.npy.parts"),
        ("out.npy", "out.npy.parts/sheet.html"),
    ],
)
def test_a_preview_has_a_place_of_its_own(photos: Path, output: str, preview: str) -> None:
    message = refused(["photos"], output, preview=preview)
    assert f"--preview {Path(preview)} is where -o {output} is written" in message


def test_crops_have_a_place_of_their_own(photos: Path) -> None:
    for crops in ("out.npy", "out.csv", "out.npy.parts", "out.npy.parts/crops"):
        assert f"--crops {crops} is where -o out.npy is written" in refused(["photos"], crops=crops)
    message = refused(["photos"], crops="same", preview="same")
    assert "--crops same is where --preview same is written" in message


def test_shards_and_crops_do_not_share_a_folder(photos: Path) -> None:
    pytest.importorskip("pyarrow")
    assert "--crops both is where -o both/ is written" in refused(["photos"], "both/", crops="both")
    message = refused(["photos"], "photos/")
    assert "photos is the folder of -o and an input" in message and "photos/faces" in message


@pytest.mark.parametrize(
    ("given", "crops"), [("photos", "photos/"), ("./photos", "photos"), ("here", "photos")]
)
def test_the_folder_of_the_photos_is_not_that_of_the_crops(photos: Path, given: str, crops: str) -> None:
    Path("here").symlink_to("photos")
    message = refused([given], crops=crops)
    assert f"{given} is the folder of --crops and an input" in message
    assert f"Name another folder for --crops, such as one below it: {Path(given, 'faces')}" in message


def test_a_crop_does_not_take_the_place_of_a_photo(photos: Path) -> None:
    first = photos / "0000.png"
    clash = first.rename(photos / "0000001_0001_0.png")
    inputs = [f"photos/{clash.name}", "photos/0001.png"]
    assert f"photos/{clash.name} is an input" in refused(inputs, crops="photos")
    done = embed_to_file(inputs[::-1], "out.npy", crops=Path("photos"))
    assert done.embeddings == 2 and len(list(photos.iterdir())) == 5


def test_what_is_in_no_ones_way_is_written_again(photos: Path) -> None:
    for _ in range(2):
        places = {"crops": photos / "crops", "preview": photos / "sheet.html"}
        assert embed_to_file(["photos"], photos / "out.npy", **places).embeddings == 3


PLACES = [
    ("--preview", "{}/p.html"),
    ("--preview", "{}/new/p.html"),
    ("--crops", "{}/crops"),
    ("--crops", "{}/new/crops"),
    ("-o", "{}/out.npy"),
    ("-o", "{}/shards/"),
]


def start(flag: str, place: str) -> str:
    """What a run is told that must leave nothing behind."""
    before = sorted(Path().rglob("*"))
    named = {} if flag == "-o" else {flag.removeprefix("--"): Path(place)}
    with pytest.raises(OutputError) as caught:
        embed_to_file(["photos"], place if flag == "-o" else "out.npy", **named)  # type: ignore[arg-type]
    assert sorted(Path().rglob("*")) == before
    return str(caught.value)


@pytest.mark.parametrize(("flag", "place"), PLACES)
def test_a_folder_that_may_not_be_written_to_is_told_of_before_any_work(
    photos: Path, monkeypatch: pytest.MonkeyPatch, flag: str, place: str
) -> None:
    if place.endswith("/"):
        pytest.importorskip("pyarrow")
    Path("sealed").mkdir()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "sealed" and may(path, mode))
    place = place.format("sealed")
    told = f"{flag} {place} cannot be written: you may not write to the folder sealed. Name another place"
    assert start(flag, place).startswith(told)


@pytest.mark.parametrize(("flag", "place"), PLACES)
@pytest.mark.parametrize("there", ["file", "broken link"])
def test_so_is_what_is_no_folder(photos: Path, flag: str, place: str, there: str) -> None:
    if place.endswith("/"):
        pytest.importorskip("pyarrow")
    Path("file").write_text("no folder")
    Path("broken link").symlink_to("nothing")
    place = place.format(there)
    assert f"{flag} {place} cannot be written: {there} is not a folder." in start(flag, place)


def test_folders_of_outputs_are_made(photos: Path) -> None:
    done = embed_to_file(
        ["photos"], "new/a/out.npy", crops=Path("new/b/crops"), preview=Path("new/c/sheet.html")
    )
    assert done.embeddings == len(list(Path("new/b/crops").iterdir())) == 3
    assert Path("new/c/sheet.html").is_file()


def test_a_fault_while_writing_names_the_file_that_was_asked_for(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where rights are taken away meanwhile; the temporary file's name tells nobody anything."""

    make = os.open

    def sealed(path: str | Path, *settings: int) -> int:
        if "sheet.html" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return make(path, *settings)

    monkeypatch.setattr(os, "open", sealed)
    with pytest.raises(OutputError, match=r"^sheet\.html cannot be written: Permission denied"):
        embed_to_file(["photos"], "out.npy", preview=Path("sheet.html"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to tell files by their numbers")
@pytest.mark.parametrize(
    ("full", "named"),
    [
        ("disk/crops/", "disk/crops/0000000_0000_0.png"),
        ("disk/.facerec.sheet.html", "disk/sheet.html"),
        (".facerec.out.csv", "out.csv"),
        (".facerec.out.npy", "out.npy"),
        ("out.npy.parts/.facerec.000000.npz", "out.npy.parts/000000.npz"),
    ],
)
def test_of_several_outputs_the_one_whose_disk_is_full_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch, full: str, named: str
) -> None:
    write = files._Raw.write

    def refuse(self: files._Raw, data: bytes) -> int:
        if full in str(Path(f"/proc/self/fd/{self.fileno()}").readlink()):
            self.fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise self.fault
        return write(self, data)

    places = {"crops": Path("disk/crops"), "preview": Path("disk/sheet.html")}
    with monkeypatch.context() as patch:
        patch.setattr(files._Raw, "write", refuse)
        with pytest.raises(OutputError) as caught:
            embed_to_file(["photos"], "out.npy", **places)
    assert caught.value.message == f"{named} cannot be written: No space left on device."
    assert "What is done is safe in out.npy.parts" in caught.value.hint
    assert embed_to_file(["photos"], "out.npy", resume=True, **places).embeddings == 3
    assert [path for path in Path().rglob(".*") if path.name.startswith(".facerec")] == []
