"""Photos made hard where it happens in life: the whole photo, before a face is found in it and aligned.

A crop that is made hard afterwards has its eyes in place; in life the landmarks of a small, blurred or dark
face are off, and the crop with them. So training photos are made hard here, faces are found in what comes out
(``facerec data align``), and with ``data.versions`` a run is shown those crops in place of the clean ones.

What is drawn is meant for photos like LFW's, 250 pixels with a face that takes two fifths of the side.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.decode import decode_rgb
from facerec_cli.data.formats.folder import write_folder
from facerec_cli.data.targets import require_free
from facerec_cli.progress import Progress, silent

Image = NDArray[np.uint8]
Random = np.random.Generator
Change = Callable[[Image, Random], tuple[Image, int]]
"""Of a photo (H, W, 3) uint8 RGB: the photo made hard, and the quality of its JPEG."""

_FINE = 95  # quality of a JPEG that shows no trace of it


def life(image: Image, random: Random) -> tuple[Image, int]:
    """One to three of far away, blurred, dark and badly compressed, each as strong as it is drawn.

    In the order in which a camera does it: the lens shrinks and blurs, the sensor counts few photons and adds
    noise, the file is compressed.
    """
    wanted = random.permutation(4)[: 1 + random.integers(3)]
    if 0 in wanted:
        image = far(image, random)
    if 1 in wanted:
        image = blurred(image, random)
    if 2 in wanted:
        image = dark(image, random)
    return image, int(random.integers(8, 50)) if 3 in wanted else _FINE


def far(image: Image, random: Random) -> Image:
    """Shrunk to 13-50 % of the side: faces of 13 to 50 pixels on photos like LFW's."""
    share = np.exp(random.uniform(np.log(0.13), np.log(0.5)))
    height, width = (max(8, round(side * share)) for side in image.shape[:2])
    ways = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    smooth = image if random.random() < 0.5 else cv2.GaussianBlur(image, (0, 0), 0.35 / share)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=ways[random.integers(3)]), np.uint8)


def blurred(image: Image, random: Random) -> Image:
    """Out of focus, or moved on a bent path; up to 9 % of the photo's side."""
    side = min(image.shape[:2])
    if random.random() < 0.4:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), side * random.uniform(0.006, 0.022)), np.uint8)
    length = max(2.0, side * random.uniform(0.02, 0.09))
    turn, bend = random.uniform(0, 2 * np.pi), random.uniform(-0.5, 0.5)
    along = np.linspace(-0.5, 0.5, 64)
    path = length * np.stack([along, bend * (along**2 - 1 / 12)])
    x, y = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ path
    size = 2 * int(np.ceil(length / 2 + 1)) + 1
    kernel = np.histogram2d(y, x, bins=size, range=[[-size / 2, size / 2]] * 2)[0].astype(np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), np.uint8)


def dark(image: Image, random: Random) -> Image:
    """4-60 % of the light, and noise that grows with it; half of the time both are brightened again."""
    light = np.exp(random.uniform(np.log(0.04), np.log(0.6)))
    seen = image.astype(np.float32) * np.float32(light)
    shot, read = random.uniform(0.05, 0.5), random.uniform(0.5, 4)
    seen += random.standard_normal(image.shape, np.float32) * np.sqrt(shot * seen + read**2)
    if random.random() < 0.5:  # a camera that turns up its gain
        seen = np.rint(seen) * np.float32(random.uniform(0.5, 1) / light)
    return np.asarray(np.clip(np.rint(seen), 0, 255), np.uint8)


class HardPhotos(FaceDataset):
    """The photos of a data set made hard, under their own names and labels; always the same for a seed.

    Args:
        source: Whole photos.
        change: What is done to each.
        seed: Another one makes each photo hard in another way.
    """

    format = "made hard"

    def __init__(self, source: FaceDataset, change: Change = life, seed: int | str = 0) -> None:
        self.source, self.change, self.seed = source, change, seed
        self.spec = source.spec
        self.labels = source.labels
        self.class_names = source.class_names

    def read(self, index: int) -> bytes:
        """A JPEG.

        Raises:
            InputError: The photo cannot be read.
        """
        name = self.name(index)
        random = np.random.default_rng(crc32(f"{self.seed}/{name}".encode("utf-8", "surrogateescape")))
        image, quality = self.change(decode_rgb(self.source.read(index), name), random)
        done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        return data.tobytes()

    def name(self, index: int) -> str:
        """As in the source."""
        return self.source.name(index)


def degrade(source: FaceDataset, target: Path, *, seed: int = 0, progress: Progress = silent) -> None:
    """Write the photos made hard as a folder per person, JPEG whatever they were.

    Args:
        source: Whole photos, not aligned crops.
        target: A new folder.
        seed: Decides how each photo is made hard, together with its name.
        progress: Told of the photos written.

    Raises:
        UsageError: The target exists.
        InputError: A photo cannot be read.
        OutputError: It cannot be written.
    """
    if not (target.is_dir() and not any(target.iterdir())):
        require_free([target], source)
    write_folder(HardPhotos(source, seed=seed), target, progress)
