"""What is measured of a face, against plain NumPy, and how it moves when the face is changed."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.errors import UsageError
from facerec_cli.faces import Face
from facerec_cli.faces.align import TEMPLATES
from facerec_cli.faces.quality import measure, measures_of, pose
from facerec_cli.faces.quality_limits import MEASURES, QualityLimits, goodness, limit_of, quality_given

FRONTAL = TEMPLATES["arcface"]


def picture(side: int = 112, *, seed: int = 3) -> NDArray[np.uint8]:
    """A crop with detail of every size."""
    noise = np.random.default_rng(seed).normal(128, 100, (side, side, 1)).repeat(3, axis=2)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.2) * 3 - 256, 0, 255).astype(np.uint8)


def turned(points: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Clockwise, as it is seen."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray((points - 56) @ np.array([[cos, sin], [-sin, cos]]) + 56)


@pytest.mark.parametrize("size", [(112, 112), (96, 112), (128, 128)])
def test_light_and_sharpness_are_what_plain_arithmetic_gives(size: tuple[int, int]) -> None:
    width, height = size
    crop = picture(128)[:height, :width]
    gray = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float64)
    rows, columns = slice(3 * height // 8, 7 * height // 8), slice(width // 4, 3 * width // 4)
    middle = gray[rows, columns]
    padded = np.pad(gray, 1)
    neighbors = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    edges = (neighbors - 4 * gray)[rows, columns]
    found = measure(crop, None)
    assert found.brightness == pytest.approx(middle.mean())
    assert found.contrast == pytest.approx(middle.std())
    assert found.sharpness == pytest.approx(edges.std() / middle.std())
    assert found.clipped == pytest.approx(((middle <= 5) | (middle >= 250)).mean()) and found.clipped > 0.01
    assert all(math.isnan(value) for value in (found.size, found.yaw, found.pitch, found.roll))


def test_sharpness_sees_blur_and_enlargement_and_not_light() -> None:
    crop = cv2.GaussianBlur(picture(), (0, 0), 0.8)
    plain = measure(crop, None)
    seen = [plain.sharpness]
    for side in (56, 28, 14):
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        seen.append(measure(cv2.resize(small, (112, 112)), None).sharpness)
    assert seen == sorted(seen, reverse=True) and seen[-1] < 0.5 * seen[0]
    dim = measure((crop // 4 + 20).astype(np.uint8), None)
    assert dim.sharpness == pytest.approx(plain.sharpness, rel=0.05)
    assert dim.contrast == pytest.approx(plain.contrast / 4, rel=0.05)
    flat = measure(np.full((112, 112, 3), 255, np.uint8), None)
    assert (flat.sharpness, flat.brightness, flat.contrast, flat.clipped) == (0, 255, 0, 1)


def test_the_size_is_the_shorter_side_of_the_box() -> None:
    face = Face(np.float32([10, 20, 70, 100]), FRONTAL.astype(np.float32), 0.75)
    found = measure(picture(), face)
    assert found.size == 60
    assert measures_of(9.5, face, found)["score"] == 0.75
    assert list(measures_of(9.5, face, found)) == list(MEASURES)
    placed = measure(picture(), Face(np.full(4, np.nan, np.float32), face.landmarks, math.nan))
    assert math.isnan(placed.size) and placed.yaw == found.yaw


def test_pose_has_the_documented_signs_and_does_not_mix() -> None:
    assert pose(FRONTAL) == pytest.approx((0, 0, -0.3188), abs=1e-4)
    assert pose(np.add(FRONTAL * 7, 30)) == pytest.approx(pose(FRONTAL), abs=1e-9)
    right, down = FRONTAL.copy(), FRONTAL.copy()
    right[2, 0] += 10
    down[2, 1] += 10
    length = math.dist(FRONTAL[:2].mean(axis=0), FRONTAL[3:].mean(axis=0))
    assert pose(right)[0] == pytest.approx(10 / length, rel=1e-3)
    assert pose(down)[1] == pytest.approx(10 / length, rel=1e-3)
    for degrees in (30.0, -90.0, 179.0):
        yaw, pitch, roll = pose(turned(right, degrees))
        assert (yaw, pitch) == pytest.approx(pose(right)[:2])
        assert math.remainder(roll - pose(right)[2] - degrees, 360) == pytest.approx(0, abs=1e-9)
    profile = np.array([[50, 50], [50, 50], [75, 70], [55, 90], [55, 90]])  # the eyes are one point
    assert pose(profile)[0] > 0.5
    assert all(math.isnan(value) for value in pose(np.zeros((5, 2))))


def test_yaw_follows_the_sine_of_a_turned_head() -> None:
    head = np.column_stack((FRONTAL - FRONTAL.mean(axis=0), [0, 0, -25, 0, 0]))  # the nose stands out
    found = []
    for degrees in (15, 30, 60, 80):
        angle = math.radians(degrees)
        x = head[:, 0] * math.cos(angle) - head[:, 2] * math.sin(angle)
        found.append(pose(np.column_stack((x, head[:, 1])))[0] / math.sin(angle))
    assert found == pytest.approx([found[0]] * 4, rel=0.05)


def test_goodness_and_limits_have_one_sense() -> None:
    values = np.array([-0.3, 0.1])
    assert goodness("yaw", values).tolist() == [-0.3, -0.1]
    assert goodness("brightness", 27.5) == goodness("brightness", 227.5) == -100
    assert goodness("norm", 7.0) == 7
    assert (limit_of("yaw", -0.1), limit_of("brightness", -100.0), limit_of("norm", 7.0)) == (0.1, 100, 7)
    limits = QualityLimits.parse(" norm = 8, yaw=0.2,brightness=60 ")
    assert QualityLimits.parse(limits.text) == limits
    face = dict.fromkeys(MEASURES, 1.0) | {"norm": 8.0, "yaw": -0.2, "brightness": 67.5}
    assert limits.fault(face) == ""
    assert limits.fault(face | {"norm": 7.99}) == "norm 7.99 is below 8"
    poor = limits.fault(face | {"yaw": -0.3, "brightness": 20.0})
    assert poor == "yaw -0.3 is beyond 0.2; brightness 20 is farther from 127.5 than 60"
    assert limits.fault(face | {"norm": math.nan}) == "its norm is not known"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sharpnes=1", "sharpness"),
        ("norm", "not a number"),
        ("norm=high", "not a number"),
        ("norm=nan", "not a number"),
        ("yaw=-0.2", "of at least 0"),
        ("size=-5", "of at least 0"),
        ("norm=1,norm=2", "twice"),
        ("", "limits such as"),
        ("card.txt", "--save-quality"),
    ],
)
def test_limits_that_make_no_sense_are_refused(text: str, said: str) -> None:
    from facerec_cli.embed import EmbedOptions

    with pytest.raises(ValueError, match=said):
        quality_given(text)
    with pytest.raises(UsageError, match=r"min.quality"):
        EmbedOptions(min_quality=text)


def test_what_nobody_knows_of_a_crop_is_not_asked_of_it() -> None:
    from facerec_cli.embed import EmbedOptions

    with pytest.raises(UsageError, match="size is not known of aligned crops"):
        EmbedOptions(aligned=True, min_quality="norm=8,size=40")
    assert EmbedOptions(aligned=True, min_quality="norm=8").document()["min_quality"] == "norm=8"
    assert "min_quality" not in EmbedOptions().document()  # so that older runs can be gone on with
