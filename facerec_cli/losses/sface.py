"""SFace: each cosine is pulled or pushed until it is good enough, and then let go."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, Scale, Terms
from facerec_cli.losses.classifier import unit
from facerec_cli.settings import Option, checked


class SFaceLoss(Loss):
    """-[s sigmoid(k (theta_y - a))] cos(theta_y) + sum_{j != y} [s sigmoid(k (b - theta_j))] cos(theta_j).

    Zhong et al., SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition, IEEE TIP 30 (2021),
    arXiv 2205.12010, equations 5 to 9. The factors in brackets carry no gradient: they are the speed at which
    the embedding moves. Towards its own class it stops at the angle a, away from another class at the angle
    b. There is no softmax, so the value itself says little and may fall below 0.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        scale: s, 64.
        slope: k of both sigmoids, 80.
        own_angle: a in radians, 0.8 (the program's default; its recipes have 0.87 for CASIA-WebFace, 0.88 for
            VGGFace2 and 0.9 for MS1MV2).
        other_angle: b in radians, 1.23 (the recipes: 1.2, 1.25, 1.2).
        **common: See :class:`Loss`.

    Cosines that rounding puts beyond 1 are clamped for the angle; the official code gets nan from them.
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        scale: Scale = 64.0,
        slope: Annotated[float, Option("k, how sharply a pull or push ends.", gt=0)] = 80.0,
        own_angle: Annotated[
            float, Option("a, to the own class in radians: no pull below.", ge=0, le=3.2)
        ] = 0.8,
        other_angle: Annotated[
            float, Option("b, to other classes in radians: no push above.", ge=0, le=3.2)
        ] = 1.23,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.scale, self.slope = scale, slope
        self.own_angle, self.other_angle = own_angle, other_angle

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Pull to the own class plus push from all others, of each row, (B,)."""

        def push(c: Tensor) -> Tensor:
            with torch.no_grad():
                speed = torch.sigmoid(self.slope * (self.other_angle - c.clamp(-1, 1).acos()))
            return self.scale * speed * c

        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, others = classes.sum(unit(batch.embeddings), push)
        with torch.no_grad():
            speed = torch.sigmoid(self.slope * (cosine.clamp(-1, 1).acos() - self.own_angle))
        own = -self.scale * speed * cosine
        terms = {"target_cosine": cosine.mean(), "own": own.mean(), "others": others.mean()}
        return own + others, terms | {"pulled": speed.mean()}
