"""NPT-Loss: the own proxy must be nearer than the nearest other proxies, by a margin."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import CosineMargin
from facerec_cli.settings import Option, checked


class NPTLoss(Loss):
    """2 r^2 sum_{j in N_k} max(0, cos_j - cos_y + delta), N_k the k classes j != y with the largest cosine.

    Khalid et al., NPT-Loss, arXiv 2103.03503 (TPAMI 45(12), 2023): d(x, W_y) - d(x, W_j) + Delta with squared
    distances on a sphere of radius r, delta = Delta / (2 r^2).

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        k: Nearest proxies, 1 (the paper's for ResNet-50; 6 for MobileFaceNet).
        margin: delta, 0.5.
        radius: r, 1; only a factor.
        official_mask: The official code hides the own class by writing 0 in its place before it sorts, so
            that it counts as a negative of cosine 0 where fewer than k others are above 0. Off: it is never
            among them.
        **common: See :class:`Loss`.

    The official code multiplies by 2 r, the paper by 2 r^2. With ``sample_rate`` below 1 the nearest proxy
    may not be in the sample; the loss is then too small, keep 1 where memory allows.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        k: Annotated[int, Option(ge=1)] = 1,
        margin: CosineMargin = 0.5,
        radius: Annotated[float, Option(gt=0)] = 1.0,
        official_mask: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.k, self.margin, self.radius, self.official_mask = k, margin, radius, official_mask

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Sum of the hinges of each row, (B,)."""
        classes = self.classifier.classes(batch.labels, batch.step)
        target, nearest = classes.nearest(unit(batch.embeddings), self.k)
        if self.official_mask:
            nearest = torch.cat([nearest, torch.zeros_like(target)[:, None]], 1).topk(self.k, dim=1).values
        hinges = (nearest - target[:, None] + self.margin).relu()
        terms = {"target_cosine": target.mean(), "active_hinges": (hinges > 0).float().mean()}
        return 2 * self.radius**2 * hinges.sum(1), terms
