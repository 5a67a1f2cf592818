"""CosFace (also AM-Softmax): the cosine to the own class must be larger by a margin."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import CosineMargin, cross_entropy
from facerec_cli.settings import checked


class CosFace(Loss):
    """Softmax over s cos(theta_j) with s (cos(theta_y) - m) for the own class.

    Wang et al., CosFace, arXiv 1801.09414, equation 4; AM-Softmax, arXiv 1801.05599, is the same loss.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        margin: m, 0.4 as in insightface; the papers use 0.35 (AM-Softmax with s = 30).
        **common: See :class:`Loss`.

    The margin is a constant, so its exact gradient and the one passed straight through are the same.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        margin: CosineMargin = 0.4,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin = scale, margin

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.logsumexp(unit(batch.embeddings), lambda c: self.scale * c)
        return cross_entropy(self.scale * (cosine - self.margin), others), {"target_cosine": cosine.mean()}
