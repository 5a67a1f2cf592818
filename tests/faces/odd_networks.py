"""Networks that exporters make of one and the same function, and networks that only look like face networks.

The function is (N, 3, 112, 112) -> (N, 64): a 16 x 16 convolution, the mean of its ReLU.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE, DIMENSION = 112, 64
WEIGHTS = (np.random.default_rng(0).standard_normal((DIMENSION, 3, 16, 16)) * 0.05).astype(np.float32)
_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "float16": 10, "float64": 11, "bfloat16": 16}

Node = tuple[str, list[str], list[str], dict[str, Any]]


def write(
    path: Path,
    *,
    batch: int | str = "n",
    size: int = SIZE,
    last: bool = False,
    kind: str = "float32",
    inside: str = "float32",
    tail: Callable[[], list[Node]] | None = None,
    outputs: dict[str, list[Any]] | None = None,
    out_kind: str = "",
    constants: dict[str, NDArray[Any]] | None = None,
    more_inputs: tuple[Any, ...] = (),
    opset: int = 13,
    ir: int = 8,
    head: tuple[Node, ...] = (),
) -> Path:
    """Write a variant; ``tail`` gives the nodes from "pooled" (N, 64, 1, 1) to the outputs."""
    shape = [batch, size, size, 3] if last else [batch, 3, size, size]
    inputs = [helper.make_tensor_value_info("crops", _TYPES[kind], shape), *more_inputs]
    nodes, source = list(head), "crops"
    if head:
        source = head[-1][2][0]
    if kind != inside:
        nodes.append(("Cast", [source], ["cast"], {"to": _TYPES[inside]}))
        source = "cast"
    if last:
        nodes.append(("Transpose", [source], ["first"], {"perm": [0, 3, 1, 2]}))
        source = "first"
    nodes += [
        ("Conv", [source, "weights"], ["features"], {"kernel_shape": [16, 16], "strides": [16, 16]}),
        ("Relu", ["features"], ["positive"], {}),
        ("GlobalAveragePool", ["positive"], ["pooled"], {}),
    ]
    nodes += tail() if tail else [("Flatten", ["pooled"], ["embedding"], {})]
    wanted = outputs or {"embedding": [batch, DIMENSION]}
    values = {"weights": WEIGHTS.astype(inside), **(constants or {})}
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes],
        "odd",
        inputs,
        [helper.make_tensor_value_info(n, _TYPES[out_kind or inside], s) for n, s in wanted.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir
    onnx.save(model, str(path))
    return path


def plain(path: Path, crops: NDArray[np.uint8], *, scaled: bool = True) -> NDArray[np.float32]:
    """What ONNX Runtime alone makes of BGR crops that are fed as RGB, one at a time.

    Args:
        path: A file of :func:`write` with one vector as its first output.
        crops: (N, 112, 112, 3) uint8.
        scaled: (pixel - 127.5) / 127.5, else the pixels.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    types = {"float": "float32", "double": "float64"}
    name = port.type[len("tensor(") : -1]
    rows = []
    for crop in crops:
        values: NDArray[Any] = crop[..., ::-1]
        if scaled:
            values = (values.astype(np.float32) - np.float32(127.5)) * np.float32(1 / np.float32(127.5))
        values = values if port.shape[-1] == 3 else values.transpose(2, 0, 1)
        count = port.shape[0] if isinstance(port.shape[0], int) else 1
        fed = np.repeat(values[None], count, axis=0).astype(types.get(name, name))
        rows.append(session.run(None, {port.name: fed})[0].reshape(count, -1)[0].astype(np.float32))
    return np.stack(rows)


SERVED: dict[str, dict[str, Any]] = {
    "plain": {},
    "float16": {"kind": "float16", "inside": "float16"},
    "float16 in, float32 out": {"kind": "float16"},
    "float64 in": {"kind": "float64"},
    "float64 out": {
        "tail": lambda: [
            ("Flatten", ["pooled"], ["flat"], {}),
            ("Cast", ["flat"], ["embedding"], {"to": 11}),
        ],
        "out_kind": "float64",
    },
    "channels last": {"last": True},
    "channels last, float16": {"last": True, "kind": "float16"},
    "batch of one": {"batch": 1},
    "batch of two": {"batch": 2},
    "batch of eight": {"batch": 8},
    "(N, D, 1, 1)": {"tail": lambda: [("Identity", ["pooled"], ["embedding"], {})],
                     "outputs": {"embedding": ["n", DIMENSION, 1, 1]}},
    "(N, 1, D)": {
        "tail": lambda: [("Reshape", ["pooled", "shape"], ["embedding"], {})],
        "outputs": {"embedding": ["n", 1, DIMENSION]},
        "constants": {"shape": np.array([-1, 1, DIMENSION])},
    },
    "(N, 1, 1, D)": {
        "tail": lambda: [("Transpose", ["pooled"], ["embedding"], {"perm": [0, 2, 3, 1]})],
        "outputs": {"embedding": ["n", 1, 1, DIMENSION]},
    },
    "shape not told": {"outputs": {"embedding": ["a", "b"]}},
    "feature and norm": {
        "tail": lambda: [
            ("Flatten", ["pooled"], ["embedding"], {}),
            ("ReduceL2", ["embedding"], ["norm"], {"axes": [1], "keepdims": 1}),
        ],
        "outputs": {"embedding": ["n", DIMENSION], "norm": ["n", 1]},
    },
    "feature map beside it": {
        "tail": lambda: [("Flatten", ["pooled"], ["embedding"], {})],
        "outputs": {"embedding": ["n", DIMENSION], "features": ["n", DIMENSION, 7, 7]},
    },
    "any size": {"size": "side"},
    "a weight that is an input too": {
        "more_inputs": (helper.make_tensor_value_info("weights", TensorProto.FLOAT, list(WEIGHTS.shape)),)
    },
}  # fmt: skip
PIXELS: dict[str, dict[str, Any]] = {
    "uint8": {"kind": "uint8"},
    "uint8, channels last": {"kind": "uint8", "last": True},
    "int32": {"kind": "int32"},
    "int32, channels last": {"kind": "int32", "last": True},
}
