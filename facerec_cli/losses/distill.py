"""Distillation of embeddings: each row is pulled to the embedding that it should have."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from facerec_cli.errors import InputError
from facerec_cli.losses.base import Loss, LossInput, Terms
from facerec_cli.losses.classifier import unit


class Distill(Loss):
    """1 - cos(x, target): the plain baseline that hard-sample losses have to beat.

    In ``facerec train --init`` the target is the embedding of the clean crop by the network before
    fine-tuning, while the batch shows the degraded crop. For unit vectors this is half the squared
    distance that Hinton-style feature distillation (FitNets, arXiv 1412.6550) minimises. It has no classes
    and no settings.

    Args:
        num_classes: Not used.
        embedding_size: Width D of the embeddings and targets (B, D).
        **common: See :class:`Loss`.
    """

    needs_classes = False
    needs_target = True

    def __init__(self, num_classes: int, embedding_size: int, **common: Any) -> None:
        super().__init__(num_classes, embedding_size, **common)

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """1 - cosine of each row with its target, (B,)."""
        if batch.target is None:
            raise InputError("The distill loss needs a target embedding for each row.")
        cosine = (unit(batch.embeddings) * unit(batch.target)).sum(1)
        return 1 - cosine, {"target_cosine": cosine.mean()}
