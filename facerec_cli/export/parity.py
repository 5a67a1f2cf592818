"""Does the ONNX file compute what the network in PyTorch computes?

The two sides share nothing: PyTorch runs the bare network on crops that torch prepared as the
checkpoint's record says; ONNX Runtime runs the file on crops prepared from the file's manifest.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from facerec_cli.backbones import Backbone, Preprocessing
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.errors import ModelError
from facerec_cli.export.onnx_graph import ExportedNetwork
from facerec_cli.export.settings import TOLERANCE, GraphOptions
from facerec_cli.faces.preprocess import network_input
from facerec_cli.packs.manifest import EncoderSpec
from facerec_cli.runtime import import_onnxruntime

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

log = logging.getLogger("facerec")

BATCHES = (1, 7, 32)
# Providers that run a network as it is, without minutes of building engines first.
_PROVIDERS = {
    "CPUExecutionProvider": "cpu",
    "CUDAExecutionProvider": "cuda",
    "CoreMLExecutionProvider": "coreml",
    "OpenVINOExecutionProvider": "openvino",
}

Crops = NDArray[np.uint8]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two sets of embeddings of the same crops are apart.

    Attributes:
        largest_difference: Of any two numbers.
        smallest_cosine: Of any two embeddings of one crop.
        largest_distance: Of any two embeddings of one crop, relative to the length of the first.
    """

    largest_difference: float
    smallest_cosine: float
    largest_distance: float


@dataclass(frozen=True, slots=True)
class ParityRow:
    """One run of ONNX Runtime against PyTorch."""

    provider: str
    batch: int
    agreement: Agreement


def compare(reference: Vectors, found: Vectors) -> Agreement:
    """Compare embeddings (N, D) row by row, in float64."""
    a, b = np.asarray(reference, np.float64), np.asarray(found, np.float64)
    length = np.linalg.norm(a, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # of damaged weights: NaN, which agrees with nothing
        cosine = (a * b).sum(1) / (length * np.linalg.norm(b, axis=1))
        distance = np.linalg.norm(a - b, axis=1) / length
    return Agreement(float(np.abs(a - b).max()), float(cosine.min()), float(distance.max()))


def torch_encoder(backbone: Backbone, preprocessing: Preprocessing, options: GraphOptions) -> TorchEncoder:
    """The network in PyTorch on the CPU, with what the graph does besides running it.

    Its batches have one size, so that what a file says of its parity does not depend on the machine's cores.
    """
    return TorchEncoder(
        backbone,
        torch.device("cpu"),
        preprocessing,
        flip=options.flip,
        normalize=options.normalize,
        batch_size=BATCHES[-1],
    )


@dataclass(frozen=True, slots=True)
class GraphEncoder:
    """An exported graph as a ``faces.Encoder``, run in batches of one size without any check of the file."""

    session: InferenceSession
    spec: EncoderSpec
    batch_size: int

    def encode(self, crops: Crops) -> Vectors:
        """(N, H, W, 3) uint8 BGR crops -> (N, D) float32 embeddings."""
        name = self.session.get_inputs()[0].name
        starts = range(0, len(crops), self.batch_size)
        inputs = (network_input(crops[start : start + self.batch_size], self.spec) for start in starts)
        return np.concatenate([self.session.run(None, {name: batch})[0] for batch in inputs])


def open_session(
    model: ModelProto, provider: str = "CPUExecutionProvider", *, threads: int | None = None
) -> InferenceSession:
    """Open ``model`` in ONNX Runtime as our own commands do, but with full float32 on GPUs."""
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    settings = {"use_tf32": "0"} if provider == "CUDAExecutionProvider" else {}
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[(provider, settings)])


def check(
    backbone: Backbone,
    preprocessing: Preprocessing,
    model: ModelProto,
    encoder: EncoderSpec,
    crops: Crops,
    options: GraphOptions,
    *,
    tolerance: float = TOLERANCE,
    checkpoint: Path | None = None,
) -> list[ParityRow]:
    """Hold ``model`` against PyTorch at every batch size of :data:`BATCHES`, on every provider present.

    Args:
        backbone: In evaluation mode, on the CPU.
        preprocessing: The checkpoint's own record.
        model: The exported graph.
        encoder: The manifest that goes with it.
        crops: (N, H, W, 3) uint8 BGR.
        options: What the graph does besides running the network.
        tolerance: Largest relative distance of two embeddings of one crop. 1e-3 keeps their cosine above
            0.9999995.
        checkpoint: What was asked for, for the message.

    Raises:
        ModelError: They are further apart; the message names the layer where that begins.
    """
    reference = torch_encoder(backbone, preprocessing, options).encode(crops)
    rows = []
    for provider, session in _sessions(model):
        for batch in BATCHES:
            found = GraphEncoder(session, encoder, batch).encode(crops)
            row = ParityRow(_PROVIDERS[provider], batch, compare(reference, found))
            if not row.agreement.largest_distance <= tolerance:  # NaN is beyond it, too
                network = ExportedNetwork(backbone, preprocessing, options)
                place = first_difference(network, model, encoder, crops[:1], provider)
                raise _differs(row, tolerance, place, checkpoint)
            rows.append(row)
    return rows


