"""Boxes of a list choose among the faces of a photo, embedded here or stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.embeddings.cache import EmbeddingCache
from facerec_cli.embeddings.records import table_of
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.verify.photo_faces import FacePlaces, match_in_boxes, places_of
from facerec_cli.verify.photo_vectors import embed_list

THREE = Path(__file__).resolve().parents[2] / "examples" / "photos" / "three-people.jpg"
NOBODY = [0, 0, 3, 3]


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return open_model("sface", threads=2)


def test_each_box_has_its_face_also_from_the_cache(model: FaceModel, tmp_path: Path) -> None:
    (result,) = embed_photos([THREE], model, EmbedOptions(faces="all"))
    assert len(result.faces) == 3
    (main,) = embed_photos([THREE], model, EmbedOptions(faces="main"))
    shifted = [face.face.box + 5 for face in result.faces if face.face is not None]
    boxes = np.array([*shifted, NOBODY, [np.nan] * 4], np.float32)
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    for _ in range(2):
        made = embed_list(
            [THREE] * 5, model, EmbedOptions(faces="main"), places=FacePlaces(boxes=boxes), cache=cache
        )
        for i, face in enumerate((*result.faces, None, main.faces[0])):
            if face is None:
                assert made.reasons == {i: "no_face: none where the list has its box"}
            else:
                np.testing.assert_allclose(made.vectors[i], face.embedding, atol=1e-5)
    cache.close()


def test_stored_faces_are_chosen_by_the_box_too() -> None:
    records = [
        {"path": "a.jpg", "row": 0, "face": 0, "status": "ok", "x1": 0, "y1": 0, "x2": 10, "y2": 10},
        {"path": "a.jpg", "row": 1, "face": 1, "status": "doubtful", "reason": "dark",
         "x1": 50, "y1": 0, "x2": 60, "y2": 10},
        {"path": "b.jpg", "row": 2, "face": 0, "status": "ok"},
    ]  # fmt: skip
    every = table_of("t", np.float32([[1, 0], [0, 1], [-1, 0]]), records, {})
    one = every.one_per_photo("largest")
    names = ["a.jpg", "a.jpg", "a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    boxes = np.float32(
        [[1, 1, 11, 11], [50, 1, 60, 11], [200, 0, 210, 10], [np.nan] * 4, [1, 1, 5, 5], NOBODY]
    )
    assert one.paths is not None
    found = match_in_boxes(every, one.paths, one.match(names), boxes)
    assert found.rows.tolist() == [0, 1, -1, 0, 2, -1]
    assert found.vectors.tolist() == [[1, 0], [0, 1], [0, 0], [1, 0], [-1, 0], [0, 0]]
    assert found.doubts == {1: "dark"}
    assert found.reasons == {
        2: "no_face: none where the list has its box",
        5: "missing: not in the embeddings file",
    }


def test_landmarks_say_more_than_boxes() -> None:
    trial = SearchTrial("t", np.array([0]), np.array([0]))
    boxes, landmarks = np.zeros((1, 4), np.float32), np.ones((1, 5, 2), np.float32)
    for given, expected in (({}, boxes), ({"landmarks": landmarks}, None)):
        protocol = SearchProtocol((Path("a"),), ("a",), ("A",), np.array([0]), (trial,), boxes=boxes, **given)
        assert places_of(protocol).boxes is expected
        assert len(places_of(protocol).key(0)) == (16 if expected is not None else 40)
