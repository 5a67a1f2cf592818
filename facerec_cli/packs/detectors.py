"""Detectors among ONNX files: which kind one is, and how it is fed."""

from __future__ import annotations

from typing import Literal

from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import DetectorSpec
from facerec_cli.packs.onnx_inputs import Network

_HALF = (127.5, 127.5, 127.5)
_YUNET = {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}


def is_scrfd(network: Network) -> bool:
    """SCRFD with landmarks: scores, boxes and five points for each of three or five strides."""
    if len(network.inputs) != 1 or len(network.inputs[0]) != 4 or len(network.outputs) not in (9, 15):
        return False
    strides = len(network.outputs) // 3
    widths = [shape[-1] if shape else None for shape in network.outputs]
    wanted = [1] * strides + [4] * strides + [10] * strides
    return all(found in (None, right) for found, right in zip(widths, wanted, strict=True))


def detector_kind(network: Network) -> Literal["yunet", "scrfd"] | None:
    """Which of ``registry.DETECTORS`` reads this network's outputs; None where none does."""
    if {port.name for port in network.output_ports} >= _YUNET:
        return "yunet"
    return "scrfd" if is_scrfd(network) else None


def detector_spec(network: Network) -> DetectorSpec:
    """How a detector is fed: as the projects feed theirs, OpenCV its YuNet and insightface its SCRFD.

    Raises:
        ModelError: It is no detector that facerec can read.
    """
    kind = detector_kind(network)
    file, sha256 = network.path.name, sha256_of(network.path)
    if kind == "yunet":
        return DetectorSpec(kind, file, sha256, input_size=network.input_size)
    if kind == "scrfd":
        return DetectorSpec(
            kind, file, sha256, "rgb", _HALF, (128.0, 128.0, 128.0), 0.5, 0.4, input_size=network.input_size
        )
    outputs = ", ".join(map(str, network.output_ports))
    hint = "A YuNet has the outputs cls_8 to kps_32; an SCRFD with landmarks has 9 or 15."
    if len(network.outputs) in (6, 10):
        hint = "It looks like an SCRFD without landmarks. Take the variant with key points (bnkps or kps)."
    raise ModelError(
        f"{network.path} is not a detector that facerec can read: it gives {outputs}.", hint=hint
    )
