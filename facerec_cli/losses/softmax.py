"""NormFace: softmax cross entropy of scaled cosines, without a margin."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import cross_entropy
from facerec_cli.settings import checked


class Softmax(Loss):
    """Softmax over s cos(theta_j), embeddings and class weights of norm 1.

    Wang et al., NormFace, arXiv 1704.06369, equation 6.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64 as in the margin losses beside it; the paper learns it.
        **common: See :class:`Loss`.
    """

    @checked
    def __init__(self, num_classes: int, embedding_size: int, *, scale: Scale = 64.0, **common: Any) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale = scale

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.logsumexp(unit(batch.embeddings), lambda c: self.scale * c)
        return cross_entropy(self.scale * cosine, others), {"target_cosine": cosine.mean()}
