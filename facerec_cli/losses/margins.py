"""Margins on the cosine of the own class, and the softmax cross entropy that they go into."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from facerec_cli.settings import Option

MarginGradient = Literal["exact", "straight_through"]
# Two angles differ by at most pi and two cosines by at most 2: beyond that a margin asks for nothing more.
AngularMargin = Annotated[float, Option("m, in radians.", ge=0, le=math.pi)]
CosineMargin = Annotated[float, Option("m, of a cosine.", ge=0, le=2)]


def angular(
    cosine: Tensor,
    margin: float | Tensor,
    gradient: MarginGradient = "exact",
    *,
    continued: bool = True,
) -> Tensor:
    """cos(theta + m) (ArcFace, eq. 3), (B,).

    Args:
        cosine: (B,) cosines; rounding beyond [-1, 1] is clamped away.
        margin: m in radians, one or (B,).
        gradient: ``exact``: that of the formula; ``straight_through``: that of the plain cosine, so that the
            margin moves the value only.
        continued: Where theta + m would pass pi, and cos(theta + m) begin to rise again, go on as
            cosine - m sin(m).
    """
    # From a plain number a tensor would have to be copied to the GPU at every step.
    trigonometry = torch if isinstance(margin, Tensor) else math
    cos_m, sin_m = trigonometry.cos(margin), trigonometry.sin(margin)
    # sqrt has an infinite slope at 0: one step of rounding away from +-1 keeps the gradient finite.
    safe = cosine.clamp(-1 + 1e-7, 1 - 1e-7)
    sine = (1 - safe * safe).sqrt()
    inside = safe * cos_m - sine * sin_m
    moved = torch.where(safe > -cos_m, inside, safe - margin * sin_m) if continued else inside
    return straight_through(cosine, moved) if gradient == "straight_through" else moved


def straight_through(cosine: Tensor, moved: Tensor) -> Tensor:
    """The value of ``moved`` with the gradient of ``cosine``."""
    return cosine + (moved - cosine).detach()


def cross_entropy(target: Tensor, others: Tensor) -> Tensor:
    """Softmax cross entropy (B,) from the logit of the own class and the log-sum-exp of all others.

    -log(e^z / (e^z + e^o)) = -log sigmoid(z - o): no exponential of either, so no overflow at any scale.
    """
    return -logsigmoid(target - others)
