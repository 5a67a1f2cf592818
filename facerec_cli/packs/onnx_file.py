"""What an ONNX file itself tells: its inputs and outputs, and whether it is whole.

:func:`inspect_onnx` is the one place that reads a foreign graph; ``onnx_encoder`` says which graphs can be
recognition networks, and each detector in ``faces.detectors`` which are its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.errors import ModelError
from facerec_cli.packs.foreign import not_onnx, reading

Shape = tuple[int | None, ...]

_STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
MAX_ONNX_BYTES = 2 << 30  # where a protobuf message ends

# TensorProto.DataType -> name; those that NumPy has are named as there.
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128",
    16: "bfloat16", 17: "float8", 18: "float8", 19: "float8", 20: "float8", 21: "uint4", 22: "int4",
    23: "float4",
}  # fmt: skip
FLOATS = ("float32", "float16", "float64")  # what is cast from and to float32
WHOLE = ("uint8", "int8", "uint16", "int16", "int32", "int64", "uint32", "uint64")


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output.

    Attributes:
        name: As the file calls it.
        dtype: "float32" and the like; "sequence", "map", "optional" or "sparse" for what is no tensor,
            "unknown" where the file does not say.
        shape: None for a dimension that is not fixed; empty also where the file does not say.
    """

    name: str
    dtype: str
    shape: Shape

    def __str__(self) -> str:
        dims = ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name!r} ({dims}) {self.dtype}"

    @property
    def vector_size(self) -> int | None:
        """D where each crop gets a vector: (N, D), (N, D, 1, 1), (N, 1, D), or (D) of one crop; else None.

        0 where the file does not say how long the vector is.
        """
        if not self.shape:
            return 0
        if len(self.shape) == 1:
            return self.shape[0] or 0
        wide = [n for n in self.shape[1:] if n != 1]
        known = [n for n in wide if n is not None]
        if len(known) > 1:
            return None  # a feature map
        return known[0] if known else 0 if wide else 1


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The inputs and outputs of the network in an ONNX file.

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


def inspect_onnx(path: Path, *, weights: bool = False) -> OnnxFile:
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
        return OnnxFile(
            path=path,
            input_ports=tuple(_port(port) for port in graph.input if port.name not in weight_names),
            output_ports=tuple(_port(port) for port in graph.output),
            scales_input=_scales_input(graph),
            rounds=_rounds(graph),
        )


def _port(value: Any) -> Port:
    """A ``ValueInfoProto`` as a port."""
    kind = value.type.WhichOneof("value") or ""
    if kind == "tensor_type":
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
        return Port(value.name, _TYPES.get(tensor.elem_type, "unknown"), shape)
    return Port(value.name, kind.removesuffix("_type").removesuffix("_tensor") or "unknown", ())


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
    for inner in _graphs(graph):
        yield from inner.initializer
        for sparse in inner.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in inner.node:
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
