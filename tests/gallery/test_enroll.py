"""Enrolling: whom photos show, and what is said of each."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_pack import write_tiny_pack

from facerec_cli.embed import embed_to_file
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.errors import InputError, ModelError, PartialFailure, UsageError
from facerec_cli.gallery.enroll import enroll
from facerec_cli.gallery.enrollment import Enrollment
from facerec_cli.gallery.gallery import open_gallery
from facerec_cli.gallery.person import today
from facerec_cli.gallery.settings import EnrollSettings
from facerec_cli.packs.manifest import ModelPack

COLORS = {"Anna": (250, 20, 30), "Bob": (10, 240, 40), "Carl": (20, 10, 250)}


def photo(path: Path, color: tuple[int, int, int], seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 6, (112, 112, 3))
    cv2.imwrite(str(path), np.clip(noise + color, 0, 255).astype(np.uint8))
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two photos of each person, in a folder each."""
    for name, color in COLORS.items():
        for i in range(2):
            photo(tmp_path / "people" / name / f"{i}.png", color, seed=i)
    return tmp_path / "people"


@pytest.fixture
def settings(tiny_pack: ModelPack) -> EnrollSettings:
    return EnrollSettings(model=tiny_pack, aligned=True, threads=1)


def statuses(done: Enrollment) -> dict[str, str]:
    return {f"{row.person}/{Path(row.path).name}": row.status for row in done.photos}


def test_a_folder_a_person(people: Path, settings: EnrollSettings, tmp_path: Path) -> None:
    (people / "Bob" / "2021").mkdir()
    (people / "Bob" / "1.png").rename(people / "Bob" / "2021" / "1.png")
    done = enroll(tmp_path / "staff", [people], settings=settings)
    assert statuses(done) == {f"{name}/{i}.png": "enrolled" for name in COLORS for i in range(2)}
    assert (done.people, done.faces, done.fault, done.without) == (3, 6, None, {})
    with open_gallery(tmp_path / "staff") as gallery:
        assert [one.name for one in gallery.people()] == ["Anna", "Bob", "Carl"]
        assert gallery.info.model == "tiny"
        assert gallery.info.settings["aligned"] is True
        face = gallery.faces("Bob")[1]
        assert face.path == str(people / "Bob" / "2021" / "1.png")
        assert face.norm is not None
        assert face.norm > 100
    again = enroll(tmp_path / "staff", [people], settings=settings)
    assert set(statuses(again).values()) == {"duplicate"}
    assert (again.faces, again.fault) == (6, None)


def test_what_cannot_be_enrolled_is_told(people: Path, settings: EnrollSettings, tmp_path: Path) -> None:
    (people / "Dora").mkdir()
    (people / "Dora" / "a.jpg").write_bytes(b"no photo")
    (people / "Dora" / "b.jpg").write_bytes(b"")
    shutil.copy(people / "Anna" / "0.png", people / "Carl" / "same.png")
    (people / "who.csv").write_text("Eve/c.png,Eve\n")
    done = enroll(tmp_path / "staff", [people, people / "who.csv"], settings=settings)
    told = {name: status for name, status in statuses(done).items() if status != "enrolled"}
    assert told == {
        "Dora/a.jpg": "unreadable",
        "Dora/b.jpg": "empty",
        "Carl/same.png": "looks_like:Anna",
        "Eve/c.png": "missing",
    }
    assert set(done.without) == {"Dora", "Eve"}
    assert isinstance(done.fault, PartialFailure)
    assert "4 of 10 photos were not enrolled" in str(done.fault)
    assert "2 people without a usable photo: 'Dora', 'Eve'" in str(done.fault)
    assert done.document()["exit_code"] == 5
    kept = enroll(tmp_path / "more", [people], settings=EnrollSettings(
        model=settings.model, aligned=True, threads=1, keep_look_alikes=True
    ))  # fmt: skip
    assert statuses(kept)["Carl/same.png"] == "enrolled"
    assert kept.photos[6].likeness == pytest.approx(1)


