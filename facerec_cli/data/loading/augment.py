"""What is done to a training photo: random augmentation, and the described degradations of hard branches.

Every operation is a pure function of a photo and of a row of uniform numbers. A batch draws one table of
them from (seed, epoch, step), so the result does not depend on which worker or rank computes it.
Everything runs in the loader's workers on uint8 with OpenCV; see docs/data.md for the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.registry import unknown_name
from facerec_cli.settings import Option, check

Image = NDArray[np.uint8]
Row = NDArray[np.float64]

COLUMNS = 40  # uniform numbers a row of the batch may use
_PER_OPERATION = 7
_STREAM, _KINDS = 2, 3  # apart from the samplers' random streams and from each other


_Share = Annotated[float, Option(flag="", ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Augment:
    """How often each augmentation is applied; 0 never, 1 always.

    Attributes:
        flip: Mirror left and right.
        crop: Cut out 75-100 % of the area and resize it back.
        lowres: Shrink to 20-100 % of the side and enlarge again.
        photometric: Change brightness, contrast and saturation by up to 30 %.
        occlusion: Cover a rectangle of 2-20 % of the area with one color.
        gray: Take the color out.
    """

    flip: _Share = 0.5
    crop: _Share = 0.0
    lowres: _Share = 0.0
    photometric: _Share = 0.0
    occlusion: _Share = 0.0
    gray: _Share = 0.0

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, image: Image, row: Row) -> Image:
        """Augment one photo.

        Args:
            image: (S, S, 3) uint8 RGB; not written to.
            row: (COLUMNS,) uniform numbers in [0, 1).
        """
        gates, numbers = row[:5], row[5:]
        if gates[0] < self.crop:
            image = crop(image, numbers)
        if gates[1] < self.lowres:
            image = lowres(image, numbers[_PER_OPERATION:], smallest=0.2, largest=1.0)
        if gates[2] < self.photometric:
            image = photometric(image, numbers[2 * _PER_OPERATION :])
        if gates[3] < self.occlusion:
            image = occlusion(image, numbers[3 * _PER_OPERATION :], smallest=0.02, largest=0.2)
        if numbers[3 * _PER_OPERATION - 1] < self.gray:  # photometric leaves this number
            image = gray(image)
        if gates[4] < self.flip:  # by OpenCV: NumPy turns pixel after pixel, and takes ten times as long
            return cv2.flip(image, 1)  # type: ignore[return-value]
        return image


def uniform_rows(seed: int, epoch: int, step: int, count: int) -> NDArray[np.float64]:
    """(count, COLUMNS) float64 uniform numbers of one global batch."""
    return np.random.default_rng([seed, _STREAM, epoch, step]).random((count, COLUMNS))


def random_kinds(
    seed: int, epoch: int, step: int, count: int, *, share: float, kinds: int
) -> NDArray[np.int64]:
    """(count,) which rows of a global batch are made hard: 0 as it is, k = with the k-th of ``kinds``.

    Args:
        seed: Of the run.
        epoch: 0-based.
        step: 0-based within the epoch.
        count: Rows of the global batch.
        share: Part of the rows that is made hard, 0..1.
        kinds: Degradations to draw from.
    """
    random = np.random.default_rng([seed, _KINDS, epoch, step])
    drawn = 1 + random.integers(kinds, size=count)
    return np.where(random.random(count) < share, drawn, 0)


def crop(image: Image, u: Row) -> Image:
    """Cut out 75-100 % of the area at a random place and resize it back."""
    size = image.shape[0]
    side = max(1, round(size * np.sqrt(0.75 + 0.25 * u[0])))
    top, left = int(u[1] * (size - side + 1)), int(u[2] * (size - side + 1))
    return _resize(image[top : top + side, left : left + side], size, cv2.INTER_LINEAR)


def lowres(image: Image, u: Row, *, smallest: float = 0.1, largest: float = 0.3) -> Image:
    """Shrink the side by a factor of ``smallest``..``largest`` (area) and enlarge it again.

    The default, 10-30 % (11 to 34 of 112 pixels), is a face seen from far away.
    """
    size = image.shape[0]
    side = max(1, round(size * (smallest + (largest - smallest) * u[0])))
    way = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[int(u[1] * 3)]
    return _resize(_resize(image, side, cv2.INTER_AREA), size, way)


def photometric(image: Image, u: Row) -> Image:
    """Scale brightness, contrast (around the mean) and saturation by 0.7..1.3 each."""
    brightness, contrast, saturation = 0.7 + 0.6 * u[:3]
    values = image.astype(np.float32) * np.float32(brightness)
    mean = values.mean()
    values = (values - mean) * np.float32(contrast) + mean
    gray = values @ np.array([0.299, 0.587, 0.114], np.float32)
    values = gray[..., None] + (values - gray[..., None]) * np.float32(saturation)
    return _to_uint8(values)


def gray(image: Image) -> Image:
    """Without color: three channels that are the same."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def occlusion(image: Image, u: Row, *, smallest: float = 0.1, largest: float = 0.4) -> Image:
    """Cover a rectangle of ``smallest``..``largest`` of the area, of any place and color.

    The default hides as much as a mask, a scarf or sunglasses with a hand do.
    """
    size = image.shape[0]
    area = smallest + (largest - smallest) * u[0]
    ratio = np.exp(np.log(3.0) * (2 * u[1] - 1))  # height : width from 1:3 to 3:1
    height = min(size, max(1, round(size * np.sqrt(area * ratio))))
    width = min(size, max(1, round(size * np.sqrt(area / ratio))))
    top, left = int(u[2] * (size - height + 1)), int(u[3] * (size - width + 1))
    image = image.copy()
    image[top : top + height, left : left + width] = (u[4:7] * 256).astype(np.uint8)
    return image


