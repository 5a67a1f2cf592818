"""Exact rewrites of ONNX graphs that let ONNX Runtime's CPU provider run face networks fast.

ONNX Runtime keeps convolutions in a blocked layout (NCHWc). PRelu, which nearly every face network has
after every convolution, is not part of it: each one costs a reorder out of the layout and one back. The
same function written with nodes that the layout covers keeps the whole network inside it::

    prelu(x) = a·x + relu((1 - a)·x)        where every a <= 1
    prelu(x) = a·x + (1 - a)·relu(x)        otherwise
    prelu(x) = leaky_relu(x; a)             where one slope serves all channels

The two products are BatchNormalization nodes (scale only), which become 1 x 1 depthwise convolutions that
take the Relu and the Add into themselves. Results differ from PRelu's by rounding alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_FIRST_OPSET, _LAST_OPSET = 7, 25  # BatchNormalization's five inputs and one output mean the same in all
_KEEPS_SHAPE = frozenset(
    "Add BatchNormalization Cast Clip Div Dropout Identity LeakyRelu Mul PRelu Relu Sigmoid Sub Tanh".split()  # noqa: SIM905
)


def rewrite_prelu(model: ModelProto) -> ModelProto:
    """Replace each PRelu that ONNX Runtime's blocked layout does not cover by nodes that it does.

    Args:
        model: Any model; it is not changed.

    Returns:
        ``model`` itself where there is nothing to rewrite, else a copy with the same inputs, outputs and
        function. Left as they are: slopes that are not constants, slopes that are not one number or one
        per channel, and activations that do not follow a two-dimensional convolution.
    """
    import onnx

    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if not _FIRST_OPSET <= opset <= _LAST_OPSET:
        return model
    if not any(node.op_type == "PRelu" for node in model.graph.node):
        return model
    constants = _constants(model.graph)
    follows = _Followers(model.graph)
    nodes: list[NodeProto] = []
    added: dict[str, NDArray[np.float32]] = {}
    for position, node in enumerate(model.graph.node):
        slope = constants.get(node.input[1]) if node.op_type == "PRelu" else None
        slopes = None if slope is None else _per_channel(slope)
        if slopes is None or not follows.convolution(node.input[0]):
            nodes.append(node)
        elif len(slopes) == 1:
            nodes.append(_node("LeakyRelu", [node.input[0]], node.output[0], alpha=float(slopes[0])))
        else:
            nodes += _split(node, slopes, added, prefix=f"prelu{position}")
    if nodes == list(model.graph.node):
        return model
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    del rewritten.graph.node[:]
    rewritten.graph.node.extend(nodes)
    rewritten.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in added.items())
    _drop_unused(rewritten.graph, set(constants))
    return rewritten


def _split(
    node: NodeProto, slopes: NDArray[np.float32], added: dict[str, NDArray[np.float32]], *, prefix: str
) -> list[NodeProto]:
    """The nodes that stand for one PRelu with a slope for each channel."""
    x, y = node.input[0], node.output[0]

    def name(part: str) -> str:
        return f"facerec.{prefix}.{part}"

    def constant(part: str, values: NDArray[np.float32]) -> str:
        added[name(part)] = np.ascontiguousarray(values, np.float32)
        return name(part)

    def scaled(source: str, factors: NDArray[np.float32], part: str) -> NodeProto:
        zero, one = np.zeros_like(slopes), np.ones_like(slopes)
        inputs = [source, constant(f"{part}.scale", factors), constant("zero", zero)]
        inputs += [constant("zero", zero), constant("one", one)]
        return _node("BatchNormalization", inputs, name(part), epsilon=0.0)

    left = scaled(x, slopes, "left")
    if (slopes <= 1).all():
        scale = scaled(x, 1 - slopes, "right")
        relu = _node("Relu", [scale.output[0]], name("relu"))
        right = [scale, relu]
    else:
        relu = _node("Relu", [x], name("relu"))
        right = [relu, scaled(relu.output[0], 1 - slopes, "right")]
    return [left, *right, _node("Add", [left.output[0], right[-1].output[0]], y)]


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    from onnx import helper

    node: NodeProto = helper.make_node(kind, inputs, [output], name=f"{output}.{kind}", **attributes)
    return node


def _per_channel(slope: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """(C,) or (1,) slopes of a (N, C, H, W) activation, or None where they are something else."""
    if slope.dtype != np.float32 or not np.isfinite(slope).all():
        return None
    if slope.size == 1:
        return slope.reshape(1)
    if slope.ndim not in (3, 4) or slope.size != slope.shape[-3]:
        return None
    flat = slope.reshape(-1)
    return flat[:1] if (flat == flat[0]).all() else flat


def _constants(graph: GraphProto) -> dict[str, NDArray[np.float32]]:
    """Values of initializers and Constant nodes that PRelu nodes use as slopes."""
    from onnx import numpy_helper

    slopes = {node.input[1] for node in graph.node if node.op_type == "PRelu"}
    # An initializer that is also an input may be replaced by the caller, but no face network means that.
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer if entry.name in slopes}
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in slopes:
            value = next((a for a in node.attribute if a.name == "value"), None)
            if value is not None:
                values[node.output[0]] = numpy_helper.to_array(value.t)
    return values


class _Followers:
    """Tells whether a value has the shape of a two-dimensional convolution's output."""

    def __init__(self, graph: GraphProto) -> None:
        self._makers = {output: node for node in graph.node for output in node.output}
        self._weights = {entry.name: len(entry.dims) for entry in graph.initializer}

    def convolution(self, value: str) -> bool:
        """Whether ``value`` is (N, C, H, W), made by a Conv and nodes that keep its shape."""
        for _ in range(64):
            node = self._makers.get(value)
            if node is None:
                return False
            if node.op_type in ("Conv", "FusedConv"):
                kernel = next((a.ints for a in node.attribute if a.name == "kernel_shape"), ())
                return len(kernel) == 2 or self._weights.get(node.input[1]) == 4
            if node.op_type not in _KEEPS_SHAPE:
                return False
            made = [name for name in node.input if name in self._makers]
            if not made:
                return False
            value = made[0]
        return False


def _drop_unused(graph: GraphProto, names: set[str]) -> None:
    """Remove those initializers of ``names`` that nothing refers to any more."""
    used = {name for node in graph.node for name in node.input}
    used |= {entry.name for entry in (*graph.input, *graph.output)}
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # a subgraph may read them
    remaining = [entry for entry in graph.initializer if entry.name not in names - used]
    del graph.initializer[:]
    graph.initializer.extend(remaining)
