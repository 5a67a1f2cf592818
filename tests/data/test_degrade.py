"""Photos made hard before a face is found in them: smaller, darker, the same every time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.data import open_stored
from facerec_cli.data.tools.degrade import HardPhotos, blurred, dark, degrade, far
from facerec_cli.errors import UsageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people with a photo each, 120 x 160, of smooth colors with an edge."""
    folder = tmp_path / "photos"
    for number, person in enumerate(("anna", "bela")):
        image = np.full((160, 120, 3), (200, 150 - 20 * number, 100), np.uint8)
        image[:, 60:] = 60
        (folder / person).mkdir(parents=True)
        cv2.imwrite(str(folder / person / "1.png"), image)
    return folder


def made_hard(photos: Path, seed: int) -> list[bytes]:
    hard = HardPhotos(open_stored(str(photos)), seed=seed)
    return [hard.read(i) for i in range(2)]


def test_a_seed_decides_what_becomes_of_a_photo(photos: Path):
    assert made_hard(photos, 3) == made_hard(photos, 3)
    assert all(data[:2] == b"\xff\xd8" for data in made_hard(photos, 3))
    assert len({made_hard(photos, seed)[0] for seed in range(6)}) == 6


def test_far_shrinks_to_between_an_eighth_and_a_half(photos: Path):
    image = open_stored(str(photos)).image(0)
    sizes = [far(image, np.random.default_rng(i)).shape for i in range(60)]
    shares = [height / 160 for height, _, _ in sizes]
    assert 0.125 <= min(shares) < 0.16
    assert 0.4 < max(shares) <= 0.5
    assert all(abs(width - 0.75 * height) < 1 for height, width, _ in sizes)


def test_blur_keeps_the_light_and_softens_the_edge(photos: Path):
    image = open_stored(str(photos)).image(0)
    steepest = np.abs(np.diff(image[80].astype(int), axis=0)).max()
    for seed in range(20):
        found = blurred(image, np.random.default_rng(seed))
        assert abs(found.mean() - image.mean()) < 2
        turned = np.abs(np.diff(found.astype(int), axis=1)).max()
        assert turned <= steepest
    assert turned < steepest


def test_low_light_has_less_of_it_unless_the_gain_is_turned_up(photos: Path):
    image = open_stored(str(photos)).image(0)
    light = [dark(image, np.random.default_rng(i)).mean() / image.mean() for i in range(60)]
    assert min(light) < 0.1
    assert 0.5 < max(light) < 1.1
    assert 0.2 < np.mean(np.array(light) < 0.4) < 0.8


def test_a_folder_per_person_is_written_and_nothing_replaced(photos: Path, tmp_path: Path):
    target = tmp_path / "hard"
    degrade(open_stored(str(photos)), target, seed=1)
    found = open_stored(str(target))
    assert [found.name(i) for i in range(2)] == ["anna/1.png", "bela/1.png"]
    assert [found.read(i) for i in range(2)] == made_hard(photos, 1)
    with pytest.raises(UsageError, match="exists"):
        degrade(open_stored(str(photos)), target)
