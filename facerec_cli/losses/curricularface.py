"""CurricularFace: negatives that beat the margin weigh more as training goes on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import AngularMargin, MarginGradient, angular, cross_entropy
from facerec_cli.settings import checked


class CurricularFace(Loss):
    """ArcFace with cos_j (t + cos_j) for every negative where cos_j > cos(theta_y + m).

    Huang et al., CurricularFace, arXiv 2004.00288, equations 8 to 11. t is the running mean of the target
    cosine, 0 at first, of the global batch and therefore the same on all processes; it is updated before it
    is used and, like the choice of the negatives, carries no gradient.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        margin: m in radians, 0.5.
        momentum: Weight of the new batch in t, 0.01.
        margin_gradient: ``exact`` (default; the official code differentiates the margin too) or
            ``straight_through``.
        **common: See :class:`Loss`.
    """

    t: Tensor

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        margin: AngularMargin = 0.5,
        momentum: float = 0.01,
        margin_gradient: MarginGradient = "exact",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin, self.momentum = scale, margin, momentum
        self.margin_gradient = margin_gradient
        self.register_buffer("t", torch.zeros(()))

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        x = unit(batch.embeddings)
        classes = self.classifier.classes(batch.labels, batch.step)
        target = classes.target(x).clamp(-1, 1)
        if self.training:
            self.t = self.t.lerp(target.mean().to(self.t), self.momentum)
        beaten = (target.acos() + self.margin).cos()

        def harder(c: Tensor, beaten: Tensor, t: Tensor) -> Tensor:
            return self.scale * torch.where(c > beaten, c * (t + c), c)

        cosine, others = classes.logsumexp(x, harder, beaten[:, None], self.t)
        target = angular(cosine, self.margin, self.margin_gradient)
        return cross_entropy(self.scale * target, others), {"target_cosine": cosine.mean(), "t": self.t}
