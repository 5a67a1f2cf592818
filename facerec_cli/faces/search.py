"""At which scales a photo is searched for faces, and which of two looks is believed.

A detector is made for faces of some range of sizes on its input. YuNet, tried on 60 faces of LFW that were
enlarged to fill their photo, gives scores of 0.9 and right landmarks from 30 to 430 pixels; at 600 the scores
fall to 0.8, at 900 it finds nothing or nonsense. So a photo is searched at a first scale that suits most, at
a smaller one where a face may be too large for that, and at larger ones for as long as small faces turn up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.canvas import Canvas, InputSizes
from facerec_cli.faces.face import Face
from facerec_cli.faces.views import View, reduction_for, search_scale
from facerec_cli.images import ImageError

SURE = 0.9
"""The detection score of a face that the detector is made for, upright and of a fitting size. Of LFW's photos
1 % have no such face; faces that are turned or too large score less."""

GAIN = 0.02
"""By how much one look's score must exceed another's to be believed instead."""

_COARSE_SIDE = 320  # of the search for large faces: one as high as the photo has 320 pixels
_LARGE = 400  # pixels of a face on the input, above which a smaller scale is tried
_MISSES_LARGE = 640  # longer side of an input on which a face as high as the photo may be missed altogether
_EASY = 200  # pixels of a face on the input that a smaller scale shows well too: at least 62 there
_SMALL = 32  # pixels of a face on the input, below which there may be others too small to be found
_SAME_FACE = 0.5  # of the smaller box inside the other: both are of one face
_CLOSE_UP_SIDE = 160  # longer side of a photo that is searched with a margin


class Look(Protocol):
    """Runs the detector: for every photo the faces on all its canvases, in pixels of the photo."""

    def __call__(self, photos: Sequence[Sequence[Canvas]], min_score: float) -> list[list[Face]]:
        """Best score first."""
        ...


@dataclass(frozen=True, slots=True)
class Search:
    """The way in which one detector searches photos of any size.

    Attributes:
        look: Runs the detector.
        min_score: Threshold on the score, 0..1.
        sizes: The inputs that the detector is shown.
        side: The longer side, in pixels, at which photos are searched first.
    """

    look: Look
    min_score: float
    sizes: InputSizes
    side: int

    @classmethod
    def of(
        cls, look: Look, *, min_score: float, max_side: int, stride: int, fixed: tuple[int, int] | None
    ) -> Search:
        """The search with a detector whose input is padded to ``stride`` or has the size ``fixed``.

        ``max_side``, the side of the first search (:data:`DEFAULT_MAX_SIDE`), gives way to ``fixed``.
        """
        side = max(fixed) if fixed else max_side
        return cls(look, min_score, InputSizes(max(side, _COARSE_SIDE), stride, fixed), side)

    def run(self, views: Sequence[View], *, second_look: bool = True, finer: bool = True) -> list[list[Face]]:
        """Find the faces of photos.

        Args:
            views: The photos; at the reduction of ``views.open_view`` or finer.
            second_look: Whether other scales than the first are tried.
            finer: Whether larger scales than the first are among them.

        Returns:
            For every view its faces in its own pixels, best score first.
        """
        scales = [self._first_scale(view) for view in views]
        first = [self._fit(view, scale) for view, scale in zip(views, scales, strict=True)]
        faces_of = self.look(first, self.min_score)
        del first
        if not second_look:
            return faces_of
        coarse = {row: self._coarse(views[row], scales[row], faces_of[row]) for row in range(len(views))}
        for row, faces in self._again(coarse):
            plain = _EASY / (views[row].reduction * scales[row])
            faces_of[row] = merge(_confirmed(faces_of[row], faces, low=plain), faces)
        for row, view in enumerate(views if finer else ()):
            faces_of[row] = self._finer(view, scales[row], faces_of[row])
        empty = {
            row: [self.sizes.close_up(view.image, _CLOSE_UP_SIDE)]
            for row, view in enumerate(views)
            if not faces_of[row]
        }
        for row, faces in self._again(empty):
            faces_of[row] = faces
        return faces_of

    def _first_scale(self, view: View) -> float:
        """From the full photo to the first input."""
        size = view.image.shape[1] * view.reduction, view.image.shape[0] * view.reduction
        scale = search_scale(size, self.side)
        if self.sizes.fixed and max(size) <= 2 * min(size):  # one input that is not square
            width, height = self.sizes.fixed
            scale = min(1.0, width / size[0], height / size[1])
        return scale

    def _fit(self, view: View, scale: float) -> list[Canvas]:
        return self.sizes.fit(view.image, min(1.0, scale * view.reduction))

    def _again(self, canvases: Mapping[int, Sequence[Canvas]]) -> list[tuple[int, list[Face]]]:
        """Look at those photos that have canvases, together."""
        rows = [row for row, shown in canvases.items() if shown]
        return list(zip(rows, self.look([canvases[row] for row in rows], self.min_score), strict=True))

    def _coarse(self, view: View, scale: float, faces: Sequence[Face]) -> list[Canvas]:
        """The canvases of a search for large faces; none where there can be none, or a sure one was found."""
        height, width = view.image.shape[:2]
        effective = min(max(width, height), 2 * min(width, height)) * view.reduction * scale
        if effective <= 1.4 * _COARSE_SIDE:
            return []
        sizes = [face.size * view.reduction * scale for face in faces]
        certain = bool(faces) and max(sizes) <= _LARGE and min(face.score for face in faces) >= SURE
        if effective <= _MISSES_LARGE and certain:
            return []
        return self._fit(view, scale * _COARSE_SIDE / effective)

    def _finer(self, view: View, scale: float, faces: list[Face]) -> list[Face]:
        """Search at twice the scale while faces turn up that are small there; once where there are none."""
        newest: Sequence[Face] = faces
        once = not faces
        while scale < 1 and (once or any(face.size * view.reduction * scale < _SMALL for face in newest)):
            once = False
            weak = _SMALL / (view.reduction * scale)
            scale = min(1.0, 2 * scale)
            try:
                with view.opened(min(view.reduction, reduction_for(scale))) as closer:
                    seen = self.look([self._fit(closer, scale)], self.min_score)[0]
                    newest = [closer.moved(face, view) for face in seen]
            except ImageError:  # what is seen of it at a reduction is all that there is
                break
            if faces:
                newest = _confirmed(newest, faces, low=_EASY / (view.reduction * scale))
            faces = merge(_confirmed(faces, newest, high=weak), newest, weak=weak)
        return faces


def merge(faces: Sequence[Face], others: Sequence[Face], *, weak: float = 0) -> list[Face]:
    """The faces of two looks at one photo as one list, best score first.

    Where they overlap, most of the smaller box inside the other, they are of one face, and the first look is
    believed unless the second scores more by :data:`GAIN` than all that it would replace.

    Args:
        faces: Of the first look.
        others: Of the second.
        weak: Faces of the first look below this size give way to any of the second.
    """
    boxes = _boxes(faces)
    asked = np.array([face.score + GAIN if face.size >= weak else 0.0 for face in faces])
    stays = np.ones(len(faces), bool)
    added = []
    for other in others:
        rivals = _overlaps(other.box, boxes) > _SAME_FACE
        if (other.score > asked[rivals]).all():
            stays &= ~rivals
            added.append(other)
    staying = [face for face, stay in zip(faces, stays, strict=True) if stay]
    return sorted(staying + added, key=lambda face: -face.score)


def _confirmed(
    faces: Sequence[Face], others: Sequence[Face], *, low: float = 0, high: float = np.inf
) -> list[Face]:
    """The faces of a look without those that are none: unsure, and not seen by another that must see them.

    Args:
        faces: Of the one look.
        others: Of the other.
        low: From which size on the other must see a face.
        high: Up to which.
    """
    boxes = _boxes(others)
    return [
        face
        for face in faces
        if face.score >= SURE
        or not low <= face.size < high
        or (_overlaps(face.box, boxes) > _SAME_FACE).any()
    ]


def _boxes(faces: Sequence[Face]) -> NDArray[np.float32]:
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)


def _overlaps(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K,) the part of the smaller of two boxes that is inside the other."""
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    smaller = np.minimum(areas, np.clip(box[2:] - box[:2], 0, None).prod())
    return np.asarray(np.clip(shared, 0, None).prod(axis=1) / np.maximum(smaller, 1e-6))
