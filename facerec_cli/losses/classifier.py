"""The class axis: one matrix row per class, sharded over processes, and the few reductions that losses need.

Class weights are C x D; with millions of classes each process holds a part of the rows and only a sample of
classes takes part in a step (Partial-FC, arXiv 2203.15565). :class:`Classifier` owns this process's rows,
:class:`Classes` is what takes part in one step. Its reductions give the same result for one process and for
several, without a wait for the GPU:

* ``target``: cosine of each row with its own class;
* ``logsumexp``: that, and the log-sum-exp over all *other* classes of a function of the cosine;
* ``sum``: that, and the sum over all other classes of a function of the cosine;
* ``nearest``: the k largest cosines with other classes.

Where only the rows of a sample are to be updated, a :class:`RowKeeper` gets their gradient, and no gradient
of the whole matrix is made.

Each takes ``matrix=`` to look at another matrix that is sharded in the same way (EPL's prototypes). Softmax
cross entropy is then -log sigmoid(z_y - logsumexp_{j != y} z_j), so the margin of the target never touches
the class axis. Only the cosines (B, C) are saved for the backward; everything else is recomputed block by
block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from facerec_cli.errors import UsageError
from facerec_cli.losses.class_cosines import TINY, Matmul
from facerec_cli.losses.distributed import add_up, world
from facerec_cli.losses.places import nearest_place
from facerec_cli.losses.reductions import OfCosine, nearest, reduce
from facerec_cli.settings import Option, checked

_INIT_ROWS = 4096


def unit(x: Tensor, dim: int = -1) -> Tensor:
    """``x`` with norm 1 along ``dim``; a zero vector stays zero and gets no gradient.

    The division by the largest entry first, a constant for the gradient because the direction does not depend
    on it, keeps the squares of very long and very short vectors in range.
    """
    peak = x.detach().abs().amax(dim, keepdim=True)
    x = x / peak.masked_fill(peak < TINY, torch.inf)
    norm: Tensor = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return x / norm.clamp_min(0.5)


def shard(num_classes: int, rank: int, size: int) -> range:
    """Classes of process ``rank``: consecutive, the first ``num_classes % size`` processes hold one more."""
    each, more = divmod(num_classes, size)
    start = rank * each + min(rank, more)
    return range(start, start + each + (rank < more))


def initial_rows(classes: range, width: int, seed: int, std: float) -> Tensor:
    """Normal random rows of ``classes``, the same numbers however the classes are sharded."""
    rows = torch.empty(len(classes), width)
    for block in range(classes.start // _INIT_ROWS, -(-classes.stop // _INIT_ROWS)):
        generator = torch.Generator().manual_seed(_mix(seed, block))
        values = torch.randn(_INIT_ROWS, width, generator=generator).mul_(std)
        first = block * _INIT_ROWS
        start, stop = max(first, classes.start), min(first + _INIT_ROWS, classes.stop)
        rows[start - classes.start : stop - classes.start] = values[start - first : stop - first]
    return rows


class RowKeeper(Protocol):
    """Who updates the rows of a sample only; the trainer's is ``training/class_rows.py``."""

    def bring_up(self, index: Tensor) -> None:
        """Bring rows ``index`` (c,) of the weights to what they are to be at this step."""

    def add(self, index: Tensor, gradient: Tensor) -> None:
        """Take the gradient (c, D) of rows ``index`` (c,), which are sorted and distinct."""


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
            (0.25 in logits of scale 64). Cosines and everything after them are float32 in all three. ``auto``
            is ``tf32``.

    Attributes:
        weight: (C / P, D), the rows of ``shard``.
        shard: The classes of this process.
        keeper: Who updates the rows of a sample; ``None`` (default) leaves them to an optimizer that walks
            all rows, and ``weight.grad`` is a whole matrix.
    """

    sharded_by_class = ("weight",)

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        sample_rate: Annotated[float, Option(gt=0, le=1)] = 1.0,
        group: ProcessGroup | None = None,
        seed: int = 0,
        matmul: Matmul = "float32",
    ) -> None:
        super().__init__()
        if num_classes < 1 or embedding_size < 1:
            raise UsageError(f"A classifier needs classes and values: {num_classes} x {embedding_size}.")
        self.group, self.seed, self.matmul, self.sample_rate = group, seed, matmul, sample_rate
        self.rank, size = world(group)
        self.shard = shard(num_classes, self.rank, size)
        # The norm of a row does not matter to its cosines, only to the effective learning rate.
        self.weight = nn.Parameter(initial_rows(self.shard, embedding_size, seed, std=0.01))
        self.keeper: RowKeeper | None = None

    def classes(self, labels: Tensor, step: int) -> Classes:
        """The classes that take part in this step.

        Args:
            labels: (B,) int64 labels of the global batch, on the CPU or on the weights' device.
            step: Step of training; another step draws another sample.
        """
        classes = len(self.shard)
        labels = labels.to(self.weight.device, non_blocking=True)
        position = labels - self.shard.start
        position = torch.where((position >= 0) & (position < classes), position, -1)
        count = min(classes, max(int(self.sample_rate * classes), len(labels)))
        if count < classes:
            index = sample(position, classes, count, _mix(self.seed, step, self.rank))
            place = torch.searchsorted(index, position.clamp_min(0))
            position = torch.where(position < 0, -1, place)
        elif self.keeper is None:
            return Classes(self, position, None)
        else:  # so few classes that a sample holds all of them
            index = torch.arange(classes, device=position.device)
        if self.keeper is not None:
            self.keeper.bring_up(index)
        return Classes(self, position, index)


def sample(positive: Tensor, classes: int, count: int, seed: int) -> Tensor:
    """Distinct classes, sorted: all of ``positive`` and as many others, drawn at random, as make ``count``.

    The circle of classes is cut at a random place into as many parts, of equal length, as are drawn, and one
    class is taken from each part; positives then push out classes drawn, any of them with the same chance. So
    one class is as likely as another (within 1 / count of it where a positive is next to it), and the work
    follows ``count`` and not ``classes``. No size depends on what the positives are, so a GPU need not be
    waited for.

    Args:
        positive: (B,) int64 classes that must take part, in any order and repeated; -1 is none.
        classes: How many there are, more than ``count``.
        count: How many take part, at least as many as there are distinct positives.
        seed: Of the draw.
    """
    device = positive.device
    generator = torch.Generator(device).manual_seed(seed)
    chance = torch.rand(2 * count + 1, generator=generator, device=device)
    part = torch.arange(count + 1, device=device) * classes // count
    start, length = part[:-1], part.diff()
    inside = torch.minimum((chance[:count] * length).long(), length - 1)
    turn = (chance[-1] * classes).long()
    drawn = (start + inside + turn) % classes
    positive = positive.sort().values
    known = torch.searchsorted(positive, drawn).clamp_max(len(positive) - 1)
    again = torch.cat([positive[:1] < 0, positive[1:] == positive[:-1]]) | (positive < 0)
    rank = torch.cat([2.0 - 3.0 * again, chance[count:-1]])
    rank[len(positive) :].masked_fill_(positive[known] == drawn, -1.0)
    kept = rank.topk(count, sorted=False).indices
    return torch.cat([positive, drawn])[kept].sort().values


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
    # Rows for the keeper, once for all that a loss asks of them, so that their gradients are added up.
    _taken: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)

    def target(self, x: Tensor) -> Tensor:
        """(B,) cosine of each row with its own class, without gradient."""
        weight = self.owner.weight.detach()
        targets = x.new_zeros(len(x), weight.shape[1])
        if len(weight):
            own = self.position.clamp_min(0)
            own = own if self.index is None else self.index[own]
            targets = unit(weight[own].to(x.dtype)) * (self.position >= 0)[:, None]
        return add_up((x.detach() * targets).sum(1), self.owner.group)

    def logsumexp(
        self, x: Tensor, logit: OfCosine, *args: Tensor, matrix: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cosine with the own class and log-sum-exp of ``logit`` over all others, both (B,), with gradient.

        Args:
            x: (B, D) unit rows of the global batch.
            logit: Function of a block of cosines (B, c), and of ``args``, elementwise.
            *args: Scalars or (B, 1) tensors that ``logit`` needs; they get their gradient.
            matrix: Another matrix, sharded like the weights, instead of them.
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
        owner = self.owner
        return nearest(x, self._rows(x), self.position, k, owner.matmul, owner.group)

    def nearest_place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine with the nearest other class (B,), and its place among the classes here, without gradient.

        The place is -1 where another process has it, as in ``position``; the cosine is -inf where there is no
        other class.
        """
        owner = self.owner
        return nearest_place(x, self._rows(x), self.position, owner.matmul, owner.group)

    def rows(self, x: Tensor) -> Tensor:
        """(c, D) rows of the class weights that take part, with gradient, in the dtype of ``x``."""
        return self._rows(x)

    def _rows(self, x: Tensor, matrix: Tensor | None = None) -> Tensor:
        owner, index = self.owner, self.index
        if index is None:
            return (owner.weight if matrix is None else matrix).to(x.dtype)
        if matrix is None and owner.keeper is not None:
            if not self._taken:
                self._taken.append(_KeptRows.apply(owner.weight, index, owner.keeper))
            return self._taken[0].to(x.dtype)
        return (owner.weight if matrix is None else matrix).index_select(0, index).to(x.dtype)

    def _reduce(
        self,
        kind: Literal["logsumexp", "sum"],
        x: Tensor,
        function: OfCosine,
        args: tuple[Tensor, ...],
        matrix: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        rows, owner = self._rows(x, matrix), self.owner
        return reduce(kind, x, rows, self.position, function, args, owner.matmul, owner.group)


class _KeptRows(torch.autograd.Function):
    """Rows of the weights, whose gradient goes to the keeper and not into a whole matrix."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Tensor, keeper: RowKeeper) -> Tensor:
        ctx.save_for_backward(index)
        ctx.keeper = keeper
        return weight.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.keeper.add(ctx.saved_tensors[0], gradient)
        return None, None, None


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several small numbers (the multiplier of splitmix64)."""
    mixed = 0
    for number in numbers:
        mixed = ((mixed ^ (number + 1)) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % (1 << 63)
        mixed ^= mixed >> 31
    return mixed
