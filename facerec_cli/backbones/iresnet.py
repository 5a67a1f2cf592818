"""The improved residual networks that ArcFace and its successors are trained with.

Duta et al., "Improved Residual Networks" (2004.04989), in the 112 x 112 form of ArcFace (1801.07698): no
stem pooling, BN-conv-BN-PReLU-conv-BN blocks, BN-dropout-FC-BN output. Module names equal those of
insightface's arcface_torch, so its published ``backbone.pth`` loads as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facerec_cli.backbones.base import Backbone, BackboneOutput, Dropout
from facerec_cli.backbones.prelu import PReLU
from facerec_cli.backbones.recompute import Part, through
from facerec_cli.losses.precision import full_precision
from facerec_cli.settings import checked

_EPS = 1e-5
_STAGES = (64, 128, 256, 512)


class _ResidualBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in, eps=_EPS)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, eps=_EPS)
        self.prelu = PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels, eps=_EPS)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels, eps=_EPS)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        out = self.bn3(self.conv2(out))
        return out + (x if self.downsample is None else self.downsample(x))  # type: ignore[no-any-return]


class IResNet(Backbone):
    """An improved ResNet.

    Args:
        embedding_size: D.
        depths: Blocks in each of the four stages.
        dropout: Before the embedding layer.
    """

    def __init__(self, embedding_size: int, depths: tuple[int, int, int, int], dropout: float = 0.0) -> None:
        super().__init__(embedding_size)
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps=_EPS)
        self.prelu = PReLU(64)
        channels_in = 64
        for i, (channels, depth) in enumerate(zip(_STAGES, depths, strict=True), 1):
            blocks = [
                _ResidualBlock(channels_in if j == 0 else channels, channels, 2 if j == 0 else 1)
                for j in range(depth)
            ]
            self.add_module(f"layer{i}", nn.Sequential(*blocks))
            channels_in = channels
        self.bn2 = nn.BatchNorm2d(512, eps=_EPS)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(512 * 7 * 7, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size, eps=_EPS)
        # The last BN only whitens: a learnable scale there would be undone by the losses' normalization.
        nn.init.ones_(self.features.weight)
        self.features.weight.requires_grad = False
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.1)

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embed ``images`` (B, 3, 112, 112) in [-1, 1]."""
        if self.recompute:
            x = through(self.parts(), images)
        else:
            x = self.prelu(self.bn1(self.conv1(images)))  # (B, 64, 112, 112)
            for stage in self._stages():
                x = stage(x)
        flat = torch.flatten(self.dropout(self.bn2(x)), 1)  # (B, 512 * 7 * 7)
        with full_precision(flat.device):  # embeddings stay float32
            embeddings = self.features(self.fc(flat.to(self.fc.weight.dtype)))
        return BackboneOutput(embeddings, x)

    def output_layers(self) -> tuple[str, ...]:
        """See :meth:`Backbone.output_layers`."""
        return ("fc", "features")

    def parts(self) -> tuple[Part, ...]:
        """The stem, whose maps are the largest, and each block."""
        return (
            (self.conv1, self.bn1, self.prelu),
            *((block,) for stage in self._stages() for block in stage),
        )

    def _stages(self) -> tuple[nn.Sequential, ...]:
        return self.layer1, self.layer2, self.layer3, self.layer4  # type: ignore[return-value]


@checked
def iresnet18(embedding_size: int = 512, dropout: Dropout = 0.0) -> IResNet:
    """24 million parameters at D = 512."""
    return IResNet(embedding_size, (2, 2, 2, 2), dropout)


@checked
def iresnet34(embedding_size: int = 512, dropout: Dropout = 0.0) -> IResNet:
    """34 million parameters at D = 512."""
    return IResNet(embedding_size, (3, 4, 6, 3), dropout)


@checked
def iresnet50(embedding_size: int = 512, dropout: Dropout = 0.0) -> IResNet:
    """44 million parameters at D = 512; the usual choice."""
    return IResNet(embedding_size, (3, 4, 14, 3), dropout)


@checked
def iresnet100(embedding_size: int = 512, dropout: Dropout = 0.0) -> IResNet:
    """65 million parameters at D = 512."""
    return IResNet(embedding_size, (3, 13, 30, 3), dropout)


@checked
def iresnet200(embedding_size: int = 512, dropout: Dropout = 0.0) -> IResNet:
    """119 million parameters at D = 512."""
    return IResNet(embedding_size, (6, 26, 60, 6), dropout)