def _sessions(model: ModelProto) -> list[tuple[str, InferenceSession]]:
    """A session for every provider that really starts; ONNX Runtime lists some that do not."""
    onnxruntime = import_onnxruntime()

    opened = []
    for provider in onnxruntime.get_available_providers():
        if provider in _PROVIDERS:
            session = open_session(model, provider)
            if session.get_providers()[0] == provider:
                opened.append((provider, session))
            else:
                log.warning("%s is installed but does not start; parity is not checked on it.", provider)
    return opened


def _differs(row: ParityRow, tolerance: float, place: str, checkpoint: Path | None) -> ModelError:
    agreement = row.agreement
    named = f"the checkpoint {checkpoint}" if checkpoint else "the checkpoint"
    return ModelError(
        f"The exported graph does not compute what {named} does: "
        f"on {row.provider} at batch {row.batch} the embeddings differ by "
        f"{agreement.largest_distance:.2g} of their length (allowed {tolerance:g}), "
        f"smallest cosine {agreement.smallest_cosine:.6f}. {place} Nothing was written.",
        hint="This is a fault of the exporter or of ONNX Runtime. Report it with the versions that "
        "facerec --version shows; --tolerance allows more.",
    )


def first_difference(
    network: ExportedNetwork,
    model: ModelProto,
    encoder: EncoderSpec,
    crops: Crops,
    provider: str = "CPUExecutionProvider",
    *,
    tolerance: float = 1e-3,
) -> str:
    """Say from which layer on the graph's inner values are none of PyTorch's.

    The exporter merges and renames nodes, so layers are matched by their values: PyTorch's layers that
    still have an equal inside the graph agree, and behind the last of them the difference begins.
    """
    ours = _torch_values(network, crops, encoder)
    theirs = _onnx_values(model, crops, encoder, provider)
    agreeing = [_has_equal(value, theirs, tolerance) for _, value in ours]
    last = max((i for i, agrees in enumerate(agreeing) if agrees), default=-1)
    if last == len(ours) - 1:
        return "Every layer agrees when looked at alone, so it comes from fusing them."
    layer = ours[last + 1][0]
    if last < 0:
        return f"They differ from the first layer on ({layer}): look at the preprocessing, too."
    return f"The layers agree up to {ours[last][0]!r}; the first that differs is {layer!r}."


def _torch_values(network: ExportedNetwork, crops: Crops, encoder: EncoderSpec) -> list[tuple[str, Vectors]]:
    """Every innermost layer's output, in the order in which they run."""
    values: list[tuple[str, Vectors]] = []

    def keep(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                values.append((name.removeprefix("backbone."), output.numpy().astype(np.float32)))

        return hook

    handles = [
        module.register_forward_hook(keep(name))
        for name, module in network.named_modules()
        if name and not any(True for _ in module.children())
    ]
    try:
        with torch.inference_mode():
            final = network.eval()(torch.from_numpy(network_input(crops, encoder)))
    finally:
        for handle in handles:
            handle.remove()
    return [*values, ("embedding", final.numpy())]


def _onnx_values(model: ModelProto, crops: Crops, encoder: EncoderSpec, provider: str) -> list[Vectors]:
    """Every inner value of the graph that is a float tensor."""
    import onnx

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    known = {port.name for port in opened.graph.output}
    inner = [name for node in opened.graph.node for name in node.output if name and name not in known]
    opened.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in inner)
    session = open_session(opened, provider)
    found = session.run(None, {session.get_inputs()[0].name: network_input(crops, encoder)})
    return [np.asarray(value, np.float32) for value in found if np.issubdtype(value.dtype, np.floating)]


def _has_equal(value: Vectors, candidates: Sequence[Vectors], tolerance: float) -> bool:
    flat = value.ravel()
    length = float(np.linalg.norm(flat)) or 1.0
    return any(
        other.size == flat.size and float(np.linalg.norm(other.ravel() - flat)) <= tolerance * length
        for other in candidates
    )
