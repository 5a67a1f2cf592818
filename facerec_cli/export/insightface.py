"""A recognition network in the layout that the insightface package loads.

insightface has no manifest. Its loader tells a recognition network by one square input and one output, feeds
it RGB, and decides the scale by the names of the first eight nodes: where a name begins with ``Sub`` and
another with ``Mul`` it feeds pixels 0..255, else (pixel - 127.5) / 127.5 (insightface 2.1,
``model_zoo/arcface_onnx.py``). So a network that wants something else gets nodes of these names that make it
from pixels, and any other network must not have such names.

insightface's detectors are SCRFD and RetinaFace; ours is YuNet, which it cannot read. The folder therefore
holds recognition alone: ``get_model`` loads it as it is, ``FaceAnalysis`` once a detector lies beside it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import UsageError
from facerec_cli.packs.manifest import EncoderSpec

if TYPE_CHECKING:
    from onnx import ModelProto

_HALF = (127.5, 127.5, 127.5)
_RAW, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_LOOKED_AT = 8
_TELLING = ("Sub", "_minus", "Mul", "_mul")


def to_insightface(model: ModelProto, encoder: EncoderSpec) -> tuple[ModelProto, EncoderSpec]:
    """Make insightface feed ``model`` rightly.

    Args:
        model: Exported graph; not changed.
        encoder: Its manifest.

    Returns:
        The graph, and the manifest that fits it.

    Raises:
        UsageError: insightface cannot feed such a network: another template or size, or uint8 input.
    """
    width, height = encoder.input_size
    if encoder.layout != "nchw":
        raise UsageError(
            "insightface feeds float32 channels first, so --uint8 does not fit --insightface.",
            hint="Export twice.",
        )
    if encoder.template != "arcface" or width != height or width < 112 or width % 16:
        raise UsageError(
            f"insightface cannot cut crops of {width} x {height} with template {encoder.template!r}.",
            hint="It takes square crops with the arcface template.",
        )
    changed = type(model)()
    changed.CopyFrom(model)
    for node in list(changed.graph.node)[:_LOOKED_AT]:
        if node.name.startswith(_TELLING):
            node.name = f"node_{node.name}"
    if encoder.color == "rgb" and encoder.mean == _HALF and encoder.std == _HALF:
        return changed, encoder
    _prepend_preprocessing(changed, encoder)
    return changed, dataclasses.replace(encoder, color="rgb", mean=_RAW, std=_ONE)


def _prepend_preprocessing(model: ModelProto, encoder: EncoderSpec) -> None:
    """Make the network's input from RGB pixels inside the graph, with nodes of telling names."""
    from onnx import helper, numpy_helper

    graph = model.graph
    source, prepared = graph.input[0].name, "facerec.prepared"
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == source:
                node.input[at] = prepared
    mean = np.asarray(encoder.mean, np.float32).reshape(3, 1, 1)
    factor = (1 / np.asarray(encoder.std, np.float32)).reshape(3, 1, 1)
    constants: dict[str, NDArray[Any]] = {"facerec.mean": mean, "facerec.factor": factor}
    nodes = []
    if encoder.color == "bgr":
        constants["facerec.reversed"] = np.array([2, 1, 0], np.int64)
        nodes.append(
            helper.make_node("Gather", [source, "facerec.reversed"], ["facerec.bgr"], "reverse", axis=1)
        )
        source = "facerec.bgr"
    nodes += [
        helper.make_node("Sub", [source, "facerec.mean"], ["facerec.centred"], "Sub_mean"),
        helper.make_node("Mul", ["facerec.centred", "facerec.factor"], [prepared], "Mul_std"),
    ]
    nodes += list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in constants.items())
