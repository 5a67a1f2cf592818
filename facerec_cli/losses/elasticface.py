"""ElasticFace: ArcFace or CosFace with a margin that is drawn at random for each photo."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.draws import normal
from facerec_cli.losses.margins import angular, cross_entropy
from facerec_cli.settings import Option, checked

# (variant, plus) -> margin, deviation: the authors' config.py
_DEFAULTS = {
    ("arc", False): (0.5, 0.05),
    ("arc", True): (0.5, 0.0175),
    ("cos", False): (0.35, 0.05),
    ("cos", True): (0.35, 0.02),
}


class ElasticFace(Loss):
    """Softmax with s cos(theta_y + e) (``arc``) or s (cos(theta_y) - e) (``cos``), e ~ N(m, deviation^2).

    Boutros et al., ElasticFace: Elastic Margin Loss for Deep Face Recognition, CVPRW 2022, arXiv 2109.09416,
    equations 4 to 6. Each row of the global batch has a margin of its own, drawn anew at every step from the
    loss's seed and the step only: the same on all processes, on all devices and after a resume. As in the
    paper and the code, nothing special is done where theta_y + e passes pi.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        variant: ``arc`` or ``cos``.
        plus: ElasticFace+: the margins of a batch are dealt out so that the photo farthest from its class
            has the largest.
        scale: s, 64.
        margin: m, the mean; default 0.5 (radians) for ``arc``, 0.35 for ``cos``.
        deviation: Standard deviation of the margins; default 0.05, with ``plus`` 0.0175 (``arc``) and 0.02
            (``cos``); 0 makes it ArcFace or CosFace.
        official_order: The official code's ``plus``, which takes the k-th smallest margin to the row number
            that has rank k, where the row of rank k is meant: the margins are then dealt out at random.
            Published numbers of ElasticFace+ were trained so.
        **common: See :class:`Loss`.

    The official code deals out the margins of each GPU's rows; here those of the global batch.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        variant: Literal["arc", "cos"] = "arc",
        plus: bool = False,
        scale: Scale = 64.0,
        margin: Annotated[float | None, Option("m, the mean; default by variant.", ge=0, le=math.pi)] = None,
        deviation: Annotated[
            float | None, Option("Standard deviation of the margins; default by variant.", ge=0)
        ] = None,
        official_order: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        default_margin, default_deviation = _DEFAULTS[variant, plus]
        self.variant, self.plus, self.scale, self.official_order = variant, plus, scale, official_order
        self.margin = default_margin if margin is None else margin
        self.deviation = default_deviation if deviation is None else deviation

    def margins(self, cosine: Tensor, step: int) -> Tensor:
        """The margins of the rows whose own cosines are ``cosine`` (B,) at a step, (B,), without gradient."""
        drawn = self.drawn(cosine, step)
        if not self.plus:
            return drawn
        order = cosine.detach().argsort(descending=True, stable=True)  # the nearest to its class first
        drawn = drawn.sort().values
        return drawn[order] if self.official_order else torch.empty_like(drawn).scatter_(0, order, drawn)

    def drawn(self, cosine: Tensor, step: int) -> Tensor:
        """The margins of a step before ``plus`` deals them out, as many as ``cosine`` and of its dtype."""
        numbers = normal(len(cosine), self.classifier.seed, step, cosine.device)
        return self.margin + self.deviation * numbers.to(cosine.dtype)

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.logsumexp(unit(batch.embeddings), lambda c: self.scale * c)
        margins = self.margins(cosine, batch.step)
        arc = self.variant == "arc"
        target = angular(cosine, margins, continued=False) if arc else cosine - margins
        terms = {"target_cosine": cosine.mean(), "margin": margins.mean()}
        return cross_entropy(self.scale * target, others), terms
