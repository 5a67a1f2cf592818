"""A network in two parts computes what it computes in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from face_networks import Graph, mobilefacenet

from facerec_cli.faces.runtime.last_layer import split_head
from facerec_cli.faces.runtime.session import Network

FEATURES, SIZE = 8 * 28 * 28, 192  # 1.2 million weights


def network(
    end: Callable[[Graph, str], None], *, batch: int | str = "n", size: int = SIZE
) -> onnx.ModelProto:
    """A convolution, Flatten, and what ``end`` puts after it."""
    graph = Graph(3)
    x = graph.prelu(graph.conv("input", 3, 8, stride=4), graph.random.uniform(-0.5, 0.9, (8, 1, 1)))
    end(graph, graph.add("Flatten", x, axis=1))
    return graph.model([batch, 3, 112, 112], {"embedding": [batch, size]})


def weight(graph: Graph, *shape: int) -> np.ndarray:
    return (graph.random.standard_normal(shape) / 50).astype(np.float32)


def product(graph: Graph, x: str) -> None:
    graph.add("MatMul", x, graph.constant(weight(graph, FEATURES, SIZE)), name="embedding")


def normalized(graph: Graph, x: str) -> None:
    x = graph.add("Gemm", x, graph.constant(weight(graph, SIZE, FEATURES)), transB=1)
    x = graph.norm(graph.add("Identity", x), SIZE)
    graph.add("Sub", x, graph.constant(weight(graph, SIZE)), name="embedding")


def compressed(graph: Graph, x: str) -> None:
    small = np.random.default_rng(5).integers(-127, 128, (FEATURES, SIZE), dtype=np.int8)
    real = graph.add("Cast", graph.constant(small), to=onnx.TensorProto.FLOAT)
    real = graph.add("Mul", real, graph.constant(np.array(1e-3, np.float32)))
    graph.add("MatMul", x, real, name="embedding")


def run(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: np.ndarray = session.run(None, {session.get_inputs()[0].name: values})[0]
    return found


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 3, 112, 112)).astype(np.float32)


@pytest.mark.parametrize("end", [product, normalized, compressed])
def test_the_parts_give_what_the_whole_gives(end: Callable[[Graph, str], None]) -> None:
    model = network(end)
    before = model.SerializeToString()
    parts = split_head(model)
    assert parts is not None and model.SerializeToString() == before
    body, head = parts
    onnx.checker.check_model(body)
    assert not {"MatMul", "Gemm"} & {node.op_type for node in body.graph.node}
    assert "Conv" not in {node.op_type for node in head.graph.node}
    assert body.ByteSize() < 100_000  # no weight is in both
    expected = run(model, photos(5))
    np.testing.assert_allclose(run(head, run(body, photos(5))), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", ["n", 1])
def test_a_network_uses_them_in_batches_of_any_size(tmp_path: Path, batch: int | str) -> None:
    model = network(normalized, batch=batch)
    onnx.save(model, str(tmp_path / "network.onnx"))
    opened = Network(tmp_path / "network.onnx", device="cpu", threads=2)
    assert opened._head is not None and opened.outputs == ["embedding"]
    values = photos(11)
    expected = np.concatenate([run(model, values[row : row + 1]) for row in range(11)])
    for batch_size in (1, 3, 4, 16):
        found = opened.run(11, lambda rows, _: values[rows], batch_size=batch_size)
        covered = [row for span, _ in found for row in range(span.start, span.stop)]
        assert covered == list(range(11))
        embeddings = np.concatenate([outputs[0] for _, outputs in found])
        np.testing.assert_allclose(embeddings, expected, rtol=1e-5, atol=1e-5)


def from_the_input(graph: Graph, x: str) -> None:
    x = graph.add("MatMul", x, graph.constant(weight(graph, FEATURES, SIZE)))
    mean = graph.add("Flatten", graph.add("GlobalAveragePool", "input"), axis=1)
    mean = graph.add("MatMul", mean, graph.constant(weight(graph, 3, SIZE)))
    graph.add("Add", x, mean, name="embedding")


def squared(graph: Graph, x: str) -> None:
    x = graph.add("MatMul", x, graph.constant(weight(graph, FEATURES, SIZE)))
    graph.add("ReduceL2", x, axes=[1], keepdims=1, name="embedding")


def two_computed(graph: Graph, x: str) -> None:
    turned = graph.add("Transpose", x, perm=[1, 0])
    wide = graph.add("MatMul", x, turned)
    graph.add("MatMul", wide, graph.add("MatMul", turned, x), name="embedding")


@pytest.mark.parametrize("end", [from_the_input, squared, two_computed])
def test_other_ends_are_left_alone(end: Callable[[Graph, str], None]) -> None:
    assert split_head(network(end)) is None


def test_small_layers_and_several_outputs_are_left_alone(tmp_path: Path) -> None:
    assert split_head(onnx.load(mobilefacenet(tmp_path / "small.onnx"))) is None
    model = network(product)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("Flatten2", onnx.TensorProto.FLOAT, ["n", FEATURES])
    )
    assert split_head(model) is None
