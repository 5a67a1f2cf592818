"""The rewrite of PReLU: the same function, on every form that slopes come in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from face_networks import Graph, mobilefacenet
from onnx import numpy_helper

from facerec_cli.faces.runtime.rewrites import rewrite_prelu


def network(slopes: np.ndarray, *, opset: int = 15, channels: int = 12, depth: int = 3) -> onnx.ModelProto:
    graph, x = Graph(1), "input"
    x = graph.conv(x, 3, channels)
    for _ in range(depth):
        x = graph.prelu(x, slopes)
        x = graph.conv(x, channels, channels)
    graph.add("PRelu", x, graph.constant(slopes.astype(np.float32)), name="out")
    model = graph.model(["n", 3, "h", "w"], {"out": ["n", channels, "h", "w"]}, opset)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, batch: int = 2) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    data = np.random.default_rng(2).standard_normal((batch, 3, 20, 24)).astype(np.float32) * 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: data})[0]


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def spread(low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("opset", [9, 11, 13, 14, 15, 16, 18, 20, 22])
@pytest.mark.parametrize(
    "slopes",
    [
        spread(0.05, 0.9, (12, 1, 1)),
        spread(-0.9, 0.9, (12, 1, 1)),
        spread(-2, 3, (12, 1, 1)),
        spread(0, 1, (1, 12, 1, 1)),
    ],
    ids=["usual", "negative", "above one", "four axes"],
)
def test_slopes_for_each_channel(slopes: np.ndarray, opset: int) -> None:
    model = network(slopes, opset=opset)
    before = model.SerializeToString()
    rewritten = rewrite_prelu(model)
    assert model.SerializeToString() == before, "the argument was changed"
    assert kinds(rewritten)["PRelu"] == 0 and kinds(rewritten)["BatchNormalization"] == 8
    expected = run(model)
    np.testing.assert_allclose(run(rewritten), expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("slopes", [np.array([0.25]), np.array(0.25), np.full((12, 1, 1), 0.25)])
def test_one_slope_for_all_channels_is_a_leaky_relu(slopes: np.ndarray) -> None:
    model = network(slopes)
    rewritten = rewrite_prelu(model)
    assert kinds(rewritten)["LeakyRelu"] == 4 and kinds(rewritten)["PRelu"] == 0
    np.testing.assert_allclose(run(rewritten), run(model), rtol=1e-5, atol=1e-5)


def test_the_exact_result_at_the_kink_and_far_from_it() -> None:
    graph = Graph(0)
    weight = graph.constant(np.eye(3, dtype=np.float32)[..., None, None])
    x = graph.add("Conv", "input", weight, kernel_shape=[1, 1])
    graph.add("PRelu", x, graph.constant(np.array([0.5, -1, 2], np.float32).reshape(3, 1, 1)), name="out")
    rewritten = rewrite_prelu(graph.model(["n", 3, "h", "w"], {"out": ["n", 3, "h", "w"]}))
    session = onnxruntime.InferenceSession(rewritten.SerializeToString())
    line = np.array([-1e30, -4, -1, -0.0, 0, 1, 4, 1e30], np.float32)
    out = session.run(None, {"input": np.tile(line, (1, 3, 1, 1))})[0][0, :, 0]
    for row, slope in zip(out, [0.5, -1, 2], strict=True):
        np.testing.assert_allclose(row, np.where(line > 0, line, slope * line), rtol=1e-6)


def test_a_slope_that_is_a_constant_node() -> None:
    model = network(spread(-0.5, 0.9, (12, 1, 1)))
    names = {node.input[1] for node in model.graph.node if node.op_type == "PRelu"}
    values = {entry.name: entry for entry in model.graph.initializer if entry.name in names}
    for entry in values.values():
        model.graph.initializer.remove(entry)
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [entry.name], value=entry))
    rewritten = rewrite_prelu(model)
    assert kinds(rewritten)["PRelu"] == 0
    np.testing.assert_allclose(run(rewritten), run(model), rtol=1e-5, atol=1e-4)


def test_weights_that_are_also_inputs_keep_their_names() -> None:
    model = network(spread(-0.5, 0.9, (12, 1, 1)))
    for entry in model.graph.initializer:
        port = onnx.helper.make_tensor_value_info(entry.name, entry.data_type, list(entry.dims))
        model.graph.input.append(port)
    rewritten = rewrite_prelu(model)
    assert [port.name for port in rewritten.graph.input] == [port.name for port in model.graph.input]
    np.testing.assert_allclose(run(rewritten), run(model), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("case", ["slope per pixel", "computed slope", "no convolution", "none", "float16"])
def test_what_is_not_a_plain_prelu_is_left_alone(case: str) -> None:
    graph = Graph(0)
    x = graph.conv("input", 3, 3)
    if case == "slope per pixel":
        graph.add("PRelu", x, graph.constant(spread(0, 1, (3, 20, 24)).astype(np.float32)), name="out")
    elif case == "computed slope":
        slope = graph.add("Abs", graph.constant(np.full((3, 1, 1), 0.5, np.float32)))
        graph.add("PRelu", x, slope, name="out")
    elif case == "no convolution":
        graph = Graph(0)
        graph.add("PRelu", "input", graph.constant(spread(0, 1, (3, 1, 1)).astype(np.float32)), name="out")
    elif case == "float16":
        half = graph.add("Cast", x, to=onnx.TensorProto.FLOAT16)
        slope = graph.constant(spread(0, 1, (3, 1, 1)).astype(np.float16))
        graph.add("Cast", graph.add("PRelu", half, slope), name="out", to=onnx.TensorProto.FLOAT)
    else:
        graph.add("Relu", x, name="out")
    model = graph.model(["n", 3, "h", "w"], {"out": ["n", 3, "h", "w"]})
    assert rewrite_prelu(model) is model


def test_onnxruntime_keeps_a_rewritten_network_in_its_blocked_layout(tmp_path: Path) -> None:
    """The reason for all this, read from the graph that ONNX Runtime makes of it."""
    import platform

    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("ONNX Runtime's blocked layout is of x86-64")

    def reorders(model: onnx.ModelProto) -> int:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model.SerializeToString(), options)
        made = kinds(onnx.load(options.optimized_model_filepath))
        return made["ReorderInput"] + made["ReorderOutput"]

    model = onnx.load(mobilefacenet(tmp_path / "m.onnx"))
    assert reorders(model) > 10
    assert reorders(rewrite_prelu(model)) <= 1


def test_the_loader_applies_it_and_results_stay(tmp_path: Path) -> None:
    from facerec_cli.faces.runtime.session import Network

    path = mobilefacenet(tmp_path / "m.onnx")
    batch = np.random.default_rng(0).standard_normal((5, 3, 112, 112)).astype(np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"input": batch})[0]
    runs = Network(path, device="cpu", threads=2).run(5, lambda span, _: batch[span])
    found = np.concatenate([outputs[0] for _, outputs in runs])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_rewritten_slope_leaves_no_unused_weight() -> None:
    rewritten = rewrite_prelu(network(spread(-0.5, 0.9, (12, 1, 1))))
    used = {name for node in rewritten.graph.node for name in node.input}
    assert {entry.name for entry in rewritten.graph.initializer} <= used
    assert all(np.isfinite(numpy_helper.to_array(entry)).all() for entry in rewritten.graph.initializer)
