"""``synthetic:CLASSES[:PHOTOS]``: photos made up on the fly, for smoke runs and benchmarks.

Each class has a smooth color pattern of its own; each photo is that pattern, shifted, with other
contrast and under noise. A network learns to tell them apart within a few hundred steps, so that a
falling loss means something.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import MAX_CLASSES, ClassNumbers, FaceDataset
from facerec_cli.errors import UsageError
from facerec_cli.wording import people

SIZE = 112
_MAX_PHOTOS = 1_000_000_000  # their labels take 8 GB
_GRID = 7  # cells of a class's pattern per side; smooth enough to survive noise and flips of a cell
_NOISE = np.random.default_rng(0).normal(0.0, 24.0, (2 * SIZE, 2 * SIZE, 3)).astype(np.int16)


class SyntheticDataset(FaceDataset):
    """Made-up photos: the same index gives the same photo on every machine.

    Args:
        num_classes: People.
        photos: Photos per person.
    """

    format = "synthetic"
    PHOTOS = 20

    def __init__(self, num_classes: int, photos: int = PHOTOS) -> None:
        self.spec = f"synthetic:{num_classes}:{photos}"
        self.photos = photos
        self.class_names = ClassNumbers(num_classes)
        self.labels = np.repeat(np.arange(num_classes, dtype=np.int64), photos)

    @classmethod
    def open(cls, spec: str) -> SyntheticDataset:
        """Read ``synthetic:CLASSES[:PHOTOS]``, PHOTOS being per class.

        Raises:
            UsageError: It says something else, or more than can be numbered.
        """
        parts = spec.split(":")[1:]
        if not 1 <= len(parts) <= 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UsageError(
                f"{spec!r} is not a synthetic data set.",
                hint="Write synthetic:CLASSES or synthetic:CLASSES:PHOTOS_PER_CLASS, e.g. synthetic:100:20.",
            )
        classes, photos = (*map(int, parts), cls.PHOTOS)[:2]
        if classes > MAX_CLASSES or classes * photos > _MAX_PHOTOS:
            raise UsageError(
                f"{spec} would be {people(classes)} with {classes * photos:,} photos, which is too many.",
                hint=f"It can have up to {MAX_CLASSES:,} people and {_MAX_PHOTOS:,} photos in all.",
            )
        return cls(classes, photos)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(112, 112, 3) uint8 RGB."""
        pattern = np.random.default_rng([1, int(self.labels[index])])
        cells = pattern.integers(40, 216, (_GRID, _GRID, 3), dtype=np.uint8)
        photo = np.random.default_rng([2, index])
        shift_x, shift_y, noise_x, noise_y = photo.integers(0, (13, 13, SIZE, SIZE))
        canvas = cv2.resize(cells, (SIZE + 12, SIZE + 12), interpolation=cv2.INTER_LINEAR)
        window = canvas[shift_y : shift_y + SIZE, shift_x : shift_x + SIZE].astype(np.int16)
        contrast = int(photo.integers(96, 160))  # in 1/128
        noise = _NOISE[noise_y : noise_y + SIZE, noise_x : noise_x + SIZE]
        image: NDArray[np.uint8] = np.clip((window - 128) * contrast // 128 + 128 + noise, 0, 255).astype(
            np.uint8
        )
        return image

    def read(self, index: int) -> bytes:
        """The photo as PNG."""
        done, data = cv2.imencode(".png", cv2.cvtColor(self.image(index), cv2.COLOR_RGB2BGR))
        assert done
        return data.tobytes()

    def name(self, index: int) -> str:
        """``class/number.png``."""
        return f"{index // self.photos}/{index % self.photos:06d}.png"
