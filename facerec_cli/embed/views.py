"""The scales and turns at which one photo is looked at, and the way between their coordinates.

A face is searched in a small version of the photo and cut from the smallest version that still has as many
pixels as the crop needs: never enlarged while the photo holds more detail, never thinned out by sampling
every fifth pixel of a large one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces import Face
from facerec_cli.images import REDUCTIONS, Photo, shrink
from facerec_cli.images.memory import room

Image = NDArray[np.uint8]
Points = NDArray[np.float32]

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def turn(image: Image, degrees: int) -> Image:
    """Turn a photo clockwise by a multiple of 90 degrees."""
    return image if degrees == 0 else np.asarray(cv2.rotate(image, _TURNS[degrees]), np.uint8)


def room_for(photo: Photo, reduction: int) -> AbstractContextManager[object]:
    """Wait until there is memory to decode: however many threads, one huge photo at a time is in it."""
    return room.take(photo.header.memory(reduction))


@dataclass(frozen=True, slots=True)
class View:
    """A photo as the detector sees it.

    Attributes:
        photo: The encoded photo.
        image: (H, W, 3) uint8 BGR at ``reduction``, turned by ``rotation``.
        reduction: By what the sides were divided.
        rotation: Degrees clockwise.
        size: (width, height) of the upright photo at full size, not turned.
    """

    photo: Photo
    image: Image
    reduction: int
    rotation: int
    size: tuple[int, int]

    def turned(self, degrees: int) -> View:
        """The same photo, turned clockwise from upright."""
        return View(self.photo, turn(self.image, degrees), self.reduction, degrees, self.size)

    def at(self, reduction: int) -> View:
        """The same photo at another scale; decoded anew where that needs more detail than is at hand."""
        if reduction == self.reduction:
            return self
        if reduction < self.reduction:
            image = turn(self.photo.decode(reduction), self.rotation)
        else:
            image = shrink(self.image, reduction // self.reduction)
        return View(self.photo, image, reduction, self.rotation, self.size)

    def move(self, points: Points, other: View) -> Points:
        """Carry (N, 2) points from this view to another of the same turn; pixel centres stay on centres."""
        if other.reduction == self.reduction:
            return points
        upright = _turn_back(points, self.rotation, self.image)
        scaled = (upright + 0.5) * (self.reduction / other.reduction) - 0.5
        return _turn_points(scaled, other.rotation, other.image)

    def upright(self, points: Points) -> Points:
        """Carry (N, 2) points from this view to the upright photo at full size."""
        scaled = (_turn_back(points, self.rotation, self.image) + 0.5) * self.reduction - 0.5
        return np.asarray(scaled, np.float32)

    def upright_face(self, face: Face) -> Face:
        """A face of this view in pixels of the upright photo at full size."""
        corners = self.upright(face.box.reshape(2, 2))
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        return Face(box=box, landmarks=self.upright(face.landmarks), score=face.score)


def open_view(photo: Photo, side: int) -> View:
    """Decode a photo at the strongest reduction that leaves about ``side`` pixels.

    A quarter less is taken for enough: the next finer step has four times the pixels to decode and hold.
    """
    longer = max(photo.header.width, photo.header.height)
    reduction = max(r for r in REDUCTIONS if r == 1 or longer >= 0.75 * side * r)
    with room_for(photo, reduction):
        image = photo.decode(reduction)
    with room_for(photo, 1 if photo.rounded_to_square(image) else reduction):
        size = photo.upright_size(image)
    return View(photo, image, reduction, 0, size)


def best_reduction(view: View, face: Face, spread: float) -> int:
    """The strongest reduction at which a face has at least as many pixels as its crop.

    Args:
        view: Where the face was found.
        face: The face, in the view's pixels.
        spread: Root mean square distance of the template's points from their mean, in pixels of the crop.
    """
    ratio = rms_spread(face.landmarks) * view.reduction / spread  # pixels of the full photo per crop pixel
    return max((r for r in REDUCTIONS if r <= ratio), default=1)


def rms_spread(points: NDArray[np.floating]) -> float:
    """Root mean square distance of (N, 2) points from their mean."""
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _turn_back(points: Points, degrees: int, turned: Image) -> Points:
    """Carry points of a photo that was turned clockwise to the photo before."""
    if degrees == 0:
        return points
    height, width = turned.shape[:2]
    x, y = points[:, 0], points[:, 1]
    before = {
        90: (y, width - 1 - x),
        180: (width - 1 - x, height - 1 - y),
        270: (height - 1 - y, x),
    }
    return np.stack(before[degrees], axis=1).astype(np.float32)


def _turn_points(points: Points, degrees: int, turned: Image) -> Points:
    """The way back from :func:`_turn_back`."""
    if degrees == 0:
        return points
    height, width = turned.shape[:2]
    x, y = points[:, 0], points[:, 1]
    after = {
        90: (width - 1 - y, x),
        180: (width - 1 - x, height - 1 - y),
        270: (y, height - 1 - x),
    }
    return np.stack(after[degrees], axis=1).astype(np.float32)
