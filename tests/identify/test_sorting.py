"""Photos sorted by person: nothing is replaced, a second run finishes the first, folders have safe names."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings

from facerec_cli.identify.people import open_people
from facerec_cli.identify.result import Identification
from facerec_cli.identify.run import search_gallery
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.identify.sorting import folder_names, sort_photos


@pytest.fixture
def found(tmp_path: Path) -> Identification:
    """Photos of Ann, of a stranger, of Ann and Bob together, and of nobody; the last is not on the disk."""
    photos = tmp_path / "in"
    (photos / "more").mkdir(parents=True)
    for name in ("ann.jpg", "who.jpg", "both.jpg", "none.jpg", "more/ann.jpg"):
        (photos / name).write_bytes(f"photo {name}".encode())
    corners = [(f"g/{name}/1.jpg", vector) for name, vector in zip(("Ann", "Bob"), np.eye(3), strict=False)]
    gallery = write_embeddings(tmp_path / "gallery.npy", corners)
    faces = [
        (str(photos / "ann.jpg"), unit(1, 0, 0)),
        (str(photos / "who.jpg"), unit(0, 0, 1)),
        (str(photos / "both.jpg"), unit(1, 0.1, 0)),
        (str(photos / "both.jpg"), unit(0, 1, 0)),
        (str(photos / "both.jpg"), unit(0, 0, 1)),
        (str(photos / "more/ann.jpg"), unit(1, 0, 0.1)),
        (str(photos / "gone.jpg"), unit(1, 0, 0.1)),
    ]
    probes = write_embeddings(tmp_path / "probes.npy", faces)
    with probes.with_suffix(".csv").open("a") as table:
        table.write(f"{photos / 'none.jpg'},,,no_face,no face was found\n")
    return search_gallery(gallery, [probes], IdentifySettings(threshold="0.7"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EXPECTED = {
    "Ann/ann.jpg": b"photo ann.jpg",
    "Ann/ann-2.jpg": b"photo more/ann.jpg",
    "Ann/both.jpg": b"photo both.jpg",
    "Bob/both.jpg": b"photo both.jpg",
    "unknown/who.jpg": b"photo who.jpg",
}


def test_a_photo_goes_to_everybody_on_it_and_strangers_to_unknown(
    tmp_path: Path, found: Identification
) -> None:
    made = sort_photos(found, tmp_path / "out")
    assert {k: v for k, v in files(tmp_path / "out").items() if ".facerec" not in k} == EXPECTED
    assert (made.made, made.there) == (5, 0)
    assert list(made.left) == [str(tmp_path / "in" / "gone.jpg")] and "No such file" in next(
        iter(made.left.values())
    )


def test_a_second_run_makes_what_is_missing_and_nothing_twice(tmp_path: Path, found: Identification) -> None:
    out = tmp_path / "out"
    sort_photos(found, out)
    (out / "Bob" / "both.jpg").unlink()
    again = sort_photos(found, out)
    assert (again.made, again.there) == (1, 4)
    assert {k: v for k, v in files(out).items() if ".facerec" not in k} == EXPECTED


def test_a_file_of_somebody_else_is_never_replaced(tmp_path: Path, found: Identification) -> None:
    mine = tmp_path / "out" / "Ann" / "ann.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my own")
    sort_photos(found, tmp_path / "out")
    assert mine.read_bytes() == b"my own"
    assert (mine.parent / "ann-2.jpg").read_bytes() == b"photo ann.jpg"
    assert (mine.parent / "ann-3.jpg").read_bytes() == b"photo more/ann.jpg"


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights on Windows")
@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links_lead_to_the_photos(tmp_path: Path, found: Identification, link: str) -> None:
    out = tmp_path / "out"
    made = sort_photos(found, out, link=link)
    place, photo = out / "Ann" / "ann.jpg", tmp_path / "in" / "ann.jpg"
    assert made.made == 5 and place.samefile(photo)
    assert place.is_symlink() == (link == "symbolic")
    again = sort_photos(found, out, link=link)
    assert (again.made, again.there) == (0, 5)


ODD = [
    "../..",
    "a/b",
    "CON",
    "com1.txt",
    ".",
    "",
    "Ann",
    "ANN",
    "unknown",
    "x" * 400,
    "tab\there",
    "ends.",
    "é\ud800",
]


def test_folders_have_names_that_every_system_takes_and_nobody_shares() -> None:
    made = dict(folder_names(ODD))
    assert list(made) == ODD
    assert len({name.casefold() for name in made.values()}) == len(ODD)
    for name in made.values():
        assert name and not set(name) & set('/\\:*?"<>|\t') and not name.endswith((".", " "))
        assert len(name.encode()) <= 140 and name not in (".", "..", "unknown")
        assert name.casefold().partition(".")[0] not in ("con", "com1")
    assert made["Ann"] == "Ann" and made["ANN"].startswith("ANN-")
    assert dict(folder_names(ODD)) == made


def test_people_with_odd_names_stay_inside_the_folder(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"photo")
    gallery = write_embeddings(tmp_path / "g.npy", [("g/x/1.jpg", unit(1, 0))], person=["../../evil"])
    assert open_people(gallery).names == ("../../evil",)
    probes = write_embeddings(tmp_path / "p.npy", [(str(photo), unit(1, 0))])
    sort_photos(search_gallery(gallery, [probes], IdentifySettings(threshold="0.5")), tmp_path / "out")
    (place,) = (path for path in (tmp_path / "out").rglob("a.jpg"))
    assert place.parent.parent == tmp_path / "out" and "evil" in place.parent.name
