"""MagFace: long embeddings get a larger margin, and a reward for being long."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from facerec_cli.errors import UsageError
from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import (
    AngularMargin,
    MarginGradient,
    angular,
    cross_entropy,
    straight_through,
)
from facerec_cli.settings import Option, checked


class MagFace(Loss):
    """ArcFace with a margin m(a) that grows with the norm a of the embedding, plus weight * g(a).

    Meng et al., MagFace, arXiv 2103.06627, equations 2 and 5: a = clamp(|x|, l_a, u_a), m(a) runs linearly
    from l_m to u_m, g(a) = a / u_a^2 + 1 / a. The norm carries gradient.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        shortest: l_a, 10.
        longest: u_a, 110.
        margin: l_m in radians, 0.45.
        longest_margin: u_m in radians, 0.8.
        regulariser: Weight of g, 35 (the official run script; its parser's default is 20).
        easy_margin: Where theta_y > 90 degrees use the plain cosine (default, as in the official code)
            instead of going on as ArcFace does.
        margin_gradient: ``exact`` (default: without it the norm would get no gradient from the softmax) or
            ``straight_through``.
        **common: See :class:`Loss`.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        shortest: Annotated[float, Option(gt=0)] = 10.0,
        longest: float = 110.0,
        margin: AngularMargin = 0.45,
        longest_margin: AngularMargin = 0.8,
        regulariser: float = 35.0,
        easy_margin: bool = True,
        margin_gradient: MarginGradient = "exact",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        if shortest >= longest:
            raise UsageError("MagFace needs shortest < longest.")
        self.scale, self.shortest, self.longest = scale, shortest, longest
        self.margin, self.longest_margin = margin, longest_margin
        self.regulariser, self.easy_margin, self.margin_gradient = regulariser, easy_margin, margin_gradient

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy and regulariser of each row, (B,)."""
        norm = torch.linalg.vector_norm(batch.embeddings, dim=1).clamp(self.shortest, self.longest)
        slope = (self.longest_margin - self.margin) / (self.longest - self.shortest)
        margin = self.margin + slope * (norm - self.shortest)

        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.logsumexp(unit(batch.embeddings), lambda c: self.scale * c)
        target = angular(cosine, margin)
        if self.easy_margin:
            target = torch.where(cosine > 0, target, cosine)
        if self.margin_gradient == "straight_through":
            target = straight_through(cosine, target)
        softmax = cross_entropy(self.scale * target, others)
        pull = norm / self.longest**2 + 1 / norm
        terms = {"target_cosine": cosine.mean(), "length": norm.mean(), "regulariser": pull.mean()}
        return softmax + self.regulariser * pull, terms
