"""Decoder of SCRFD, the detector of insightface's packs.

J. Guo, J. Deng, A. Lattas, S. Zafeiriou: Sample and Computation Redistribution for Efficient Face Detection.
ICLR 2022, arXiv:2105.04714.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError
from facerec_cli.faces.detectors.candidates import Candidates, concatenate

# Number of outputs -> (strides, anchors a cell, landmarks).
_FORMS = {
    6: ((8, 16, 32), 2, False),
    9: ((8, 16, 32), 2, True),
    10: ((8, 16, 32, 64, 128), 1, False),
    15: ((8, 16, 32, 64, 128), 1, True),
}


class Scrfd:
    """Reads outputs by position: scores of each stride, then boxes, then landmarks where it has them.

    Args:
        outputs: Names of the network's outputs; only their number counts.
        ranks: Number of dimensions of each output: 3 with a batch axis, 2 without.

    Attributes:
        has_landmarks: Whether the network gives the five points that alignment needs.
        batched: Whether the outputs have a batch axis; without one photos go one by one.

    Raises:
        ModelError: The number of outputs is not one of SCRFD's.
    """

    box_offset = 1.0

    def __init__(self, outputs: Sequence[str], ranks: Sequence[int]) -> None:
        if len(outputs) not in _FORMS:
            known = ", ".join(map(str, _FORMS))
            raise ModelError(
                f"The detector is not an SCRFD: it has {len(outputs)} outputs, not {known}.",
                hint="Correct the detector's kind in pack.toml, or give another file.",
            )
        self._strides, self._anchors, self.has_landmarks = _FORMS[len(outputs)]
        self.batched = ranks[0] == 3

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], *, height: int, width: int, min_score: float
    ) -> Candidates:
        """The proposals that reach ``min_score``.

        Args:
            outputs: What the network gave: (N, cells · anchors, C) each, or without N for one photo.
            height: Of the network's input in pixels.
            width: Likewise.
            min_score: Threshold on the score.
        """
        levels = len(self._strides)
        parts = []
        for level, stride in enumerate(self._strides):
            score, box, *points = (
                self._with_batch(outputs[part * levels + level]) for part in range(2 + self.has_landmarks)
            )
            score = score[..., 0]
            photo, anchor = np.nonzero(score >= min_score)
            row, column = np.divmod(anchor // self._anchors, width // stride)
            centre = np.stack([column, row], axis=1).astype(np.float32) * stride
            reach = box[photo, anchor] * stride
            boxes = np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1)
            if points:
                marks = centre[:, None] + points[0][photo, anchor].reshape(-1, 5, 2) * stride
            else:
                marks = np.full((len(photo), 5, 2), np.nan, np.float32)
            parts.append(Candidates(photo, boxes, marks, score[photo, anchor]))
        return concatenate(parts)

    @staticmethod
    def _with_batch(output: NDArray[np.float32]) -> NDArray[np.float32]:
        return output if output.ndim == 3 else output[None]
