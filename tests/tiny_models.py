"""Tiny ONNX files in the shapes of face networks, and packs made of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import DetectorSpec, EncoderSpec, License, ModelPack, Provenance
from facerec_cli.packs.manifest_toml import write_manifest


def _save(path: Path, nodes, inputs, outputs, weights, **settings) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def _port(name: str, shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def encoder_file(path: Path, *, size=112, dimension=512, raw=False, seed=0, weight=None, channels=3) -> Path:
    """A real network: mean over the pixels, then a matrix; runs in ONNX Runtime."""
    values = np.random.default_rng(seed).normal(size=(channels, dimension)).astype(np.float32)
    if weight is not None:
        values[0, 0] = weight
    weights = [numpy_helper.from_array(values, "weight")]
    nodes, source = [], "input"
    if raw:
        weights.append(numpy_helper.from_array(np.float32(127.5).reshape(1), "offset"))
        nodes.append(helper.make_node("Sub", ["input", "offset"], ["centred"]))
        source = "centred"
    nodes += [
        helper.make_node("GlobalAveragePool", [source], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["embedding"]),
    ]
    ports = [_port("input", ["batch", channels, size, size])], [_port("embedding", ["batch", dimension])]
    return _save(path, nodes, *ports, weights)


def detector_file(path: Path, *, outputs=9, seed=0) -> Path:
    """The outside of SCRFD: scores, boxes and landmarks of each stride, in that order."""
    kinds = {6: (1, 4), 9: (1, 4, 10), 15: (1, 4, 10)}[outputs]
    strides = outputs // len(kinds)
    nodes, ports, weights = [], [], []
    for kind, width in enumerate(kinds):
        weights.append(numpy_helper.from_array(np.full((3, width), seed, np.float32), f"w{kind}"))
        for stride in range(strides):
            name = f"out{kind}_{stride}"
            nodes += [
                helper.make_node("GlobalAveragePool", ["image"], [f"{name}_p"]),
                helper.make_node("Flatten", [f"{name}_p"], [f"{name}_f"]),
                helper.make_node("MatMul", [f"{name}_f", f"w{kind}"], [name]),
            ]
            ports.append(_port(name, ["n", width]))
    return _save(path, nodes, [_port("image", [1, 3, "h", "w"])], ports, weights)


def make_pack(folder: Path, name: str = "tiny", *, commercial: bool = True, seed: int = 0) -> ModelPack:
    """A pack folder with an encoder, a detector, a license text and a manifest with their sha256."""
    encoder = encoder_file(folder / "encoder.onnx", dimension=128, seed=seed)
    detector = detector_file(folder / "detector.onnx", seed=seed)
    (folder / "LICENSE.txt").write_text("Do what you like.\n")
    pack = ModelPack(
        name=name,
        description="A network for tests",
        folder=folder,
        license=License(
            code="MIT",
            weights="CC0-1.0" if commercial else "non-commercial-research",
            commercial=commercial,
            files=("LICENSE.txt",),
            notice="" if commercial else "For research only.",
        ),
        provenance=Provenance(source="made by a test", training_data="none"),
        encoder=EncoderSpec(file=encoder.name, sha256=sha256_of(encoder), embedding_size=128),
        detector=DetectorSpec(kind="scrfd", file=detector.name, sha256=sha256_of(detector)),
    )
    write_manifest(pack)
    return pack


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The makers of this module, for tests."""
    return SimpleNamespace(encoder=encoder_file, detector=detector_file, pack=make_pack)
