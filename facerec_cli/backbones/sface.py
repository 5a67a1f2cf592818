"""SFace's network (Zhong et al., 2205.12010, as published by OpenCV) for fine-tuning.

A MobileNet: one 3 x 3 convolution, thirteen depthwise-separable units and a fully connected layer over the
7 x 7 map. :func:`load_onnx` reads the weights of the embedded pack, where batch normalization is part of
the convolutions already (``bn=False``); a network that starts fresh needs its own (``bn=True``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from facerec_cli.backbones.base import Backbone, BackboneOutput, Dropout, Preprocessing
from facerec_cli.backbones.prelu import PReLU
from facerec_cli.backbones.recompute import Part, through
from facerec_cli.errors import ModelError
from facerec_cli.losses.precision import full_precision
from facerec_cli.runtime import import_onnxruntime
from facerec_cli.settings import checked

# channels and stride of each depthwise-separable unit, conv_2 .. conv_14
_UNITS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip

INPUT_SCALE = 128.0
"""What the network divides by after it has subtracted 127.5."""


class _Unit(nn.Module):
    """Convolution, BN or its bias, PReLU."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, *, groups: int = 1, bn: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=not bn)
        self.bn = nn.BatchNorm2d(channels, eps=1e-3) if bn else nn.Identity()
        self.act = PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class SFace(Backbone):
    """SFace's MobileNet; 128-dimensional as published.

    Args:
        embedding_size: D.
        dropout: Before the embedding layer.
        bn: Whether batch normalization stands on its own; False with the published weights.
    """

    preprocessing: ClassVar[Preprocessing] = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(self, embedding_size: int = 128, dropout: float = 0.0, bn: bool = True) -> None:
        super().__init__(embedding_size)
        self.body = nn.Sequential()
        self.body.add_module("conv_1", _Unit(3, 32, 3, bn=bn))
        channels_in = 32
        for i, (channels, stride) in enumerate(_UNITS, 2):
            depthwise = _Unit(channels_in, channels_in, 3, stride, groups=channels_in, bn=bn)
            self.body.add_module(f"conv_{i}_dw", depthwise)
            self.body.add_module(f"conv_{i}", _Unit(channels_in, channels, 1, bn=bn))
            channels_in = channels
        self.bn1 = nn.BatchNorm2d(1024, eps=2e-5) if bn else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.pre_fc1 = nn.Linear(1024 * 7 * 7, embedding_size)
        self.fc1 = nn.BatchNorm1d(embedding_size, eps=2e-5) if bn else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25)

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embed ``images`` (B, 3, 112, 112) RGB on the 0..255 scale; the published graph scales inside."""
        scaled = (images - 127.5) / INPUT_SCALE
        x = through(self.parts(), scaled) if self.recompute else self.body(scaled)  # (B, 1024, 7, 7)
        flat = torch.flatten(self.dropout(self.bn1(x)), 1)
        with full_precision(flat.device):
            embeddings = self.fc1(self.pre_fc1(flat.to(self.pre_fc1.weight.dtype)))
        return BackboneOutput(embeddings, x)

    def output_layers(self) -> tuple[str, ...]:
        """See :meth:`Backbone.output_layers`."""
        return ("pre_fc1", "fc1")

    def parts(self) -> tuple[Part, ...]:
        """Each unit."""
        return tuple((unit,) for unit in self.body)


@checked
def sface(embedding_size: int = 128, dropout: Dropout = 0.0, bn: bool = True) -> SFace:
    """11.1 million parameters at D = 128; ``--init sface`` gives it the published weights."""
    return SFace(embedding_size, dropout, bn)


def load_onnx(path: Path) -> dict[str, Tensor]:
    """Read the embedded pack's network as a state dict of ``SFace(128, bn=False)``.

    Args:
        path: ``sface.onnx`` of the pack. Its weights are 8-bit blocks that the graph itself unfolds; here
            ONNX Runtime does that, so that no second arithmetic can differ from it.

    Raises:
        ModelError: The file is not that network.
    """
    import onnx

    onnxruntime = import_onnxruntime()

    try:
        model = onnx.load(str(path))
    except Exception as fault:  # onnx raises protobuf's own errors, and OSError
        raise ModelError(f"{path} cannot be read as ONNX: {fault}.", hint="Get the file again.") from fault
    names = tensor_names(model.graph)
    shapes = {key: value.shape for key, value in SFace(bn=False).state_dict().items()}
    if names.keys() - {"scale"} != shapes.keys():
        odd = sorted(names.keys() ^ shapes.keys())
        raise ModelError(
            f"{path} is not SFace's network: {', '.join(odd[:3])} does not fit.",
            hint="Give the file of the pack `sface`.",
        )
    stored = {i.name: i for i in model.graph.initializer}
    made = sorted({name for name in names.values() if name not in stored})
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in made)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = torch.zeros(1, 3, 112, 112).numpy()
    values = dict(zip(made, session.run(made, {session.get_inputs()[0].name: image}), strict=True))
    values |= {n: onnx.numpy_helper.to_array(stored[n]) for n in names.values() if n in stored}
    tensors = {key: torch.tensor(values[name], dtype=torch.float32) for key, name in names.items()}
    tensors["body.conv_1.conv.weight"] *= INPUT_SCALE  # the pack's first convolution contains it
    tensors["pre_fc1.weight"] = tensors["pre_fc1.weight"] * tensors.pop("scale")  # (128, 50176) * (50176,)
    return {key: tensors[key].reshape(shape) for key, shape in shapes.items()}


def tensor_names(graph: Any) -> dict[str, str]:
    """Where the graph keeps each entry of the state dict, and the scale of the flattened map.

    A PReLU is a x + (1 - a) relu(x) there, the products written as BatchNormalization nodes; the first of
    the two, called ``left``, scales with the slope a.
    """
    names: dict[str, str] = {}
    unit_of: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3:
            unit = f"body.{node.output[0].removesuffix('_conv2d')}"
            names[f"{unit}.conv.weight"], names[f"{unit}.conv.bias"] = node.input[1], node.input[2]
            unit_of[node.output[0]] = unit
        elif node.op_type == "BatchNormalization" and node.output[0].endswith(".left"):
            names[f"{unit_of.get(node.input[0], '?')}.act.weight"] = node.input[1]
        elif node.op_type == "Mul" and node.input[0] == "flat":
            names["scale"] = node.input[1]
        elif node.op_type == "Gemm":
            names["pre_fc1.weight"], names["pre_fc1.bias"] = node.input[1], node.input[2]
    return names
