"""BoundaryFace: hard photos near the boundary to the next class count more, and wrong labels are mended."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, StartEpoch, Terms
from facerec_cli.losses.classifier import Classes, unit
from facerec_cli.losses.margins import AngularMargin, angular, cross_entropy
from facerec_cli.settings import Option, checked


class BoundaryFace(Loss):
    """ArcFace on mended labels plus hard_weight max(0, max_{j != y} cos(theta_j) - cos(theta_y + m)).

    Wu and Gong, BoundaryFace: A mining framework with noise label self-correction for Face Recognition, ECCV
    2022, arXiv 2210.04567. From ``start_epoch`` on, a photo that lies on the far side of another class's own
    boundary, max_{j != y} cos(theta_j + m) > cos(theta_y), counts as one of that class in this step: its
    label is taken for wrong. Then photos in the margin between the boundaries, which are hard, get the second
    term. Before, it is ArcFace.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 32.
        margin: m in radians, 0.5 (0.3 in parts of the paper, for noisier data).
        start_epoch: First epoch, from 0, in which labels are mended and hard photos weigh more, 7 (10 of 24
            for MS1M in the authors' README).
        hard_weight: lambda of the second term, pi; 0 is BoundaryF1, which the authors found better where
            labels are very noisy.
        official_mask: The official code hides classes by writing 0 in their places, so that every maximum is
            at least 0: a label is mended only for a class with cos(theta_j + m) above 0, and the second term
            takes max(0, cos) of both. Off: the formulas.
        **common: See :class:`Loss`.

    With ``sample_rate`` below 1 the nearest class may not be in the sample, so fewer labels are mended; keep
    1 where memory allows.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 32.0,
        margin: AngularMargin = 0.5,
        start_epoch: StartEpoch = 7,
        hard_weight: Annotated[float, Option("Of the term of hard photos.", ge=0)] = math.pi,
        official_mask: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.margin, self.start_epoch = scale, margin, start_epoch
        self.hard_weight, self.official_mask = hard_weight, official_mask
        self.floor = 0.0 if official_mask else -math.inf

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Cross entropy of each row with its mended label plus the term of hard photos, (B,)."""
        x = unit(batch.embeddings)
        classes = self.classifier.classes(batch.labels, batch.step)
        mining = batch.epoch >= self.start_epoch
        terms: Terms = {}
        if mining:
            classes, mended = self._mend(classes, x.detach())
            terms["mended"] = mended.to(x.dtype).mean()
        cosine, others = classes.logsumexp(x, lambda c: self.scale * c)
        target = angular(cosine, self.margin)
        loss = cross_entropy(self.scale * target, others)
        terms["target_cosine"] = cosine.mean()
        if mining and self.hard_weight:
            _, nearest = classes.nearest(x, 1)
            hard = (nearest[:, 0].clamp_min(self.floor) - target.clamp_min(self.floor)).relu()
            terms |= {"hard": (hard > 0).to(x.dtype).mean(), "boundary": hard.mean()}
            loss = loss + self.hard_weight * hard
        return loss, terms

    @torch.no_grad()
    def _mend(self, classes: Classes, x: Tensor) -> tuple[Classes, Tensor]:
        """The classes with each row's own class as mended, and whether it was mended, (B,)."""
        nearest, place = classes.nearest_place(x)
        beyond = angular(nearest, self.margin).clamp_min(self.floor)
        mended = (beyond > classes.target(x).clamp_min(self.floor)) & nearest.isfinite()
        return replace(classes, position=torch.where(mended, place, classes.position)), mended