def blur(image: Image, u: Row) -> Image:
    """Half of the time out of focus (Gaussian, sigma 2-4 pixels at 112), else moved by 9-21 pixels."""
    unit = image.shape[0] / 112
    if u[0] < 0.5:
        return cv2.GaussianBlur(image, (0, 0), (2 + 2 * u[1]) * unit)  # type: ignore[return-value]
    length = max(3, round((9 + 12 * u[1]) * unit)) | 1
    kernel = np.zeros((length, length), np.float32)
    middle, angle = length // 2, np.pi * u[2]
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint([middle - reach, middle + reach]).astype(int)
    cv2.line(kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def dark(image: Image, u: Row) -> Image:
    """Low light: 5-25 % of the brightness, then the noise of a sensor that is turned up."""
    gain = 0.05 + 0.2 * u[0]
    noise = np.random.default_rng(int(u[1] * 2**53)).standard_normal(image.shape, np.float32)
    return _to_uint8(image * np.float32(gain) + noise * np.float32(2 + 6 * u[2]))


def mixed(image: Image, u: Row) -> Image:
    """One of the four others, so that one hard branch (ddl) or one name has them all."""
    kinds = (lowres, blur, occlusion, dark)
    number = int(u[0] * len(kinds))
    return kinds[number](image, np.array([u[0] * len(kinds) - number, *u[1:]]))


DEGRADATIONS: Mapping[str, Callable[[Image, Row], Image]] = {
    "lowres": lowres,
    "blur": blur,
    "occlusion": occlusion,
    "dark": dark,
    "mixed": mixed,
}


def degradation(name: str) -> Callable[[Image, Row], Image]:
    """The degradation of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in DEGRADATIONS:
        raise unknown_name(name, DEGRADATIONS, "degradation")
    return DEGRADATIONS[name]


def _resize(image: Image, size: int, interpolation: int) -> Image:
    return cv2.resize(image, (size, size), interpolation=interpolation)  # type: ignore[return-value]


def _to_uint8(values: NDArray[np.float32]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
