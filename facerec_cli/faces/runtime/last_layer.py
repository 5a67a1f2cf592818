"""Taking a network's last layer off, so that a whole batch goes through it at once.

Recognition networks often end in a fully connected layer with more weights than all others together: SFace's
has 26 MB for one percent of the arithmetic. On a CPU its time is that of reading the weights, and a call of
two crops reads them all. The rest of the network wants such small calls, so the two parts run as sessions of
their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LEAST_WEIGHTS = 1_000_000  # in a layer that is worth it: more than a core's own cache holds
_FLOAT = 1  # TensorProto.FLOAT
_ELEMENTWISE = frozenset(("Add", "BatchNormalization", "Div", "Identity", "Mul", "Sub"))

Makers = dict[str, "NodeProto"]


def split_head(model: ModelProto) -> tuple[ModelProto, ModelProto] | None:
    """Cut a network in front of the matrix product that it ends in.

    Args:
        model: A network; it is not changed.

    Returns:
        Body and head, where the body's output is the head's only input; None where the network does not end
        in a large product with constants, followed by nothing but elementwise nodes, to (N, D) float32.
    """
    graph = model.graph
    if len(graph.output) != 1 or any(a.HasField("g") for node in graph.node for a in node.attribute):
        return None
    fed_shape = graph.input[0].type.tensor_type.shape.dim if graph.input else []
    if len(fed_shape) and fed_shape[0].dim_value > 1:
        return None  # the head would get other batches than the file says
    kind = graph.output[0].type.tensor_type
    if kind.elem_type != _FLOAT or len(kind.shape.dim) != 2:
        return None
    makers: Makers = {name: node for node in graph.node for name in node.output}
    tail = _tail(graph.output[0].name, makers)
    if not tail or tail[-1].input[0] not in makers:
        return None
    cut = tail[-1].input[0]
    tail_names = {name for node in tail for name in node.output}
    others = [name for node in tail for name in node.input if name not in tail_names and name != cut]
    head_names = tail_names | _before(others, makers)
    weights = {entry.name: entry for entry in graph.initializer}
    fed = {port.name for port in graph.input} - set(weights)
    read = {name for name in head_names if name in makers for name in makers[name].input} | set(others)
    if fed & read or cut in head_names or cut in others:
        return None
    sizes = [_count(weights[name].dims) for name in read if name in weights]
    if max(sizes, default=0) < _LEAST_WEIGHTS:
        return None
    return _part(model, _before([cut], makers), output=cut), _part(model, head_names, source=cut)


def _tail(output: str, makers: Makers) -> list[NodeProto]:
    """The nodes from a graph's output back to its last matrix product; none where it has no such end."""
    tail: list[NodeProto] = []
    while node := makers.get(output):
        tail.append(node)
        if node.op_type in ("Gemm", "MatMul"):
            turned = any(a.name == "transA" and a.i for a in node.attribute)
            return [] if turned else tail
        if node.op_type not in _ELEMENTWISE:
            return []
        output = node.input[0]
    return []


def _before(names: Iterable[str], makers: Makers) -> set[str]:
    """All values that are made on the way to ``names``, themselves included."""
    values: set[str] = set()
    waiting = [name for name in names if name in makers]
    while waiting:
        name = waiting.pop()
        if name not in values:
            values.add(name)
            waiting += [source for source in makers[name].input if source in makers]
    return values


def _part(model: ModelProto, made: set[str], *, source: str = "", output: str = "") -> ModelProto:
    """The nodes that make ``made``, with a new input or output in place of the graph's."""
    import onnx

    graph = model.graph
    nodes = [node for node in graph.node if made.intersection(node.output)]
    read = {name for node in nodes for name in node.input}

    def port(name: str) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, _FLOAT, ["rows", "features"])

    part = onnx.helper.make_graph(
        nodes,
        graph.name,
        [port(source)] if source else list(graph.input),
        [port(output)] if output else list(graph.output),
        [entry for entry in graph.initializer if entry.name in read],
    )
    made_model: ModelProto = onnx.helper.make_model(
        part, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    return made_model


def _count(dims: Iterable[int]) -> int:
    count = 1
    for size in dims:
        count *= size
    return count
