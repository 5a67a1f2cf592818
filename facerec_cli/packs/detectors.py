"""Detectors among ONNX files: which of ``registry.DETECTORS`` one is, how it is fed, and packs with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from facerec_cli import registry
from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import DetectorSpec, ModelPack
from facerec_cli.packs.manifest_toml import EVALUATIONS, UNMEASURED
from facerec_cli.packs.onnx_file import OnnxFile, inspect_onnx

Files = dict[str, Path]


def detector_kind(file: OnnxFile, *, landmarks: bool = True) -> str | None:
    """The key of ``registry.DETECTORS`` that reads this network's outputs; None where none does.

    Args:
        file: The network.
        landmarks: Whether it must give the five points that alignment needs.
    """
    names = [port.name for port in file.output_ports]
    ranks = [len(port.shape) for port in file.output_ports]
    for kind in registry.DETECTORS:
        decoder = registry.load(registry.DETECTORS, kind, "detector")
        if decoder.recognizes(file) and (not landmarks or decoder(names, ranks).has_landmarks):
            return kind
    return None


def detector_spec(file: OnnxFile) -> DetectorSpec:
    """How a detector is fed where no manifest says it: as the project that it comes from does.

    Raises:
        ModelError: It is no detector that facerec can read, or one without landmarks.
    """
    kind = detector_kind(file)
    if kind is not None:
        decoder = registry.load(registry.DETECTORS, kind, "detector")
        return DetectorSpec(
            kind=kind,
            file=file.path.name,
            sha256=sha256_of(file.path),
            color=decoder.color,
            mean=decoder.mean,
            std=decoder.std,
            min_score=decoder.min_score,
            nms_iou=decoder.nms_iou,
            input_size=file.input_size,
        )
    if kind := detector_kind(file, landmarks=False):
        hint = f"It is one ({kind}) without landmarks. Take the variant with key points (bnkps or kps)."
    else:
        hint = signatures()
    outputs = ", ".join(map(str, file.output_ports))
    raise ModelError(f"{file.path} is not a detector that facerec can read: it gives {outputs}.", hint=hint)


def signatures() -> str:
    """What the outputs of each known kind of detector are, as a sentence."""
    kinds = [registry.load(registry.DETECTORS, name, "detector").signature for name in registry.DETECTORS]
    text = "; ".join(kinds)
    return f"{text[0].upper()}{text[1:]}."


def is_detector_file(path: Path) -> bool:
    """Whether ``path`` is the ONNX file of a detector that facerec can read."""
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return False
    return detector_kind(inspect_onnx(path)) is not None


def with_detector(made: tuple[ModelPack, Files], path: Path) -> tuple[ModelPack, Files]:
    """``made``, a pack and its files, with the detector at ``path`` in place of its own.

    The threshold and all else that was measured go: it was measured on other crops. So does the permission of
    commercial use, unless the file is that of a pack that can be pulled, whose terms are known.

    Raises:
        ModelError: It is no detector that facerec can read.
    """
    pack, files = made
    if not path.is_file():
        raise ModelError(f"There is no detector at {path}.", hint="Give the path of its .onnx file.")
    spec = detector_spec(inspect_onnx(path))
    others = {
        name: place
        for name, place in files.items()
        if not name.startswith(f"{EVALUATIONS}/") and (pack.detector is None or name != pack.detector.file)
    }
    if spec.file.casefold() in {name.casefold() for name in others}:
        spec = dataclasses.replace(spec, file=f"detector-{spec.file}")
    if pack.detector is not None and pack.detector.sha256 == spec.sha256:
        return pack, files
    known = next((it for it in known_packs().values() if _has(it, spec)), None)
    terms = known.license.weights if known else "unknown"
    said = f"is that of {known.name}: {terms}" if known else "is not known"
    license = dataclasses.replace(
        pack.license,
        commercial=pack.license.commercial and known is not None and known.license.commercial,
        weights=f"{pack.license.weights}; detector {terms}",
        notice=f"{pack.license.notice} The license of the detector {path.name} {said}.".strip(),
    )
    data = f"as {known.name}" if known else "unknown"
    provenance = dataclasses.replace(
        pack.provenance,
        source=f"{pack.provenance.source}; its detector was replaced by {path.name}",
        training_data=f"{pack.provenance.training_data}; of {path.name} {data}",
    )
    joined = dataclasses.replace(
        pack,
        description=f"{pack.description.split(', with the')[0]}, with the detector {path.name}",
        license=license,
        provenance=provenance,
        detector=spec,
        threshold=None,
        urls=(),
        **UNMEASURED,
        downloads=(),
        evidence=None,
    )
    return joined, {**others, spec.file: path}


def _has(pack: ModelPack, spec: DetectorSpec) -> bool:
    """Whether a detector's file is the one of ``pack``."""
    return pack.detector is not None and pack.detector.sha256 == spec.sha256
