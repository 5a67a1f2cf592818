"""The passes over the class axis behind :class:`facerec_cli.losses.classifier.Classes`.

Each keeps one (B, c) block for the backward, the cosines, and works on a few columns of it at a time;
results and gradients of ``x`` are complete on every process, gradients of the class rows are those of this
process's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from facerec_cli.losses.distributed import add_up, world
from facerec_cli.losses.precision import full_precision

Matmul = Literal["float32", "tf32", "bfloat16", "auto"]
OfCosine = Callable[..., Tensor]

# Cosines worked on at a time: about what stays in a CPU's cache, and few launches on a GPU.
_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
TINY = 1e-12


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
        cosine, inverse = _cosines(x, weight, matmul)
        target = _at(cosine, position)
        parts = []
        for block in _blocks(cosine):
            value = function(cosine[:, block], *args)
            value = _put(value, position - block.start, -torch.inf if kind == "logsumexp" else 0.0)
            parts.append(value.logsumexp(1) if kind == "logsumexp" else value.sum(1))
        total = torch.stack(parts or [x.new_full((len(x),), -torch.inf if kind == "logsumexp" else 0.0)])
        if kind == "logsumexp":
            total = _logsumexp_over_processes(total.logsumexp(0), group)
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
        product = _Product(ctx.matmul)
        with full_precision(x.device):
            for block in _blocks(cosine):
                here = position - block.start
                with torch.enable_grad():
                    c = cosine[:, block].detach().requires_grad_()
                    value = ctx.function(c, *args)
                pull = grad_total[:, None]
                if ctx.kind == "logsumexp":
                    pull = (value.detach() - total[:, None]).exp_()
                    pull = _put(pull, here, 0.0).mul_(grad_total[:, None])
                else:
                    # A copy also where there is one class: the gradient that came in is not ours to write to.
                    pull = pull.expand_as(c).clone(memory_format=torch.contiguous_format)
                    pull = _put(pull, here, 0.0)
                g, *grads = torch.autograd.grad(value, (c, *trained), pull)
                for grad, more in zip(grad_args, grads, strict=True):
                    grad += more
                g = _put(g, here, grad_target) * inverse[block]
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
        cosine, inverse = _cosines(x, weight, matmul)
        target = _at(cosine, position)
        cosine = _put(cosine, position, -torch.inf)
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


class _Product:
    """Matrix products in the chosen precision, with float32 (or float64) results."""

    def __init__(self, matmul: Matmul) -> None:
        self.rounded, self.tf32 = matmul == "bfloat16", matmul in ("tf32", "auto")

    def _is_plain(self, a: Tensor) -> bool:
        return not (self.rounded and a.dtype == torch.float32) and not (self.tf32 and a.is_cuda)

    def of(self, a: Tensor, b: Tensor) -> Tensor:
        if self._is_plain(a):
            return a @ b
        return _rounded_product(a.bfloat16(), b.bfloat16(), a.dtype) if self.rounded else _in_tf32(a, b)

    def add(self, into: Tensor, a: Tensor, b: Tensor) -> None:
        if self._is_plain(a):
            into.addmm_(a, b)
        else:
            into += self.of(a, b)

    def into(self, out: Tensor, a: Tensor, b: Tensor) -> None:
        if self._is_plain(a):
            torch.mm(a, b, out=out)
        else:
            out.copy_(self.of(a, b))


def _rounded_product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Product of bfloat16 factors, added up and returned in float32.

    Where PyTorch cannot return another type than it is given (before 2.8, and on a CPU) the factors become
    float32 again. TF32 holds every bfloat16, so that a GPU loses nothing by it.
    """
    if a.is_cuda and hasattr(torch.ops.aten.mm, "dtype"):
        return torch.mm(a, b, out_dtype=dtype)
    return _in_tf32(a.to(dtype), b.to(dtype))


def _in_tf32(a: Tensor, b: Tensor) -> Tensor:
    """Product in TensorFloat-32 where there is such a thing."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        return a @ b
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _cosines(x: Tensor, weight: Tensor, matmul: Matmul) -> tuple[Tensor, Tensor]:
    """Cosines (B, c) of unit rows with the rows of ``weight``, and the inverse norms (c,) of the latter.

    Scaling the B columns afterwards is cheaper than normalizing the D columns of a large matrix before.
    """
    norm = torch.linalg.vector_norm(weight, dim=1)
    inverse = torch.where(norm > TINY, 1 / norm, 0.0)
    return _Product(matmul).of(x, weight.T).mul_(inverse), inverse


def _blocks(cosine: Tensor) -> Iterator[slice]:
    """Slices over the classes of a size that suits the device; the same for all batches of one shape."""
    rows, classes = cosine.shape
    width = max(1, _BLOCK.get(cosine.device.type, 1 << 24) // max(rows, 1))
    for start in range(0, classes, width):
        yield slice(start, min(start + width, classes))


def _at(block: Tensor, position: Tensor) -> Tensor:
    """Entry ``position[i]`` of row i, 0 where that is outside the block."""
    inside = (position >= 0) & (position < block.shape[1])
    if not block.shape[1]:
        return block.new_zeros(len(block))
    at = block.gather(1, torch.where(inside, position, 0)[:, None])[:, 0]
    return torch.where(inside, at, 0.0)


def _put(block: Tensor, position: Tensor, value: float | Tensor) -> Tensor:
    """Write ``value`` (or ``value[i]``) at entry ``position[i]`` of row i where that is inside the block."""
    if not block.shape[1]:
        return block
    inside = (position >= 0) & (position < block.shape[1])
    at = torch.where(inside, position, 0)[:, None]
    old = block.gather(1, at)[:, 0]
    return block.scatter_(1, at, torch.where(inside, value, old)[:, None])


def _logsumexp_over_processes(local: Tensor, group: ProcessGroup | None) -> Tensor:
    """Log-sum-exp over processes; a very small finite number where there is no class at all."""
    lowest = torch.finfo(local.dtype).min / 4
    if group is None:
        return local.clamp_min(lowest)
    largest = local.clamp_min(lowest)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return largest + add_up((local - largest).exp(), group).clamp_min(torch.finfo(local.dtype).tiny).log()
