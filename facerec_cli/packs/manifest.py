"""A model pack's manifest: everything that a command must know about a model, in one place.

Preprocessing, license and sha256 are written here and in the ONNX metadata and nowhere else. Sizes are
always (width, height); color values are on the 0..255 scale; a network's input is (pixel - mean) / std.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facerec_cli.spelling import both_spellings
from facerec_cli.threshold import Threshold

Color = Literal["rgb", "bgr"]
MIN_SIZE, MAX_SIZE = 2, 65536  # numbers of an embedding


@dataclass(frozen=True, slots=True)
class License:
    """Under which terms a pack may be used; three things that must not be mixed up.

    Attributes:
        code: SPDX identifier of the license of the code that made the model.
        weights: SPDX identifier of the weights' license, or a short name such as
            "non-commercial-research".
        commercial: Whether the weights may be used commercially, by their license.
        files: License texts inside the pack's folder.
        notice: A sentence that a person has to read before pulling the pack.
    """

    code: str
    weights: str
    commercial: bool
    files: tuple[str, ...] = ()
    notice: str = ""


Licence = License  # the other spelling, for code that was written with it


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        source: Who published it and where it was taken from.
        training_data: The data it was trained on, as published ("unknown" where it is not).
        paper: Reference of the method.
    """

    source: str
    training_data: str
    paper: str = ""


@both_spellings("colour")
@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A face detector with five landmarks.

    Attributes:
        kind: Which decoder reads its outputs; a key of ``registry.DETECTORS``.
        file: ONNX file inside the pack's folder.
        sha256: Of that file, in hexadecimal; empty where the source publishes none.
        color: Color order of the input.
        mean: Subtracted from each channel, 0..255 scale, in input order.
        std: Each channel is divided by it.
        min_score: Default threshold on the detection score, 0..1.
        nms_iou: Boxes that overlap a better one by more than this are dropped.
        input_size: (width, height) in pixels where the file fixes it, None where it is dynamic.
    """

    kind: str
    file: str
    sha256: str
    color: Color = "bgr"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    min_score: float = 0.6
    nms_iou: float = 0.3
    input_size: tuple[int, int] | None = None


@both_spellings("colour", "normalised")
@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A recognition network: aligned crop in, embedding out.

    Attributes:
        file: ONNX file inside the pack's folder.
        sha256: Of that file, in hexadecimal; empty where the source publishes none.
        embedding_size: D.
        input_size: (width, height) of the aligned crop in pixels.
        color: Color order of the input.
        mean: Subtracted from each channel, 0..255 scale, in input order.
        std: Each channel is divided by it.
        template: Name of the five-point alignment template (``faces.align.TEMPLATES``).
        normalized: Whether the network's output already has unit length.
        layout: Order of the input's dimensions: "nchw", or "nhwc" for channels last. The type of its numbers
            is the file's own. Whole numbers (uint8) take pixels, and the preprocessing is inside the graph.
        output_name: Name of the output that is the embedding, where the file has several that could be it.
    """

    file: str
    sha256: str
    embedding_size: int
    input_size: tuple[int, int] = (112, 112)
    color: Color = "rgb"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    template: str = "arcface"
    normalized: bool = False
    layout: Literal["nchw", "nhwc"] = "nchw"
    output_name: str | None = None


@both_spellings("licence")
@dataclass(frozen=True, slots=True)
class ModelPack:
    """What a manifest says about a model.

    Attributes:
        name: What a user types after ``--model``.
        description: One line.
        folder: Where the files are; not part of the manifest.
        license: Terms of use.
        provenance: Origin.
        encoder: The recognition network.
        detector: The face detector, or None to use the default pack's.
        threshold: Default verification threshold, or None where nobody has measured one.
        training: Free facts about how it was trained (loss, recipe, data set, checkpoint sha256).
        urls: Where the pack can be pulled from, best first.
        unproved: Nobody has run it yet: an ONNX file opened with flags. Not part of the manifest.
    """

    name: str
    description: str
    folder: Path
    license: License
    provenance: Provenance
    encoder: EncoderSpec
    detector: DetectorSpec | None = None
    threshold: Threshold | None = None
    training: dict[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    unproved: bool = False

    @property
    def encoder_path(self) -> Path:
        """The recognition network's file."""
        return self.folder / self.encoder.file

    @property
    def detector_path(self) -> Path | None:
        """The detector's file, or None where the pack has none."""
        return None if self.detector is None else self.folder / self.detector.file
