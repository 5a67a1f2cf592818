"""YuNet, the detector of the default pack.

W. Wu, H. Peng, S. Yu: YuNet: A Tiny Millisecond-level Face Detector. Machine Intelligence Research 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facerec_cli.errors import ModelError
from facerec_cli.faces.detectors.candidates import Candidates, Floats, concatenate
from facerec_cli.faces.detectors.decoder import Decoder, on_grid
from facerec_cli.packs.onnx_file import OnnxFile

_STRIDES = (8, 16, 32)
_KINDS = ("cls", "obj", "bbox", "kps")
_OUTPUTS = tuple(f"{kind}_{stride}" for kind in _KINDS for stride in _STRIDES)


class YuNet(Decoder):
    """Reads the twelve outputs ``cls_8`` … ``kps_32``, (N, cells, C) each: one anchor a cell, three strides.

    The score is the geometric mean of face and object probability.
    """

    signature = "a YuNet has the outputs cls_8 to kps_32"

    def __init__(self, outputs: Sequence[str], ranks: Sequence[int] = ()) -> None:
        missing = [name for name in _OUTPUTS if name not in outputs]
        if missing:
            raise ModelError(
                f"The detector is not a YuNet: it has no output {', '.join(missing)}.",
                hint="Correct the detector's kind in pack.toml, or give another file.",
            )
        self._index = {name: list(outputs).index(name) for name in _OUTPUTS}

    @classmethod
    def recognizes(cls, file: OnnxFile) -> bool:
        """By the names of the outputs."""
        return {port.name for port in file.output_ports}.issuperset(_OUTPUTS)

    def decode(self, outputs: Sequence[Floats], *, height: int, width: int, min_score: float) -> Candidates:
        """See :meth:`Decoder.decode`."""
        parts = []
        for stride in _STRIDES:
            face, thing, box, points = (outputs[self._index[f"{kind}_{stride}"]] for kind in _KINDS)
            scores = np.sqrt(np.clip(face[..., 0], 0, 1) * np.clip(thing[..., 0], 0, 1))
            photo, at, cell = on_grid(scores, min_score, columns=width // stride)
            raw = box[photo, at]
            center = (cell + raw[:, :2]) * stride
            half = np.exp(raw[:, 2:]) * (stride / 2)
            boxes = np.concatenate([center - half, center + half], axis=1)
            landmarks = (points[photo, at].reshape(-1, 5, 2) + cell[:, None]) * stride
            parts.append(Candidates(photo, boxes, landmarks, scores[photo, at]))
        return concatenate(parts)
