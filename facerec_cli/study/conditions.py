"""What is done to a test photo: degradations that are fixed for each photo, and are not the trainer's.

The trainer degrades at random (``data/loading/augment.py``). Here each photo has one version of each
condition. It depends on the photo's name only, so that every model, seed and machine compares the same
pixels. The kinds are the same, the functions are not: masks and sunglasses are drawn where they are worn,
and low light has shot noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.registry import unknown_name

Image = NDArray[np.uint8]
Random = np.random.Generator

SIDE = 112
# Where eyes, nose and mouth are in a crop, pixels of 112 x 112 (x, y): ArcFace's template.
_EYES = ((38.3, 51.7), (73.5, 51.5))
_MASKS = (
    (214, 168, 120),
    (235, 235, 235),
    (35, 35, 38),
    (120, 150, 190),
)  # RGB: cloth, white, black, surgical
_SHIFT = 4  # OpenCV draws at 1/16 pixels


def motion(image: Image, random: Random) -> Image:
    """Moved by 17 pixels in a direction of its own."""
    length = 17
    angle = np.pi * random.random()
    kernel = np.zeros((length, length), np.float32)
    middle = length // 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    one, two = (_point(*(middle + sign * reach)) for sign in (-1, 1))
    cv2.line(kernel, one, two, 1.0, 1, cv2.LINE_8, _SHIFT)
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8)


def mask(image: Image, random: Random) -> Image:
    """A cloth mask from the bridge of the nose to below the chin, of one of four colours."""
    top = 64 + 5 * random.random()
    outline = [
        (22, top + 3),
        (40, top),
        (56, top - 6),
        (72, top),
        (90, top + 3),
        (88, 96),
        (74, 112),
        (38, 112),
    ]
    outline += [(24, 96)]
    shade = np.linspace(1.06, 0.78, SIDE, dtype=np.float32)[:, None, None]  # light comes from above
    folds = 1 + 0.04 * np.sin(np.arange(SIDE) / 2.1, dtype=np.float32)[:, None, None]
    colour = np.array(_MASKS[int(random.integers(len(_MASKS)))], np.float32)
    noise = random.normal(0, 3, (SIDE, SIDE, 1)).astype(np.float32)
    cover: NDArray[np.float32] = (shade * folds * colour + noise).astype(np.float32)
    return _covered(image, [outline], cover)


def sunglasses(image: Image, random: Random) -> Image:
    """Dark lenses over both eyes with a bridge and temples."""
    width, height = 13.5 + 2.5 * random.random(), 9.5 + 2.0 * random.random()
    angles = np.linspace(0, 2 * np.pi, 40)
    lenses = [[(x + width * np.cos(a), y + 1 + height * np.sin(a)) for a in angles] for x, y in _EYES]
    bars = [[(8, 47), (104, 47), (104, 51), (8, 51)]]
    glass = np.full((SIDE, SIDE, 3), (18, 18, 22), np.float32)
    glass += np.linspace(22, 0, SIDE, dtype=np.float32)[:, None, None]  # a reflection at the top
    return _covered(image, [*lenses, *bars], glass)


def dark(image: Image, random: Random) -> Image:
    """Low light: 6 % of the photons, a sensor's shot and read noise, no gain."""
    electrons = image.astype(np.float32) * 0.06 * 8
    seen = random.poisson(electrons) / 8 + random.normal(0, 1.5, image.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


CONDITIONS: Mapping[str, Callable[[Image, Random], Image]] = {
    "clean": lambda image, random: image,
    "px16": lambda image, random: _through(image, 16),
    "px24": lambda image, random: _through(image, 24),
    "motion": motion,
    "mask": mask,
    "sunglasses": sunglasses,
    "dark": dark,
}


def apply(name: str, images: NDArray[np.uint8], photos: Sequence[str]) -> NDArray[np.uint8]:
    """All photos under one condition.

    Args:
        name: Key of ``CONDITIONS``.
        images: (N, 112, 112, 3) uint8 RGB.
        photos: N names; each seeds its own degradation.

    Raises:
        UsageError: There is no such condition.
    """
    if name not in CONDITIONS:
        raise unknown_name(name, CONDITIONS, "condition")
    change = CONDITIONS[name]
    pairs = zip(images, photos, strict=True)
    changed = [
        change(image, np.random.default_rng(crc32(f"{name}/{photo}".encode()))) for image, photo in pairs
    ]
    return np.stack(changed) if changed else images


def _through(image: Image, side: int) -> Image:
    """Shrunk to ``side`` x ``side`` pixels and enlarged again."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def _covered(
    image: Image, outlines: Sequence[Sequence[tuple[float, float]]], cover: NDArray[np.float32]
) -> Image:
    """``cover`` within the outlines, with soft edges."""
    inside = np.zeros((SIDE, SIDE), np.uint8)
    for outline in outlines:
        points = np.array([_point(x, y) for x, y in outline], np.int32)
        cv2.fillPoly(inside, [points], 255, cv2.LINE_AA, _SHIFT)
    share = inside[..., None].astype(np.float32) / 255
    return np.clip(np.rint(image * (1 - share) + cover * share), 0, 255).astype(np.uint8)


def _point(x: float, y: float) -> tuple[int, int]:
    return round(x * 2**_SHIFT), round(y * 2**_SHIFT)
