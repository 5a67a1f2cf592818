"""Vision transformers for 112 x 112 crops (Dosovitskiy et al., 2010.11929).

Our own hundred lines rather than timm's: a face crop is small and aligned, so there is no class token, no
variable resolution and no zoo of options; patches of 8 pixels give 14 x 14 tokens, their 2 x 2 means are the
7 x 7 map that OTFace wants, and the embedding is read from that map with its positions kept, as face
networks do, instead of from one pooled token.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facerec_cli.backbones.base import Backbone, BackboneOutput
from facerec_cli.backbones.recompute import Part, through
from facerec_cli.losses.precision import full_precision
from facerec_cli.settings import Option, checked

_GRID = 14
_PATCH = 8


DropPath = Annotated[float, Option(ge=0, lt=1)]


class _TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.heads = heads
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._dropped(self._attend(self.norm1(x)))
        return x + self._dropped(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        B, N, W = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, W // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)  # (B, heads, N, W / heads)
        return self.proj(mixed.transpose(1, 2).reshape(B, N, W))  # type: ignore[no-any-return]

    def _dropped(self, branch: Tensor) -> Tensor:
        """Stochastic depth: whole samples skip the branch, the rest are scaled up."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        mask = torch.empty(branch.shape[0], 1, 1, device=branch.device, dtype=branch.dtype).bernoulli_(keep)
        return branch * mask / keep


class VisionTransformer(Backbone):
    """A plain vision transformer.

    Args:
        embedding_size: D.
        width: Channels of a token.
        depth: Blocks.
        heads: Attention heads.
        drop_path: Stochastic depth of the last block, rising linearly from 0.
    """

    def __init__(
        self, embedding_size: int, width: int, depth: int, heads: int, drop_path: float = 0.05
    ) -> None:
        super().__init__(embedding_size)
        self.patches = nn.Conv2d(3, width, _PATCH, _PATCH)
        self.position = nn.Parameter(torch.zeros(1, _GRID * _GRID, width))
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(_TransformerBlock(width, heads, rate) for rate in rates))
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width * 49, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)
        nn.init.trunc_normal_(self.position, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embed ``images`` (B, 3, 112, 112) in [-1, 1]."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.position  # (B, 196, W)
        tokens = self.norm(through(self.parts(), tokens) if self.recompute else self.blocks(tokens))
        grid = tokens.transpose(1, 2).unflatten(2, (_GRID, _GRID))  # (B, W, 14, 14)
        x = F.avg_pool2d(grid, 2)  # (B, W, 7, 7)
        flat = torch.flatten(x, 1)
        with full_precision(flat.device):
            embeddings = self.features(self.fc(flat.to(self.fc.weight.dtype)))
        return BackboneOutput(embeddings, x)

    def output_layers(self) -> tuple[str, ...]:
        """See :meth:`Backbone.output_layers`."""
        return ("fc", "features")

    def parts(self) -> tuple[Part, ...]:
        """Each block."""
        return tuple((block,) for block in self.blocks)


@checked
def vit_t(embedding_size: int = 512, drop_path: DropPath = 0.05) -> VisionTransformer:
    """Tiny: width 192, 12 blocks."""
    return VisionTransformer(embedding_size, 192, 12, 3, drop_path)


@checked
def vit_s(embedding_size: int = 512, drop_path: DropPath = 0.05) -> VisionTransformer:
    """Small: width 384, 12 blocks."""
    return VisionTransformer(embedding_size, 384, 12, 6, drop_path)


@checked
def vit_b(embedding_size: int = 512, drop_path: DropPath = 0.1) -> VisionTransformer:
    """Base: width 768, 12 blocks."""
    return VisionTransformer(embedding_size, 768, 12, 12, drop_path)
