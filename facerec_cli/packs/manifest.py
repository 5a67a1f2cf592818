"""A model pack's manifest: everything that a command must know about a model, in one place.

Preprocessing, license and sha256 are written here and in the ONNX metadata and nowhere else. Sizes are
always (width, height); color values are on the 0..255 scale; a network's input is (pixel - mean) / std.
"""

# Without `from __future__ import annotations`: types as texts would be evaluated anew in each run of facerec.

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from facerec_cli.packs import rules
from facerec_cli.packs.published import Download, Evidence
from facerec_cli.registry import DETECTORS
from facerec_cli.settings import Option, filled
from facerec_cli.spelling import both_spellings
from facerec_cli.threshold import ImpostorTail, Likelihood, MeasuredKind, Threshold

Color = Literal["rgb", "bgr"]
MIN_SIZE, MAX_SIZE = 2, 65536  # dimensions of an embedding
Text = Annotated[str, Option(rule=filled)]
FileName = Annotated[str, Option(rule=rules.file_name)]
Sha256 = Annotated[str, Option(rule=rules.sha256)]
Size = Annotated[tuple[int, int], Option(ge=16, le=4096)]
Mean = Annotated[tuple[float, float, float], Option(ge=-1024, le=1024)]
Std = Annotated[tuple[float, float, float], Option(gt=0, le=1024)]


@dataclass(frozen=True, slots=True)
class License:
    """Under which terms a pack may be used; three things that must not be mixed up.

    The third is the data that it was trained on, with its terms: ``Provenance.training_data``.

    Attributes:
        code: SPDX identifier of the license of the code that made the model.
        weights: SPDX identifier of the weights' license, or a short name such as
            "non-commercial-research".
        commercial: Whether the weights may be used commercially: their publisher says so, and no published
            terms of the data that they were trained on say otherwise.
        files: License texts inside the pack's folder.
        notice: A sentence that a person has to read before pulling the pack.
    """

    code: Text
    weights: Text
    commercial: bool
    files: Annotated[tuple[str, ...], Option(rule=rules.file_name)] = ()
    notice: str = ""

    @property
    def commercial_use(self) -> str:
        """``commercial`` in words."""
        return "allowed by the weights' license" if self.commercial else "not allowed, or not known"


Licence = License  # the other spelling, for code that was written with it


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        source: Who published it and where it was taken from.
        training_data: The data it was trained on, as published ("unknown" where it is not); after a semicolon
            what its own terms are.
        paper: Reference of the method.
    """

    source: Text
    training_data: Text
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

    kind: Annotated[str, Option(choices=DETECTORS)]
    file: FileName
    sha256: Sha256
    color: Color = "bgr"
    mean: Mean = (0.0, 0.0, 0.0)
    std: Std = (1.0, 1.0, 1.0)
    min_score: Annotated[float, Option(ge=0, le=1)] = 0.6
    nms_iou: Annotated[float, Option(ge=0, le=1)] = 0.3
    input_size: Annotated[tuple[int, int] | None, Option(ge=16, le=4096)] = None


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

    file: FileName
    sha256: Sha256
    embedding_size: Annotated[int, Option(ge=MIN_SIZE, le=MAX_SIZE)]
    input_size: Size = (112, 112)
    color: Color = "rgb"
    mean: Mean = (127.5, 127.5, 127.5)
    std: Std = (127.5, 127.5, 127.5)
    template: Text = "arcface"
    normalized: bool = False
    layout: Literal["nchw", "nhwc"] = "nchw"
    output_name: Annotated[str | None, Option(rule=filled)] = None


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
        impostor_tails: How high the scores of two people come, from which thresholds for a search follow: one
            with flip, one without, where they have been measured.
        likelihoods: What a score is worth: one calibration with flip, one without, where they were measured.
        measured: What the threshold did on photos of several kinds.
        unmeasured: Kinds of photos on which nobody has measured it, in plain words.
        training: Free facts about how it was trained (loss, recipe, data set, checkpoint sha256).
        urls: Where an archive with the pack's files can be pulled from, best first.
        downloads: Where files are that their publishers have one by one.
        evidence: Who says what the manifest says, for packs that can be pulled.
        unproved: Nobody has run it yet: an ONNX file opened with flags. Not part of the manifest.
    """

    name: Annotated[str, Option(rule=rules.model_name)]
    description: str
    folder: Path
    license: License
    provenance: Provenance
    encoder: EncoderSpec
    detector: DetectorSpec | None = None
    threshold: Annotated[Threshold | None, Option(keys=("value", "far", "data", "impostor_pairs"))] = None
    impostor_tails: tuple[ImpostorTail, ...] = ()
    likelihoods: tuple[Likelihood, ...] = ()
    measured: tuple[MeasuredKind, ...] = ()
    unmeasured: Annotated[tuple[str, ...], Option(rule=filled)] = ()
    training: dict[str, str] = field(default_factory=dict)
    urls: Annotated[tuple[str, ...], Option(rule=rules.address)] = ()
    downloads: tuple[Download, ...] = ()
    evidence: Evidence | None = None
    unproved: bool = False

    @property
    def encoder_path(self) -> Path:
        """The recognition network's file."""
        return self.folder / self.encoder.file

    @property
    def detector_path(self) -> Path | None:
        """The detector's file, or None where the pack has none."""
        return None if self.detector is None else self.folder / self.detector.file
