"""Decoder of YuNet, the detector of the default pack.

W. Wu, H. Peng, S. Yu: YuNet: A Tiny Millisecond-level Face Detector. Machine Intelligence Research 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError
from facerec_cli.faces.detectors.candidates import Candidates, concatenate

_STRIDES = (8, 16, 32)
_KINDS = ("cls", "obj", "bbox", "kps")


class YuNet:
    """Reads the twelve outputs ``cls_8`` … ``kps_32``: one anchor a cell, three strides.

    Args:
        outputs: Names of the network's outputs.
        ranks: Number of dimensions of each output; not needed here.

    Raises:
        ModelError: Outputs are missing.
    """

    has_landmarks = True
    box_offset = 0.0
    batched = True

    def __init__(self, outputs: Sequence[str], ranks: Sequence[int] = ()) -> None:
        wanted = [f"{kind}_{stride}" for kind in _KINDS for stride in _STRIDES]
        missing = [name for name in wanted if name not in outputs]
        if missing:
            raise ModelError(
                f"The detector is not a YuNet: it has no output {', '.join(missing)}.",
                hint="Correct the detector's kind in pack.toml, or give another file.",
            )
        self._index = {name: list(outputs).index(name) for name in wanted}

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], *, height: int, width: int, min_score: float
    ) -> Candidates:
        """The proposals that reach ``min_score``.

        Args:
            outputs: What the network gave: (N, cells, C) each.
            height: Of the network's input in pixels.
            width: Likewise.
            min_score: Threshold on the score, the geometric mean of face and object probability.
        """
        parts = []
        for stride in _STRIDES:
            face, thing, box, points = (outputs[self._index[f"{kind}_{stride}"]] for kind in _KINDS)
            score = np.sqrt(np.clip(face[..., 0], 0, 1) * np.clip(thing[..., 0], 0, 1))
            photo, cell = np.nonzero(score >= min_score)
            row, column = np.divmod(cell, width // stride)
            corner = np.stack([column, row], axis=1).astype(np.float32)
            chosen = box[photo, cell]
            centre = (corner + chosen[:, :2]) * stride
            half = np.exp(chosen[:, 2:]) * (stride / 2)
            marks = (points[photo, cell].reshape(-1, 5, 2) + corner[:, None]) * stride
            boxes = np.concatenate([centre - half, centre + half], axis=1)
            parts.append(Candidates(photo, boxes, marks, score[photo, cell]))
        return concatenate(parts)
