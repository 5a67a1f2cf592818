"""Entropic optimal transport between feature maps: ground cost, Sinkhorn iteration, transport cost."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from facerec_cli.losses.classifier import unit

# exp(-2 / 0.1) is 2e-9, well inside float32; below this regularisation the iteration works with logarithms.
_LOGARITHMIC_BELOW = 0.1


def descriptors(maps: Tensor, *, centered: bool = False) -> Tensor:
    """Local unit descriptors, (B, C, N), from feature maps (B, C, H, W), N = H W.

    Args:
        maps: Feature maps; a location whose channels are all zero stays zero (cost 1 to everything).
        centered: Subtract each location's mean over channels first, so that products are correlations.
    """
    columns = maps.flatten(2)
    if centered:
        columns = columns - columns.mean(1, keepdim=True)
    return unit(columns, dim=1)


def ground_cost(first: Tensor, second: Tensor) -> Tensor:
    """(P, N, N) 1 - cosine of every location of the first map with every location of the second.

    Args:
        first: (P, C, N) descriptors.
        second: (P, C, N) descriptors.
    """
    return 1 - first.mT @ second


def sinkhorn(
    cost: Tensor, regularisation: float, iterations: int, *, official: bool = False
) -> tuple[Tensor, Tensor]:
    """Transport costs (P,) and plans (P, N, N) with uniform marginals after a fixed number of iterations.

    K = exp(-M / regularisation), b = 1; repeat a = (1/N) / (K b), b = (1/N) / (K^T a); the plan is a K b and
    its cost the sum of plan times M (Cuturi, arXiv 1306.0895, algorithm 1). Gradient flows through all
    iterations.

    Args:
        cost: M, (P, N, N), in [0, 2].
        regularisation: Above 0; large values give a nearly uniform plan.
        iterations: Number of pairs of half-steps.
        official: Use K instead of K^T in the second half-step, as the OTFace program does; wrong unless M is
            symmetric, kept to reproduce its numbers.
    """
    scaled = -cost / regularisation
    back = scaled if official else scaled.mT
    share = 1 / cost.shape[-1]
    if regularisation < _LOGARITHMIC_BELOW:
        log_share = math.log(share)
        log_b = torch.zeros_like(cost[:, 0])
        for _ in range(iterations):
            log_a = log_share - (scaled + log_b[:, None, :]).logsumexp(2)
            log_b = log_share - (back + log_a[:, None, :]).logsumexp(2)
        plan = (log_a[:, :, None] + scaled + log_b[:, None, :]).exp()
        return (plan * cost).sum((1, 2)), plan
    kernel = scaled.exp()
    back = kernel if official else kernel.mT
    b = torch.ones_like(cost[:, 0, :, None])
    for _ in range(iterations):
        a = share / (kernel @ b)
        b = share / (back @ a)
    plan = a * kernel * b.mT
    return (plan * cost).sum((1, 2)), plan
