"""PReLU whose gradient on a CPU takes a third of the time of PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class PReLU(nn.PReLU):
    """torch.nn.PReLU: same parameters, values and gradients.

    PyTorch 2.15 computes the gradient on a CPU with a kernel that is not vectorized, a third of a training
    step of a light network; here it is three operations that are (``benchmarks/training.py``). Elsewhere,
    and where no gradient is wanted (evaluation, export), this is PyTorch's own function.

    Takes (B, C, ...) with one slope a channel, or one for all. Second derivatives are not supported on a CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input`` (B, C, ...)."""
        if input.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return super().forward(input)
        out: Tensor = _CpuPReLU.apply(input, self.weight)
        return out


class _CpuPReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return torch.prelu(x, slope.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, slope = ctx.saved_tensors
        into_input = into_slope = None
        if ctx.needs_input_grad[0]:
            positive = torch.ops.aten.threshold_backward(grad, x, 0)  # grad where x > 0, else 0
            into_input = torch.lerp(positive, grad, slope.to(grad.dtype).view(-1, *[1] * (x.dim() - 2)))
        if ctx.needs_input_grad[1]:
            products = x.clamp(max=0).mul_(grad)
            axes = [axis for axis in range(x.dim()) if axis != 1 or len(slope) == 1]
            into_slope = products.sum(axes, dtype=slope.dtype).view_as(slope)
        return into_input, into_slope
