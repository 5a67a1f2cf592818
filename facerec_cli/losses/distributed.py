"""The few exchanges between processes that the losses need.

One rule keeps them simple: outside the classifier every process holds the same tensors of the global batch
and the same, complete, gradients of them. So gathering needs no communication on the way back: each process
takes its own rows, times the number of processes because DistributedDataParallel will divide by it.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup


def world(group: ProcessGroup | None) -> tuple[int, int]:
    """Rank of this process in ``group`` and the group's size; (0, 1) without a group."""
    return (0, 1) if group is None else (dist.get_rank(group), dist.get_world_size(group))


def host_group(group: ProcessGroup | None) -> ProcessGroup | None:
    """A second group of the same processes in which they exchange CPU tensors, without their GPUs.

    ``None`` where ``group`` does that itself, or is none. A collective: all processes of ``group`` call it.
    """
    if group is None or dist.get_backend(group) == "gloo":
        return None
    ranks = dist.get_process_group_ranks(group)
    made: Any = dist.new_group(ranks, backend="gloo", use_local_synchronization=True)
    return cast(ProcessGroup, made)


def add_up(tensor: Tensor, group: ProcessGroup | None) -> Tensor:
    """Sum of ``tensor`` over the processes, without gradient; the input is left alone."""
    if group is None:
        return tensor.detach()
    total = tensor.detach().clone()
    dist.all_reduce(total, group=group)
    return total


def gather(rows: Tensor, group: ProcessGroup | None) -> Tensor:
    """Rows (B, ...) of all processes in rank order, with gradient."""
    together: Tensor = rows if group is None else _Gather.apply(rows, group)
    return together


def gather_rows(rows: Tensor, group: ProcessGroup | None) -> Tensor:
    """Rows (B, ...) of all processes in rank order, without gradient."""
    return rows.detach() if group is None else torch.cat(_gathered(rows.detach(), group))


def sum_over_processes(local: Tensor, group: ProcessGroup | None) -> Tensor:
    """Sum of a scalar that each process computed from its own rows, with gradient."""
    total: Tensor = local if group is None else _Sum.apply(local, group)
    return total


def _gathered(rows: Tensor, group: ProcessGroup) -> list[Tensor]:
    """The rows of each process. On the CPU the numbers of rows may differ, on CUDA that would need a wait."""
    _, size = world(group)
    counts = [len(rows)] * size
    if rows.is_cpu:
        lengths = [torch.empty(1, dtype=torch.int64) for _ in range(size)]
        dist.all_gather(lengths, torch.tensor([len(rows)]), group=group)
        counts = [int(length) for length in lengths]
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(size)]
    dist.all_gather(parts, padded, group=group)
    return [part[:count] for part, count in zip(parts, counts, strict=True)]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: ProcessGroup) -> Tensor:
        parts = _gathered(rows, group)
        rank, ctx.size = world(group)
        ctx.start = sum(len(part) for part in parts[:rank])
        ctx.rows = len(rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0][ctx.start : ctx.start + ctx.rows] * ctx.size, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor, group: ProcessGroup) -> Tensor:
        _, ctx.size = world(group)
        return add_up(local, group)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.size, None
