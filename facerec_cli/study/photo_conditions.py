"""What is done to a whole test photo, before a face is found in it: six conditions, fixed for each photo.

As with the conditions of crops (``conditions.py``) the kinds are those of training, whose programs are in
``data/tools/degrade.py``; the programs are not. Strengths are for photos like LFW's: 250 pixels, of which a
face takes two fifths.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.tools.degrade import Change

Image = NDArray[np.uint8]
Random = np.random.Generator

_FINE = 92  # quality of a JPEG in which compression is not what is looked at


def shrunk(image: Image, share: float) -> Image:
    """To ``share`` of the side."""
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _moved(image: Image, random: Random, share: float) -> Image:
    """Along a straight line of ``share`` of the shorter side, in a direction of its own."""
    steps = 33
    angle, reach = np.pi * random.random(), share * min(image.shape[:2])
    height, width = image.shape[:2]
    total = np.zeros(image.shape, np.float32)
    for place in np.linspace(-0.5, 0.5, steps):
        x, y = place * reach * np.cos(angle), place * reach * np.sin(angle)
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        total += cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.rint(total / steps), np.uint8)


def _lit(image: Image, random: Random, share: float, electrons: float, read: float) -> Image:
    """``share`` of the light: ``electrons`` are counted at white, ``read`` gray levels of noise added."""
    full = image.astype(np.float32) / 255 * electrons
    seen = random.poisson(full) * (255 * share / electrons) + random.normal(0, read, image.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def small(image: Image, random: Random) -> tuple[Image, int]:
    """A sixth of the side: a face of about 16 pixels."""
    return shrunk(image, 1 / 6), _FINE


def motion(image: Image, random: Random) -> tuple[Image, int]:
    """Moved by 7 % of the side, 17 pixels of LFW's 250."""
    return _moved(image, random, 0.07), _FINE


def night(image: Image, random: Random) -> tuple[Image, int]:
    """A twelfth of the light, 60 electrons at white, and a sensor's own noise."""
    return _lit(image, random, 1 / 12, 60, 1.2), _FINE


def noise(image: Image, random: Random) -> tuple[Image, int]:
    """As bright as before, from 12 electrons at white: grain as of a sensor turned up."""
    return _lit(image, random, 1, 12, 10), _FINE


def compressed(image: Image, random: Random) -> tuple[Image, int]:
    """Two fifths of the side and a JPEG of quality 10, as forwarded pictures are."""
    return shrunk(image, 0.4), 10


def camera(image: Image, random: Random) -> tuple[Image, int]:
    """All at once but less: a quarter of the side, moved, a third of the light, a JPEG of quality 40."""
    return _lit(_moved(shrunk(image, 0.25), random, 0.03), random, 1 / 3, 80, 1.5), 40


PHOTO_CONDITIONS: Mapping[str, Change] = {
    "small": small,
    "motion": motion,
    "night": night,
    "noise": noise,
    "compressed": compressed,
    "camera": camera,
}
