"""What an ONNX file itself tells: its inputs, its outputs, and whether it can be a face network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.errors import ModelError
from facerec_cli.packs.foreign import not_onnx, reading
from facerec_cli.packs.manifest import MAX_SIZE, MIN_SIZE
from facerec_cli.packs.ports import FLOATS, WHOLE, Port, Shape, embeddings, read_port

_STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
MAX_ONNX_BYTES = 2 << 30  # where a protobuf message ends


@dataclass(frozen=True, slots=True)
class Network:
    """The outside of an ONNX graph.

    Attributes:
        path: The file.
        input_ports: The inputs that are not weights.
        output_ports: The outputs.
        scales_input: Whether a Sub or Mul stands before the first convolution, as in networks born in
            mxnet, which take raw 0..255 pixels.
        rounds: Whether it computes in fewer bits than float32, so that its results depend a little on the
            batch and the machine.
    """

    path: Path
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]
    scales_input: bool
    rounds: bool = False

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """Shape of each input that is not a weight; None for a dimension that is not fixed."""
        return tuple(port.shape for port in self.input_ports)

    @property
    def outputs(self) -> tuple[Shape, ...]:
        """Shape of each output."""
        return tuple(port.shape for port in self.output_ports)

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(width, height) of the only input, (N, 3, H, W), where both are fixed."""
        if len(self.inputs) != 1 or len(self.inputs[0]) != 4:
            return None
        height, width = self.inputs[0][2:]
        return None if height is None or width is None else (width, height)

    @property
    def embedding_size(self) -> int | None:
        """D of the output that can only be the embedding, where it is fixed."""
        found = embeddings(self.output_ports)
        return (found[0].vector_size or None) if len(found) == 1 else None


def inspect_network(path: Path, *, weights: bool = False) -> Network:
    """Read the outside of an ONNX file without running it.

    Args:
        path: The file; its weights must be inside.
        weights: Also check that every weight is a finite number.

    Raises:
        ModelError: Not an ONNX file, weights in a second file, operators that ONNX Runtime does not
            bring, or weights that are not finite.
    """
    with reading(path, "an ONNX file"):
        model = _load(path)
        graph = model.graph
        _refuse_custom_operators(model, path)
        _refuse_external_data(graph, path)
        if weights:
            _refuse_broken_weights(graph, path)
        weight_names = {tensor.name for tensor in graph.initializer}
        weight_names |= {tensor.values.name for tensor in graph.sparse_initializer}
        return Network(
            path=path,
            input_ports=tuple(read_port(port) for port in graph.input if port.name not in weight_names),
            output_ports=tuple(read_port(port) for port in graph.output),
            scales_input=_scales_input(graph),
            rounds=_rounds(graph),
        )


def check_encoder(
    network: Network,
    *,
    layout: str,
    embedding_size: int | None,
    input_size: tuple[int, int] | None,
    output: str | None = None,
) -> Port:
    """Refuse a network that cannot be the recognition network that a manifest or flags describe.

    Sizes that are None are not compared.

    Returns:
        The output that is the embedding.

    Raises:
        ModelError: Wrong number, type, rank or size of inputs or outputs; the message gives both sides.
    """
    path = network.path
    if len(network.inputs) != 1 or len(network.inputs[0]) != 4:
        raise not_a_face_network(network)
    (port,) = network.input_ports
    shape = port.shape
    height, width, channels = (shape[2], shape[3], shape[1]) if layout == "nchw" else shape[1:]
    if channels not in (3, None):
        raise not_a_face_network(network)
    if port.dtype not in (*FLOATS, *WHOLE):
        raise ModelError(
            f"{path} takes {port.dtype} numbers, which cannot be made of a photo here.",
            hint="Export it again with a float32 input.",
        )
    if input_size and (width or input_size[0], height or input_size[1]) != tuple(input_size):
        raise ModelError(
            f"{path} takes crops of {width or '?'} x {height or '?'}, not {input_size[0]} x {input_size[1]}.",
            hint="Correct --size, or input_size in pack.toml.",
        )
    chosen = choose_output(network, output, embedding_size)
    found = chosen.vector_size
    if found is not None and found != 0 and not MIN_SIZE <= found <= MAX_SIZE:
        raise ModelError(
            f"{path} gives {found:,} numbers a face; an embedding has {MIN_SIZE} to {MAX_SIZE:,}.",
            hint="Export the layer before its classifier." if found > MAX_SIZE else "It is no face network.",
        )
    if embedding_size and found not in (0, embedding_size):
        raise ModelError(
            f"{path} gives {found} numbers a face, not {embedding_size}.",
            hint="Correct --embedding-size, or embedding_size in pack.toml.",
        )
    return chosen


