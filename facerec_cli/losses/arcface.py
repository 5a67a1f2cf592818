"""ArcFace: the angle to the own class must be smaller by a margin."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import AngularMargin, MarginGradient, angular, cross_entropy
from facerec_cli.settings import checked


class ArcFace(Loss):
    """Softmax over s cos(theta_j) with cos(theta_y + m) for the own class.

    Deng et al., ArcFace, arXiv 1801.07698, equation 3.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        margin: m in radians, 0.5.
        margin_gradient: ``exact`` (default, the paper's formula) or ``straight_through``: insightface's
            arcface_torch adds the margin outside the graph, so its published models were trained with the
            gradient of the plain cosine.
        **common: See :class:`Loss`.

    Where theta + m would pass pi the target goes on as cos(theta) - m sin(m), as in insightface (not easy
    margin).
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        margin: AngularMargin = 0.5,
        margin_gradient: MarginGradient = "exact",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin, self.margin_gradient = scale, margin, margin_gradient

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.logsumexp(unit(batch.embeddings), lambda c: self.scale * c)
        target = angular(cosine, self.margin, self.margin_gradient)
        return cross_entropy(self.scale * target, others), {"target_cosine": cosine.mean()}
