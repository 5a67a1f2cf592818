"""SphereFace2: one binary classifier per class instead of one softmax over all."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import CosineMargin, MarginGradient, straight_through
from facerec_cli.settings import Option, checked


class SphereFace2(Loss):
    """One binary cross entropy per class, own classes weighted by lambda and all others by 1 - lambda.

        w / r (lambda softplus(-r (g(cos_y) - m) - b) + (1 - lambda) sum_j softplus(r (g(cos_j) + m) + b))

    Wen et al., SphereFace2, arXiv 2108.01513, equation 5 in its C form; g(c) = 2 ((c + 1) / 2)^t - 1
    stretches the cosines, b is learned.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: r, 40.
        margin: m, 0.4.
        positive_weight: lambda, 0.7.
        t: Exponent of g, 3.
        loss_weight: w, 50.
        margin_gradient: ``straight_through`` (default: the official opensphere code adds g and margin
            outside the graph, and its settings are tuned for that) or ``exact``.
        **common: See :class:`Loss`.

    opensphere normalizes the class weights in place at each step; here their norm does not enter
    the loss, which gives the tangential part of the same gradient.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 40.0,
        margin: CosineMargin = 0.4,
        positive_weight: Annotated[float, Option(gt=0, lt=1)] = 0.7,
        t: float = 3.0,
        loss_weight: float = 50.0,
        margin_gradient: MarginGradient = "straight_through",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin, self.t = scale, margin, t
        self.positive_weight, self.loss_weight = positive_weight, loss_weight
        self.margin_gradient = margin_gradient
        self.bias = nn.Parameter(torch.tensor(self._balanced_bias()))

    def _balanced_bias(self) -> float:
        """The b with which positives and negatives pull equally hard while all cosines are 0."""
        z = self.positive_weight / ((1 - self.positive_weight) * max(self.num_classes - 1, 1))
        g: float = 2 * 0.5**self.t - 1
        positive, negative = self.scale * (g - self.margin), self.scale * (g + self.margin)
        root = math.sqrt((1 - z) ** 2 + 4 * z * math.exp(positive - negative))
        if z < 1:
            rest = math.log(1 - z + root)
        else:  # the same, without the difference of two nearly equal numbers
            rest = math.log(4 * z) + positive - negative - math.log(root + z - 1)
        return math.log(2 * z) - negative - rest

    def _stretched(self, cosine: Tensor, margin: float) -> Tensor:
        stretched = 2 * ((cosine.clamp(-1, 1) + 1) / 2) ** self.t - 1 - margin
        if self.margin_gradient == "straight_through":
            return straight_through(cosine, stretched)
        return stretched

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Weighted sum of the binary losses of each row, (B,)."""

        def over(c: Tensor, bias: Tensor) -> Tensor:
            return softplus(self.scale * self._stretched(c, -self.margin) + bias)

        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.sum(unit(batch.embeddings), over, self.bias)
        target = softplus(-(self.scale * self._stretched(cosine, self.margin) + self.bias))
        rows = self.positive_weight * target + (1 - self.positive_weight) * others
        return self.loss_weight / self.scale * rows, {"target_cosine": cosine.mean(), "bias": self.bias}
