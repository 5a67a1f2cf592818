"""From a network in PyTorch to a clean ONNX graph.

PyTorch's exporter is used through ``torch.export`` (``dynamo=True``): of the two that PyTorch ships it gives
the batch a name on both ends, folds more of the batch norms and leaves fewer nodes (figures in
docs/export.md), and it is the one that is maintained. What it leaves behind is cleaned here: stack traces
and scopes of the machine that exported, and shapes of inner values.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facerec_cli.backbones import Backbone, Preprocessing
from facerec_cli.errors import ModelError, was_interrupt
from facerec_cli.export.settings import GraphOptions

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18  # the exporter's own; later ones bring nothing that a face network needs
INPUT, OUTPUT, BATCH = "input", "embedding", "batch"


class ExportedNetwork(nn.Module):
    """The network with what ``options`` put around it; this is what becomes the graph."""

    def __init__(self, backbone: Backbone, preprocessing: Preprocessing, options: GraphOptions) -> None:
        super().__init__()
        self.backbone = backbone
        self.options = options
        self.reverse = options.uint8 not in (None, preprocessing.color)
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(3, 1, 1))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W) float32 or, with ``uint8``, (N, H, W, 3) uint8 -> (N, D) float32."""
        x = self._preprocessed(crops) if self.options.uint8 else crops
        if self.options.flip:  # one pass over 2 N crops, so that the weights are in the graph once
            both = self.backbone(torch.cat([x, x.flip(3)])).embeddings
            embeddings = both.unflatten(0, (2, -1)).sum(0)
        else:
            embeddings = self.backbone(x).embeddings
        return F.normalize(embeddings) if self.options.normalize else embeddings

    def _preprocessed(self, crops: Tensor) -> Tensor:
        x = crops.permute(0, 3, 1, 2).to(torch.float32)
        if self.reverse:
            x = x.index_select(1, torch.tensor([2, 1, 0]))
        return (x - self.mean) / self.std  # type: ignore[operator]


def to_onnx(network: ExportedNetwork, size: tuple[int, int]) -> ModelProto:
    """Export ``network``: input ``input``, output ``embedding`` (N, D), N named ``batch`` on both.

    Args:
        network: On the CPU.
        size: (width, height) of a crop.

    Raises:
        ModelError: A weight is not a finite number, or the network cannot be exported.
    """
    import onnx

    _refuse_broken_weights(network)
    width, height = size
    # Two crops: the exporter would take one for a constant.
    example = torch.zeros(2, 3, height, width)
    if network.options.uint8:
        example = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                network.eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim(BATCH)},),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as fault:
        if was_interrupt(fault):
            raise KeyboardInterrupt from None
        raise ModelError(
            f"The network cannot be exported to ONNX: {str(fault).splitlines()[0]}",
            hint="Change the layer that is named; the networks of facerec can all be exported.",
        ) from fault
    assert program is not None
    model = _clean(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    return model


def _refuse_broken_weights(network: nn.Module) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(
                f"The weights {name.removeprefix('backbone.')!r} hold numbers that are not finite.",
                hint="The training run broke down. Take an earlier checkpoint.",
            )


def _clean(model: ModelProto) -> ModelProto:
    """Drop what tells of the exporting machine or would go stale, and name the batch on both ends."""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    del model.functions[:]
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "facerec"
    model.producer_name, model.producer_version = "facerec", ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for entry in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
        entry.doc_string = ""
    for port in (model.graph.input[0], model.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_param = BATCH
    return model


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter talks on stdout, in warnings and in its log; none of it is the user's business."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
