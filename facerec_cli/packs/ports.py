"""Inputs and outputs of an ONNX file: their types and shapes, and which of them a face network uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from facerec_cli.errors import ModelError
from facerec_cli.packs.manifest import EncoderSpec

Shape = tuple[int | None, ...]
Layout = Literal["nchw", "nhwc"]

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


def read_port(value: Any) -> Port:
    """A ``ValueInfoProto`` as a port."""
    kind = value.type.WhichOneof("value") or ""
    if kind == "tensor_type":
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
        return Port(value.name, _TYPES.get(tensor.elem_type, "unknown"), shape)
    return Port(value.name, kind.removesuffix("_type").removesuffix("_tensor") or "unknown", ())


def layout_of(shape: Shape) -> Layout:
    """Channels first, unless only the last dimension can be the three colors."""
    return "nhwc" if len(shape) == 4 and shape[3] == 3 and shape[1] != 3 else "nchw"


def embeddings(outputs: Sequence[Port], size: int | None = None) -> list[Port]:
    """Those of ``outputs`` that can be the embedding.

    A vector of floats for each crop. Where several networks' ends are outputs, feature maps and single
    numbers (AdaFace's norm, a quality) are none; nor is a vector of another length than ``size``.
    """
    vectors = [
        port for port in outputs if port.dtype in (*FLOATS, "unknown") and port.vector_size is not None
    ]
    if len(outputs) > 1:
        vectors = [port for port in vectors if port.vector_size != 1]
        if size:
            vectors = [p for p in vectors if p.vector_size in (size, 0)]
        vectors = [port for port in vectors if port.vector_size] or vectors
        vectors = [port for port in vectors if len(port.shape) == 2] or vectors  # before (N, D, ?, ?)
    return vectors


def whole_shift(spec: EncoderSpec, dtype: Any, *, strict: bool = False) -> tuple[int, ...]:
    """What is subtracted from the pixels of a network that takes whole numbers.

    (0, 0, 0) for uint8, whose preprocessing is in the graph. Types with a sign can take pixel - mean.

    Args:
        spec: Mean and std.
        dtype: Of the network's input, as NumPy calls it.
        strict: Also refuse what a manifest may leave at its default because it never counted.

    Raises:
        ModelError: ``spec`` asks for more than whole numbers of this type can hold.
    """
    wanted = np.dtype(dtype)
    raw = spec.mean == (0.0, 0.0, 0.0) and spec.std == (1.0, 1.0, 1.0)
    if raw and wanted != np.int8:
        return (0, 0, 0)
    if (
        not strict
        and spec.layout == "nhwc"
        and wanted == np.uint8
        and spec.mean == spec.std == (127.5, 127.5, 127.5)
    ):
        return (0, 0, 0)
    limits = np.iinfo(wanted)
    fits = all(
        mean == int(mean) and std == 1 and limits.min <= -mean and 255 - mean <= limits.max
        for mean, std in zip(spec.mean, spec.std, strict=True)
    )
    if not fits:
        usual = "--mean 128 --std 1" if wanted == np.int8 else "--mean 0 --std 1"
        raise ModelError(
            f"{spec.file} takes whole numbers ({wanted.name}), so pixels cannot be scaled before it by "
            f"mean {spec.mean[0]:g} and std {spec.std[0]:g}.",
            hint=f"Such a network scales its input itself; add it with: facerec models add FILE {usual}",
        )
    return tuple(int(mean) for mean in spec.mean)
