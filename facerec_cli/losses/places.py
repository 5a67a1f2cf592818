"""Where the nearest other class is, over all processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup

from facerec_cli.losses.class_cosines import Matmul, cosines, put_entry
from facerec_cli.losses.distributed import world


@torch.no_grad()
def nearest_place(
    x: Tensor, weight: Tensor, position: Tensor, matmul: Matmul, group: ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """Cosine of each row with the nearest class that is not its own, and that class's row of ``weight``.

    Args:
        x: (B, D) unit rows, the same on all processes.
        weight: (c, D) class rows of this process, of any norm.
        position: (B,) row of ``weight`` that is the own class, -1 where another process has it.
        matmul: Precision of the products.
        group: The processes.

    Returns:
        (B,) cosines, -inf where there is no other class, and (B,) int64 rows, -1 where another process has
        it. Of equal cosines the one of the lowest rank counts.
    """
    cosine = put_entry(cosines(x, weight, matmul)[0], position, -torch.inf)
    if len(weight):
        best, place = cosine.max(1)
    else:
        best, place = x.new_full((len(x),), -torch.inf), torch.full_like(position, -1)
    if group is None:
        return best, place
    rank, size = world(group)
    every = [torch.empty_like(best) for _ in range(size)]
    dist.all_gather(every, best.contiguous(), group=group)
    together = torch.stack(every)
    best = together.amax(0)
    first = (together == best).to(torch.uint8).argmax(0)
    return best, torch.where(first == rank, place, -1)
