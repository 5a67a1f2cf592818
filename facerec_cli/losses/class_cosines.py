"""Cosines of a batch with class rows, in the chosen precision, and single entries of such blocks.

What the passes over the class axis have in common: ``reductions.py``, ``subcenters.py``, ``places.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup

from facerec_cli.losses.distributed import add_up

Matmul = Literal["float32", "tf32", "bfloat16", "auto"]

# Cosines worked on at a time: about what stays in a CPU's cache, and few launches on a GPU.
_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
TINY = 1e-12


class Product:
    """Matrix products in the chosen precision, with float32 (or float64) results."""

    def __init__(self, matmul: Matmul) -> None:
        self.rounded, self.tf32 = matmul == "bfloat16", matmul in ("tf32", "auto")

    def _is_plain(self, a: Tensor) -> bool:
        return not (self.rounded and a.dtype == torch.float32) and not (self.tf32 and a.is_cuda)

    def of(self, a: Tensor, b: Tensor) -> Tensor:
        """The product a b."""
        if self._is_plain(a):
            return a @ b
        return _rounded_product(a.bfloat16(), b.bfloat16(), a.dtype) if self.rounded else _in_tf32(a, b)

    def add(self, into: Tensor, a: Tensor, b: Tensor) -> None:
        """Add the product a b to ``into``."""
        if self._is_plain(a):
            into.addmm_(a, b)
        else:
            into += self.of(a, b)

    def into(self, out: Tensor, a: Tensor, b: Tensor) -> None:
        """Write the product a b to ``out``."""
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


def cosines(x: Tensor, weight: Tensor, matmul: Matmul) -> tuple[Tensor, Tensor]:
    """Cosines (B, c) of unit rows with the rows of ``weight``, and the inverse norms (c,) of the latter.

    Scaling the B columns afterwards is cheaper than normalizing the D columns of a large matrix before.
    """
    inverse = inverse_norms(weight)
    return Product(matmul).of(x, weight.T).mul_(inverse), inverse


def inverse_norms(rows: Tensor) -> Tensor:
    """1 / norm of each of the ``rows`` (c, D), (c,); 0 for a row that is as good as zero."""
    norm = torch.linalg.vector_norm(rows, dim=1)
    return torch.where(norm > TINY, 1 / norm, 0.0)


def blocks(cosine: Tensor) -> Iterator[slice]:
    """Slices over the classes of a size that suits the device; the same for all batches of one shape."""
    rows, classes = cosine.shape
    width = max(1, _BLOCK.get(cosine.device.type, 1 << 24) // max(rows, 1))
    for start in range(0, classes, width):
        yield slice(start, min(start + width, classes))


def entry(block: Tensor, position: Tensor) -> Tensor:
    """Entry ``position[i]`` of row i, 0 where that is outside the block."""
    inside = (position >= 0) & (position < block.shape[1])
    if not block.shape[1]:
        return block.new_zeros(len(block))
    at = block.gather(1, torch.where(inside, position, 0)[:, None])[:, 0]
    return torch.where(inside, at, 0.0)


def put_entry(block: Tensor, position: Tensor, value: float | Tensor) -> Tensor:
    """Write ``value`` (or ``value[i]``) at entry ``position[i]`` of row i where that is inside the block."""
    if not block.shape[1]:
        return block
    inside = (position >= 0) & (position < block.shape[1])
    at = torch.where(inside, position, 0)[:, None]
    old = block.gather(1, at)[:, 0]
    return block.scatter_(1, at, torch.where(inside, value, old)[:, None])


def logsumexp_over_processes(local: Tensor, group: ProcessGroup | None) -> Tensor:
    """Log-sum-exp over processes; a very small finite number where there is no class at all."""
    lowest = torch.finfo(local.dtype).min / 4
    if group is None:
        return local.clamp_min(lowest)
    largest = local.clamp_min(lowest)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return largest + add_up((local - largest).exp(), group).clamp_min(torch.finfo(local.dtype).tiny).log()
