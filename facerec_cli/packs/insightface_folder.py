"""Packs in insightface's layout: a folder of ONNX files without a word on what they are.

What each file is shows in the number and shape of its inputs and outputs, as insightface itself tells them
apart. Preprocessing is insightface's: RGB; detection (x - 127.5) / 128; recognition (x - 127.5) / 127.5, or
raw pixels where the graph scales its input.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of
from facerec_cli.packs.detectors import detector_kind, detector_spec
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import EncoderSpec, License, ModelPack, Provenance
from facerec_cli.packs.onnx_encoder import embedding_size
from facerec_cli.packs.onnx_file import OnnxFile, inspect_onnx

DETECTOR, ENCODER = "detector", "recognition"
"""What :func:`describe` says of the two networks that a pack needs."""

_HALF = (127.5, 127.5, 127.5)
_RECOGNITION_SIZE = (112, 112)
_LIKELY_DETECTORS = ("det_", "scrfd")
_LIKELY_ENCODERS = ("w600k", "glint", "arcface", "r50", "r100")


def known_pack(name: str) -> ModelPack | None:
    """What is known of insightface's pack called ``name``; those that come as archives are insightface's."""
    known = known_packs().get(name)
    return known if known is not None and known.urls else None


def looks_like_pack(folder: Path) -> bool:
    """Whether ``folder`` holds ONNX files, directly or, as some archives unpack, one folder deeper."""
    return any(True for _ in _onnx_files(folder))


def open_insightface(folder: Path, name: str = "") -> ModelPack:
    """Find detector and recognition network among the ONNX files of ``folder``.

    Raises:
        ModelError: A recognition network or a detector with landmarks is missing.
    """
    name = name or folder.name
    files = sorted(_onnx_files(folder), key=lambda path: (not _likely(path), path.name))
    detector: OnnxFile | None = None
    encoder: OnnxFile | None = None
    seen: list[str] = []
    for path in files:
        file = inspect_onnx(path)
        what = describe(file)
        seen.append(f"{path.name}: {what}")
        if detector is None and what == DETECTOR:
            detector = file
        elif encoder is None and what == ENCODER:
            encoder = file
        if detector and encoder:
            return _pack(name, encoder, detector)
    missing = (
        "recognition network (N, 3, 112, 112) -> (N, D)" if encoder is None else "detector with landmarks"
    )
    raise ModelError(
        f"{folder} has no {missing} among its ONNX files ({'; '.join(seen) or 'there are none'}).",
        hint="A download that broke off leaves such a folder. Remove it and get the pack again: "
        f"facerec models pull {name}",
    )


def describe(file: OnnxFile) -> str:
    """What a network seems to be, in a few words; recognition has one crop in and one vector out."""
    if detector_kind(file):
        return DETECTOR
    if file.input_size == _RECOGNITION_SIZE and (embedding_size(file) or 0) >= 64:
        return ENCODER
    return "detector without landmarks" if detector_kind(file, landmarks=False) else "something else"


def _pack(name: str, encoder: OnnxFile, detector: OnnxFile) -> ModelPack:
    if encoder.path.parent != detector.path.parent:
        raise ModelError(
            f"{encoder.path} and {detector.path} belong in one folder.",
            hint="Put them there, and name the folder.",
        )
    known = known_pack(name)
    raw = encoder.scales_input
    dimensions = embedding_size(encoder)
    assert dimensions is not None  # or it would not be described as one
    return ModelPack(
        name=name,
        description=known.description if known else "pack in insightface's layout",
        folder=encoder.path.parent,
        license=known.license if known else License(code="MIT", weights="unknown", commercial=False),
        provenance=known.provenance if known else Provenance(source="unknown", training_data="unknown"),
        encoder=EncoderSpec(
            file=encoder.path.name,
            sha256=sha256_of(encoder.path),
            embedding_size=dimensions,
            input_size=_RECOGNITION_SIZE,
            color="rgb",
            mean=(0.0, 0.0, 0.0) if raw else _HALF,
            std=(1.0, 1.0, 1.0) if raw else _HALF,
        ),
        detector=detector_spec(detector),
    )


def unpublished_files(pack: ModelPack) -> list[str]:
    """Files of a known pack whose sha256 is not the one that is known for them."""
    known = known_pack(pack.name)
    if known is None or known.detector is None or pack.detector is None:
        return []
    published = {known.encoder.sha256, known.detector.sha256}
    return [spec.file for spec in (pack.encoder, pack.detector) if spec.sha256 not in published]


def _onnx_files(folder: Path) -> Iterator[Path]:
    direct = [path for path in folder.glob("*.onnx") if path.is_file()]
    yield from direct or (path for path in folder.glob("*/*.onnx") if path.is_file())


def _likely(path: Path) -> bool:
    return path.name.lower().startswith(_LIKELY_DETECTORS + _LIKELY_ENCODERS)
