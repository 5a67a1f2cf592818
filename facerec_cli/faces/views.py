"""The scales and turns at which one photo is looked at, and the way between their coordinates.

A face is searched in a small version of the photo and cut from the smallest version that still has as many
pixels as the crop needs: never enlarged while the photo holds more detail, never thinned out by sampling
every fifth pixel of a large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.face import Face
from facerec_cli.images import REDUCTIONS, Photo, shrink
from facerec_cli.images.limits import room
from facerec_cli.images.samples import Image

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
    """A photo at one scale and turn.

    Attributes:
        photo: The encoded photo; None where only pixels were given, which have no finer scale.
        image: (H, W, 3) uint8 BGR at ``reduction``, turned by ``rotation``.
        reduction: By what the sides were divided.
        rotation: Degrees clockwise.
        size: (width, height) of the upright photo at full size, not turned.
    """

    photo: Photo | None
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
            assert self.photo is not None, "pixels at hand are at their finest scale"
            image = turn(self.photo.decode(reduction), self.rotation)
        else:
            image = shrink(self.image, reduction // self.reduction)
        return View(self.photo, image, reduction, self.rotation, self.size)

    @contextmanager
    def opened(self, reduction: int) -> Iterator[View]:
        """The same photo at another scale for as long as the block lasts; huge ones wait for their turn."""
        with room_for(self.photo, reduction) if self.photo is not None else nullcontext():
            yield self.at(reduction)

    def move(self, points: Points, other: View) -> Points:
        """Carry (N, 2) points from this view to another of the same turn; pixel centers stay on centers."""
        if other.reduction == self.reduction:
            return points
        upright = _turn_back(points, self.rotation, self.image)
        scaled = (upright + 0.5) * (self.reduction / other.reduction) - 0.5
        return _turn_points(scaled, other.rotation, other.image)

    def moved(self, face: Face, other: View) -> Face:
        """A face of this view in pixels of another of the same turn."""
        box = self.move(face.box.reshape(2, 2), other).reshape(4)
        return Face(box=box, landmarks=self.move(face.landmarks, other), score=face.score)

    def upright(self, points: Points) -> Points:
        """Carry (N, 2) points from this view to the upright photo at full size."""
        scaled = (_turn_back(points, self.rotation, self.image) + 0.5) * self.reduction - 0.5
        return np.asarray(scaled, np.float32)

    def upright_face(self, face: Face) -> Face:
        """A face of this view in pixels of the upright photo at full size."""
        corners = self.upright(face.box.reshape(2, 2))
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        return Face(box=box, landmarks=self.upright(face.landmarks), score=face.score)


def view_of(image: Image) -> View:
    """The view of a photo whose pixels are all at hand.

    Args:
        image: (H, W, 3) uint8 BGR, upright.
    """
    return View(None, image, 1, 0, (image.shape[1], image.shape[0]))


def search_scale(size: tuple[int, int], side: int) -> float:
    """By what the sides of a photo are multiplied for its first search; never more than 1.

    The longer side gets ``side`` pixels. A photo that is more than twice as long as it is wide (a panorama,
    a long screenshot) would lose its faces that way; there the shorter side gets half of it.

    Args:
        size: (width, height) in pixels.
        side: As ``max_side`` of ``FaceModel.detect``.
    """
    return min(1.0, side / min(max(size), 2 * min(size)))


def reduction_for(scale: float) -> int:
    """The strongest reduction whose photo is good enough for a scale.

    A quarter less is taken for enough: the next finer step has four times the pixels to decode and hold.
    """
    return max(r for r in REDUCTIONS if r == 1 or 1 / r >= 0.75 * scale)


def open_view(photo: Photo, side: int) -> View:
    """Decode a photo at the strongest reduction that is good enough for :func:`search_scale`."""
    reduction = reduction_for(search_scale((photo.header.width, photo.header.height), side))
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
