"""Enrolling whom the face regions of photo managers name."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import facerec_cli.embed
from facerec_cli.embed.photo_result import EmbeddedFace, PhotoResult
from facerec_cli.errors import InputError
from facerec_cli.faces import Face
from facerec_cli.gallery.enroll import enroll
from facerec_cli.gallery.gallery import open_gallery
from facerec_cli.gallery.settings import EnrollSettings
from facerec_cli.gallery.sidecars import export_regions, write_sidecar
from facerec_cli.gallery.xmp import FaceRegion, sidecar_of
from facerec_cli.packs.manifest import ModelPack

BOXES = ((10.0, 10.0, 60.0, 70.0), (110.0, 10.0, 160.0, 70.0), (210.0, 10.0, 260.0, 70.0))


@pytest.fixture
def three_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every photo has three faces, each with a vector of its own."""

    def found(sources: Sequence[str], *_: object, **__: Any) -> Iterator[PhotoResult]:
        faces = tuple(
            EmbeddedFace(
                Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 0.9),
                np.eye(4, dtype=np.float32)[at],
                7.0,
            )
            for at, box in enumerate(BOXES)
        )
        yield from (PhotoResult(source, "ok", "", faces, 300, 100, found=3) for source in sources)

    monkeypatch.setattr(facerec_cli.embed, "embed_photos", found)


def write_photo(folder: Path, name: str, regions: Sequence[FaceRegion] = ()) -> str:
    path = folder / name
    cv2.imwrite(str(path), np.random.default_rng(len(name)).integers(0, 255, (100, 300, 3)).astype(np.uint8))
    if regions:
        assert write_sidecar(str(path), regions).status == "written"
    return str(path)


def test_each_region_names_a_face(
    three_faces: None, tmp_path: Path, tiny_pack: ModelPack, caplog: pytest.LogCaptureFixture
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    write_photo(photos, "a group.png", [
        FaceRegion("Zoë & Co", (105, 5, 165, 75)),
        FaceRegion("Ada", (0, 0, 80, 90)),
        FaceRegion("nobody there", (265, 75, 300, 100)),
    ])  # fmt: skip
    write_photo(photos, "unnamed.png")
    broken = write_photo(photos, "x broken.png")
    sidecar_of(broken).write_text("<!DOCTYPE x><x/>")
    settings = EnrollSettings(model=str(tiny_pack.folder), keep_look_alikes=True)
    with caplog.at_level(logging.WARNING, "facerec"):
        done = enroll(tmp_path / "staff", [photos], people="xmp", settings=settings)
    assert "Passed over: 1 photo without a face region that has a name" in caplog.text
    rows = [(Path(row.path).name, row.person, row.status) for row in done.photos]
    assert rows == [
        ("x broken.png", "", "unreadable"),
        ("a group.png", "Zoë & Co", "enrolled"),
        ("a group.png", "Ada", "enrolled"),
        ("a group.png", "nobody there", "no_face"),
    ]
    with open_gallery(tmp_path / "staff") as gallery:
        names = {person.id: person.name for person in gallery.people()}
        found = {names[face.person]: face for face in gallery.faces()}
        assert found["Zoë & Co"].box == BOXES[1] and found["Ada"].box == BOXES[0]
        assert gallery.vectors([found["Zoë & Co"]]).tolist() == [[0, 1, 0, 0]]
        assert {one.status for one in export_regions(gallery)} == {"unchanged"}  # there and back
    again = enroll(tmp_path / "staff", [photos], people="xmp", settings=settings)
    assert [row.status for row in again.photos][1:3] == ["duplicate"] * 2


def test_photos_without_regions_are_refused(tmp_path: Path, tiny_pack: ModelPack) -> None:
    photo = write_photo(tmp_path, "a.png")
    with pytest.raises(InputError, match="None of 1 photo has a face region with a name"):
        enroll(
            tmp_path / "staff", [photo], people="xmp", settings=EnrollSettings(model=str(tiny_pack.folder))
        )
    assert not (tmp_path / "staff.gallery").exists()


def test_real_faces_are_found_in_their_regions(tmp_path: Path, lfw: Path) -> None:
    people = ["Zoran_Djindjic", "Zico"]
    for name in people:
        for photo in sorted((lfw / "images" / name).glob("*.jpg"))[:2]:
            (tmp_path / "by folder" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, tmp_path / "by folder" / name)
    enroll(tmp_path / "staff", [tmp_path / "by folder"])
    with open_gallery(tmp_path / "staff") as gallery:
        assert {one.status for one in export_regions(gallery)} == {"written"}
        faces = gallery.faces()
        vectors = gallery.vectors(faces)
    done = enroll(tmp_path / "again", [tmp_path / "by folder"], people="xmp")
    assert {row.status for row in done.photos} == {"enrolled"} and done.fault is None
    with open_gallery(tmp_path / "again") as gallery:
        assert [face.path for face in gallery.faces()] == [face.path for face in faces]
        assert np.array_equal(gallery.vectors(gallery.faces()), vectors)
