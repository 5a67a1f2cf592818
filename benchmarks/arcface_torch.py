"""A training step of insightface's arcface_torch, from a checkout of insightface: the peer of our trainer.

The step is that of its ``train_v2.py``: forward, PartialFC_V2 with CombinedMarginLoss, backward, clipping of
the backbone, SGD; with several processes its settings of DistributedDataParallel and its fp16 gradients.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

NETWORKS = {"iresnet18": "r18", "iresnet34": "r34", "iresnet50": "r50", "iresnet100": "r100"}


class EmbeddingsOnly(nn.Module):
    """One of our networks as theirs are: only embeddings come out."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """(B, D) embeddings."""
        embeddings: Tensor = self.backbone(images).embeddings
        return embeddings


def their_step(
    checkout: Path,
    ours: nn.Module,
    network: str,
    num_classes: int,
    images: Tensor,
    labels: Tensor,
    *,
    sample_rate: float = 1.0,
    fp16: bool = False,
) -> Callable[[], float]:
    """A function that makes one step and returns the loss.

    Args:
        checkout: Folder ``recognition/arcface_torch`` of insightface's repository.
        ours: Our network; where theirs of that name is another one, a copy of ours is trained in their way.
        network: Name of our network.
        num_classes: Classes.
        images: (B, 3, 112, 112) float32 in -1..1.
        labels: (B,) int64.
        sample_rate: Of PartialFC_V2.
        fp16: Train in half precision as theirs does: autocast of its network, a scaler of gradients. A copy
            of ours in place of theirs stays in float32.
    """
    if network in NETWORKS:
        sys.path.insert(0, str(checkout))
        try:
            from backbones import get_model
        finally:
            sys.path.remove(str(checkout))
        backbone = get_model(NETWORKS[network], dropout=0.0, fp16=fp16, num_features=512).to(images.device)
        assert _size(backbone) == _size(ours), "their network is another one"
    else:
        backbone = EmbeddingsOnly(ours)
    module: Any = backbone.train()
    if dist.get_world_size() > 1:
        module = nn.parallel.DistributedDataParallel(
            backbone, broadcast_buffers=False, bucket_cap_mb=16, find_unused_parameters=True
        )
        module.register_comm_hook(None, fp16_compress_hook)
        module._set_static_graph()
    head = their_head(checkout, 512, num_classes, sample_rate).to(images.device)
    optimizer = torch.optim.SGD(
        [{"params": module.parameters()}, {"params": head.parameters()}],
        lr=0.02,
        momentum=0.9,
        weight_decay=5e-4,
    )
    scaler = torch.amp.GradScaler(images.device.type, growth_interval=100, enabled=fp16)

    def step() -> float:
        loss: Tensor = head(module(images), labels.clone())
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        return loss.item()

    return step


def their_head(checkout: Path, size: int, num_classes: int, sample_rate: float) -> nn.Module:
    """PartialFC_V2 with ArcFace's margin, as ``train_v2.py`` makes it; called with embeddings and labels.

    It needs ``torch.distributed`` to be set up, for one process too.
    """
    if not torch.cuda.is_available():  # PartialFC_V2 calls .cuda() wherever it makes a tensor
        nn.Module.cuda = Tensor.cuda = lambda self, *_, **__: self
    sys.path.insert(0, str(checkout))
    try:
        from losses import CombinedMarginLoss
        from partial_fc_v2 import PartialFC_V2
    finally:
        sys.path.remove(str(checkout))
    head: nn.Module = PartialFC_V2(
        CombinedMarginLoss(64, 1.0, 0.5, 0.0), size, num_classes, sample_rate, False
    )
    return head.train()


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
