"""PReLU whose gradient on a CPU takes a third of the time of PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_PART = 1 << 18  # numbers worked on at a time: what is made on the way stays in a core's own cache


class PReLU(nn.PReLU):
    """torch.nn.PReLU: same parameters, values and gradients.

    PyTorch 2.14 computes the gradient on a CPU with a kernel that is not vectorized, a third of a training
    step of a light network; here it is four operations that are, on a few photos of the batch at a time
    (``benchmarks/training.py``). Elsewhere, and where no gradient is wanted (evaluation, export), this is
    PyTorch's own function.

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
        factor = slope.to(grad.dtype).view(-1, *[1] * (x.dim() - 2))
        axes = [axis for axis in range(x.dim()) if axis != 1 or len(slope) == 1]
        into_input = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        into_slope = torch.zeros_like(slope) if ctx.needs_input_grad[1] else None
        rows = max(1, _PART * len(x) // max(x.numel(), 1))
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            given, pull = x[part], grad[part]
            if into_input is not None:
                into = into_input[part]
                # The gradient where x > 0, else 0; then slope times the gradient in the place of that 0.
                torch.ops.aten.threshold_backward.grad_input(pull, given, 0, grad_input=into)
                torch.lerp(into, pull, factor, out=into)
            if into_slope is not None:
                products = given.clamp(max=0).mul_(pull)
                into_slope += products.sum(axes, dtype=slope.dtype).view_as(slope)
        return into_input, into_slope
