"""The class axis: one matrix row per class, split over processes, and the few reductions that losses need.

Class weights are C x D; with millions of classes each process holds a part of the rows and only a sample of
classes takes part in a step (Partial-FC, arXiv 2203.15565). :class:`Classifier` owns this process's rows,
:class:`Classes` is what takes part in one step. Its reductions give the same result for one process and for
several, without a wait for the GPU:

* ``target``: cosine of each row with its own class;
* ``logsumexp``: that, and the log-sum-exp over all *other* classes of a function of the cosine;
* ``sum``: that, and the sum over all other classes of a function of the cosine;
* ``nearest``: the k largest cosines with other classes.

Each takes ``matrix=`` to look at another matrix that is split in the same way (EPL's prototypes). Softmax
cross entropy is then -log sigmoid(z_y - logsumexp_{j != y} z_j), so the margin of the target never touches
the class axis. Only the cosines (B, C) are kept for the way back; everything else is recomputed block by
block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from facerec_cli.errors import UsageError
from facerec_cli.losses.distributed import add_up, world

Matmul = Literal["float32", "tf32", "bfloat16"]
OfCosine = Callable[..., Tensor]

# Cosines worked on at a time: about what stays in a CPU's cache, and few launches on a GPU.
_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
_INIT_ROWS = 4096
_TINY = 1e-12


def unit(x: Tensor, dim: int = -1) -> Tensor:
    """``x`` with length 1 along ``dim``; a zero vector stays zero and gets no gradient.

    The division by the largest entry first, a constant for the gradient because the direction does not depend
    on it, keeps the squares of very long and very short vectors in range.
    """
    peak = x.detach().abs().amax(dim, keepdim=True)
    x = x / peak.masked_fill(peak < _TINY, torch.inf)
    length: Tensor = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return x / length.clamp_min(0.5)


def shard(num_classes: int, rank: int, size: int) -> range:
    """Classes of process ``rank``: consecutive, the first ``num_classes % size`` processes hold one more."""
    each, more = divmod(num_classes, size)
    start = rank * each + min(rank, more)
    return range(start, start + each + (rank < more))


def initial_rows(classes: range, width: int, seed: int, std: float) -> Tensor:
    """Normal random rows of ``classes``, the same numbers however the classes are split."""
    rows = torch.empty(len(classes), width)
    for block in range(classes.start // _INIT_ROWS, -(-classes.stop // _INIT_ROWS)):
        generator = torch.Generator().manual_seed(_mix(seed, block))
        values = torch.randn(_INIT_ROWS, width, generator=generator).mul_(std)
        first = block * _INIT_ROWS
        start, stop = max(first, classes.start), min(first + _INIT_ROWS, classes.stop)
        rows[start - classes.start : stop - classes.start] = values[start - first : stop - first]
    return rows


class Classifier(nn.Module):
    """This process's part of the class weights.

    Args:
        num_classes: Classes C over all processes; there may be fewer than processes.
        embedding_size: Width D.
        sample_rate: Share of a process's classes in a step, in (0, 1]. The classes of the batch always take
            part, also where they are more than that; the others are drawn at random from ``seed``, the step
            and the rank. The sample has at least as many classes as the global batch has rows, so its size is
            known without looking at the labels.
        group: Processes that share the classes, or ``None``.
        seed: Seed of weights and samples.
        matmul: ``float32``: as exact as PyTorch's own setting for float32 products; ``tf32``: TensorFloat-32
            on CUDA; ``bfloat16``: factors rounded to bfloat16, which moves a cosine by up to about 0.004
            (0.25 in logits of scale 64). Cosines and everything after them are float32 in all three.
    """

    split_by_class = ("weight",)

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        sample_rate: float = 1.0,
        group: ProcessGroup | None = None,
        seed: int = 0,
        matmul: Matmul = "float32",
    ) -> None:
        super().__init__()
        if num_classes < 1 or embedding_size < 1:
            raise UsageError(f"A classifier needs classes and values: {num_classes} x {embedding_size}.")
        if not 0 < sample_rate <= 1:
            raise UsageError(f"sample_rate is {sample_rate}, it must be above 0 and at most 1.")
        if matmul not in ("float32", "tf32", "bfloat16"):
            raise UsageError(f"matmul is {matmul!r}.", hint="Known: float32, tf32, bfloat16")
        self.group, self.seed, self.matmul, self.sample_rate = group, seed, matmul, sample_rate
        self.rank, size = world(group)
        self.shard = shard(num_classes, self.rank, size)
        # The length of a row does not matter to its cosines, only to the effective learning rate.
        self.weight = nn.Parameter(initial_rows(self.shard, embedding_size, seed, std=0.01))

    def classes(self, labels: Tensor, step: int) -> Classes:
        """The classes that take part in this step.

        Args:
            labels: (B,) int64 labels of the global batch, on the CPU or on the weights' device.
            step: Step of training; another step draws another sample.
        """
        own = len(self.shard)
        labels = labels.to(self.weight.device, non_blocking=True)
        position = labels - self.shard.start
        position = torch.where((position >= 0) & (position < own), position, -1)
        count = min(own, max(int(self.sample_rate * own), len(labels)))
        if count == own:
            return Classes(self, position, None)
        # Positives get a score above all others; sorted so that a row keeps its place in memory order.
        generator = torch.Generator(position.device).manual_seed(_mix(self.seed, step, self.rank))
        score = torch.rand(own + 1, generator=generator, device=position.device)
        score[position] = 2.0  # -1, not ours, writes into the spare last entry
        index = score[:own].topk(count).indices.sort().values
        place = torch.searchsorted(index, position.clamp_min(0))
        return Classes(self, torch.where(position < 0, -1, place), index)


@dataclass(frozen=True)
class Classes:
    """The classes of one step: all of this process's, or a sample.

    Attributes:
        owner: The classifier.
        position: (B,) place of each row's own class among them, -1 where another process has it.
        index: (c,) rows of the matrix that take part, or ``None`` for all.
    """

    owner: Classifier
    position: Tensor
    index: Tensor | None

    def target(self, x: Tensor) -> Tensor:
        """(B,) cosine of each row with its own class, without gradient."""
        rows = self._rows(x).detach()
        own = rows.new_zeros(len(x), rows.shape[1])
        if len(rows):
            own = unit(rows[self.position.clamp_min(0)]) * (self.position >= 0)[:, None]
        return add_up((x.detach() * own).sum(1), self.owner.group)

    def logsumexp(
        self, x: Tensor, logit: OfCosine, *args: Tensor, matrix: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cosine with the own class and log-sum-exp of ``logit`` over all others, both (B,), with gradient.

        Args:
            x: (B, D) unit rows of the global batch.
            logit: Function of a block of cosines (B, c), and of ``args``, elementwise.
            *args: Scalars or (B, 1) tensors that ``logit`` needs; they get their gradient.
            matrix: Another matrix, split like the weights, instead of them.
        """
        return self._reduce("logsumexp", x, logit, args, matrix)

    def sum(
        self, x: Tensor, value: OfCosine, *args: Tensor, matrix: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Like :meth:`logsumexp`, with the plain sum of ``value``."""
        return self._reduce("sum", x, value, args, matrix)

    def nearest(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Cosine with the own class (B,), and the ``k`` largest with others (B, k), both with gradient.

        Places without a class (fewer than k others) hold -inf. Only the k + 1 rows found get a gradient. With
        a sample, the nearest class may be among those left out.
        """
        found: tuple[Tensor, Tensor] = _Nearest.apply(x, self._rows(x), self.position, k, self.owner)
        return found

    def _rows(self, x: Tensor, matrix: Tensor | None = None) -> Tensor:
        matrix = self.owner.weight if matrix is None else matrix
        return (matrix if self.index is None else matrix.index_select(0, self.index)).to(x.dtype)

    def _reduce(
        self, kind: str, x: Tensor, function: OfCosine, args: tuple[Tensor, ...], matrix: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        rows = self._rows(x, matrix)
        pair: tuple[Tensor, Tensor] = _Reduce.apply(x, rows, self.position, kind, function, self.owner, *args)
        return pair


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
        owner: Classifier,
        *args: Tensor,
    ) -> tuple[Tensor, Tensor]:
        cosine, inverse = _cosines(x, weight, owner.matmul)
        target = _at(cosine, position)
        parts = []
        for block in _blocks(cosine):
            value = function(cosine[:, block], *args)
            value = _put(value, position - block.start, -torch.inf if kind == "logsumexp" else 0.0)
            parts.append(value.logsumexp(1) if kind == "logsumexp" else value.sum(1))
        total = torch.stack(parts or [x.new_full((len(x),), -torch.inf if kind == "logsumexp" else 0.0)])
        if kind == "logsumexp":
            total = _logsumexp_over_processes(total.logsumexp(0), owner.group)
        else:
            total = add_up(total.sum(0), owner.group)
        ctx.save_for_backward(x, weight, position, cosine, inverse, total, *args)
        ctx.kind, ctx.function, ctx.owner = kind, function, owner
        return add_up(target, owner.group), total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_target: Tensor, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, position, cosine, inverse, total, *args = ctx.saved_tensors
        owner, needs_weight = ctx.owner, ctx.needs_input_grad[1]
        args = [a.detach().requires_grad_(n) for a, n in zip(args, ctx.needs_input_grad[6:], strict=True)]
        wanted = [a for a in args if a.requires_grad]
        grad_args = [torch.zeros_like(a) for a in wanted]
        grad_x = torch.zeros_like(x)
        grad_weight = torch.empty_like(weight) if needs_weight else None
        product = _Product(owner.matmul)
        with torch.autocast(x.device.type, enabled=False):
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
                    pull = _put(pull.expand_as(c).contiguous(), here, 0.0)
                g, *found = torch.autograd.grad(value, (c, *wanted), pull)
                for grad, more in zip(grad_args, found, strict=True):
                    grad += more
                g = _put(g, here, grad_target) * inverse[block]
                rows = weight[block]
                product.add(grad_x, g, rows)
                if grad_weight is not None:
                    radial = (g * cosine[:, block]).sum(0) * inverse[block]
                    product.into(grad_weight[block], g.T, x)
                    grad_weight[block].addcmul_(rows, radial[:, None], value=-1)
        grad_x = add_up(grad_x, owner.group)
        shared = iter([add_up(grad, owner.group) for grad in grad_args])
        return (
            grad_x,
            grad_weight,
            None,
            None,
            None,
            None,
            *(next(shared) if a.requires_grad else None for a in args),
        )


class _Nearest(torch.autograd.Function):
    """Target cosine and the k largest others; touches k + 1 rows of the matrix on the way back."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, position: Tensor, k: int, owner: Classifier
    ) -> tuple[Tensor, Tensor]:
        cosine, inverse = _cosines(x, weight, owner.matmul)
        target = _at(cosine, position)
        cosine = _put(cosine, position, -torch.inf)
        values, index = cosine.topk(min(k, cosine.shape[1]), dim=1)
        if values.shape[1] < k:
            missing = k - values.shape[1]
            values = torch.cat([values, values.new_full((len(x), missing), -torch.inf)], 1)
            index = torch.cat([index, index.new_zeros(len(x), missing)], 1)
        mine = torch.ones_like(values, dtype=torch.bool)
        rank, size = world(owner.group)
        if owner.group is not None:
            every = [torch.empty_like(values) for _ in range(size)]
            dist.all_gather(every, values.contiguous(), group=owner.group)
            values, place = torch.cat(every, 1).topk(k, dim=1)
            mine = place // k == rank
            index = index.gather(1, place % k)
        ctx.save_for_backward(x, weight, position, inverse, target, values, index, mine & values.isfinite())
        ctx.owner = owner
        return add_up(target, owner.group), values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_target: Tensor, grad_values: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, position, inverse, target, values, index, mine = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        if len(weight):
            # Column 0 is the own class, the others those found; what is not ours gets weight zero.
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
        return add_up(grad_x, ctx.owner.group), grad_weight, None, None, None


class _Product:
    """Matrix products in the chosen precision, with float32 (or float64) results."""

    def __init__(self, matmul: Matmul) -> None:
        self.matmul = matmul

    def _factors(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        if self.matmul == "bfloat16" and a.dtype == torch.float32:
            return a.bfloat16(), b.bfloat16()
        return a, b

    def of(self, a: Tensor, b: Tensor) -> Tensor:
        x, y = self._factors(a, b)
        if x.dtype != a.dtype:
            return torch.mm(x, y, out_dtype=a.dtype) if a.is_cuda else (x @ y).to(a.dtype)
        if self.matmul == "tf32" and a.is_cuda:
            before = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = True
            try:
                return a @ b
            finally:
                torch.backends.cuda.matmul.allow_tf32 = before
        return a @ b

    def add(self, into: Tensor, a: Tensor, b: Tensor) -> None:
        if self.matmul == "float32":
            into.addmm_(a, b)
        else:
            into += self.of(a, b)

    def into(self, out: Tensor, a: Tensor, b: Tensor) -> None:
        if self.matmul == "float32":
            torch.mm(a, b, out=out)
        else:
            out.copy_(self.of(a, b))


def _cosines(x: Tensor, weight: Tensor, matmul: Matmul) -> tuple[Tensor, Tensor]:
    """Cosines (B, c) of unit rows with the rows of ``weight``, and the inverse lengths (c,) of the latter.

    Scaling the B columns afterwards is cheaper than normalising the D columns of a large matrix before.
    """
    length = torch.linalg.vector_norm(weight, dim=1)
    inverse = torch.where(length > _TINY, 1 / length, 0.0)
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
    new = torch.where(inside, value if isinstance(value, Tensor) else old.new_tensor(value), old)
    return block.scatter_(1, at, new[:, None])


def _logsumexp_over_processes(local: Tensor, group: ProcessGroup | None) -> Tensor:
    """Log-sum-exp over processes; a very small finite number where there is no class at all."""
    lowest = torch.finfo(local.dtype).min / 4
    if group is None:
        return local.clamp_min(lowest)
    largest = local.clamp_min(lowest)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return largest + add_up((local - largest).exp(), group).clamp_min(torch.finfo(local.dtype).tiny).log()


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several small numbers (the multiplier of splitmix64)."""
    mixed = 0
    for number in numbers:
        mixed = ((mixed ^ (number + 1)) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % (1 << 63)
        mixed ^= mixed >> 31
    return mixed