def test_nothing_that_can_be_enrolled(settings: EnrollSettings, tmp_path: Path) -> None:
    (tmp_path / "people" / "Dora").mkdir(parents=True)
    with pytest.raises(InputError, match="No photo was found"):
        enroll(tmp_path / "staff", [tmp_path / "people"], settings=settings)
    with pytest.raises(InputError, match="no such file or folder"):
        enroll(tmp_path / "staff", [tmp_path / "nowhere"], settings=settings)
    with pytest.raises(UsageError, match="Nothing to enroll was named"):
        enroll(tmp_path / "staff", [], settings=settings)
    assert not (tmp_path / "staff.gallery").exists()
    (tmp_path / "people" / "Dora" / "a.jpg").write_bytes(b"no photo")
    assert isinstance(enroll(tmp_path / "staff", [tmp_path / "people"], settings=settings).fault, InputError)
    assert not (tmp_path / "staff.gallery").exists()


def test_one_person_and_a_list(people: Path, settings: EnrollSettings, tmp_path: Path) -> None:
    done = enroll(
        tmp_path / "a", [people / "Anna", people / "Carl" / "0.png"], person="Zoe", settings=settings
    )
    assert statuses(done) == {"Zoe/0.png": "enrolled", "Zoe/1.png": "enrolled"} and done.faces == 3
    table = people / "who.csv"
    table.write_text("path,person\nAnna/0.png,Ann Lee\nCarl/1.png,Carl Orr\n")
    for inputs in ([], [people]):
        done = enroll(tmp_path / f"b{len(inputs)}", inputs, people=table, settings=settings)
        assert statuses(done) == {"Ann Lee/0.png": "enrolled", "Carl Orr/1.png": "enrolled"}
    done = enroll(tmp_path / "c", [table], settings=settings)
    assert {row.person for row in done.photos} == {"Ann Lee", "Carl Orr"}
    done = enroll(tmp_path / "d", [people / "Anna", people / "Bob"], settings=settings)
    assert {row.person for row in done.photos} == {"Anna", "Bob"}


def test_photos_of_nobody_knows_whom_are_refused(
    people: Path, settings: EnrollSettings, tiny_pack: ModelPack, tmp_path: Path
) -> None:
    embed_to_file(people / "Anna", tmp_path / "e.npz", model=tiny_pack, options=EmbedOptions(aligned=True))
    for inputs, fault in (
        (["Anna"], "Nobody knows whom 2 photos directly in .*Anna' show"),
        (["Anna/0.png"], "Nobody knows whom 1 photo shows"),
        (["Anna/0.png", "Bob/0.png", "Carl"], "Nobody knows whom 2 photos show"),
        (["*/0.png"], "Nobody knows whom 3 photos show"),
        (["../e.npz"], "Nobody knows whom .*e.npz' shows: all its photos lie in one folder, 'Anna'"),
    ):
        with pytest.raises(InputError, match=fault) as refused:
            enroll(tmp_path / "staff", [people / one for one in inputs], settings=settings)
        assert "--person NAME" in refused.value.hint
    assert not (tmp_path / "staff.gallery").exists()
    assert enroll(tmp_path / "staff", [tmp_path / "e.npz"], person="Anna").faces == 2


def test_a_photo_that_is_enrolled_under_another_name_since_a_correction(
    people: Path, settings: EnrollSettings, tmp_path: Path
) -> None:
    enroll(tmp_path / "staff", [people], settings=settings)
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        gallery.rename("Anna", "Änne")
        gallery.merge("Carl", "Bob")
    done = enroll(tmp_path / "staff", [people], settings=settings)
    assert set(statuses(done).values()) == {"duplicate"} and done.fault is None
    assert [row.reason for row in done.remarks] == ["enrolled as Änne"] * 2 + ["enrolled as Bob"] * 2
    assert (done.people, done.faces, done.without, done.named) == (2, 6, {}, [])
    keep = dataclasses.replace(settings, keep_look_alikes=True, note="again")
    assert enroll(tmp_path / "staff", [people], settings=keep).faces == 6
    (people / "Dan").mkdir()
    shutil.copy(people / "Bob" / "0.png", people / "Dan" / "same.png")
    for _ in range(2):  # one photo under two names in one command is told, again and again
        told = statuses(enroll(tmp_path / "staff", [people], settings=settings))
        assert told.pop("Dan/same.png") == "looks_like:Bob" and set(told.values()) == {"duplicate"}
    done = enroll(tmp_path / "staff", [people / "Dan"], person="Dan", settings=settings)
    assert [(row.status, row.reason) for row in done.photos] == [("duplicate", "enrolled as Bob")]


