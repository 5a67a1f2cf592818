"""What an export is asked for. Nothing here needs torch: ``facerec export --help`` reads it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from facerec_cli.option import Option
from facerec_cli.registry import PROJECTS
from facerec_cli.settings import check
from facerec_cli.spelling import both_spellings
from facerec_cli.threshold import false_accept_rate

TOLERANCE = 1e-3
"""Most that an embedding may differ from PyTorch's, relative to its length."""

_GRAPH, _FORMS = "What the graph does", "Smaller forms, written beside the file and measured"
_MEASURE, _TERMS, _IMPORT = "Crops and pairs to measure on", "What the file says of itself", "Other projects"


@both_spellings("normalise")
@dataclass(frozen=True, slots=True)
class GraphOptions:
    """What the graph does besides running the network.

    Its input is (N, 3, H, W) float32 that the caller preprocesses, or with ``uint8`` (N, H, W, 3) pixels.
    """

    normalize: Annotated[bool, Option("Scale embeddings to unit length.", panel=_GRAPH)] = False
    flip: Annotated[bool, Option("Add the embedding of the mirrored crop.", panel=_GRAPH)] = False
    uint8: Annotated[
        Literal["rgb", "bgr"] | None,
        Option(
            "Take (N, H, W, 3) uint8 pixels in this color order, {choices}, and preprocess them in "
            "the graph.",
            panel=_GRAPH,
        ),
    ] = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class SmallerForms:
    """Which smaller forms are written, a flag each."""

    fp16: Annotated[bool, Option("Half precision throughout, for GPUs.", panel=_FORMS)] = False
    fp16_weights: Annotated[bool, Option("Stored in half, computed in float32.", panel=_FORMS)] = False
    int8: Annotated[bool, Option("8-bit weights and activations, calibrated on crops.", panel=_FORMS)] = False
    int8_weights: Annotated[bool, Option("Stored in 8 bits, computed in float32.", panel=_FORMS)] = False

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are, as ``ExportOptions.forms`` has them."""
        return tuple(name for name, wanted in asdict(self).items() if wanted)


@both_spellings("colour", "licence")
@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export and where to.

    Attributes:
        output: The ONNX file, or an existing folder for it; with a name alone ``NAME.onnx`` is written here.
        interpolate: See ``source.open_source``.
        force: Replace files and a registered model.
        graph: What the graph does besides running the network.
        keep_prelu: On CPUs each PReLU costs two changes of memory layout, which the exact form in
            ``faces.runtime.rewrites`` avoids.
        forms: Smaller forms to write beside the file, keys of ``compress.FORMS``.
        insightface: Folder to write the recognition network to in insightface's layout.
        layout: Whose checkpoint it is, a key of ``backbones.layouts.LAYOUTS``; "" for ours.
        color: Channel order of a foreign network where it is not the usual one of its project.
        far: Write the default threshold for this false accept rate, measured on ``pairs``.
        tolerance: See ``parity.check``.

    Raises:
        UsageError: A value is out of range.
    """

    name: Annotated[str, Option("Register the model under this name.")] = ""
    output: Annotated[
        Path | None, Option("The ONNX file, or a folder (default: NAME.onnx here).", short="-o")
    ] = None
    interpolate: Annotated[
        float,
        Option(
            "How far to go from the weights of --init (0) to the trained ones (1).",
            panel=_GRAPH,
            metavar="SHARE",
        ),
    ] = 1.0
    force: bool = False
    graph: GraphOptions = field(default_factory=GraphOptions)
    keep_prelu: Annotated[bool, Option("Leave PReLU as one node: slower on CPUs.", panel=_GRAPH)] = False
    forms: tuple[str, ...] = ()
    insightface: Annotated[
        Path | None,
        Option(
            "Also write the network to this folder as the insightface package loads it.",
            panel=_FORMS,
            metavar="FOLDER",
        ),
    ] = None
    crops: Annotated[
        Path | None,
        Option(
            "Folder of photos of faces for parity check and calibration (default: training data).",
            panel=_MEASURE,
        ),
    ] = None
    pairs: Annotated[Path | None, Option("Labeled pairs to measure verification on.", panel=_MEASURE)] = None
    root: Annotated[
        Path | None,
        Option("Folder that the list's paths start from (default: guessed).", panel=_MEASURE),
    ] = None
    aligned: Annotated[bool, Option("These photos are aligned crops already.", panel=_MEASURE)] = False
    far: Annotated[
        float | None,
        Option(
            "Write the default threshold for this false accept rate, measured on --pairs.",
            flag="--threshold",
            panel=_MEASURE,
            metavar="FAR",
            rule=false_accept_rate,
        ),
    ] = None
    tolerance: Annotated[
        float,
        Option(
            "Most that an embedding may differ from PyTorch's, relative to its length.",
            panel=_MEASURE,
            ge=0,
        ),
    ] = TOLERANCE
    license: Annotated[str, Option("License of the weights, e.g. Apache-2.0.", panel=_TERMS)] = "unspecified"
    commercial: Annotated[bool, Option("That license allows commercial use.", panel=_TERMS)] = False
    data_name: Annotated[
        str, Option("What to call the training data (default: the path's last part).", panel=_TERMS)
    ] = ""
    layout: Annotated[
        str,
        Option(
            "Whose checkpoint it is: {choices}.",
            flag="--from",
            panel=_IMPORT,
            metavar="PROJECT",
            offers=PROJECTS,
        ),
    ] = ""
    color: Annotated[
        Literal["rgb", "bgr"] | None,
        Option(
            "Color order that its network wants, {choices} (default: bgr for adaface, else rgb).",
            panel=_IMPORT,
        ),
    ] = None

    def __post_init__(self) -> None:
        check(self)
