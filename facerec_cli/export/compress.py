"""Smaller and faster forms of an exported graph. What each one costs is measured by the caller.

============== ====================================================================================
fp16           half precision throughout, float32 at both ends: for GPUs
fp16-weights   weights stored in half precision, computed in float32
int8           8-bit weights and activations, per channel, calibrated on crops (ONNX QDQ)
int8-weights   8-bit weights per output channel, computed in float32
============== ====================================================================================

The ``-weights`` forms unfold while the file is opened: a Cast (and a Mul) of constants, which every runtime
computes once, so they run as fast as float32 from a file of half or a quarter of the size.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_SMALL = 1024  # numbers; a tensor below this is not worth a node
_MAX_HALF = float(np.finfo(np.float16).max)


def fp16(model: ModelProto, inputs: NDArray[Any]) -> ModelProto:
    """Compute in half precision, with the input and output as they are.

    Raises:
        ModelError: A weight is too large for half precision.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    for name, values in _weights(model):
        largest = float(np.abs(values).max(initial=0))
        if largest > _MAX_HALF:
            raise ModelError(
                f"The weights {name!r} hold {largest:.3g}; half precision ends at {_MAX_HALF:g}.",
                hint="Use --int8-weights for a smaller file.",
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that become zero; what that costs is measured
        half = OnnxModel(convert_float_to_float16(_copy(model), keep_io_types=True))
    half.topological_sort()  # the converter appends the casts of the ends
    converted: ModelProto = half.model
    del converted.graph.value_info[:]
    return converted


def fp16_weights(model: ModelProto, inputs: NDArray[Any]) -> ModelProto:
    """Store the weights in half precision."""
    from onnx import TensorProto, helper

    def fold(name: str, values: NDArray[np.float32]) -> tuple[dict[str, NDArray[Any]], list[NodeProto]]:
        stored = f"{name}.fp16"
        clipped = np.clip(values, -_MAX_HALF, _MAX_HALF).astype(np.float16)
        return {stored: clipped}, [helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT)]

    return _folded(model, fold)


def int8_weights(model: ModelProto, inputs: NDArray[Any]) -> ModelProto:
    """Store the weights in 8 bits, with one scale for each output channel."""
    from onnx import TensorProto, helper

    def fold(name: str, values: NDArray[np.float32]) -> tuple[dict[str, NDArray[Any]], list[NodeProto]]:
        inner = tuple(range(1, values.ndim))
        scale = np.abs(values).max(axis=inner, keepdims=True).astype(np.float32) / np.float32(127)
        scale[scale == 0] = 1
        whole = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        cast = helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=TensorProto.FLOAT)
        product = helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name])
        return {f"{name}.int8": whole, f"{name}.scale": scale}, [cast, product]

    return _folded(model, fold)


def int8(model: ModelProto, inputs: NDArray[Any]) -> ModelProto:
    """Quantise weights (per channel) and activations, calibrated on ``inputs``.

    Weights take seven of the eight bits, so that CPUs without VNNI cannot overflow their 16-bit sums. The
    first two convolutions stay in float32 and ranges are moving averages over the crops: on SFace that
    lifts the mean cosine from 0.989 to 0.994 (docs/export.md).

    Args:
        model: With PRelu nodes as they are: split ones would be rounded twice.
        inputs: (N, ...) network inputs to calibrate on.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="facerec-int8-") as folder, _silence():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            _copy(model),
            str(target),
            _Calibration(model.graph.input[0].name, inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm"],
            nodes_to_exclude=[node.name for node in model.graph.node if node.op_type == "Conv"][:2],
            extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.01},
        )
        quantised = onnx.load(str(target))
    del quantised.graph.value_info[:]
    del quantised.metadata_props[:]
    quantised.producer_name, quantised.producer_version = model.producer_name, model.producer_version
    return quantised


# suffix of the file -> what makes it; the flag is the suffix with a dash
FORMS: dict[str, Callable[[ModelProto, NDArray[Any]], ModelProto]] = {
    "fp16": fp16,
    "fp16_weights": fp16_weights,
    "int8": int8,
    "int8_weights": int8_weights,
}


class _Calibration:
    """Feeds the quantiser one crop after the other."""

    def __init__(self, name: str, inputs: NDArray[Any]) -> None:
        self._feeds = iter([{name: inputs[i : i + 1]} for i in range(len(inputs))])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def _folded(
    model: ModelProto,
    fold: Callable[[str, NDArray[np.float32]], tuple[dict[str, NDArray[Any]], list[NodeProto]]],
) -> ModelProto:
    """Replace each large weight by what ``fold`` stores for it, and the nodes that unfold it."""
    from onnx import numpy_helper

    folded = _copy(model)
    large = {name: values for name, values in _weights(model) if values.size >= _SMALL}
    kept = [entry for entry in folded.graph.initializer if entry.name not in large]
    nodes: list[NodeProto] = []
    for name, values in large.items():
        stored, unfolding = fold(name, values)
        kept += [numpy_helper.from_array(value, key) for key, value in stored.items()]
        nodes += unfolding
    nodes += list(folded.graph.node)
    del folded.graph.initializer[:], folded.graph.node[:]
    folded.graph.initializer.extend(kept)
    folded.graph.node.extend(nodes)
    return folded


def _weights(model: ModelProto) -> Iterator[tuple[str, NDArray[np.float32]]]:
    from onnx import TensorProto, numpy_helper

    for entry in model.graph.initializer:
        if entry.data_type == TensorProto.FLOAT:
            yield entry.name, numpy_helper.to_array(entry)


def _copy(model: ModelProto) -> ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The quantiser advises on preprocessing through the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