def choose_output(network: Network, name: str | None, size: int | None = None) -> Port:
    """The output that is the embedding: the one called ``name``, or the only one that can be it.

    Raises:
        ModelError: There is none, or there are several; the message lists them.
    """
    path, ports = network.path, network.output_ports
    listed = ", ".join(map(str, ports))
    if name:
        chosen = next((port for port in ports if port.name == name), None)
        if chosen is None:
            raise ModelError(f"{path} has no output {name!r}.", hint=f"It has {listed}.")
        if not embeddings([chosen]):
            raise ModelError(
                f"{path}: its output {chosen} is not one vector of floats a face.",
                hint=f"Its outputs are {listed}.",
            )
        return chosen
    found = embeddings(ports, size)
    if not found:
        raise not_a_face_network(network)
    if len(found) > 1:
        raise ModelError(
            f"{path} has {len(found)} outputs that can be the embedding: {', '.join(map(str, found))}.",
            hint=f"Say which when it is added: facerec models add {path} --output-name {found[0].name}",
        )
    return found[0]


def not_a_face_network(network: Network) -> ModelError:
    """The refusal of a network whose inputs and outputs are not a recognition network's."""
    inputs = ", ".join(map(str, network.input_ports)) or "nothing"
    outputs = ", ".join(map(str, network.output_ports)) or "nothing"
    hint = "One input (N, 3, height, width) and one output (N, size of the embedding) are needed."
    if len(network.inputs) > 1:
        hint += " Export it again in evaluation mode, with the crops as its only input."
    return ModelError(
        f"{network.path} is not a face recognition network: it takes {inputs} and gives {outputs}.", hint=hint
    )


def _load(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size > MAX_ONNX_BYTES:
        raise ModelError(
            f"{path} is larger than {MAX_ONNX_BYTES:,} bytes; that is no ONNX file.",
            hint="Name an .onnx file.",
        )
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as fault:
        raise not_onnx(path) from fault
    if not model.graph.node:
        raise ModelError(
            f"{path} is not an ONNX file with a network in it.",
            hint="Export it or get it again, or name another file.",
        )
    return model


def _scales_input(graph: Any) -> bool:
    """Whether the image passes a Sub or Mul before its first convolution."""
    weight_names = {tensor.name for tensor in graph.initializer}
    reached = {port.name for port in graph.input if port.name not in weight_names}
    for node in graph.node:
        if reached.intersection(node.input):
            if node.op_type in ("Sub", "Mul", "Div", "Add"):
                return True
            if node.op_type not in ("Identity", "Cast", "Transpose", "Reshape"):
                return False
            reached.update(node.output)
    return False


def _rounds(graph: Any) -> bool:
    half, brain = 10, 16  # TensorProto.FLOAT16, BFLOAT16
    return any(
        "Quantize" in node.op_type or "Integer" in node.op_type or node.op_type.startswith("QLinear")
        for node in graph.node
    ) or any(tensor.data_type in (half, brain) for tensor in graph.initializer)


def _refuse_custom_operators(model: Any, path: Path) -> None:
    local = {(f.domain, f.name) for f in model.functions}
    foreign = sorted(
        {
            f"{node.domain}::{node.op_type}"
            for graph in _graphs(model.graph)
            for node in graph.node
            if node.domain not in _STANDARD_DOMAINS and (node.domain, node.op_type) not in local
        }
    )
    if foreign:
        raise ModelError(
            f"{path} needs operators that ONNX Runtime does not bring: {', '.join(foreign)}.",
            hint="Export the model again with standard ONNX operators only.",
        )


def _graphs(graph: Any, depth: int = 0) -> Iterator[Any]:
    """A graph and those inside its nodes (If, Loop, Scan)."""
    yield graph
    if depth > 32:
        raise ModelError(
            "Its graphs are nested more than 32 deep.", hint="Export it again without control flow."
        )
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner, depth + 1)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor in the file: weights, sparse ones, and constants of nodes, inner graphs too."""
    for one in _graphs(graph):
        yield from one.initializer
        for sparse in one.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in one.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                if attribute.HasField("sparse_tensor"):
                    yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
                yield from attribute.tensors


def _refuse_external_data(graph: Any, path: Path) -> None:
    external = 1  # TensorProto.EXTERNAL
    for tensor in _tensors(graph):
        if tensor.data_location == external or tensor.external_data:
            location = next((e.value for e in tensor.external_data if e.key == "location"), "?")
            here = (path.parent / location).is_file()
            raise ModelError(
                f"{path} keeps its weights in a second file, {location!r}"
                + (", which is not there." if not here else "."),
                hint=("" if here else f"Get {Path(location).name} from where the network came from. ")
                + "Make it one file: python -c "
                f"\"import onnx; onnx.save(onnx.load('{path}'), 'ONE.onnx')\"",
            )


def _refuse_broken_weights(graph: Any, path: Path) -> None:
    from onnx import numpy_helper

    for tensor in graph.initializer:
        try:
            values = numpy_helper.to_array(tensor)
        except Exception as fault:  # whatever onnx and NumPy make of sizes that do not fit the bytes
            raise ModelError(
                f"{path} is damaged: the weight {tensor.name!r} does not have the numbers that its shape "
                f"{tuple(tensor.dims)} asks for.",
                hint="Get or export the file again.",
            ) from fault
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelError(
                f"{path}: weight {tensor.name!r} has NaN or infinite values.",
                hint="Export from an earlier checkpoint.",
            )
