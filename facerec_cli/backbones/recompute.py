"""Parts of a network that are computed a second time for the way back, instead of keeping what they were.

Chen et al., "Training Deep Nets with Sublinear Memory Cost" (1604.06174), known as gradient checkpointing. A
step keeps the inputs of the parts, and of one part at a time all that lies inside it. It costs about one more
forward pass, and changes no number: the second time draws the same random numbers, and leaves the running
statistics of batch normalization alone, which the first time has moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Part = tuple[nn.Module, ...]
"""Modules that are called one after the other, and computed a second time together."""


def through(parts: tuple[Part, ...], x: Tensor) -> Tensor:
    """Send ``x`` through ``parts``, of which only the inputs are kept for the way back.

    Where no gradient is wanted (evaluation, export, parts that are frozen and nothing before them trained)
    the modules are called as usual.
    """
    for part in parts:
        x = _computed_twice(part, x) if _leads_back(part, x) else _called(part, x)
    return x


def _leads_back(part: Part, x: Tensor) -> bool:
    """Whether the way back goes through ``part``."""
    if not torch.is_grad_enabled():
        return False
    return x.requires_grad or any(p.requires_grad for module in part for p in module.parameters())


def _called(part: Part, x: Tensor) -> Tensor:
    for module in part:
        x = module(x)
    return x


def _computed_twice(part: Part, x: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        # The compiler takes no contexts. It needs none: it writes each statistic once for the whole graph.
        return checkpoint(_called, part, x, use_reentrant=False)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(part)

    return checkpoint(_called, part, x, use_reentrant=False, context_fn=contexts)


@contextmanager
def _statistics_kept(part: Part) -> Iterator[None]:
    """Have batch normalization move copies of its running statistics, which are dropped afterwards."""
    norms = [
        norm
        for module in part
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training and norm.track_running_stats
    ]
    kept = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    for norm, buffers in zip(norms, kept, strict=True):
        for name, value in buffers.items():
            setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, value in buffers.items():
                setattr(norm, name, value)
