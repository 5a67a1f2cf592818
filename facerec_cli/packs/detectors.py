"""Detectors among ONNX files: which of ``registry.DETECTORS`` one is, and how it is fed."""

from __future__ import annotations

from facerec_cli import registry
from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import DetectorSpec
from facerec_cli.packs.onnx_file import OnnxFile


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
        known = [registry.load(registry.DETECTORS, name, "detector") for name in registry.DETECTORS]
        hint = "; ".join(decoder.signature for decoder in known)
        hint = hint[0].upper() + hint[1:] + "."
    outputs = ", ".join(map(str, file.output_ports))
    raise ModelError(f"{file.path} is not a detector that facerec can read: it gives {outputs}.", hint=hint)
