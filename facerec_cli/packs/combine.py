"""A detector and a recognition network of different origin, made one pack."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from facerec_cli.errors import ModelError
from facerec_cli.packs.detectors import detector_kind, detector_spec
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import EVALUATIONS
from facerec_cli.packs.onnx_file import inspect_onnx

Files = dict[str, Path]


def is_detector_file(path: Path) -> bool:
    """Whether ``path`` is the ONNX file of a detector that facerec can read."""
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return False
    return detector_kind(inspect_onnx(path)) is not None


def with_detector(made: tuple[ModelPack, Files], path: Path) -> tuple[ModelPack, Files]:
    """``made``, a pack and its files, with the detector at ``path`` in place of its own.

    The threshold and the evaluations go: they were measured on other crops. So does the permission of
    commercial use, for nobody has said what the detector's license is.

    Raises:
        ModelError: It is no detector that facerec can read.
    """
    pack, files = made
    if not path.is_file():
        raise ModelError(f"There is no detector at {path}.", hint="Give the path of its .onnx file.")
    spec = detector_spec(inspect_onnx(path))
    kept = {
        name: place
        for name, place in files.items()
        if not name.startswith(f"{EVALUATIONS}/") and (pack.detector is None or name != pack.detector.file)
    }
    if spec.file.casefold() in {name.casefold() for name in kept}:
        spec = dataclasses.replace(spec, file=f"detector-{spec.file}")
    if pack.detector is not None and pack.detector.sha256 == spec.sha256:
        return pack, files
    license = dataclasses.replace(
        pack.license,
        commercial=False,
        weights=f"{pack.license.weights}; detector unknown",
    )
    joined = dataclasses.replace(
        pack,
        description=f"{pack.description.split(', with the')[0]}, with the detector {path.name}",
        license=license,
        detector=spec,
        threshold=None,
        urls=(),
    )
    return joined, {**kept, spec.file: path}
