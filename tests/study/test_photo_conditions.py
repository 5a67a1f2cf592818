"""Whole test photos under each condition: what it says of itself, and the same pixels every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facerec_cli.study.photo_conditions import PHOTO_CONDITIONS


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """(240, 180, 3): smooth, with an edge in each direction."""
    image = np.full((240, 180, 3), (180, 140, 110), np.uint8)
    image[120:] //= 2
    image[:, 90:] //= 2
    return image


def under(name: str, photo: np.ndarray, seed: int = 0) -> tuple[np.ndarray, int]:
    return PHOTO_CONDITIONS[name](photo, np.random.default_rng(seed))


@pytest.mark.parametrize("name", PHOTO_CONDITIONS)
def test_the_same_seed_gives_the_same_pixels(name: str, photo: np.ndarray):
    before = photo.copy()
    one, other = under(name, photo), under(name, photo)
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(photo, before)


@pytest.mark.parametrize(
    ("name", "size"), [("small", (40, 30)), ("compressed", (96, 72)), ("camera", (60, 45))]
)
def test_small_ones_have_their_size(name: str, size: tuple[int, int], photo: np.ndarray):
    assert under(name, photo)[0].shape == (*size, 3)
    assert [under(n, photo)[1] for n in ("compressed", "camera")] == [10, 40]


@pytest.mark.parametrize(
    ("name", "light"), [("night", 1 / 12), ("noise", 1), ("motion", 1), ("camera", 1 / 3)]
)
def test_they_have_the_light_that_they_say(name: str, light: float, photo: np.ndarray):
    assert under(name, photo)[0].mean() == pytest.approx(light * photo.mean(), rel=0.03, abs=0.4)


def test_motion_smears_edges_over_its_length(photo: np.ndarray):
    """By 7 % of the shorter side, 12.6 pixels: seen across one of the two edges, whatever the direction."""
    found = under("motion", photo, seed=1)[0][..., 0].astype(int)
    across = [(np.abs(np.diff(line)) > 0).sum() for line in (found[60], found[:, 45])]
    assert 8 <= np.hypot(*across) <= 17
    assert min(np.abs(np.diff(line)).max() for line in (found[60], found[:, 45])) < 60


def test_noise_is_what_few_electrons_give(photo: np.ndarray):
    """Of 12 electrons at white and 10 gray levels of reading: variance level * 255 / 12 + 100."""
    flat = np.full((200, 200, 3), 120, np.uint8)
    found = under("noise", flat)[0].astype(float)
    assert found.var() == pytest.approx(120 * 255 / 12 + 100, rel=0.06)
    assert cv2.mean(found)[0] == pytest.approx(120, abs=1)
