"""Soft histograms that keep nothing of the size values x nodes for the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 1 << 20
_EMPTY = 1e-12


def soft_histogram(values: Tensor, weights: Tensor, nodes: Tensor, sigma: float) -> Tensor:
    """Histograms (K, R) of weighted values, each with sum 1 (0 for a set whose weights are all 0).

    h_r = sum_i w_i exp(-(s_i - t_r)^2 / (2 sigma^2)), divided by its sum over r.

    Args:
        values: s, (n,), with gradient.
        weights: w, (K, n), one row for each histogram; no gradient.
        nodes: t, (R,).
        sigma: Width of the kernel.
    """
    mass: Tensor = _Mass.apply(values, weights, nodes, sigma)
    return mass / (mass.sum(1, keepdim=True) + _EMPTY)


def _kernels(values: Tensor, nodes: Tensor, sigma: float) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Blocks of nodes, with (s - t) / sigma and the kernel, both (n, block)."""
    width = max(1, _BLOCK // max(len(values), 1))
    for start in range(0, len(nodes), width):
        block = slice(start, start + width)
        distance = (values[:, None] - nodes[block]) / sigma
        yield block, distance, (-0.5 * distance * distance).exp()


class _Mass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, nodes: Tensor, sigma: float) -> Tensor:
        ctx.save_for_backward(values, weights, nodes)
        ctx.sigma = sigma
        return torch.cat([weights @ kernel for _, _, kernel in _kernels(values, nodes, sigma)], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        values, weights, nodes = ctx.saved_tensors
        grad = torch.zeros_like(values)
        for block, distance, kernel in _kernels(values, nodes, ctx.sigma):
            grad -= ((weights.T @ grads[0][:, block]) * kernel * distance).sum(1) / ctx.sigma
        return grad, None, None, None
