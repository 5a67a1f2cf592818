"""MobileFaceNet (Chen et al., 1804.07573, table 1): a million parameters, for phones and CPUs."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from facerec_cli.backbones.base import Backbone, BackboneOutput
from facerec_cli.backbones.prelu import PReLU
from facerec_cli.backbones.recompute import Part, through
from facerec_cli.losses.precision import full_precision
from facerec_cli.settings import Option, checked

# expansion, channels, repeats, stride of the first
_BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
_SIDE = 7  # of the last feature map


def _conv(
    channels_in: int, channels: int, kernel: int, stride: int = 1, *, groups: int = 1, act: bool = True
) -> nn.Sequential:
    padding = 0 if kernel == 7 else kernel // 2  # the 7 x 7 is global
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
    ]
    return nn.Sequential(*layers, *([PReLU(channels)] if act else []))


class _Bottleneck(nn.Module):
    def __init__(self, channels_in: int, channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.layers = nn.Sequential(
            _conv(channels_in, wide, 1),
            _conv(wide, wide, 3, stride, groups=wide),
            _conv(wide, channels, 1, act=False),
        )
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


class MobileFaceNet(Backbone):
    """MobileFaceNet.

    Args:
        embedding_size: D.
        width: Factor on all channel counts; 1 is the paper's.
        depth: Factor on the repeats of each kind of bottleneck; 1 is the paper's.
        halvings: How often the crop's side is halved first, by the mean of 2 x 2 pixels. As many strides are
            left out, the last ones first, so that the feature map stays 7 x 7. For experiments on a CPU.
    """

    def __init__(
        self, embedding_size: int = 512, width: float = 1.0, depth: float = 1.0, halvings: int = 0
    ) -> None:
        super().__init__(embedding_size)
        self.halvings = halvings

        def scaled(channels: int) -> int:
            return max(8, round(channels * width))

        stem = scaled(64)
        layers: list[nn.Module] = [_conv(3, stem, 3, 2), _conv(stem, stem, 3, groups=stem)]
        channels_in = stem
        side = 56 >> halvings
        for expansion, channels, repeats, stride in _BOTTLENECKS:
            for i in range(max(1, round(repeats * depth))):
                stride = stride if i == 0 and side > _SIDE else 1
                side //= stride
                layers.append(_Bottleneck(channels_in, scaled(channels), expansion, stride))
                channels_in = scaled(channels)
        last = scaled(512)
        self.body = nn.Sequential(*layers, _conv(channels_in, last, 1))
        self.pool = _conv(last, last, 7, groups=last, act=False)  # learned global pooling
        self.fc = nn.Linear(last, embedding_size, bias=False)
        self.features = nn.BatchNorm1d(embedding_size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25)  # fan-in: depthwise layers keep their scale

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embed ``images`` (B, 3, 112, 112) in [-1, 1]."""
        if self.halvings:
            images = avg_pool2d(images, 2**self.halvings)
        x = through(self.parts(), images) if self.recompute else self.body(images)  # (B, 512, 7, 7)
        flat = torch.flatten(self.pool(x), 1)  # (B, 512)
        with full_precision(flat.device):
            embeddings = self.features(self.fc(flat.to(self.fc.weight.dtype)))
        return BackboneOutput(embeddings, x)

    def output_layers(self) -> tuple[str, ...]:
        """See :meth:`Backbone.output_layers`."""
        return ("fc", "features")

    def parts(self) -> tuple[Part, ...]:
        """Each convolution and bottleneck."""
        return tuple((module,) for module in self.body)


@checked
def mobilefacenet(
    embedding_size: int = 512,
    width: Annotated[float, Option(gt=0, le=8)] = 1.0,
    depth: Annotated[float, Option(gt=0, le=8)] = 1.0,
    halvings: Annotated[int, Option(ge=0, le=2)] = 0,
) -> MobileFaceNet:
    """About 1.2 million parameters at D = 512; ``width``, ``depth`` and ``halvings`` make it quicker."""
    return MobileFaceNet(embedding_size, width, depth, halvings)
