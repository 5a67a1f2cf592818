"""Finding faces in photos of any size with any of the detectors in ``registry.DETECTORS``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces.candidates import Candidates, best
from facerec_cli.faces.encode import planes
from facerec_cli.faces.face import Face
from facerec_cli.faces.network import Empty, Network
from facerec_cli.packs.manifest import DetectorSpec
from facerec_cli.registry import DETECTORS, load

Image = NDArray[np.uint8]

DEFAULT_MAX_SIDE = 640
_GRID = 32  # the detectors' coarsest stride; inputs are padded to multiples of it
_CLOSE_UP_SIDE = 160  # longer side of a photo that is searched again as a close-up


class Decoder(Protocol):
    """Reads a detector's outputs; see ``yunet.YuNet`` and ``scrfd.Scrfd``."""

    has_landmarks: bool
    batched: bool
    box_offset: float

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], *, height: int, width: int, min_score: float
    ) -> Candidates:
        """The proposals that reach ``min_score``, in pixels of the network's input."""
        ...


@dataclass(frozen=True, slots=True)
class _View:
    """How a photo was put before the network: photo = (input - margin) / scale."""

    canvas: Image
    scale_x: float
    scale_y: float
    margin: int = 0


class Detector:
    """A detector network, its decoder, and the way photos are put before it.

    Args:
        spec: The manifest's detector table.
        path: Its ONNX file.
        device: See ``network.Network``.
        threads: Likewise.

    Raises:
        ModelError: The file is not a detector of ``spec.kind`` with landmarks, or cannot be run.
    """

    def __init__(self, spec: DetectorSpec, path: Path, *, device: str, threads: int | None) -> None:
        self.spec = spec
        self.network = Network(path, device=device, threads=threads)
        shape = self.network.input_shape
        if len(shape) != 4 or shape[1] not in (3, None):
            raise ModelError(
                f"{path} is not a face detector: its input is {shape}, not (N, 3, H, W).",
                hint="Give an SCRFD or YuNet file as the pack's detector.",
            )
        self.decoder: Decoder = load(DETECTORS, spec.kind, "detector")(
            self.network.outputs, self.network.ranks
        )
        if not self.decoder.has_landmarks:
            raise ModelError(
                f"{path} finds faces but gives no landmarks, and alignment needs them.",
                hint="Take the variant with key points (in insightface's names: bnkps or kps).",
            )
        height, width = shape[2:]
        self.input_size = spec.input_size or ((width, height) if width and height else None)

    def detect(
        self,
        images: Sequence[Image],
        *,
        min_score: float | None = None,
        min_size: float = 0,
        max_side: int | None = None,
        second_look: bool = True,
    ) -> list[list[Face]]:
        """Find the faces of every photo; see ``FaceModel.detect``."""
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
                raise InputError(f"A photo must be (H, W, 3) uint8 BGR, not {image.shape} {image.dtype}.")
        score = self.spec.min_score if min_score is None else min_score
        side = max_side or DEFAULT_MAX_SIDE
        found = self._look([self._fit(image, side) for image in images], score)
        if second_look:
            self._retry(found, images, self._close_up, score)
            shrunk = [image if max(image.shape) > side else None for image in images]
            self._retry(found, shrunk, lambda image: self._fit(image, 2 * side), score)
        return [[face for face in faces if face.size >= min_size] for faces in found]

    def _retry(
        self,
        found: list[list[Face]],
        images: Sequence[Image | None],
        view: Callable[[Image], _View],
        min_score: float,
    ) -> None:
        """Search those photos that have no face yet in another way."""
        empty = [(row, image) for row, image in enumerate(images) if image is not None and not found[row]]
        faces = self._look([view(image) for _, image in empty], min_score)
        for (row, _), seen in zip(empty, faces, strict=True):
            found[row] = seen

    def _look(self, views: list[_View], min_score: float) -> list[list[Face]]:
        """Run the network over ``views``, those of one shape together."""
        found: list[list[Face]] = [[] for _ in views]
        shapes: dict[tuple[int, ...], list[int]] = {}
        for row, view in enumerate(views):
            shapes.setdefault(view.canvas.shape, []).append(row)
        for (height, width, _), rows in shapes.items():

            def batch(span: slice, empty: Empty, rows: list[int] = rows) -> NDArray[np.float32]:
                canvases = [views[row].canvas for row in rows[span]]
                spec = self.spec
                return planes(canvases, color=spec.color, mean=spec.mean, std=spec.std, empty=empty)

            runs = self.network.run(len(rows), batch, one_by_one=not self.decoder.batched)
            for span, outputs in runs:
                proposed = self.decoder.decode(outputs, height=height, width=width, min_score=min_score)
                for position, row in enumerate(rows[span]):
                    found[row] = self._faces(
                        proposed.take(np.flatnonzero(proposed.photo == position)), views[row]
                    )
        return found

    def _faces(self, proposed: Candidates, view: _View) -> list[Face]:
        scale = np.array([view.scale_x, view.scale_y], np.float32)
        corners = (proposed.boxes.reshape(-1, 2, 2) - view.margin) / scale
        landmarks = (proposed.landmarks - view.margin) / scale
        proposed = proposed._replace(boxes=corners.reshape(-1, 4), landmarks=landmarks)
        proposed = proposed.take(np.flatnonzero(np.isfinite(proposed.boxes).all(axis=1)))
        chosen = proposed.take(best(proposed, iou=self.spec.nms_iou, offset=self.decoder.box_offset))
        return [
            Face(box=box, landmarks=points, score=float(score))
            for box, points, score in zip(chosen.boxes, chosen.landmarks, chosen.scores, strict=True)
        ]

    def _fit(self, image: Image, side: int) -> _View:
        """The photo shrunk to ``side`` or the network's fixed input, never enlarged, padded with black."""
        height, width = image.shape[:2]
        if self.input_size:
            scale = min(1.0, self.input_size[0] / width, self.input_size[1] / height)
        else:
            scale = min(1.0, side / max(height, width))
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        if scale < 1:
            image = np.asarray(
                cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA), np.uint8
            )
        return _View(self._pad(image, 0), new_width / width, new_height / height)

    def _close_up(self, image: Image) -> _View:
        """The photo small, with as much black around it: for faces that fill it, which detectors miss."""
        side = min(_CLOSE_UP_SIDE, min(self.input_size) // 2) if self.input_size else _CLOSE_UP_SIDE
        height, width = image.shape[:2]
        scale = side / max(height, width)
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(image, (new_width, new_height), interpolation=mode), np.uint8)
        margin = side // 2
        return _View(self._pad(small, margin), new_width / width, new_height / height, margin)

    def _pad(self, image: Image, margin: int) -> Image:
        height, width = image.shape[:2]
        if self.input_size:
            full_width, full_height = self.input_size
        else:
            full_width = -(-(width + 2 * margin) // _GRID) * _GRID
            full_height = -(-(height + 2 * margin) // _GRID) * _GRID
        if (full_height, full_width) == (height, width):
            return image
        canvas = np.zeros((full_height, full_width, 3), np.uint8)
        canvas[margin : margin + height, margin : margin + width] = image
        return canvas
