"""What an ONNX file itself tells: its inputs, its outputs, and whether it can be a face network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.errors import ModelError

_STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """The outside of an ONNX graph.

    Attributes:
        path: The file.
        inputs: Shape of each input that is not a weight; None for a dimension that is not fixed.
        outputs: Shape of each output.
        scales_input: Whether a Sub or Mul stands before the first convolution, as in networks born in
            mxnet, which take raw 0..255 pixels.
    """

    path: Path
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    scales_input: bool

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(width, height) of the only input, (N, 3, H, W), where both are fixed."""
        if len(self.inputs) != 1 or len(self.inputs[0]) != 4:
            return None
        height, width = self.inputs[0][2:]
        return None if height is None or width is None else (width, height)

    @property
    def embedding_size(self) -> int | None:
        """D of the only output, (N, D), where it is fixed."""
        return self.outputs[0][1] if len(self.outputs) == 1 and len(self.outputs[0]) == 2 else None


def inspect_network(path: Path, *, weights: bool = False) -> Network:
    """Read the outside of an ONNX file without running it.

    Args:
        path: The file; its weights must be inside.
        weights: Also check that every weight is a finite number.

    Raises:
        ModelError: Not an ONNX file, weights in a second file, operators that ONNX Runtime does not
            bring, or weights that are not finite.
    """
    model = _load(path)
    graph = model.graph
    _refuse_custom_operators(model, path)
    _refuse_external_data(graph, path)
    if weights:
        _refuse_broken_weights(graph, path)
    weight_names = {tensor.name for tensor in graph.initializer}
    return Network(
        path=path,
        inputs=tuple(_shape(port) for port in graph.input if port.name not in weight_names),
        outputs=tuple(_shape(port) for port in graph.output),
        scales_input=_scales_input(graph),
    )


def check_encoder(
    network: Network, *, layout: str, embedding_size: int | None, input_size: tuple[int, int] | None
) -> None:
    """Refuse a network that cannot be the recognition network that a manifest or flags describe.

    Sizes that are None are not compared.

    Raises:
        ModelError: Wrong number, rank or size of inputs or outputs; the message gives both sides.
    """
    path = network.path
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise _not_a_face_network(network)
    shape, out = network.inputs[0], network.outputs[0]
    if len(shape) != 4 or len(out) not in (0, 2):
        raise _not_a_face_network(network)
    height, width, channels = (shape[2], shape[3], shape[1]) if layout == "nchw" else shape[1:]
    if channels not in (3, None):
        raise _not_a_face_network(network)
    if input_size and (width or input_size[0], height or input_size[1]) != tuple(input_size):
        raise ModelError(f"{path} takes crops of {width} x {height}, not {input_size[0]} x {input_size[1]}.")
    found = out[1] if out else None
    if embedding_size and found not in (None, embedding_size):
        raise ModelError(f"{path} gives {found} numbers a face, not {embedding_size}.")


def _not_a_face_network(network: Network) -> ModelError:
    inputs = ", ".join(map(_show, network.inputs)) or "none"
    outputs = ", ".join(map(_show, network.outputs)) or "none"
    return ModelError(
        f"{network.path} is not a face recognition network: it takes {inputs} and gives {outputs}.",
        hint="One input (N, 3, height, width) and one output (N, size of the embedding) are needed.",
    )


def _show(shape: Shape) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"


def _load(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as fault:
        raise ModelError(f"{path} does not exist.") from fault
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}.") from fault
    except DecodeError as fault:
        raise ModelError(f"{path} is not an ONNX file, or it is cut short.") from fault
    if not model.graph.node:
        raise ModelError(f"{path} is not an ONNX file with a network in it.")
    return model


def _shape(port: Any) -> Shape:
    dims = port.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)


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


def _refuse_custom_operators(model: Any, path: Path) -> None:
    local = {(f.domain, f.name) for f in model.functions}
    foreign = sorted(
        {
            f"{node.domain}::{node.op_type}"
            for node in model.graph.node
            if node.domain not in _STANDARD_DOMAINS and (node.domain, node.op_type) not in local
        }
    )
    if foreign:
        raise ModelError(
            f"{path} needs operators that ONNX Runtime does not bring: {', '.join(foreign)}.",
            hint="Export the model again with standard ONNX operators only.",
        )


def _refuse_external_data(graph: Any, path: Path) -> None:
    external = 1  # TensorProto.EXTERNAL
    for tensor in graph.initializer:
        if tensor.data_location == external:
            location = next((e.value for e in tensor.external_data if e.key == "location"), "?")
            raise ModelError(
                f"{path} keeps its weights in a second file, {location!r}.",
                hint="Make it one file with Python: onnx.save(onnx.load('IN.onnx'), 'OUT.onnx')",
            )


def _refuse_broken_weights(graph: Any, path: Path) -> None:
    from onnx import numpy_helper

    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelError(
                f"{path}: weight {tensor.name!r} has NaN or infinite values.",
                hint="Export from an earlier checkpoint.",
            )
