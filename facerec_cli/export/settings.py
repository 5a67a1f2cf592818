"""What an export is asked for. Nothing here needs torch: ``facerec export --help`` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facerec_cli.spelling import both_spellings

TOLERANCE = 1e-3
"""Most that an embedding may differ from PyTorch's, relative to its length."""


@both_spellings("normalise")
@dataclass(frozen=True, slots=True)
class GraphOptions:
    """What the graph does besides running the network.

    Attributes:
        normalize: Scale the embedding to unit length.
        flip: Add the embedding of the mirrored crop.
        uint8: Color order of a (N, H, W, 3) uint8 input that the graph preprocesses itself; None for a
            (N, 3, H, W) float32 input that the caller preprocesses.
    """

    normalize: bool = False
    flip: bool = False
    uint8: Literal["rgb", "bgr"] | None = None


@both_spellings("colour", "licence")
@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export and where to.

    Attributes:
        name: Register the model under this name.
        output: The ONNX file, or an existing folder for it; with a name alone ``NAME.onnx`` is written here.
        interpolate: See ``source.open_source``.
        force: Replace files and a registered model.
        graph: What the graph does besides running the network.
        keep_prelu: Leave PRelu nodes as they are. On CPUs each costs two changes of memory layout, which
            the exact form in ``faces.graph`` avoids.
        forms: Smaller forms to write beside the file, keys of ``compress.FORMS``.
        insightface: Folder to write the recognition network to in insightface's layout.
        layout: Whose checkpoint it is, a key of ``backbones.layouts.LAYOUTS``; "" for ours.
        color: Channel order of a foreign network where it is not the usual one of its project.
        license: Of the weights.
        commercial: Whether that license allows commercial use.
        data_name: What to call the training data.
        crops: Folder of photos for parity and calibration.
        pairs: List of labelled pairs to measure verification on.
        root: Folder that the list's paths start from.
        aligned: The photos of ``crops`` and ``pairs`` are aligned crops already.
        far: Write the default threshold for this false accept rate, measured on ``pairs``.
        tolerance: See ``parity.check``.
    """

    name: str = ""
    output: Path | None = None
    interpolate: float = 1.0
    force: bool = False
    graph: GraphOptions = field(default_factory=GraphOptions)
    keep_prelu: bool = False
    forms: tuple[str, ...] = ()
    insightface: Path | None = None
    layout: str = ""
    color: Literal["rgb", "bgr"] | None = None
    license: str = "unspecified"
    commercial: bool = False
    data_name: str = ""
    crops: Path | None = None
    pairs: Path | None = None
    root: Path | None = None
    aligned: bool = False
    far: float | None = None
    tolerance: float = TOLERANCE
