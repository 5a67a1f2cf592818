"""The moving average of a network's weights (EMA)."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """A copy of a network whose weights follow it slowly: w <- decay w + (1 - decay) v.

    As ``torch.optim.swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn``, buffers included, in as few
    launches, but without its counter's way to the GPU, for which the CPU would wait at every step.

    Args:
        network: What is averaged; the copy is on its device.
        decay: Of the average, in [0, 1).

    Attributes:
        module: The copy.
        n_averaged: () int64 on the CPU, how often :meth:`update_parameters` was called.
    """

    n_averaged: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = deepcopy(network)
        self.decay = decay
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update_parameters(self, network: nn.Module) -> None:
        """Move towards ``network``; the first time to it. Whole numbers (counters of BN) are its own."""
        weight = 1 - self.decay if self.n_averaged else 1.0
        ours = [*self.module.parameters(), *self.module.buffers()]
        theirs = [*network.parameters(), *network.buffers()]
        pairs = list(zip(ours, theirs, strict=True))
        moved = [(mine, value) for mine, value in pairs if mine.is_floating_point()]
        counters = [(mine, value) for mine, value in pairs if not mine.is_floating_point()]
        if moved and weight < 1:
            torch._foreach_lerp_([mine for mine, _ in moved], [value for _, value in moved], weight)
        for mine, value in counters if weight < 1 else pairs:
            mine.copy_(value)
        self.n_averaged += 1
