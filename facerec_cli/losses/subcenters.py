"""Several centers a class: a class is as near as the nearest of its centers.

The centers of a class are one row of the class matrix, so that a class stays one row for sharding, sampling,
checkpoints and updates; only the reduction over the classes differs from ``reductions.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from facerec_cli.losses.class_cosines import (
    Matmul,
    Product,
    blocks,
    cosines,
    entry,
    inverse_norms,
    logsumexp_over_processes,
    put_entry,
)
from facerec_cli.losses.distributed import add_up
from facerec_cli.losses.precision import full_precision


def nearest_centers(
    x: Tensor,
    weight: Tensor,
    position: Tensor,
    scale: float,
    matmul: Matmul,
    group: ProcessGroup | None,
) -> tuple[Tensor, Tensor]:
    """Cosine with the nearest center of the own class, and log-sum-exp of ``scale`` times that of all others.

    Args:
        x: (B, D) unit rows, the same on all processes.
        weight: (c, K D) class rows of this process: K centers of any norm, one after the other.
        position: (B,) row of ``weight`` that is the own class, -1 where another process has it.
        scale: s.
        matmul: Precision of the products.
        group: The processes.

    Returns:
        Two tensors (B,) with gradient, the same on all processes. Of a class only its nearest center, the
        first of several that are equally near, gets a gradient.
    """
    result: tuple[Tensor, Tensor] = _NearestCenters.apply(x, weight, position, scale, matmul, group)
    return result


class _NearestCenters(torch.autograd.Function):
    """Keeps one (B, c) block of cosines and one of bytes that say which center was nearest."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        position: Tensor,
        scale: float,
        matmul: Matmul,
        group: ProcessGroup | None,
    ) -> tuple[Tensor, Tensor]:
        centers = weight.view(len(weight), -1, x.shape[1])
        cosine = x.new_empty(len(x), len(weight))
        which = torch.empty_like(cosine, dtype=torch.uint8)
        parts = []
        for block in blocks(cosine):
            every, _ = cosines(x, centers[block].flatten(0, 1), matmul)
            cosine[:, block], nearest = every.view(len(x), -1, centers.shape[1]).max(2)
            which[:, block] = nearest
            value = put_entry(scale * cosine[:, block], position - block.start, -torch.inf)
            parts.append(value.logsumexp(1))
        total = torch.stack(parts or [x.new_full((len(x),), -torch.inf)]).logsumexp(0)
        total = logsumexp_over_processes(total, group)
        ctx.save_for_backward(x, weight, position, cosine, which, total)
        ctx.scale, ctx.matmul, ctx.group = scale, matmul, group
        return add_up(entry(cosine, position), group), total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_target: Tensor, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, position, cosine, which, total = ctx.saved_tensors
        centers = weight.view(len(weight), -1, x.shape[1])
        grad_x = torch.zeros_like(x)
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        product = Product(ctx.matmul)
        with full_precision(x.device):
            for block in blocks(cosine):
                here = position - block.start
                share = (ctx.scale * cosine[:, block] - total[:, None]).exp_()
                share = put_entry(share, here, 0.0).mul_(ctx.scale * grad_total[:, None])
                near = put_entry(share, here, grad_target)
                g = near.new_zeros(*near.shape, centers.shape[1])
                g.scatter_(2, which[:, block, None].long(), near[:, :, None])
                rows = centers[block].flatten(0, 1)
                inverse = inverse_norms(rows)
                radial = (g * cosine[:, block, None]).sum(0).flatten() * inverse * inverse
                g = g.flatten(1) * inverse
                product.add(grad_x, g, rows)
                if grad_weight is not None:
                    into = grad_weight[block].view(len(rows), -1)
                    product.into(into, g.T, x)
                    into.addcmul_(rows, radial[:, None], value=-1)
        return add_up(grad_x, ctx.group), grad_weight, None, None, None, None
