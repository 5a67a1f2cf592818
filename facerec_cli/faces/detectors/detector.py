"""Finding faces in photos of any size with any of the detectors in ``registry.DETECTORS``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli import registry
from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces.canvas import Canvas
from facerec_cli.faces.detectors.candidates import Candidates, concatenate, non_maximum_suppression
from facerec_cli.faces.detectors.decoder import Decoder
from facerec_cli.faces.face import Face
from facerec_cli.faces.preprocess import planes
from facerec_cli.faces.runtime.session import Empty, Network
from facerec_cli.faces.search import Search
from facerec_cli.faces.settings import DEFAULT_MAX_SIDE
from facerec_cli.faces.views import View, view_of
from facerec_cli.images.samples import Image
from facerec_cli.packs.manifest import DetectorSpec


class Detector:
    """A detector network, its decoder, and the way photos are put before it.

    Args:
        spec: The manifest's detector table.
        path: Its ONNX file.
        device: See ``runtime.session.Network``.
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
                hint=f"Give one of a known kind as the pack's detector: {', '.join(registry.DETECTORS)}.",
            )
        kind = registry.load(registry.DETECTORS, spec.kind, "detector")
        self.decoder: Decoder = kind(self.network.outputs, self.network.ranks)
        if not self.decoder.has_landmarks:
            raise ModelError(
                f"{path} finds faces but gives no landmarks, and alignment needs them.",
                hint="Take the variant with key points (in insightface's names: bnkps or kps).",
            )
        height, width = shape[2:]
        self.input_size = spec.input_size or ((width, height) if width and height else None)

    def detect(
        self,
        photos: Sequence[Image | View],
        *,
        min_score: float | None = None,
        min_size: float = 0,
        max_side: int | None = None,
        second_look: bool = True,
        finer: bool = True,
    ) -> list[list[Face]]:
        """Find the faces of every photo; see ``FaceModel.detect``."""
        for photo in photos:
            if not isinstance(photo, View):
                _check(photo)
        views = [photo if isinstance(photo, View) else view_of(photo) for photo in photos]
        search = Search.of(
            self._look,
            min_score=self.spec.min_score if min_score is None else min_score,
            max_side=max_side or DEFAULT_MAX_SIDE,
            stride=self.decoder.stride,
            fixed=self.input_size,
        )
        detected = search.run(views, second_look=second_look, finer=finer)
        return [[face for face in faces if face.size >= min_size] for faces in detected]

    def _look(self, photos: Sequence[Sequence[Canvas]], min_score: float) -> list[list[Face]]:
        """Run the network over the canvases of all photos, those of one shape together."""
        proposed: list[list[Candidates]] = [[] for _ in photos]
        shown = [(row, canvas) for row, canvases in enumerate(photos) for canvas in canvases]
        shapes: dict[tuple[int, ...], list[int]] = {}
        for at, (_, canvas) in enumerate(shown):
            shapes.setdefault(canvas.pixels.shape, []).append(at)
        for (height, width, _), members in shapes.items():

            def batch(span: slice, empty: Empty, members: list[int] = members) -> NDArray[np.float32]:
                pixels = [shown[at][1].pixels for at in members[span]]
                spec = self.spec
                return planes(pixels, color=spec.color, mean=spec.mean, std=spec.std, empty=empty)

            runs = self.network.run(len(members), batch, one_by_one=not self.decoder.batched)
            for span, outputs in runs:
                batched = self.decoder.decode(outputs, height=height, width=width, min_score=min_score)
                for position, at in enumerate(members[span]):
                    row, canvas = shown[at]
                    on_canvas = batched.take(np.flatnonzero(batched.photo == position))
                    proposed[row].append(canvas.in_photo(on_canvas))
        return [self._faces(parts) for parts in proposed]

    def _faces(self, parts: list[Candidates]) -> list[Face]:
        """What stays of the proposals for one photo."""
        if not parts:
            return []
        best = self._best(concatenate([self._best(part) for part in parts]) if len(parts) > 1 else parts[0])
        return [
            Face(box=box, landmarks=points, score=float(score))
            for box, points, score in zip(best.boxes, best.landmarks, best.scores, strict=True)
        ]

    def _best(self, proposed: Candidates) -> Candidates:
        rows = non_maximum_suppression(proposed, iou=self.spec.nms_iou, offset=self.decoder.box_offset)
        return proposed.take(rows)


def _check(image: Image) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"A photo must be (H, W, 3) uint8 BGR, not {image.shape} {image.dtype}.")
