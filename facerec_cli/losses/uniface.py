"""UniFace: unified cross entropy, one threshold between all own-class and all other similarities."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import CosineMargin
from facerec_cli.settings import checked


class UniFace(Loss):
    """softplus(b - s (cos(theta_y) - m)) + l sum_{j != y} softplus(s cos(theta_j) - b), with a learned b.

    Li et al., UniFace: Unified Cross-Entropy Loss for Deep Face Recognition, ICCV 2023, equation 9.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        margin: m, 0.4.
        negative_weight: l, 1.
        clamp: Keep the arguments of softplus within [-s, s], as the official code does (default). Rows whose
            own cosine is below about -0.3 then get no gradient from it; softplus itself needs no clamp.
        **common: See :class:`Loss`.

    b starts at ln(10 C r), r the sample rate, as in the official code.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        margin: CosineMargin = 0.4,
        negative_weight: float = 1.0,
        clamp: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin, self.negative_weight = scale, margin, negative_weight
        self.limit = scale if clamp else math.inf
        self.bias = nn.Parameter(torch.tensor(math.log(10 * num_classes * self.classifier.sample_rate)))

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Unified cross entropy of each row, (B,)."""

        def over(c: Tensor, bias: Tensor) -> Tensor:
            return softplus((self.scale * c - bias).clamp(-self.limit, self.limit))

        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.sum(unit(batch.embeddings), over, self.bias)
        under = self.scale * (cosine - self.margin) - self.bias
        target = softplus(-under.clamp(-self.limit, self.limit))
        return target + self.negative_weight * others, {
            "target_cosine": cosine.mean(),
            "threshold": self.bias,
        }
