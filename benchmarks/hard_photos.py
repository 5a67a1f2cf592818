"""LFW's photos made into those of other kinds, before a face is looked for: what ``kinds.py`` measures.

Each photo has one version of each kind, which depends on its name alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.align import similarity, template
from facerec_cli.study import conditions

Image = NDArray[np.uint8]
Change = Callable[[Image, np.random.Generator], Image]


def smaller(image: Image, share: float) -> Image:
    """The photo at a share of its width and height; LFW's faces are about 93 x 123 pixels."""
    return np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)


def grey(image: Image) -> Image:
    """Without color."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def side_light(image: Image, random: np.random.Generator) -> Image:
    """Light from one side alone: from full light to 0.5 % of it over the middle of the photo."""
    width = image.shape[1]
    share = np.clip((np.arange(width) / width - 0.38) / 0.24, 0, 1)
    share = share if random.random() < 0.5 else share[::-1]
    light = 0.005 ** (1 - share)
    linear = (image / 255.0) ** 2.2 * light[None, :, None]
    noisy = linear + random.normal(0, 0.002, image.shape)
    return np.clip(np.rint(255 * np.clip(noisy, 0, 1) ** (1 / 2.2)), 0, 255).astype(np.uint8)


def compressed(image: Image, quality: int) -> Image:
    """Through JPEG and back."""
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    )


def frame(image: Image, random: np.random.Generator) -> Image:
    """A frame of a video: faces of about 47 x 61 pixels, moved, with noise, strongly compressed."""
    moved = conditions.motion(image, random)
    small = smaller(moved, 0.5).astype(np.float32)
    noisy = np.clip(small * 0.6 + random.normal(0, 6, small.shape), 0, 255).astype(np.uint8)
    return compressed(noisy, 25)


KINDS: Mapping[str, Change] = {
    "clean": lambda image, random: image,
    "small": lambda image, random: smaller(image, 0.325),
    "small_grey": lambda image, random: grey(smaller(image, 0.475)),
    "grey": lambda image, random: grey(image),
    "dark": conditions.dark,
    "side_light": side_light,
    "motion": conditions.motion,
    "jpeg": lambda image, random: compressed(image, 8),
    "frame": frame,
}


def make(
    kind: str,
    names: Sequence[str],
    photos: Path,
    folder: Path,
    landmarks: Mapping[str, NDArray[np.float64]],
) -> None:
    """Write the photos of one kind, each in its person's folder.

    Args:
        kind: Of ``KINDS``, or ``mask``.
        names: ``PERSON/FILE.jpg``.
        photos: Where they are.
        folder: Where to; photos that are there already are left.
        landmarks: Where the five points of the face lie, for ``mask``; a photo without them is left as it is.
    """
    for name in names:
        target = folder / name
        if target.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        image = cv2.imread(str(photos / name), cv2.IMREAD_COLOR)
        random = np.random.default_rng(crc32(f"{kind}/{name}".encode()))
        if kind == "mask":
            points = landmarks.get(name)
            image = image if points is None else masked(image, random, points)
        else:
            image = KINDS[kind](image, random)
        cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


def masked(image: Image, random: np.random.Generator, landmarks: NDArray[np.float64]) -> Image:
    """With a cloth mask drawn where one is worn, in the photo."""
    matrix = similarity(landmarks, template("arcface", (112, 112)))
    state = json.dumps(random.bit_generator.state)
    layers = []
    for color in (0, 255):  # what is the same on black and on white is the mask
        random.bit_generator.state = json.loads(state)
        layers.append(conditions.mask(np.full((112, 112, 3), color, np.uint8), random).astype(np.float32))
    share = 1 - (layers[1] - layers[0]) / 255
    cover = np.where(share > 0, layers[0] / np.maximum(share, 1e-3), 0)
    size = image.shape[1], image.shape[0]
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    share, cover = (
        cv2.warpAffine(layer.astype(np.float32), matrix, size, flags=back) for layer in (share, cover)
    )
    return np.clip(np.rint(image * (1 - share) + cover[..., ::-1] * share), 0, 255).astype(np.uint8)
