"""The default pack's detector, against OpenCV's own class on the same file."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.faces import Face, FaceModel, open_model


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return open_model("sface", device="cpu", threads=2)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A public-domain portrait, 512 x 512 BGR."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[..., ::-1])


def photos_of(folder: Path, count: int) -> list[np.ndarray]:
    paths = sorted((folder / "images").glob("*/*.jpg"))[:: 13233 // count][:count]
    return [cv2.imread(str(path)) for path in paths]


@functools.cache
def _opencv_detector(path: str) -> cv2.FaceDetectorYN:
    return cv2.FaceDetectorYN.create(path, "", (320, 320), 0.6, 0.3, 5000)


def opencv(model: FaceModel, image: np.ndarray) -> np.ndarray:
    """(K, 15) x1, y1, x2, y2, five points, score; best first."""
    reference = _opencv_detector(str(model.pack.detector_path))
    reference.setInputSize(image.shape[1::-1])
    found = reference.detect(image)[1]
    found = np.zeros((0, 15)) if found is None else found.astype(np.float64)
    found[:, 2:4] += found[:, :2]
    return found[np.argsort(-found[:, 14])]


def rows(faces: list[Face]) -> np.ndarray:
    return np.array([[*f.box, *f.landmarks.ravel(), f.score] for f in faces]).reshape(-1, 15)


def test_one_portrait_is_opencvs(model: FaceModel, portrait: np.ndarray) -> None:
    [faces] = model.detect([portrait])
    assert len(faces) == 1
    np.testing.assert_allclose(rows(faces), opencv(model, portrait), atol=1e-2)
    left, right = faces[0].landmarks[0], faces[0].landmarks[1]
    assert left[0] < right[0], "left as seen in the photo comes first"


def test_real_photos_are_opencvs(model: FaceModel, lfw: Path) -> None:
    images = photos_of(lfw, 40)
    found = model.detect(images)
    for image, faces in zip(images, found, strict=True):
        np.testing.assert_allclose(rows(faces), opencv(model, image), atol=1e-2)


def test_crops_are_opencvs(model: FaceModel, lfw: Path) -> None:
    aligner = cv2.FaceRecognizerSF.create(str(model.pack.encoder_path), "")
    images = photos_of(lfw, 12)
    for image, faces in zip(images, model.detect(images), strict=True):
        face = faces[0]
        row = np.array([[*face.box, *face.landmarks.ravel(), face.score]], np.float32)
        row[:, 2:4] -= row[:, :2]
        difference = np.abs(aligner.alignCrop(image, row).astype(int) - model.align(image, face))
        assert difference.max() <= 2 and difference.mean() < 0.05


def test_embeddings_are_opencvs(model: FaceModel, lfw: Path) -> None:
    encoder = cv2.FaceRecognizerSF.create(str(model.pack.encoder_path), "")
    images = photos_of(lfw, 6)
    crops = np.stack(
        [model.align(image, faces[0]) for image, faces in zip(images, model.detect(images), strict=True)]
    )
    expected = np.concatenate([encoder.feature(crop) for crop in crops])
    np.testing.assert_allclose(model.encode(crops), expected, atol=1e-4)


def test_a_large_photo_is_shrunk_and_a_small_one_is_not_enlarged(
    model: FaceModel, portrait: np.ndarray
) -> None:
    [at_home] = model.detect([portrait])
    large = cv2.resize(portrait, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    [found] = model.detect([large])
    assert len(found) == 1
    np.testing.assert_allclose(found[0].landmarks / 5, at_home[0].landmarks, atol=8)
    [full] = model.detect([large], max_side=2560)
    assert len(full) <= 1  # the search at full size is another search, not the same one


def test_photos_of_different_shapes_keep_their_order(model: FaceModel, portrait: np.ndarray) -> None:
    wide = np.concatenate([np.zeros_like(portrait), portrait], axis=1)
    empty = np.zeros((90, 70, 3), np.uint8)
    photos = [portrait, empty, wide, portrait[:400], empty, portrait]
    found = model.detect(photos)
    assert [len(faces) for faces in found] == [1, 0, 1, 1, 0, 1]
    np.testing.assert_allclose(found[5][0].landmarks, found[0][0].landmarks, atol=1e-3)
    np.testing.assert_allclose(found[2][0].landmarks - [512, 0], found[0][0].landmarks, atol=8)


def test_a_face_that_fills_the_photo_is_found(model: FaceModel, portrait: np.ndarray) -> None:
    [[face]] = model.detect([portrait])
    x1, y1, x2, y2 = face.box.astype(int)
    inset = (x2 - x1) // 12
    tight = portrait[y1 + inset : y2 - inset, x1 + inset : x2 - inset]
    tight = cv2.resize(tight, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    [found] = model.detect([tight])
    assert len(found) == 1
    expected = (face.landmarks - [x1 + inset, y1 + inset]) * 8
    assert np.abs(found[0].landmarks - expected).max() < 0.15 * tight.shape[1]


def test_a_small_face_in_a_large_photo_is_found(model: FaceModel, portrait: np.ndarray) -> None:
    canvas = np.full((3000, 4000, 3), 90, np.uint8)
    canvas[1500:1692, 2500:2692] = cv2.resize(portrait, (192, 192), interpolation=cv2.INTER_AREA)
    [found] = model.detect([canvas])
    assert len(found) == 1
    x, y = found[0].landmarks[2]
    assert 2500 < x < 2692 and 1500 < y < 1600


def test_odd_photos(model: FaceModel) -> None:
    shapes = [(1, 1), (1, 700), (700, 1), (31, 33), (2000, 3)]
    assert model.detect([np.full((*shape, 3), 128, np.uint8) for shape in shapes]) == [[]] * len(shapes)
    assert model.detect([]) == []
    for bad in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((0, 9, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8 BGR"):
            model.detect([bad])
