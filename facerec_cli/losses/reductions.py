"""The passes over the class axis behind :class:`facerec_cli.losses.classifier.Classes`.

Each keeps one (B, c) block for the backward, the cosines, and works on a few columns of it at a time;
results and gradients of ``x`` are complete on every process, gradients of the class rows are those of this
process's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from facerec_cli.losses.class_cosines import (
    Matmul,
    Product,
    blocks,
    cosines,
    entry,
    logsumexp_over_processes,
    put_entry,
)
from facerec_cli.losses.distributed import add_up, world
from facerec_cli.losses.precision import full_precision

OfCosine = Callable[..., Tensor]


def reduce(
    kind: Literal["logsumexp", "sum"],
    x: Tensor,
    weight: Tensor,
    position: Tensor,
    function: OfCosine,
    args: tuple[Tensor, ...],
    matmul: Matmul,
    group: ProcessGroup | None,
) -> tuple[Tensor, Tensor]:
    """Cosine with the own class, and ``kind`` of ``function(cosine, *args)`` over all others, both (B,).

    Args:
        kind: The reduction.
        x: (B, D) unit rows, the same on all processes.
        weight: (c, D) class rows of this process, of any norm.
        position: (B,) row of ``weight`` that is the own class, -1 where another process has it.
        function: Elementwise on a block of cosines.
        args: Scalars or (B, 1) tensors, the same on all processes.
        matmul: Precision of the products.
        group: The processes.
    """
    result: tuple[Tensor, Tensor] = _Reduce.apply(x, weight, position, kind, function, matmul, group, *args)
    return result


def nearest(
    x: Tensor, weight: Tensor, position: Tensor, k: int, matmul: Matmul, group: ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """Cosine with the own class (B,) and the ``k`` largest others (B, k); arguments as in :func:`reduce`."""
    result: tuple[Tensor, Tensor] = _Nearest.apply(x, weight, position, k, matmul, group)
    return result


class _Reduce(torch.autograd.Function):
    """Target cosine and a reduction over the other classes, keeping one (B, C) block: the cosines.

    With G = dL/dcos / ||w||, the gradients are dL/dx = G W and dL/dw_j = sum_i G_ij (x_i - cos_ij w_j /
    ||w_j||).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        position: Tensor,
        kind: str,
        function: OfCosine,
        matmul: Matmul,
        group: ProcessGroup | None,
        *args: Tensor,
    ) -> tuple[Tensor, Tensor]:
        cosine, inverse = cosines(x, weight, matmul)
        target = entry(cosine, position)
        parts = []
        for block in blocks(cosine):
            value = function(cosine[:, block], *args)
            value = put_entry(value, position - block.start, -torch.inf if kind == "logsumexp" else 0.0)
            parts.append(value.logsumexp(1) if kind == "logsumexp" else value.sum(1))
        total = torch.stack(parts or [x.new_full((len(x),), -torch.inf if kind == "logsumexp" else 0.0)])
        if kind == "logsumexp":
            total = logsumexp_over_processes(total.logsumexp(0), group)
        else:
            total = add_up(total.sum(0), group)
        ctx.save_for_backward(x, weight, position, cosine, inverse, total, *args)
        ctx.kind, ctx.function, ctx.matmul, ctx.group = kind, function, matmul, group
        return add_up(target, group), total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_target: Tensor, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, position, cosine, inverse, total, *args = ctx.saved_tensors
        args = [a.detach().requires_grad_(n) for a, n in zip(args, ctx.needs_input_grad[7:], strict=True)]
        trained = [a for a in args if a.requires_grad]
        grad_args = [torch.zeros_like(a) for a in trained]
        grad_x = torch.zeros_like(x)
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        product = Product(ctx.matmul)
        with full_precision(x.device):
            for block in blocks(cosine):
                here = position - block.start
                with torch.enable_grad():
                    c = cosine[:, block].detach().requires_grad_()
                    value = ctx.function(c, *args)
                pull = grad_total[:, None]
                if ctx.kind == "logsumexp":
                    pull = (value.detach() - total[:, None]).exp_()
                    pull = put_entry(pull, here, 0.0).mul_(grad_total[:, None])
                else:
                    # A copy also where there is one class: the gradient that came in is not ours to write to.
                    pull = pull.expand_as(c).clone(memory_format=torch.contiguous_format)
                    pull = put_entry(pull, here, 0.0)
                g, *grads = torch.autograd.grad(value, (c, *trained), pull)
                for grad, more in zip(grad_args, grads, strict=True):
                    grad += more
                g = put_entry(g, here, grad_target) * inverse[block]
                rows = weight[block]
                product.add(grad_x, g, rows)
                if grad_weight is not None:
                    radial = (g * cosine[:, block]).sum(0) * inverse[block]
                    product.into(grad_weight[block], g.T, x)
                    grad_weight[block].addcmul_(rows, radial[:, None], value=-1)
        grad_x = add_up(grad_x, ctx.group)
        shared = iter([add_up(grad, ctx.group) for grad in grad_args])
        nothing = (None,) * 5  # position, kind, function, matmul, group
        return grad_x, grad_weight, *nothing, *(next(shared) if a.requires_grad else None for a in args)


class _Nearest(torch.autograd.Function):
    """Target cosine and the k largest others; touches k + 1 rows of the matrix on the way back."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        position: Tensor,
        k: int,
        matmul: Matmul,
        group: ProcessGroup | None,
    ) -> tuple[Tensor, Tensor]:
        cosine, inverse = cosines(x, weight, matmul)
        target = entry(cosine, position)
        cosine = put_entry(cosine, position, -torch.inf)
        values, index = cosine.topk(min(k, cosine.shape[1]), dim=1)
        if values.shape[1] < k:
            missing = k - values.shape[1]
            values = torch.cat([values, values.new_full((len(x), missing), -torch.inf)], 1)
            index = torch.cat([index, index.new_zeros(len(x), missing)], 1)
        mine = torch.ones_like(values, dtype=torch.bool)
        rank, size = world(group)
        if group is not None:
            every = [torch.empty_like(values) for _ in range(size)]
            dist.all_gather(every, values.contiguous(), group=group)
            values, place = torch.cat(every, 1).topk(k, dim=1)
            mine = place // k == rank
            index = index.gather(1, place % k)
        ctx.save_for_backward(x, weight, position, inverse, target, values, index, mine & values.isfinite())
        ctx.group = group
        return add_up(target, group), values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_target: Tensor, grad_values: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, position, inverse, target, values, index, mine = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        if len(weight):
            # Column 0 is the own class, the others the nearest; what another process has gets weight zero.
            index = torch.cat([position.clamp_min(0)[:, None], index], 1)
            cosine = torch.cat([target[:, None], values], 1)
            mine = torch.cat([(position >= 0)[:, None], mine], 1)
            g = torch.cat([grad_target[:, None], grad_values], 1)
            g = torch.where(mine, g, 0.0) * inverse[index]
            cosine = torch.where(mine, cosine, 0.0)
            for column in range(index.shape[1]):  # k is small; one column at a time keeps memory at B x D
                at, gc = index[:, column], g[:, column, None]
                rows = weight[at]
                grad_x += gc * rows
                if grad_weight is not None:
                    radial = cosine[:, column, None] * inverse[at][:, None]
                    grad_weight.index_add_(0, at, gc * (x - radial * rows))
        return add_up(grad_x, ctx.group), grad_weight, None, None, None, None
