"""The contract of every detector: which ONNX files are its own, how they are fed, what their outputs mean.

A detector is a subclass of :class:`Decoder` in a file of this folder and a line in ``registry.DETECTORS``;
``docs/extending.md`` shows how to add one. Photos of any size, tiles, several scales, the choice among
overlapping proposals and the way back to the photo's pixels are the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.detectors.candidates import Candidates, Floats
from facerec_cli.packs.manifest import Color
from facerec_cli.packs.onnx_file import OnnxFile


class Decoder(ABC):
    """Turns the outputs of one kind of detector into proposals.

    The class attributes say how a file of this kind is fed where no manifest says it otherwise; the
    attributes that follow may be set by the constructor where they differ from file to file.

    Args:
        outputs: Names of the network's outputs, in its order.
        ranks: Number of dimensions of each output; 0 where the file does not say.

    Attributes:
        color: Order of the input's channels.
        mean: Subtracted from each channel, 0..255 scale, in input order.
        std: Each channel is divided by it.
        min_score: Default threshold on the score, 0..1.
        nms_iou: Boxes of which more than this (intersection over union) lies in a better one are dropped.
        signature: How a file of this kind is known by its outputs, as half a sentence for messages.
        stride: The sides of the network's input are padded to multiples of so many pixels.
        box_offset: 1 where a box's last pixel belongs to it (width is x2 - x1 + 1), else 0.
        has_landmarks: Whether the network gives the five points that alignment needs.
        batched: Whether the outputs have a batch axis; without one photos go one by one.

    Raises:
        ModelError: The outputs are not those of such a detector.
    """

    color: ClassVar[Color] = "bgr"
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    min_score: ClassVar[float] = 0.6
    nms_iou: ClassVar[float] = 0.3
    signature: ClassVar[str]

    stride: int = 32
    box_offset: float = 0.0
    has_landmarks: bool = True
    batched: bool = True

    @abstractmethod
    def __init__(self, outputs: Sequence[str], ranks: Sequence[int]) -> None: ...

    @classmethod
    @abstractmethod
    def recognizes(cls, file: OnnxFile) -> bool:
        """Whether an ONNX file is of this kind, by its inputs and outputs; also one without landmarks."""

    @abstractmethod
    def decode(self, outputs: Sequence[Floats], *, height: int, width: int, min_score: float) -> Candidates:
        """The proposals that reach ``min_score``, of all photos of the batch.

        Args:
            outputs: What the network gave, in its order.
            height: Of the network's input in pixels, a multiple of :attr:`stride` unless the file fixes it.
            width: Likewise.
            min_score: Threshold on the score, 0..1.

        Returns:
            In pixels of the network's input; several for one face are as good as one.
        """


def on_grid(
    scores: Floats, min_score: float, *, columns: int, anchors: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """The anchors of one stride whose score is high enough, and where their cells are.

    Args:
        scores: (N, cells · anchors), cells row by row, the anchors of a cell side by side.
        min_score: The least score.
        columns: Cells in a row: the input's width over the stride.
        anchors: Anchors of a cell.

    Returns:
        Three of K rows: the photo's row in the batch, the anchor's column in ``scores``, and (K, 2) float32
        column and row of the cell.
    """
    photo, anchor = np.nonzero(scores >= min_score)
    row, column = np.divmod(anchor // anchors, columns)
    return photo, anchor, np.stack([column, row], axis=1).astype(np.float32)
