"""Networks with random weights and the inputs and outputs of real face networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facerec_cli.packs.resolve import open_pack


class Graph:
    """An ONNX graph under construction; weights come from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: object) -> str:
        name = name or f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, group: int = 1
    ) -> str:
        scale = (2 / (inputs // group * kernel**2)) ** 0.5
        shape = (outputs, inputs // group, kernel, kernel)
        weight = self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))
        bias = self.constant((self.random.standard_normal(outputs) * 0.1).astype(np.float32))
        pad = 0 if stride == kernel else kernel // 2
        settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": group}
        return self.add("Conv", x, weight, bias, **settings)

    def prelu(self, x: str, slopes: np.ndarray) -> str:
        return self.add("PRelu", x, self.constant(slopes.astype(np.float32)))

    def norm(self, x: str, channels: int) -> str:
        scale, bias, mean = (self.random.standard_normal(channels).astype(np.float32) * 0.1 for _ in range(3))
        variance = self.random.uniform(0.5, 2, channels).astype(np.float32)
        return self.add("BatchNormalization", x, *map(self.constant, (scale + 1, bias, mean, variance)))

    def model(self, inputs: list, outputs: dict[str, list], opset: int = 15) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "network",
            [value("input", TensorProto.FLOAT, inputs)],
            [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            self.constants,
        )
        ir = 8 if opset < 21 else 10
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def scrfd(path: Path, *, outputs: int = 9, batched: bool = True, seed: int = 0) -> Path:
    """A detector with the outputs of an SCRFD: one convolution for each stride and kind."""
    strides, anchors = ((8, 16, 32), 2) if outputs in (6, 9) else ((8, 16, 32, 64, 128), 1)
    widths = {"score": 1, "bbox": 4, "kps": 10}
    graph, shapes = Graph(seed), {}
    for kind in list(widths)[: outputs // len(strides)]:
        for stride in strides:
            x = graph.conv("input", 3, widths[kind] * anchors, kernel=stride, stride=stride)
            x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
            shape = [0, -1, widths[kind]] if batched else [-1, widths[kind]]
            name = f"{kind}_{stride}"
            if kind == "score":
                x = graph.add("Reshape", x, graph.constant(np.array(shape)))
                steep = graph.add("Mul", x, graph.constant(np.array(3, np.float32)))
                low = graph.add("Sub", steep, graph.constant(np.array(4, np.float32)))
                graph.add("Sigmoid", low, name=name)
            elif kind == "bbox":
                x = graph.add("Reshape", x, graph.constant(np.array(shape)))
                graph.add("Exp", x, name=name)
            else:
                graph.add("Reshape", x, graph.constant(np.array(shape)), name=name)
            shapes[name] = ["n", "anchors", widths[kind]] if batched else ["anchors", widths[kind]]
    model = graph.model(["n" if batched else 1, 3, "height", "width"], shapes)
    onnx.save(model, str(path))
    return path


def yunet(path: Path) -> Path:
    """The default pack's detector."""
    detector = open_pack().detector_path
    assert detector is not None
    shutil.copyfile(detector, path)
    return path


def mobilefacenet(path: Path, *, blocks: int = 3, batch: int | str = "n", scaled: bool = False) -> Path:
    """A small network of depthwise blocks with PReLU; ``scaled`` has Sub and Mul inside like mxnet's."""
    graph, x, channels = Graph(7), "input", 16
    if scaled:
        x = graph.add("Sub", x, graph.constant(np.array([127.5], np.float32)), name="_minusscalar0")
        x = graph.add("Mul", x, graph.constant(np.array([0.0078125], np.float32)), name="_mulscalar0")
    x = graph.prelu(graph.conv(x, 3, channels, stride=2), graph.random.uniform(-0.5, 0.9, (channels, 1, 1)))
    for _ in range(blocks):
        for group, outputs, stride in ((channels, channels, 2), (1, channels * 2, 1)):
            x = graph.norm(graph.conv(x, channels, outputs, stride=stride, group=group), outputs)
            x = graph.prelu(x, graph.random.uniform(-0.5, 0.9, (outputs, 1, 1)))
        channels *= 2
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    weight = graph.random.standard_normal((channels, 64)).astype(np.float32)
    graph.add("MatMul", x, graph.constant(weight), name="embedding")
    onnx.save(graph.model([batch, 3, 112, 112], {"embedding": [batch, 64]}), str(path))
    return path
