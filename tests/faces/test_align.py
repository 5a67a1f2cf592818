"""Alignment, against the reference implementations of the same transform."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces.align import similarity, template, warp


def landmarks(seed: int, count: int = 20) -> np.ndarray:
    """Faces somewhere in a photo: the template turned, scaled, moved and disturbed."""
    random = np.random.default_rng(seed)
    angle, scale = random.uniform(-3.1, 3.1, count), random.uniform(0.2, 20, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
    points = scale[:, None, None] * template("arcface", (112, 112)) @ turn
    return points + random.uniform(-500, 3000, (count, 1, 2)) + random.normal(0, 3, (count, 5, 2)) * scale[0]


def test_the_transform_is_skimages() -> None:
    transform = pytest.importorskip("skimage.transform")
    target = template("arcface", (112, 112))
    faces = landmarks(0, 50)
    found = similarity(faces, target)
    for matrix, face in zip(found, faces, strict=True):
        expected = transform.SimilarityTransform.from_estimate(face, target).params[:2]
        np.testing.assert_allclose(matrix, expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("size", [112, 224, 128, 256])
def test_the_crop_is_insightfaces(size: int) -> None:
    reference = pytest.importorskip("insightface.utils.face_align")
    photo = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 3)
    face = np.array([[150, 120], [210, 115], [182, 150], [158, 185], [208, 182]], np.float32)
    matrix = similarity(face, template("arcface", (size, size)))
    expected = reference.norm_crop(photo, face, size).astype(int)
    assert np.abs(warp(photo, matrix, (size, size)) - expected).max() <= 1


@settings(max_examples=50, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(0.05, 50), st.floats(-4000, 4000), st.floats(-4000, 4000))
def test_a_similarity_is_found_again(angle: float, scale: float, dx: float, dy: float) -> None:
    target = template("arcface", (112, 112))
    forth = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(target @ forth.T + [dx, dy], target)
    np.testing.assert_allclose(matrix[:, :2] @ forth, np.eye(2), atol=1e-8)
    np.testing.assert_allclose(matrix[:, :2] @ [dx, dy] + matrix[:, 2], 0, atol=1e-6 / scale + 1e-6)


def test_a_mirrored_face_is_turned_but_never_mirrored() -> None:
    target = template("arcface", (112, 112))
    matrix = similarity(target * [-1, 1], target)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_a_warp_is_bilinear_and_black_outside() -> None:
    photo = np.full((40, 40, 3), 200, np.uint8)
    photo[:, 20:] = 100
    crop = warp(photo, np.array([[1.0, 0, 0.5], [0, 1, 60]]), (112, 112))
    assert (crop[:60] == 0).all() and (crop[100:] == 0).all()
    assert abs(int(crop[80, 20, 0]) - 150) <= 1  # half way between two pixels


def test_template_sizes() -> None:
    at_112 = template("arcface", (112, 112))
    np.testing.assert_allclose(at_112[0], [38.2946, 51.6963])
    np.testing.assert_allclose(template("arcface", (224, 224)), at_112 * 2)
    np.testing.assert_allclose(template("arcface", (128, 128)), np.add(at_112, [8, 0]))
    np.testing.assert_allclose(template("arcface", (96, 112)), at_112 - [8, 0])
    for size in ((100, 100), (112, 96), (0, 0)):
        with pytest.raises(ModelError, match="have a convention"):
            template("arcface", size)
    with pytest.raises(ModelError, match="Known: arcface"):
        template("arcfase", (112, 112))


@pytest.mark.parametrize("face", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_landmarks_that_are_none_are_refused(face: np.ndarray) -> None:
    with pytest.raises(InputError, match="cannot be aligned"):
        similarity(face, template("arcface", (112, 112)))
