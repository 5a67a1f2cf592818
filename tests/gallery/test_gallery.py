"""Galleries: what is enrolled, changed and found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.threshold import Threshold

MODEL = ModelInfo("toy", "5" * 64)


def vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, 16))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def mean(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    total = rows.astype(np.float64).sum(axis=0)
    return total / np.linalg.norm(total)


@pytest.fixture
def staff(tmp_path: Path) -> Path:
    """Anna has faces 0 and 1, Bob 2, Carl 3 and 4."""
    with create_gallery(tmp_path / "staff", MODEL, 16, {"flip": False}) as gallery:
        facts = [
            FaceFacts(f"/p/{i}.jpg", f"{i:064x}", (1, 2, 3, 4), tuple(range(10)), 0.9, 12) for i in range(5)
        ]
        gallery.add_faces(["Anna", "Anna", "Bob", "Carl", "Carl"], vectors(5), facts)
    return tmp_path / "staff"


def templates(gallery: Gallery) -> dict[str, NDArray[np.float32]]:
    enrolled = gallery.enrolled()
    rows = np.concatenate(enrolled.templates)
    return {enrolled.names[one]: rows[row] for row, one in enumerate(enrolled.person.tolist()) if one >= 0}


def test_what_is_enrolled_is_read_again(staff: Path) -> None:
    for name in (staff, staff.with_name("staff.gallery"), str(staff)):
        with open_gallery(name) as gallery:
            assert [(one.name, one.faces) for one in gallery.people()] == [
                ("Anna", 2),
                ("Bob", 1),
                ("Carl", 2),
            ]
            faces = gallery.faces("Carl")
            assert [(face.path, face.score, face.norm) for face in faces] == [
                ("/p/3.jpg", 0.9, 12),
                ("/p/4.jpg", 0.9, 12),
            ]
            assert faces[0].box == (1, 2, 3, 4)
            assert faces[0].landmarks == tuple(range(10))
            assert gallery.vectors(faces).tobytes() == vectors(5)[3:].tobytes()
            found = templates(gallery)
            for person, rows in {"Anna": [0, 1], "Bob": [2], "Carl": [3, 4]}.items():
                np.testing.assert_allclose(found[person], mean(vectors(5)[rows]), atol=1e-7)
            assert gallery.enrolled().faces.tolist() == [2, 1, 2]
            assert gallery.enrolled().model == MODEL
            assert dict(gallery.enrolled().settings) == {"flip": False}


def test_rename_merge_split_and_remove(staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        assert gallery.rename("Anna", "Berta") == ()
        gallery.merge("Bob", "Berta")
        new = gallery.split([gallery.faces("Carl")[1]], "Dora")
        assert (new.name, new.faces) == ("Dora", 1)
        found = templates(gallery)
        assert set(found) == {"Berta", "Carl", "Dora"}
        for person, rows in {"Berta": [0, 1, 2], "Carl": [3], "Dora": [4]}.items():
            np.testing.assert_allclose(found[person], mean(vectors(5)[rows]), atol=1e-7)
        proof = gallery.remove("Berta")
        assert proof.proven
        assert (proof.faces, proof.left, proof.shared) == (3, (), 0)
        assert set(templates(gallery)) == {"Carl", "Dora"}
    with open_gallery(staff) as gallery:
        assert [one.name for one in gallery.people()] == ["Carl", "Dora"]


def test_a_search_finds_people(staff: Path) -> None:
    with open_gallery(staff) as gallery:
        found = gallery.identify(vectors(5)[[2, 4]], k=2)
        assert [found.names[one] for one in found.people[:, 0]] == ["Bob", "Carl"]
        assert found.scores[0, 0] == pytest.approx(1, abs=1e-6)
        assert found.margins == pytest.approx(found.scores[:, 0] - found.scores[:, 1])
        assert found.decide(threshold=0.99) == ["Bob", None]
        pair = Threshold(0.99, far=0.001, data="pairs", impostor_pairs=3000)
        with pytest.raises(UsageError, match="one for two photos"):
            found.decide(threshold=pair)  # type: ignore[arg-type]
        assert found.decide(threshold=SearchThreshold(0.99, None, 2)) == ["Bob", None]


def test_who_may_change_it(staff: Path) -> None:
    with open_gallery(staff) as gallery, pytest.raises(UsageError, match="opened to read"):
        gallery.add("Eve", vectors(1))
    with open_gallery(staff, write=True), pytest.raises(UsageError, match="Another facerec is changing"):
        open_gallery(staff, write=True, wait=0.1)
    with open_gallery(staff, write=True) as writer, open_gallery(staff) as reader:
        writer.add("Eve", vectors(1, seed=1))
        assert reader.people()[-1].name == "Eve"
    with pytest.raises(UsageError, match="exists"):
        create_gallery(staff, MODEL, 16)


def test_names(staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        with pytest.raises(InputError, match=r"Nobody in the gallery is called 'Ana'\. Did you mean 'Anna'"):
            gallery.person("Ana")
        with pytest.raises(UsageError, match="somebody called 'Bob'"):
            gallery.rename("Anna", "Bob")
        for name in ("", " ", "a\nb", "x" * 201):
            with pytest.raises(InputError, match="cannot be the name"):
                gallery.add(name, vectors(1))
        gallery.add("Zoe\u0308", vectors(1))  # decomposed, as macOS names folders
        assert gallery.person("Zo\u00eb").faces == 1


def test_the_threshold_of_a_gallery_follows_its_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with create_gallery(tmp_path / "many", MODEL, 16) as gallery:
        gallery.enroll(vectors(700), [f"p{i}" for i in range(700)])
        card = gallery.calibrate(0.01)
        scores = vectors(700) @ vectors(700).T
        np.fill_diagonal(scores, -1)
        assert card.source == "own searches"
        assert card.measurable
        assert (scores.max(axis=1) >= card.value).sum() <= 7  # of 700 at 1 %
        assert gallery.cards() == ()
        gallery.save_card(card)
        gallery.save_card(card)
        assert gallery.cards() == (card,)
        assert gallery.threshold(0.01) == card
        probes = vectors(2000, seed=9)
        named = gallery.identify(probes, k=2).decide(fpir=0.01)
        assert 0 < sum(name is not None for name in named) < 80
        gallery.enroll(vectors(176, seed=5), [f"q{i}" for i in range(176)])
        moved = gallery.threshold(0.01)
        assert moved.value > card.value
        assert "has grown from 700 people to 876 people" in caplog.text


def test_a_small_gallery_of_a_model_without_a_tail_has_no_threshold(staff: Path) -> None:
    with open_gallery(staff) as gallery:
        assert gallery.calibrate(0.01).value is None
        with pytest.raises(InputError, match="No threshold can be found"):
            gallery.identify(vectors(1)).decide(fpir=0.01)


def test_the_same_vector_of_a_person_is_enrolled_once(tmp_path: Path) -> None:
    drawn = vectors(3)
    with create_gallery(tmp_path / "staff", MODEL, 16) as gallery:
        assert gallery.enroll(drawn[[0, 1, 0]], ["Ann", "Ann", "Ann"]) == (1, 2, 1)
        assert gallery.enroll(drawn[[1, 2, 1]], ["Ann", "Ann", "Bob"]) == (2, 3, 4)
        assert [(one.name, one.faces) for one in gallery.people()] == [("Ann", 3), ("Bob", 1)]
        assert gallery.enroll(drawn[:0], []) == ()
        with pytest.raises(InputError, match="names"):
            gallery.enroll(drawn, ["Ann"])
