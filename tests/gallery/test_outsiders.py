"""Strangers to calibrate with: nobody enrolled among them, and each counted once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_people import write_embeddings
from numpy.typing import NDArray

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, ModelError
from facerec_cli.gallery.gallery import Gallery, create_gallery
from facerec_cli.gallery.outsiders import Outsiders, strangers_of
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.packs.resolve import open_pack, pack_hash

SFACE = ModelInfo("sface", pack_hash(open_pack("sface")))


def drawn(count: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, 128))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def near(vectors: NDArray[np.float32], score: float) -> NDArray[np.float32]:
    """Unit vectors that score about so much with these."""
    other = drawn(len(vectors), 99)
    other -= (other * vectors).sum(axis=1, keepdims=True) * vectors
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return score * vectors + np.float32(np.sqrt(1 - score**2)) * other


def strangers(gallery: Gallery, given: Outsiders, *, keep: bool = False) -> Any:
    photos = {f"{i:064x}": f"p{i}" for i in range(20)} | {"/photos/q.jpg": "q"}
    return strangers_of(given, gallery.enrolled(), photos, gallery.info, keep_look_alikes=keep)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with create_gallery(tmp_path / "staff", SFACE, 128) as made:
        facts = [FaceFacts(path=f"/photos/{i}.jpg", photo_sha256=f"{i:064x}") for i in range(20)]
        made.add_faces([f"p{i}" for i in range(20)], drawn(20, 1), facts)
        yield made


def test_photos_that_are_enrolled_are_refused_by_bytes_and_by_place(gallery: Gallery) -> None:
    copied = Outsiders(drawn(2, 2), ("a.jpg", "b.jpg"), (f"{7:064x}", "f" * 64))
    with pytest.raises(InputError, match=r"1 photo of 2 .* is enrolled: a.jpg \(p7\)"):
        strangers(gallery, copied, keep=True)
    gallery.annotate("p7", expires="2020-01-01")
    assert len(strangers(gallery, copied)) == 2, "who has expired is not searched for"
    gallery.add("q", drawn(1, 3), [FaceFacts(path="/photos/q.jpg")])
    with pytest.raises(InputError, match=r"q\.jpg"):
        strangers(gallery, Outsiders(drawn(1, 4), ("/photos/q.jpg",)))


def test_other_photos_of_enrolled_people_are_refused_unless_they_are_kept(
    gallery: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    mixed = np.concatenate([drawn(300, 5), near(drawn(20, 1)[:3], 0.7)])
    with pytest.raises(InputError, match=r"3 photos of 303 .* look like .*row 30\d \(p\d 0.70\)") as fault:
        gallery.calibrate(0.05, outsiders=mixed)
    assert "--keep-look-alikes" in fault.value.hint
    card = gallery.calibrate(0.05, outsiders=mixed, keep_look_alikes=True)
    assert card.source == "outsiders" and "the threshold is too high" in caplog.text
    assert gallery.calibrate(0.05, outsiders=mixed[:300]).data == "300 searches for strangers"


def test_photos_of_one_stranger_count_once(gallery: Gallery, caplog: pytest.LogCaptureFixture) -> None:
    people = drawn(80, 6)
    doubled = np.concatenate([people, near(people[:27], 0.8)])
    assert gallery.calibrate(0.05, outsiders=doubled).data == "80 searches for strangers"
    assert "27 photos are not counted" in caplog.text
    kept = gallery.calibrate(0.05, outsiders=doubled, keep_look_alikes=True)
    assert kept.data == "107 searches for strangers"


def test_a_subfolder_is_one_stranger(gallery: Gallery, caplog: pytest.LogCaptureFixture) -> None:
    photos = ("/s/x.jpg", "/s/Ann/1.jpg", "/s/Ann/2.jpg", "/s/Bob/1.jpg", "/t/y.jpg")
    vectors = drawn(5, 7)
    found = strangers(gallery, Outsiders(vectors, photos, folders=("/s",)))
    assert np.array_equal(found, vectors[[0, 1, 3, 4]])
    assert "3 photos in 2 subfolders count as 2 strangers" in caplog.text
    assert len(strangers(gallery, Outsiders(vectors, photos, folders=("/s", "/s/Ann", "/s/Bob")))) == 5


def test_a_table_is_taken_and_too_few_are_an_error(gallery: Gallery, tmp_path: Path) -> None:
    rows = [(f"s/{i}.jpg", row) for i, row in enumerate(drawn(80, 8))]
    model = {"name": SFACE.name, "sha256": SFACE.sha256}
    table = open_table(write_embeddings(tmp_path / "s.npy", rows, model=model))
    assert gallery.calibrate(0.05, outsiders=table).data == "80 searches for strangers"
    with pytest.raises(InputError, match="80 strangers cannot measure FPIR 1 %, which takes 300") as fault:
        gallery.calibrate(0.01, outsiders=table)
    assert "from 0.038 on" in fault.value.hint
    with pytest.raises(ModelError, match="cannot be compared"):
        gallery.calibrate(0.05, outsiders=open_table(write_embeddings(tmp_path / "o.npy", rows)))
