"""Exports of a gallery, and what enrolling them gives."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.files import sha256_of
from facerec_cli.gallery.enroll import enroll
from facerec_cli.gallery.exchange import export_gallery, import_table
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.labeled import photos_of_list
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.gallery.settings import EnrollSettings
from facerec_cli.gallery.sidecars import export_regions
from facerec_cli.gallery.xmp import read_regions

MODEL = ModelInfo("toy", "5" * 64)
FORMATS = [".npz", ".npy", ".parquet"]


def units(count: int, seed: int = 0, size: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def new_gallery(folder: Path, name: str = "staff", model: ModelInfo = MODEL, **settings: object) -> Gallery:
    return create_gallery(folder / name, model, 8, settings)


def filled(folder: Path) -> Gallery:
    """Three people, one with an expiry date and a note; two of them on one photo."""
    gallery = new_gallery(folder)
    group, alone = str(folder / "a group, of\rtwo.jpg"), str(folder / "Zoë.jpg")
    fact = FaceFacts(group, "a" * 64, (1.5, 2, 30, 40), tuple(range(10)), 0.91, 12.25)
    gallery.add("Zoë & Co", units(2), [fact, FaceFacts(alone, "b" * 64)], expires="2031-01-31", note="room 7")
    gallery.add("Ada", units(1, 1), [FaceFacts(group, "a" * 64, (50, 2, 80, 40), None, 0.5, 11)])
    gallery.add("李", units(1, 2))
    return gallery


def facts(gallery: Gallery) -> list[tuple[object, ...]]:
    names = {person.id: (person.name, person.expires, person.note) for person in gallery.people()}
    return [
        (names[f.person], f.path, f.photo_sha256, f.box, f.landmarks, f.norm, gallery.vectors([f]).tobytes())
        for f in gallery.faces()
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_enrolled_again_is_the_same_gallery(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    with filled(tmp_path) as gallery, new_gallery(tmp_path, "again") as again:
        done = export_gallery(gallery, tmp_path / f"staff{suffix}")
        assert (done.people, done.faces) == (3, 4) and str(tmp_path / f"staff{suffix}") in done.files
        table = open_table(tmp_path / f"staff{suffix}")
        assert table.people == ("Zoë & Co", "Zoë & Co", "Ada", "李")
        assert table.numbers.tolist() == [0, 0, 1, 0]
        assert import_table(again, table) == ("enrolled",) * 4
        assert facts(again) == facts(gallery)
        assert again.faces()[0].score == pytest.approx(0.91)
        mine, theirs = (one.enrolled() for one in (gallery, again))
        assert mine.names == theirs.names and np.array_equal(mine.templates[0], theirs.templates[0])
        assert import_table(again, table) == ("duplicate",) * 4  # nothing is doubled
        assert len(again.faces()) == 4
        with pytest.raises(UsageError, match="is a URL"):
            export_gallery(gallery, f"s3://bucket/staff{suffix}")
        with pytest.raises(UsageError, match="exists"):
            export_gallery(gallery, tmp_path / f"staff{suffix}")
        part = export_gallery(gallery, tmp_path / f"staff{suffix}", people=["Ada"], overwrite=True)
        assert (part.people, part.faces) == (1, 1)
        assert open_table(tmp_path / f"staff{suffix}").people == ("Ada",)


def test_enrolling_an_export_takes_everything_and_makes_the_gallery(tmp_path: Path) -> None:
    same = units(1, 5)  # two people who look like one, and two faces of one person in one photo
    group = FaceFacts("group.jpg", "c" * 64)
    with filled(tmp_path) as gallery:
        gallery.add("Bo", np.concatenate([same, units(1, 6)]), [group, group])
        gallery.add("Bo's twin", same)
        export_gallery(gallery, tmp_path / "staff.npz")
        done = enroll(tmp_path / "again", [tmp_path / "staff.npz"])
        assert done.fault is None and done.statuses == {"enrolled": 7}
        with open_gallery(tmp_path / "again") as again:
            assert facts(again) == facts(gallery)
            assert again.info.model_info() == gallery.info.model_info()
    again_done = enroll(tmp_path / "again", [tmp_path / "staff.npz"], settings=EnrollSettings(note="new"))
    assert again_done.statuses == {"duplicate": 7}


def test_a_csv_export_names_photos_and_people_to_enroll(tmp_path: Path) -> None:
    with new_gallery(tmp_path) as gallery:
        gallery.add("Ada", units(1), [FaceFacts(str(tmp_path / "a.jpg"), "a" * 64, (1, 2, 3, 4))])
        export_gallery(gallery, tmp_path / "staff.csv")
    listed = photos_of_list(tmp_path / "staff.csv")
    assert (listed.people, listed.images) == (("Ada",), (tmp_path / "a.jpg",))


def test_rows_that_are_unit_length_only_nearly_come_back_to_the_byte(tmp_path: Path) -> None:
    vectors = units(300, 3) * np.float32(1 + 5e-6)
    with new_gallery(tmp_path) as gallery, new_gallery(tmp_path, "again") as again:
        gallery.add("Ada", vectors)
        export_gallery(gallery, tmp_path / "a.npz")
        import_table(again, open_table(tmp_path / "a.npz"))
        assert again.vectors(again.faces()).tobytes() == gallery.vectors(gallery.faces()).tobytes()


def test_the_csv_has_no_vectors_and_names_photos_and_people(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        export_gallery(gallery, tmp_path / "staff.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["staff.csv", "staff.gallery"]
    with (tmp_path / "staff.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["person"] for row in rows] == ["Zoë & Co", "Zoë & Co", "Ada", "李"]
    assert rows[0]["path"] == str(tmp_path / "a group, of\rtwo.jpg")
    assert (rows[0]["x1"], rows[2]["norm"], rows[1]["norm"], rows[1]["x1"]) == ("1.5", "11.0", "", "")
    assert rows[0]["photo_sha256"] == "a" * 64 and rows[0]["added"].endswith("Z")


def test_what_cannot_be_compared_is_refused_and_nothing_is_enrolled(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        export_gallery(gallery, tmp_path / "a.npz")
        table = open_table(tmp_path / "a.npz")
        other = new_gallery(tmp_path, "other", ModelInfo("other", "6" * 64))
        with other, pytest.raises(ModelError, match=r"of 'other'.*those of 'toy'"):
            import_table(other, table)
        flipped = new_gallery(tmp_path, "flipped", flip=True)
        with flipped, pytest.raises(ModelError, match=r"without flip, the gallery .* with"):
            import_table(flipped, table)
        (tmp_path / "a.csv").write_bytes((tmp_path / "a.csv").read_bytes().replace(b"Ada", b""))
        same = new_gallery(tmp_path, "same")
        with same, pytest.raises(InputError, match="does not say who"):
            import_table(same, open_table(tmp_path / "a.npz"))
        assert not same.path.is_dir() or not list(same.path.glob("vectors/*"))


def test_a_date_and_a_note_do_not_replace_those_of_the_gallery(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery, new_gallery(tmp_path, "again") as again:
        export_gallery(gallery, tmp_path / "a.npz")
        again.add("Zoë & Co", units(1, 9), note="mine")
        import_table(again, open_table(tmp_path / "a.npz"))
        assert (again.person("Zoë & Co").expires, again.person("Zoë & Co").note) == ("", "mine")
        assert again.person("Zoë & Co").faces == 3


def test_damaged_facts_of_a_table_are_left_out(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery, new_gallery(tmp_path, "again") as again:
        export_gallery(gallery, tmp_path / "a.npy")
        text = (tmp_path / "a.csv").read_text("utf-8").replace("a" * 64, "../etc").replace("12.25", "x")
        (tmp_path / "a.csv").write_text(text, "utf-8")
        import_table(again, open_table(tmp_path / "a.npy"))
        assert again.faces()[0].photo_sha256 == "" and again.faces()[0].norm is None


def test_a_photo_whose_name_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    with new_gallery(tmp_path) as gallery, new_gallery(tmp_path, "again") as again:
        gallery.add("Ada", units(1), [FaceFacts(name)])
        assert gallery.faces()[0].path == name and gallery.enrolled().photos == (name,)
        assert gallery.has_photo("Ada", name)
        export_gallery(gallery, tmp_path / "a.npy")
        import_table(again, open_table(tmp_path / "a.npy"))
        assert again.faces()[0].path == name


def test_a_date_that_is_none_is_not_kept(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery, new_gallery(tmp_path, "again") as again:
        export_gallery(gallery, tmp_path / "a.npy")
        (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("2031-01-31", "soon"))
        import_table(again, open_table(tmp_path / "a.npy"))
        assert (again.person("Zoë & Co").expires, len(again.faces())) == ("", 4)


def test_regions_beside_the_photos(tmp_path: Path) -> None:
    photo = tmp_path / "two.jpg"
    cv2.imwrite(str(photo), np.zeros((200, 300, 3), np.uint8))
    digest = sha256_of(photo)
    with new_gallery(tmp_path) as gallery:
        gallery.add("Zoë", units(1), [FaceFacts(str(photo), digest, (10, 20, 60, 80))])
        gallery.add("Ada", units(1, 1), [FaceFacts(str(photo), digest, (110, 20, 160, 80))])
        gallery.add("Bo", units(4, 2), [
            FaceFacts(str(tmp_path / "gone.jpg"), "", (1, 2, 3, 4)),
            FaceFacts("s3://bucket/a.jpg", "", (1, 2, 3, 4)),
            FaceFacts(str(tmp_path / "crop.png")),
            FaceFacts(),
        ])  # fmt: skip
        done = export_regions(gallery)
        assert [(one.status, one.reason) for one in done] == [
            ("written", ""),
            ("failed", "no such file"),
            ("failed", "nothing is written beside photos at a URL"),
            ("failed", "an aligned crop has no box"),
            ("failed", "nobody knows which photo it was (1 face of Bo)"),
        ]
        assert [(region.name, *map(round, region.box)) for region in read_regions(photo)] == [
            ("Zoë", 10, 20, 60, 80),
            ("Ada", 110, 20, 160, 80),
        ]
        assert [one.status for one in export_regions(gallery, people=["Ada"])] == ["unchanged"]
        photo.write_bytes(photo.read_bytes() + b"\0")
        assert export_regions(gallery, people=["Ada"])[0].reason.startswith("the photo was changed")
