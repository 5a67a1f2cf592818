"""SFace's network (Zhong et al., 2205.12010, as published by OpenCV) for fine-tuning.

A MobileNet: one 3 x 3 convolution, thirteen depthwise-separable units, BN and a fully connected layer over
the 7 x 7 map. Module names follow the tensor names of the published ONNX file, which is where the weights
come from: :func:`load_onnx` reads them, ONNX Runtime itself unfolding the 8-bit ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from facerec_cli.backbones.base import Backbone, BackboneOutput, Preprocessing
from facerec_cli.errors import ModelError

# channels and stride of each depthwise-separable unit, conv_2 .. conv_14
_UNITS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
_SUFFIXES = {
    "conv.weight": "conv2d_weight",
    "bn.weight": "batchnorm_gamma",
    "bn.bias": "batchnorm_beta",
    "bn.running_mean": "batchnorm_moving_mean",
    "bn.running_var": "batchnorm_moving_var",
    "act.weight": "relu_gamma",
}
_BN_PARTS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}


class _Unit(nn.Module):
    """Convolution, BN, PReLU."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=1e-3)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class SFace(Backbone):
    """SFace's MobileNet; 128-dimensional as published.

    Args:
        embedding_size: D.
        dropout: Before the embedding layer.
    """

    preprocessing: ClassVar[Preprocessing] = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(self, embedding_size: int = 128, dropout: float = 0.0) -> None:
        super().__init__(embedding_size)
        body: dict[str, nn.Module] = {"conv_1": _Unit(3, 32, 3)}
        channels_in = 32
        for i, (channels, stride) in enumerate(_UNITS, 2):
            body[f"conv_{i}_dw"] = _Unit(channels_in, channels_in, 3, stride, groups=channels_in)
            body[f"conv_{i}"] = _Unit(channels_in, channels, 1)
            channels_in = channels
        self.body = nn.Sequential()
        for name, unit in body.items():
            self.body.add_module(name, unit)
        self.bn1 = nn.BatchNorm2d(1024, eps=2e-5)
        self.dropout = nn.Dropout(dropout)
        self.pre_fc1 = nn.Linear(1024 * 7 * 7, embedding_size)
        self.fc1 = nn.BatchNorm1d(embedding_size, eps=2e-5)

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embed ``images`` (B, 3, 112, 112) RGB on the 0..255 scale; the published graph scales inside."""
        x = self.body((images - 127.5) * 0.0078125)  # (B, 1024, 7, 7)
        flat = torch.flatten(self.dropout(self.bn1(x)), 1)
        with torch.autocast(flat.device.type, enabled=False):
            embeddings = self.fc1(self.pre_fc1(flat.to(self.pre_fc1.weight.dtype)))
        return BackboneOutput(embeddings, x)

    def output_layers(self) -> tuple[str, ...]:
        """See :meth:`Backbone.output_layers`."""
        return ("pre_fc1", "fc1")


def sface(embedding_size: int = 128, dropout: float = 0.0) -> SFace:
    """11.1 million parameters at D = 128; ``--init sface`` gives it the published weights."""
    return SFace(embedding_size, dropout)


def load_onnx(path: Path) -> dict[str, Tensor]:
    """Read the published ONNX file as a state dict of :class:`SFace` (128-dimensional).

    Args:
        path: ``face_recognition_sface_2021dec*.onnx``, 8-bit blocks or float32.

    Raises:
        ModelError: The file is not SFace's graph.
    """
    import onnx
    import onnxruntime

    try:
        model = onnx.load(str(path))
    except Exception as fault:  # onnx raises protobuf's own errors, and OSError
        raise ModelError(f"{path} cannot be read as ONNX: {fault}.") from fault
    plain = {i.name for i in model.graph.initializer}
    made = {output for node in model.graph.node for output in node.output}
    wanted = {key: _tensor_name(key, plain, made) for key in SFace().state_dict() if "num_batches" not in key}
    lacking = sorted(key for key, name in wanted.items() if name is None)
    if lacking:
        raise ModelError(
            f"{path} is not SFace's network: it has no tensor for {lacking[0]} and {len(lacking) - 1} more."
        )
    tensors = {
        i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer if i.name in wanted.values()
    }
    unfolded = sorted(name for name in wanted.values() if name in made and name is not None)
    if unfolded:
        # What is left of the graph only unfolds 8-bit weights, and ONNX Runtime does its own arithmetic.
        weights_only = [n for n in model.graph.node if n.op_type in ("DequantizeLinear", "Reshape")]
        del model.graph.node[:], model.graph.input[:], model.graph.output[:]
        model.graph.node.extend(weights_only)
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in unfolded)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it would warn of every tensor that the cut made useless
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        tensors |= dict(zip(unfolded, session.run(unfolded, {}), strict=True))
    shapes = {key: value.shape for key, value in SFace().state_dict().items()}
    return {
        key: torch.tensor(tensors[name], dtype=torch.float32).reshape(shapes[key])
        for key, name in wanted.items()
        if name is not None
    }


def _tensor_name(key: str, plain: set[str], made: set[str]) -> str | None:
    """The ONNX tensor behind a state-dict ``key``; 8-bit ones are found where they are unfolded."""
    module, _, part = key.rpartition(".")
    if key.startswith("body."):
        unit, _, layer = module.removeprefix("body.").rpartition(".")
        stem = f"{unit}_{_SUFFIXES[f'{layer}.{part}']}"
    elif module == "pre_fc1":
        stem = f"pre_fc1_{part}"
    else:
        stem = f"{module}_{_BN_PARTS[part]}"
    for name in (stem, f"{stem}_reshaped", f"{stem}_dequantized"):
        if name in plain or name in made:
            return name
    return None
