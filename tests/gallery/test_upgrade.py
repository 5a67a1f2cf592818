"""A gallery embedded anew by another model: from photos, landmarks and crops, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_pack import expected, write_tiny_pack

import facerec_cli.embed
from facerec_cli.embed.photo_result import EmbeddedFace, PhotoResult
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, PartialFailure, UsageError
from facerec_cli.faces import Face
from facerec_cli.files import beside
from facerec_cli.gallery import upgrade
from facerec_cli.gallery.check import check_gallery
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.person import FaceFacts, GalleryFace
from facerec_cli.gallery.reembed import match
from facerec_cli.gallery.upgrade import upgrade_gallery
from facerec_cli.metrics.search_threshold import from_value
from facerec_cli.packs.manifest import ModelPack

MODEL = ModelInfo("old", "5" * 64)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (112, 112, 3)).astype(np.uint8)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def photo(folder: Path, name: str, seed: int) -> FaceFacts:
    """An aligned crop on the disk, as facts of an enrolled face."""
    path = folder / name
    cv2.imwrite(str(path), picture(seed))
    return FaceFacts(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def old_vectors(count: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, 8)))


def filled(folder: Path, *, crops: bool = False, **settings: Any) -> Gallery:
    """Two people of three faces; one with a note, one enrolled after somebody who was removed."""
    gallery = create_gallery(folder / "staff", MODEL, 8, {"aligned": True, **settings}, crops=crops)
    gallery.add("gone", old_vectors(1, 3))
    gallery.add("Ada", old_vectors(2, 1), [photo(folder, "a.png", 1), photo(folder, "b.png", 2)], note="n")
    gallery.add("Bo", old_vectors(1, 2), [photo(folder, "c.png", 3)], expires="2999-12-31")
    gallery.remove("gone")
    gallery.save_card(from_value(0.4, 2, None))
    return gallery


def whole(gallery: Path) -> dict[str, bytes]:
    """All files of a gallery but its lock."""
    files = [path for path in sorted(gallery.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(gallery)): path.read_bytes() for path in files}


def test_every_face_is_embedded_anew_and_keeps_its_facts(tmp_path: Path, tiny_pack: ModelPack) -> None:
    with filled(tmp_path) as gallery:
        people, faces = gallery.people(), gallery.faces()
        old = gallery.vectors(faces)
        done = upgrade_gallery(gallery, tiny_pack)
    assert (done.done, done.faces, done.sources, done.lost) == (True, 3, {"photo": 3}, ())
    assert (done.before, done.model, done.cards, done.fault) == ("old", "tiny", 1, None)
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        assert gallery.people() == people
        assert (gallery.info.model, gallery.info.dimensions) == ("tiny", 4)
        again = gallery.faces()
        assert [(f.id, f.person, f.path, f.row, f.added) for f in again] == [
            (f.id, f.person, f.path, f.row, f.added) for f in faces
        ]
        values = unit(expected(np.stack([picture(seed) for seed in (1, 2, 3)])))
        np.testing.assert_allclose(gallery.vectors(again), values, atol=2e-5)
        assert gallery.cards() == ()
        kinds = {finding.kind for finding in check_gallery(gallery).findings}
        assert kinds <= {"outlier", "look_alike"}  # mean colors know nobody
        found = gallery.identify(values[2:], k=1)
        assert found.named(0)[0][0] == "Bo" and found.scores[0, 0] == pytest.approx(1, abs=1e-5)
        gallery.add("new", values[:1])  # it can be changed as any other
    assert [path.name for path in tmp_path.glob(".facerec*")] == []
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(vector.tobytes() in everything for vector in old)


def test_photos_that_are_gone(tmp_path: Path, tiny_pack: ModelPack) -> None:
    with filled(tmp_path) as gallery:
        (tmp_path / "c.png").unlink()
        (tmp_path / "a.png").write_bytes((tmp_path / "b.png").read_bytes())  # changed since
        before = whole(gallery.path)
        done = upgrade_gallery(gallery, tiny_pack)
        assert not done.done and isinstance(done.fault, InputError)
        assert [(one.person, one.reason) for one in done.lost] == [
            ("Bo", "the photo is gone, and there is no crop")
        ]
        assert done.without == ("Bo",)
        cv2.imwrite(str(tmp_path / "c.png"), picture(3))
        done = upgrade_gallery(gallery, tiny_pack)
        assert [(one.person, one.reason) for one in done.lost] == [
            ("Ada", "the photo was changed since it was enrolled, and there is no crop")
        ]
        assert whole(gallery.path) == before and done.without == ()
        assert not list(tmp_path.glob(".facerec*"))
        (tmp_path / "c.png").unlink()
    done = upgrade_gallery(tmp_path / "staff", tiny_pack, drop_missing=True)
    assert done.done and isinstance(done.fault, PartialFailure)
    assert (done.faces, done.without, [one.person for one in done.lost]) == (1, ("Bo",), ["Ada", "Bo"])
    with open_gallery(tmp_path / "staff") as gallery:
        assert [(p.name, p.faces) for p in gallery.people()] == [("Ada", 1)]
        assert check_gallery(gallery).findings == ()
    assert b"Bo" not in (gallery.path / "people.sqlite").read_bytes()


def test_crops_serve_where_photos_are_gone(tmp_path: Path, tiny_pack: ModelPack) -> None:
    png = cv2.imencode(".png", picture(9))[1].tobytes()
    gallery = create_gallery(tmp_path / "staff", MODEL, 8, {"aligned": True}, crops=True)
    with gallery:
        fact = photo(tmp_path, "a.png", 1)
        gallery.add("Ada", old_vectors(1, 1), [FaceFacts("gone.png", "a" * 64, crop=png)])
        gallery.add("Bo", old_vectors(1, 2), [fact])
        done = upgrade_gallery(gallery, tiny_pack)
    assert done.sources == {"crop": 1, "photo": 1}
    with open_gallery(tmp_path / "staff") as gallery:
        faces = gallery.faces()
        np.testing.assert_allclose(
            gallery.vectors(faces), unit(expected(np.stack([picture(9), picture(1)]))), atol=2e-5
        )
        kept = [gallery.crop(face) for face in faces]
        assert kept[0] is not None and kept[0].read_bytes() == png
        assert kept[1] is not None and np.array_equal(cv2.imread(str(kept[1])), picture(1))


def test_a_model_that_it_has_and_a_gallery_that_is_only_read(tmp_path: Path, tiny_pack: ModelPack) -> None:
    with filled(tmp_path) as gallery:
        upgrade_gallery(gallery, tiny_pack)
    reading = pytest.raises(UsageError, match="has embeddings of tiny already")
    with open_gallery(tmp_path / "staff", write=True) as gallery, reading:
        upgrade_gallery(gallery, tiny_pack)
    with open_gallery(tmp_path / "staff") as gallery, pytest.raises(UsageError, match="opened to read"):
        upgrade_gallery(gallery, write_tiny_pack(tmp_path / "other", "other"))


def test_the_same_model_mends_what_is_damaged_and_keeps_the_rest(
    tmp_path: Path, tiny_pack: ModelPack
) -> None:
    with filled(tmp_path) as gallery:
        upgrade_gallery(gallery, tiny_pack)
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        gallery.save_card(from_value(0.4, 2, None))
        faces = gallery.faces()
        vectors = gallery.vectors(faces)
    with (tmp_path / "staff.gallery" / "vectors" / "faces-000001.npy").open("r+b") as stream:
        stream.seek(128 + faces[1].row * 16)
        stream.write(np.full(4, np.nan, "<f4").tobytes())
    Path(faces[0].path).unlink()  # whose vector is sound, so that its photo is not needed
    done = upgrade_gallery(tmp_path / "staff", tiny_pack)
    assert (done.done, done.sources, done.cards) == (True, {"photo": 1, "vector": 2}, 0)
    with open_gallery(tmp_path / "staff") as gallery:
        assert gallery.faces() == faces and len(gallery.cards()) == 1
        assert gallery.vectors(faces[::2]).tobytes() == vectors[::2].tobytes()
        np.testing.assert_allclose(gallery.vectors(faces), vectors, atol=1e-6)


@pytest.mark.parametrize("where", ["_fill", "_settle", "move_in"])
def test_an_interrupt_leaves_the_old_gallery(
    where: str, tmp_path: Path, tiny_pack: ModelPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    gallery = filled(tmp_path)
    before = whole(gallery.path)
    monkeypatch.setattr(upgrade, where, interrupt)
    with gallery, pytest.raises(KeyboardInterrupt):
        upgrade_gallery(gallery, tiny_pack)
    assert whole(tmp_path / "staff.gallery") == before
    assert not list(tmp_path.glob(".facerec*"))
    with open_gallery(tmp_path / "staff", write=True) as gallery:
        assert len(gallery.faces()) == 3


def test_what_a_kill_leaves_is_put_back_or_overwritten(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        path = gallery.path
    before = whole(path)
    path.replace(beside(path, "old"))  # killed between the two moves
    path.mkdir()
    (path / ".facerec.lock").touch()  # somebody waits to write
    with open_gallery(tmp_path / "staff") as gallery:
        assert [person.name for person in gallery.people()] == ["Ada", "Bo"]
    assert whole(path) == before
    secret = b"a vector of somebody"
    for ending in ("tmp", "old"):  # killed while the new one was made, or the old one was erased
        place = beside(path, ending) / "staff.gallery"
        place.mkdir(parents=True)
        (place / "faces.npy").write_bytes(secret)
        (tmp_path / f"{ending}.link").hardlink_to(place / "faces.npy")  # to see what becomes of the bytes
    with open_gallery(tmp_path / "staff", write=True):
        pass
    assert not list(tmp_path.glob(".facerec*"))
    assert [(tmp_path / f"{ending}.link").read_bytes() for ending in ("tmp", "old")] == [
        bytes(len(secret))
    ] * 2


def test_faces_are_found_again_where_their_boxes_were(
    tmp_path: Path, tiny_pack: ModelPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "group.png"
    cv2.imwrite(str(path), picture(1))
    points = ((30, 40), (70, 40), (50, 60), (35, 80), (65, 80))
    landmarks = tuple(float(number) for point in points for number in point)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    boxes = [(0, 0, 40, 40), (50, 0, 90, 40), (0, 60, 40, 100)]
    gallery = create_gallery(tmp_path / "staff", MODEL, 8, {})
    with gallery:
        for number, box in enumerate(boxes):
            gallery.add(f"p{number}", old_vectors(1, number), [FaceFacts(str(path), digest, box, landmarks)])

        def found(sources: Sequence[bytes], *_: object, **__: object) -> Iterator[PhotoResult]:
            faces = [((48.0, 2, 92, 41), 1), ((1.0, 1, 42, 42), 0), ((200.0, 0, 240, 40), 2)]
            made = [
                EmbeddedFace(
                    Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 0.9),
                    np.eye(4, dtype=np.float32)[at],
                    7.0,
                )
                for box, at in faces
            ]
            yield from (PhotoResult("photo", "ok", "", tuple(made), 112, 112) for _ in sources)

        monkeypatch.setattr(facerec_cli.embed, "embed_photos", found)
        done = upgrade_gallery(gallery, tiny_pack)
    assert done.sources == {"photo": 2, "landmarks": 1}
    with open_gallery(tmp_path / "staff") as gallery:
        faces = gallery.faces()
        assert gallery.vectors(faces[:2]).tolist() == np.eye(4)[:2].tolist()
        assert faces[0].box == (1, 1, 42, 42) and faces[2].box == boxes[2]
        assert [face.norm for face in faces[:2]] == [7.0, 7.0]


def test_matching_takes_the_highest_overlaps_first_and_each_face_once() -> None:
    def enrolled(box: tuple[float, ...] | None) -> GalleryFace:
        return GalleryFace(1, 1, "", "", box, None, None, None, 0, "", "")

    def embedded(*box: float) -> EmbeddedFace:
        face = Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 0.9)
        return EmbeddedFace(face, np.zeros(4, np.float32), 1.0)

    faces = (embedded(0, 0, 100, 100), embedded(30, 0, 130, 100), embedded(400, 400, 420, 420))
    result = PhotoResult("p", "ok", "", faces, 200, 100)
    enrolled_faces = [enrolled((40, 0, 140, 100)), enrolled((20, 0, 120, 100)), enrolled((150, 0, 190, 90))]
    assert match(enrolled_faces, result) == [faces[1], faces[0], None]
    assert match([enrolled(None)], result) == [faces[1]]  # the main one: nearest to the middle
    assert match([enrolled(None)], PhotoResult("p", "no_face")) == [None]
