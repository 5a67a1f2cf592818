"""AdaFace: the margin follows the image quality, read from the norm of the embedding."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import CosineMargin, MarginGradient, cross_entropy, straight_through
from facerec_cli.settings import checked

_EPS = 1e-3


class AdaFace(Loss):
    """Softmax with s (cos(theta_y + g_angle) - g_add) for the own class, both of the embedding's norm.

    Kim et al., AdaFace, arXiv 2204.00964, equations 14 to 16: z = clip(h (|x| - mean) / std, -1, 1),
    g_angle = -m z, g_add = m z + m. Lengths are clipped to [0.001, 100] and carry no gradient; mean and
    standard deviation run over the global batches, so they are the same on all processes.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        margin: m, 0.4.
        h: Concentration, 0.333.
        momentum: Weight of the new batch in the running statistics, 0.01 (the paper's; the official class
            has 1 where its trainer does not set it).
        margin_gradient: ``exact`` (default, as in the official code) or ``straight_through``.
        **common: See :class:`Loss`.

    As in the official code all cosines are clamped to 1 - 1e-3 and angles kept 1e-3 away from 0 and pi.
    """

    mean: Tensor
    std: Tensor

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        margin: CosineMargin = 0.4,
        h: float = 0.333,
        momentum: float = 0.01,
        margin_gradient: MarginGradient = "exact",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin, self.h, self.momentum = scale, margin, h, momentum
        self.margin_gradient = margin_gradient
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(100.0))

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        x = unit(batch.embeddings)
        norm = torch.linalg.vector_norm(batch.embeddings.detach(), dim=1).clamp(0.001, 100)
        if self.training and len(norm) > 1:
            self.mean = self.mean.lerp(norm.mean().to(self.mean), self.momentum)
            self.std = self.std.lerp(norm.std().to(self.std), self.momentum)
        z = (self.h * (norm - self.mean) / (self.std + _EPS)).clamp(-1, 1)

        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.logsumexp(x, lambda c: self.scale * c.clamp(_EPS - 1, 1 - _EPS))
        safe = cosine.clamp(_EPS - 1, 1 - _EPS)
        angle = (safe.acos() - self.margin * z).clamp(_EPS, math.pi - _EPS)
        target = angle.cos() - self.margin * (z + 1)
        if self.margin_gradient == "straight_through":
            target = straight_through(cosine, target)
        terms = {"target_cosine": cosine.mean(), "length": norm.mean(), "quality": z.mean()}
        return cross_entropy(self.scale * target, others), terms
