"""Removal: no byte of a person is left in the gallery and the caches, and the proof finds what would be."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embeddings.cache import CachedFace, EmbeddingCache, cache_path
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.faces import open_model
from facerec_cli.gallery.gallery import create_gallery, open_gallery
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.verify.photo_vectors import embed_list

MODEL = ModelInfo("toy", "5" * 64)
D = 16
PEOPLE = 40


def vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, D))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def sha256(number: int) -> str:
    return hashlib.sha256(b"photo %d" % number).hexdigest()


@pytest.fixture
def staff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty people of three faces, with crops and an index; all is in the cache too."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    names = [f"Person Number{i // 3:02d}" for i in range(3 * PEOPLE)]
    with create_gallery(tmp_path / "staff", MODEL, D, crops=True) as gallery:
        facts = [
            FaceFacts(f"/photos/{name}/{i}.jpg", sha256(i), (1, 2, 3, 4), crop=b"crop of %s" % name.encode())
            for i, name in enumerate(names)
        ]
        gallery.add_faces(names, vectors(len(names)), facts, note="note")
        for name in ("Person Number00", "Person Number03", "Person Number39"):
            gallery.annotate(name, note=f"{name} has said yes")
        (gallery.path / "index").mkdir()
        (gallery.path / "index" / "hnsw.bin").write_bytes(vectors(len(names)).tobytes())
    cache = EmbeddingCache(cache_path())
    measured = np.zeros(10, np.float32)
    for i, vector in enumerate(vectors(len(names))):
        # under two settings: what the gallery has, and another vector of the same photo
        cache.put(
            {b"k%d" % i: CachedFace(vector, measured), b"f%d" % i: CachedFace(-vector, measured)},
            {key: bytes.fromhex(sha256(i)) for key in (b"f%d" % i,)},
        )
    cache.close()
    return gallery.path


def all_bytes(*folders: Path) -> dict[Path, bytes]:
    return {one: one.read_bytes() for folder in folders for one in folder.rglob("*") if one.is_file()}


def test_nothing_is_left_of_who_is_removed(staff: Path) -> None:
    gone = [f"Person Number{i:02d}" for i in (0, 7, 39)]
    rows = [3 * i + j for i in (0, 7, 39) for j in range(3)]
    mine = [vectors(3 * PEOPLE)[row] for row in rows]
    with open_gallery(staff, write=True) as gallery:
        templates = gallery.enrolled().templates[0][[0, 7, 39]]
        for name in gone:
            proof = gallery.remove(name)
            assert proof.proven, proof.left
            assert (proof.faces, proof.crops, proof.cached) == (3, 3, 6)
            assert proof.scanned_files >= 120 - 9 + 4
        assert len(gallery.people()) == 37
    for path, data in all_bytes(staff, cache_path().parent).items():
        for needle in [*(one.tobytes() for one in (*mine, *templates)), *((-one).tobytes() for one in mine)]:
            assert needle not in data, path
        for name in gone:
            assert name.encode() not in data, path
            assert name.encode() not in path.name.encode()
        for row in rows:
            assert bytes.fromhex(sha256(row)) not in data, path
    with open_gallery(staff) as gallery:
        assert gallery.vectors(gallery.faces("Person Number01")).tobytes() == vectors(120)[3:6].tobytes()
        assert gallery.enrolled().search(np.stack(mine), 1)[1].max() < 0.99
    cache = EmbeddingCache(cache_path())
    assert len(cache.get([b"%s%d" % (kind, i) for i in range(120) for kind in (b"k", b"f")])) == 240 - 18


def test_the_proof_finds_what_is_left(staff: Path) -> None:
    mine = vectors(120)[:3]
    (staff / "notes.txt").write_text("Person Number00 was here")
    (staff / "old.bin").write_bytes(b"..." + mine[1].tobytes())
    (staff / "crops" / "copy.png").write_bytes(b"crop of Person Number00")
    with open_gallery(staff, write=True) as gallery:
        proof = gallery.remove("Person Number00")
        assert not proof.proven
        assert set(proof.left) == {
            f"the name in {staff / 'notes.txt'}",
            f"a vector in {staff / 'old.bin'}",
            f"a crop: {staff / 'crops' / 'copy.png'}",
        }
        assert proof.document()["proven"] is False
        assert {*proof.by_hand} == {str(staff / one) for one in ("notes.txt", "old.bin", "crops/copy.png")}
        assert 0 < proof.disk_bytes <= proof.scanned_bytes


def test_what_others_have_is_told_and_kept(staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        facts = [FaceFacts("/photos/Person Number05/party.jpg", sha256(15))]
        gallery.add("Twin of Person Number05", vectors(120)[15:16], facts)
        proof = gallery.remove("Person Number05")
        assert proof.proven
        assert proof.shared == 2  # the face, and the template that is its mean
        assert proof.mentions == ("1 x the path of a photo", "1 x the name of somebody else")
        assert gallery.faces("Twin of Person Number05")[0].path == "/photos/Person Number05/party.jpg"


def test_a_short_name_is_looked_for_too(tmp_path: Path) -> None:
    with create_gallery(tmp_path / "a", MODEL, D) as gallery:
        gone = ["Al", "x", "0", "person", "faces", "gallery", "model", "SQLite", "UNIQUE"]
        names = [*gone, "Alice", "Al Capone"]
        gallery.add_faces(names, vectors(11), [FaceFacts(f"/p/{name}.jpg", sha256(1)) for name in names])
        for name in gone:
            proof = gallery.remove(name)
            assert proof.proven, proof.left
        assert [one.name for one in gallery.people()] == ["Alice", "Al Capone"]


def test_rename_and_merge_leave_no_name(staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        gallery.annotate("Person Number03", note="")
        assert gallery.rename("Person Number03", "Anonymous") == ("3 x the path of a photo",)
        gallery.rename("Anonymous", "Nobody", forget_paths=True)
        gallery.merge("Person Number04", "Person Number05")
    found = sorted(path.name for path, data in all_bytes(staff).items() if b"Number03" in data)
    assert found == ["000000009.png", "000000010.png", "000000011.png"]  # crops as this test made them
    with open_gallery(staff) as gallery:
        assert {face.path for face in gallery.faces("Nobody")} == {""}


def test_photos_that_verify_has_cached_are_forgotten(tiny_pack: ModelPack, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    cv2.imwrite(str(photo), np.full((112, 112, 3), (200, 30, 90), np.uint8))
    model = open_model(tiny_pack, detector=False)
    cache = EmbeddingCache(cache_path())
    for flip in (False, True):
        made = embed_list([photo], model, EmbedOptions(faces="main", aligned=True, flip=flip), cache=cache)
    cache.close()
    with create_gallery(tmp_path / "a", ModelInfo(model.pack.name, model.hash), 4) as gallery:
        digest = hashlib.sha256(photo.read_bytes()).hexdigest()
        gallery.add("Anna", made.vectors, [FaceFacts(str(photo), digest)])
        assert gallery.remove("Anna").cached == 2
    base = sqlite3.connect(cache_path())
    assert base.execute("SELECT count(*) FROM embedding").fetchone() == (0,)
    base.close()


def test_a_cache_that_is_locked_is_cleaned_later(
    staff: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(*_: object) -> int:
        raise sqlite3.OperationalError("database is locked")

    with open_gallery(staff, write=True) as gallery:
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddingCache, "forget", locked)
            proof = gallery.remove("Person Number02")
        assert not proof.proven
        assert proof.left == (f"a vector in {cache_path()}",)
        assert "cannot be cleaned now: database is locked" in caplog.text
    assert vectors(120)[6].tobytes() in cache_path().read_bytes()
    with open_gallery(staff, write=True):
        pass
    data = cache_path().read_bytes()
    assert not any((-vector).tobytes() in data for vector in vectors(120)[6:9])