def test_names_that_nobody_gets(
    people: Path, settings: EnrollSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Unknown", "stranger", "-", "--all", "..", " "):
        with pytest.raises(InputError, match="cannot be the name of a person"):
            enroll(tmp_path / "staff", [people / "Anna"], person=name, settings=settings)
    (people / "Bob").rename(people / "unknown")
    assert enroll(tmp_path / "staff", [people], settings=settings).named == ["Anna", "Carl"]
    assert "Passed over: 2 photos of nobody, such as of 'unknown'" in caplog.text
    enroll(tmp_path / "staff", [photo(tmp_path / "x.png", (9, 99, 200))], person="ANNA", settings=settings)
    assert "'ANNA' and 'Anna'" in caplog.text
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        with pytest.raises(InputError, match="means nobody"):
            gallery.rename("Anna", "unknown")
        gallery.rename("Anna", "../../x")


def test_people_whose_date_has_come(
    people: Path, settings: EnrollSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    past = dataclasses.replace(settings, expires=today())
    enroll(tmp_path / "staff", [people / "Bob"], person="Bob", settings=past)
    assert f"Not searched for, since their date has come: 1 person, 'Bob' ({today()})" in caplog.text
    caplog.clear()
    more = photo(tmp_path / "more.png", COLORS["Bob"], seed=5)
    done = enroll(tmp_path / "staff", [more], person="Robert", settings=settings)
    assert [row.status for row in done.photos] == ["looks_like:Bob"] and not caplog.text
    enroll(tmp_path / "staff", [more], person="Bob", settings=settings)
    assert "Not searched for, since their date has come: 1 person, 'Bob'" in caplog.text


def test_a_list_without_a_name_says_where(people: Path, settings: EnrollSettings, tmp_path: Path) -> None:
    table = people / "who.csv"
    for line, what in (("Bob/0.png,", "person"), (",Bob", "path")):
        table.write_text(f"path,person\nAnna/0.png,Anna\n{line}\n")
        with pytest.raises(InputError, match=f"has no {what} on line 3"):
            enroll(tmp_path / "staff", [table], settings=settings)


def test_stored_embeddings(
    people: Path, settings: EnrollSettings, tiny_pack: ModelPack, tmp_path: Path
) -> None:
    enroll(tmp_path / "photos", [people], settings=settings)
    for name in ("e.npz", "e.npy"):
        embed_to_file(people, tmp_path / name, model=tiny_pack, options=EmbedOptions(aligned=True), threads=1)
        done = enroll(tmp_path / name[2:], [tmp_path / name])
        assert statuses(done) == {f"{who}/{i}.png": "enrolled" for who in COLORS for i in range(2)}
        with open_gallery(tmp_path / name[2:]) as ours, open_gallery(tmp_path / "photos") as theirs:
            assert ours.vectors(ours.faces()).tobytes() == theirs.vectors(theirs.faces()).tobytes()
            assert [face.photo_sha256 for face in ours.faces()] == [
                one.photo_sha256 for one in theirs.faces()
            ]
        assert set(statuses(enroll(tmp_path / "photos", [tmp_path / name])).values()) == {"duplicate"}
    (tmp_path / "e.json").unlink()
    with pytest.raises(ModelError, match="does not say which model"):
        enroll(tmp_path / "unknown", [tmp_path / "e.npy"])


def test_another_model_and_other_settings_are_refused(
    people: Path, settings: EnrollSettings, tmp_path: Path
) -> None:
    enroll(tmp_path / "staff", [people], settings=settings)
    other = write_tiny_pack(tmp_path / "other", "other", batch=1)
    with pytest.raises(ModelError, match="facerec gallery upgrade") as refused:
        enroll(tmp_path / "staff", [people], settings=EnrollSettings(model=other, aligned=True))
    assert refused.value.exit_code == 4
    with pytest.raises(UsageError, match="--flip"):
        enroll(tmp_path / "staff", [people], settings=EnrollSettings(model=settings.model, flip=True))
    with pytest.raises(UsageError, match="a date such as 2027-12-31"):
        EnrollSettings(expires="soon")


def test_crops_notes_and_dates_are_kept(
    people: Path, tiny_pack: ModelPack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = EnrollSettings(model=tiny_pack, aligned=True, crops=True, expires="2020-01-01", note="file 7")
    enroll(tmp_path / "staff", [people], settings=settings)
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        assert {(one.expires, one.note) for one in gallery.people()} == {("2020-01-01", "file 7")}
        crop = gallery.crop(gallery.faces("Anna")[0])
        assert crop is not None
        np.testing.assert_array_equal(cv2.imread(str(crop)), cv2.imread(str(people / "Anna" / "0.png")))
        assert len(gallery.enrolled()) == 0
        assert "3 people of" in caplog.text
        gallery.annotate("Anna", expires="")
        assert gallery.enrolled().names == ("Anna",)
        assert gallery.enrolled().photos == (str(crop),)


def test_photos_beside_the_folders_of_people(
    people: Path, settings: EnrollSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo(people / "group.png", (1, 2, 3))
    photo(people / "anna" / "2.png", (9, 9, 200))
    done = enroll(tmp_path / "staff", [people], settings=settings)
    assert "1 photo in" in caplog.text
    assert "'Anna' and 'anna'" in caplog.text
    assert all("group" not in row.path for row in done.photos)


def test_dates_of_people_whose_photos_are_there_already(
    people: Path, settings: EnrollSettings, tmp_path: Path
) -> None:
    enroll(tmp_path / "staff", [people / "Anna", people / "Bob"], settings=settings)
    again = EnrollSettings(model=settings.model, aligned=True, expires="2099-01-01", note="odd \udcff")
    done = enroll(tmp_path / "staff", [people / "Anna"], person="Anna", settings=again)
    assert set(statuses(done).values()) == {"duplicate"}
    with open_gallery(tmp_path / "staff") as gallery:
        assert [(one.name, one.expires, one.note) for one in gallery.people()] == [
            ("Anna", "2099-01-01", "odd ?"),
            ("Bob", "", ""),
        ]


def test_folders_of_one_name_and_the_gallery_among_the_photos(
    people: Path, tiny_pack: ModelPack, caplog: pytest.LogCaptureFixture
) -> None:
    settings = EnrollSettings(model=tiny_pack, aligned=True, threads=1, crops=True)
    shutil.copytree(people / "Anna", people.parent / "more" / "Anna")
    photo(people.parent / "more" / "Anna" / "new.png", COLORS["Anna"], seed=7)
    inputs = [people, people.parent / "more"]
    done = enroll(people / "staff", inputs, settings=settings)
    assert f"{people}/Anna and {people.parent}/more/Anna are taken as one person, 'Anna'" in caplog.text
    assert (done.people, done.faces) == (3, 7)
    again = enroll(people / "staff", inputs, settings=settings)  # with crops in the folder of people
    assert len(again.photos) == 9
    assert set(statuses(again).values()) == {"duplicate"}


def test_what_a_file_of_embeddings_may_say(people: Path, tiny_pack: ModelPack, tmp_path: Path) -> None:
    embed_to_file(people, tmp_path / "e.npy", model=tiny_pack, options=EmbedOptions(aligned=True), threads=1)
    described = tmp_path / "e.json"
    settings = '"settings": {"odd": {"a": [null]}, "none": null, "text\\ud800": "\\ud800", "flip": false}'
    described.write_text('{"model": {"name": "t\\ud800", "sha256": "' + "5" * 64 + '"}, ' + settings + "}")
    enroll(tmp_path / "staff", [tmp_path / "e.npy"])
    with open_gallery(tmp_path / "staff") as gallery:
        assert (gallery.info.model, gallery.info.settings) == ("t?", {"text?": "?", "flip": False})


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names there are Unicode")
def test_a_photo_whose_name_is_no_text(people: Path, settings: EnrollSettings, tmp_path: Path) -> None:
    (people / "Anna" / "0.png").rename(os.fsdecode(os.fsencode(people / "Anna") + b"/\xff.png"))
    for status in ("enrolled", "duplicate"):
        done = enroll(tmp_path / "staff", [people], settings=settings)
        assert {row.status for row in done.photos} == {status}
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        assert gallery.faces("Anna")[1].path == os.fsdecode(os.fsencode(people / "Anna") + b"/\xff.png")
        assert len(gallery.enrolled().photos) == 3
        assert gallery.remove("Anna").proven
