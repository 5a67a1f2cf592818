"""Sub-center ArcFace: several centers a class, so that a wrong or odd photo need not spoil the main one."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.margins import AngularMargin, angular, cross_entropy
from facerec_cli.losses.subcenters import nearest_centers
from facerec_cli.settings import Option, checked


class SubCenterArcFace(Loss):
    """ArcFace where the cosine with a class is that with the nearest of its K centers.

    Deng et al., Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web Faces, ECCV 2020,
    equation 4: softmax over s max_k cos(theta_jk) with s cos(theta_y + m) for the own class. As in the paper
    and the code, nothing special is done where theta_y + m passes pi, which the nearest of several centers
    hardly does.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        centers: K, 3.
        scale: s, 64.
        margin: m in radians, 0.5.
        **common: See :class:`Loss`.

    ``classifier.weight`` is (C / P, K D), the K centers of a class one after the other.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        centers: Annotated[int, Option("K, centers of a class.", ge=1, le=255)] = 3,
        scale: Scale = 64.0,
        margin: AngularMargin = 0.5,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, centers * embedding_size, **common)
        self.embedding_size = embedding_size  # of what it is given; a class has K times as many numbers
        self.centers, self.scale, self.margin = centers, scale, margin

    @torch.no_grad()
    def start_at(self, means: Tensor) -> None:
        """See :meth:`Loss.start_at`: the first center of each class; the others stay random."""
        centers = self.classifier.weight.view(len(means), self.centers, -1)
        centers.copy_(unit(centers))
        centers[:, 0].copy_(means)

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row, (B,)."""
        classes, owner = self.classifier.classes(batch.labels, batch.step), self.classifier
        x = unit(batch.embeddings)
        cosine, others = nearest_centers(
            x, classes.rows(x), classes.position, self.scale, owner.matmul, owner.group
        )
        target = angular(cosine, self.margin, continued=False)
        return cross_entropy(self.scale * target, others), {"target_cosine": cosine.mean()}
