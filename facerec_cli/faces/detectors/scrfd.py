"""SCRFD, the detector of insightface's packs.

J. Guo, J. Deng, A. Lattas, S. Zafeiriou: Sample and Computation Redistribution for Efficient Face Detection.
ICLR 2022, arXiv:2105.04714.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facerec_cli.errors import ModelError
from facerec_cli.faces.detectors.candidates import Candidates, Floats, concatenate
from facerec_cli.faces.detectors.decoder import Decoder, on_grid
from facerec_cli.packs.onnx_file import OnnxFile

# Number of outputs -> (strides, anchors a cell, landmarks).
_FORMS = {
    6: ((8, 16, 32), 2, False),
    9: ((8, 16, 32), 2, True),
    10: ((8, 16, 32, 64, 128), 1, False),
    15: ((8, 16, 32, 64, 128), 1, True),
}


class Scrfd(Decoder):
    """Reads outputs by position: scores of each stride, then boxes, then landmarks where it has them.

    An output is (N, cells · anchors, C), or without N for one photo.
    """

    color = "rgb"
    mean = (127.5, 127.5, 127.5)
    std = (128.0, 128.0, 128.0)
    min_score = 0.5
    nms_iou = 0.4
    signature = "an SCRFD with landmarks has 9 or 15 outputs"
    box_offset = 1.0

    def __init__(self, outputs: Sequence[str], ranks: Sequence[int]) -> None:
        if len(outputs) not in _FORMS:
            known = ", ".join(map(str, _FORMS))
            raise ModelError(
                f"The detector is not an SCRFD: it has {len(outputs)} outputs, not {known}.",
                hint="Correct the detector's kind in pack.toml, or give another file.",
            )
        self._strides, self._anchors, self.has_landmarks = _FORMS[len(outputs)]
        self.stride = self._strides[-1]
        self.batched = ranks[0] == 3

    @classmethod
    def recognizes(cls, file: OnnxFile) -> bool:
        """Scores, boxes and perhaps five points for each of three or five strides."""
        if len(file.inputs) != 1 or len(file.inputs[0]) != 4 or len(file.outputs) not in _FORMS:
            return False
        strides, _, landmarks = _FORMS[len(file.outputs)]
        widths = [size for size in ((1, 4, 10) if landmarks else (1, 4)) for _ in strides]
        last = [shape[-1] if shape else None for shape in file.outputs]
        return all(dimension in (None, width) for dimension, width in zip(last, widths, strict=True))

    def decode(self, outputs: Sequence[Floats], *, height: int, width: int, min_score: float) -> Candidates:
        """See :meth:`Decoder.decode`."""
        levels = len(self._strides)
        parts = []
        for level, stride in enumerate(self._strides):
            maps = [output if output.ndim == 3 else output[None] for output in outputs[level::levels]]
            scores = maps[0][..., 0]
            photo, at, cell = on_grid(scores, min_score, columns=width // stride, anchors=self._anchors)
            center = cell * stride
            reach = maps[1][photo, at] * stride
            boxes = np.concatenate([center - reach[:, :2], center + reach[:, 2:]], axis=1)
            if self.has_landmarks:
                points = center[:, None] + maps[2][photo, at].reshape(-1, 5, 2) * stride
            else:
                points = np.full((len(photo), 5, 2), np.nan, np.float32)
            parts.append(Candidates(photo, boxes, points, scores[photo, at]))
        return concatenate(parts)
