"""ONNX files without a manifest: what the user has to say about one, and what the file says itself."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of
from facerec_cli.packs.detectors import detector_kind, signatures
from facerec_cli.packs.manifest import EncoderSpec, License, ModelPack, Provenance
from facerec_cli.packs.onnx_encoder import check_encoder, layout_of, not_a_face_network, whole_shift
from facerec_cli.packs.onnx_file import WHOLE, OnnxFile, inspect_onnx
from facerec_cli.packs.overrides import FLAGS, PackOverrides


def open_bare(path: Path, overrides: PackOverrides, *, flags: bool = True) -> ModelPack:
    """Make a pack of an ONNX file and what the user says about it.

    Args:
        path: The file.
        overrides: What the user says.
        flags: Whether the caller takes the flags of ``overrides``, so that a message may name them.

    Raises:
        ModelError: Not a face recognition network, or flags are missing; the message has them ready.
    """
    network = inspect_onnx(path)
    if kind := detector_kind(network):
        raise ModelError(
            f"{path} is a face detector ({kind}), not a recognition network.",
            hint=f"Add it to a model: facerec models add {path} --encoder MODEL --name NAME",
        )
    if len(network.inputs) != 1:
        raise not_a_face_network(network)
    layout = overrides.layout or layout_of(network.inputs[0])
    size = overrides.input_size or _input_size(network, layout)
    dimension = overrides.embedding_size
    port = check_encoder(
        network, layout=layout, embedding_size=dimension, input_size=size, output=overrides.output_name
    )
    dimension = dimension or port.vector_size or None
    raw = network.scales_input or network.input_ports[0].dtype in WHOLE
    if (
        overrides.color is None
        or overrides.mean is None
        or overrides.std is None
        or overrides.template is None
        or size is None
        or dimension is None
    ):
        raise _missing(path, overrides, raw, size, dimension, flags=flags, cells=len(port.shape) == 3)
    encoder = EncoderSpec(
        file=path.name,
        sha256=sha256_of(path),
        embedding_size=dimension,
        input_size=size,
        color=overrides.color,
        mean=overrides.mean,
        std=overrides.std,
        template=overrides.template,
        normalized=bool(overrides.normalized),
        layout=layout,
        output_name=overrides.output_name,
    )
    if network.input_ports[0].dtype in WHOLE:
        whole_shift(encoder, network.input_ports[0].dtype, strict=True)
    return ModelPack(
        name=re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).strip("._-")[:64] or "model",
        description="ONNX file without a manifest, used with flags",
        folder=path.parent,
        license=License(code="unknown", weights="unknown", commercial=False),
        provenance=Provenance(source=path.name, training_data="unknown"),
        encoder=encoder,
        unproved=True,
    )


def _input_size(network: OnnxFile, layout: str) -> tuple[int, int] | None:
    if layout == "nchw" or network.input_size is None:
        return network.input_size
    height, width = network.inputs[0][1:3]
    return None if height is None or width is None else (width, height)


def _missing(
    path: Path,
    overrides: PackOverrides,
    raw: bool,
    size: tuple[int, int] | None,
    dimension: int | None,
    *,
    flags: bool,
    cells: bool,
) -> ModelError:
    """The refusal of a file that too little is known about, with the flags ready to paste.

    ``cells`` says whether the output has rows of numbers, as that of a detector.
    """
    usual = {
        "color": "rgb",
        "mean": "0" if raw else "127.5",
        "std": "1" if raw else "127.5",
        "template": "arcface",
        **({} if size else {"input_size": "112x112"}),
        **({} if dimension else {"embedding_size": "512"}),
    }
    absent = {name: value for name, value in usual.items() if name not in overrides.given()}
    words = " ".join(f"{FLAGS[name]} {value}" for name, value in absent.items())
    told = [f"crops of {size[0]} x {size[1]}"] if size else []
    told += [f"embeddings of {dimension} dimensions"] if dimension else []
    told += ["raw pixels in, scaled inside"] if raw else []
    detectors = f"\nIf it is a face detector, it is of no kind that is known here. {signatures()}"
    add = f"facerec models add {shlex.quote(str(path))} {_spoken(overrides)}{words}"
    return ModelError(
        f"{path} carries no facerec manifest, and a wrong color order or scale costs accuracy silently."
        + (f" The file itself says: {', '.join(told)}." if told else ""),
        hint=(f"Add: {words}\nOr register it once: {add}\n" if flags else f"Register it once: {add}\n")
        + "These are the usual values for ArcFace networks; compare them with what the "
        "model's authors say (AdaFace's are --color bgr)." + (detectors if cells else ""),
    )


def _spoken(overrides: PackOverrides) -> str:
    """The flags that were given, as they can be typed again."""
    words = []
    for name, value in overrides.given().items():
        if isinstance(value, tuple):
            value = ("x" if name == "input_size" else ",").join(f"{part:g}" for part in value)
        words.append(FLAGS[name] if value is True else f"{FLAGS[name]} {shlex.quote(str(value))}")
    return "".join(f"{word} " for word in words)
