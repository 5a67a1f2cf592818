"""What is planted on the pretended CUDA device: what CUDA refuses, what it waits for, and what is harmless.

Beside the folder of the device and not in it, since whatever happens there is put down to its caller.
Each plant gets x, (6, 6) on the pretended GPU and with gradient, and y, (6,) labels on the CPU.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
ON_THE_CPU = torch.arange(6.0)


def _product(x: Tensor) -> Tensor:
    """In float32, which older versions of PyTorch cannot be asked for."""
    wide = {"out_dtype": torch.float32} if "out_dtype" in (torch.mm.__doc__ or "") else {}
    return torch.mm(x, x.mT, **wide)  # type: ignore[call-overload, no-any-return]


class Doubled(torch.autograd.Function):
    """y = 2 x, with a plant on the way back; its second output is not used."""

    backward_of: Callable[[Tensor], Tensor] = staticmethod(lambda grad: grad)

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x)
        return 2 * x, x + 1

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * Doubled.backward_of(grads[0]) + 0 * x + grads[1]


def doubled(backward: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def plant(x: Tensor, y: Tensor) -> Tensor:
        with mock.patch.object(Doubled, "backward_of", staticmethod(backward)):
            value = Doubled.apply(x)[0].sum()
            value.backward(retain_graph=True)
        return value

    return plant


def there(x: Tensor, tensor: Tensor) -> Tensor:
    """Where ``x`` is, without a wait."""
    return tensor.to(x.device, non_blocking=True)


def halved(value: Tensor) -> Tensor:
    while value > 1:
        value = value / 2
    return value


def sgd(x: Tensor, rate: float | Tensor, momentum: Tensor) -> None:
    """A step of a fused optimizer."""
    weight = nn.Parameter(x.detach().clone())
    weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.SGD([weight], lr=0.0, momentum=0.9, fused=True)
    optimizer.state[weight]["momentum_buffer"] = momentum
    optimizer.param_groups[0]["lr"] = rate
    optimizer.step()


def written(x: Tensor, index: Any, value: Any) -> Tensor:
    copy = x.detach().clone()
    copy[index] = value
    return copy


MIXED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "arange without a device": lambda x, y: x * torch.arange(6),
    "one number with a dimension": lambda x, y: x * torch.ones(1),
    "a mask": lambda x, y: torch.where(torch.ones(6, 6, dtype=torch.bool), x, 0.0),
    "a mask to fill": lambda x, y: x.masked_fill(torch.eye(6, dtype=torch.bool), 0.0),
    "labels to gather": lambda x, y: x.gather(1, y[:, None]),
    "labels to compare": lambda x, y: (y[:, None] == y) & (x > 0),
    "labels of a cross entropy": lambda x, y: functional.cross_entropy(x, y),
    "an index to select": lambda x, y: x.index_select(0, y),
    "an index to add at": lambda x, y: torch.zeros(3, 6, device=x.device).index_add_(0, y, x.detach()),
    "a buffer not moved": lambda x, y: x @ torch.eye(6),
    "a bias": lambda x, y: functional.linear(x, x.detach(), ON_THE_CPU),
    "a matrix without dimensions": lambda x, y: x @ torch.tensor([1.0, 2, 3, 4, 5, 6]),
    "one of several": lambda x, y: torch.cat([x, torch.zeros(1, 6)]),
    "written in place": lambda x, y: torch.zeros(6, 6).add_(x.detach()),
    "a number written in place": lambda x, y: torch.zeros(()).add_(x.detach().sum()),
    "out": lambda x, y: torch.add(x.detach(), 1, out=torch.zeros(6, 6)),
    "a value at an index": lambda x, y: written(x, LABELS.to(x.device, non_blocking=True), torch.zeros(6, 6)),
    "a CPU table": lambda x, y: ON_THE_CPU[y.to(x.device, non_blocking=True)],
    "a list of tensors": lambda x, y: torch._foreach_mul_([x.detach()], [torch.ones(6, 6)]),
    "sorted edges": lambda x, y: torch.searchsorted(ON_THE_CPU, x.detach()),
    "new, on the CPU": lambda x, y: x + torch.zeros_like(x, device="cpu"),
    "numbers of the GPU as a new tensor": lambda x, y: x * torch.tensor([1.0] * 6),
    "the CPU's random numbers": lambda x, y: (
        x + torch.rand(6, 6, generator=torch.Generator(), device=x.device)
    ),
    "from numpy": lambda x, y: x + torch.from_numpy(ON_THE_CPU.numpy()),
    "moved back": lambda x, y: x + x.detach().cpu(),
    "on the way back": doubled(lambda grad: grad * torch.arange(6)),
    "under autocast": lambda x, y: _autocast(x, torch.eye(6)),
    "a number to clamp at": lambda x, y: x.clamp(min=torch.tensor(0.0)),
    "a number to divide by in one": lambda x, y: torch.addcdiv(x, x, torch.tensor(2.0)),
    "two numbers": lambda x, y: torch.addcmul(x, torch.tensor(2.0), torch.tensor(3.0)),
    "two numbers of lists": lambda x, y: torch._foreach_addcmul_([x.detach()], [x], [torch.ones(1)]),
    "numbers to stack": lambda x, y: torch.stack([x.sum(), torch.tensor(1.0)]),
    "one hot of the labels": lambda x, y: functional.one_hot(y, 6).float() @ x,
    "weights of classes": lambda x, y: functional.cross_entropy(x, there(x, y), weight=torch.ones(6)),
    "bags of a CPU table": lambda x, y: functional.embedding_bag(there(x, y)[None], torch.ones(6, 2)),
    "distances": lambda x, y: torch.cdist(x, torch.zeros(3, 6)),
    "edges to sort into": lambda x, y: torch.bucketize(x.detach(), torch.linspace(0, 1, 4)),
    "which to look for": lambda x, y: torch.isin(there(x, y), torch.tensor([1, 2])),
    "a layer made late": lambda x, y: nn.Linear(6, 2)(x),
    "data": lambda x, y: setattr(x, "data", torch.zeros(6, 6)),
    "an array by DLPack": lambda x, y: np.from_dlpack(x.detach()),
    "momentum": lambda x, y: sgd(x, 0.1, torch.zeros(6, 6)),
    "an old name on the way back": doubled(lambda grad: grad * torch.Tensor([1.0] * 6)),
}

WAITS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "item": lambda x, y: x.sum().item(),
    "float": lambda x, y: float(x.sum()),
    "int": lambda x, y: range(int(x.detach().sum())),
    "if": lambda x, y: 1 if (x > 0).all() else 0,
    "tolist": lambda x, y: x.detach().tolist(),
    "printed": lambda x, y: f"{x.detach()}",
    "formatted": lambda x, y: f"{x.detach().sum():.3f}",
    "numbers into a list": lambda x, y: torch.tensor([x.detach()[0, 0], x.detach()[0, 1]]),
    "nonzero": lambda x, y: (x > 0).nonzero(),
    "where alone": lambda x, y: torch.where(x > 0),
    "argwhere": lambda x, y: torch.argwhere(x > 0),
    "a mask as an index": lambda x, y: x[x > 0],
    "rows by a mask": lambda x, y: x[x.detach().sum(1) > 0],
    "values at a mask": lambda x, y: written(x, x > 0, torch.zeros((), device=x.device)),
    "masked_select": lambda x, y: x.masked_select(x > 0),
    "unique": lambda x, y: torch.unique(x.detach()),
    "unique_consecutive": lambda x, y: torch.unique_consecutive(x.detach()),
    "bincount": lambda x, y: torch.bincount((x > 0)[0].long()),
    "repeat_interleave": lambda x, y: x.repeat_interleave((x[0] > 0).long(), dim=0),
    "equal": lambda x, y: torch.equal(x, x),
    "allclose": lambda x, y: torch.allclose(x, x),
    "multinomial": lambda x, y: x.detach().abs().multinomial(1),
    "cpu": lambda x, y: x.detach().cpu(),
    "to cpu": lambda x, y: x.to("cpu"),
    "to cpu, not waited for": lambda x, y: x.detach().to("cpu", non_blocking=True),
    "like a CPU tensor": lambda x, y: x.detach().to(ON_THE_CPU),
    "numpy": lambda x, y: x.detach().numpy(force=True),
    "labels, blocking": lambda x, y: x.gather(1, y.to(x.device)[:, None]),
    "labels, cuda()": lambda x, y: x.gather(1, y.cuda()[:, None]),
    "labels as an index": lambda x, y: x[y],
    "a list as an index": lambda x, y: x[[0, 2]],
    "a tensor as a number": lambda x, y: x[:, (x > 0).sum() % 6],
    "a slice": lambda x, y: x[: (x > 0).sum()],
    "copied into": lambda x, y: torch.zeros(6, 6).copy_(x.detach()),
    "copied from": lambda x, y: x.detach().clone().copy_(torch.zeros(6, 6)),
    "a tensor of numbers": lambda x, y: torch.tensor([1.0, 2.0], device=x.device),
    "one number": lambda x, y: torch.tensor(1.0, device=x.device),
    "new_tensor": lambda x, y: x.new_tensor([1.0, 2.0]),
    "as_tensor": lambda x, y: torch.as_tensor(y, device=x.device),
    "a number at an index": lambda x, y: written(x, LABELS.to(x.device, non_blocking=True), 1.0),
    "a number in a choice": lambda x, y: torch.where(x > 0, x, torch.tensor(0.0)),
    "a number of the GPU to fill": lambda x, y: x.masked_fill(x > 0, x.detach().sum()),
    "synchronize": lambda x, y: torch.cuda.synchronize(),
    "on the way back": doubled(lambda grad: grad * grad.sum().item()),
    "a mask on the way back": doubled(lambda grad: grad * len(grad[grad > 0])),
    "a CPU mask to write at": lambda x, y: written(x, torch.eye(6, dtype=torch.bool), 0.0),
    "a root": lambda x, y: math.sqrt(x.detach().square().sum()),
    "while": lambda x, y: halved(x.detach().sum()),
    "in": lambda x, y: 2 in there(x, y),
    "the largest of Python": lambda x, y: max(x.detach().sum(1)),
    "a place in a list": lambda x, y: [1.0, 2.0, 3.0][there(x, y)[1]],
    "a size": lambda x, y: x.new_zeros(there(x, y).max() + 1),
    "a percent sign": lambda x, y: "%.3f" % x.detach().sum(),  # noqa: UP031 - the old way to format
    "classes of one hot": lambda x, y: functional.one_hot(there(x, y)),
    "a tensor for the CPU": lambda x, y: torch.tensor(x.detach(), device="cpu"),
    "as_tensor for the CPU": lambda x, y: torch.as_tensor(x.detach(), device="cpu"),
    "many to look for": lambda x, y: torch.isin(there(x, y), torch.arange(50, device=x.device)),
    "a histogram without bounds": lambda x, y: torch.histc(x.detach(), 5),
    "between two values": lambda x, y: torch.linspace(x.detach().min(), 1, 3, device=x.device),
    "singular values": lambda x, y: torch.linalg.svdvals(x.detach()),
    "eigenvalues": lambda x, y: torch.linalg.eigvalsh(x.detach() @ x.detach().mT),
    "a pseudoinverse": lambda x, y: torch.linalg.pinv(x.detach()),
    "an assertion": lambda x, y: torch._assert((x.detach() < 9).all(), "too large"),
    "a log on the CPU": lambda x, y: torch.zeros(3).__setitem__(1, x.detach()[0, 0]),
    "the spectral norm": lambda x, y: torch.linalg.matrix_norm(x.detach(), 2),
    "a factor on the CPU that learns": lambda x, y: x * nn.Parameter(torch.tensor(2.0)),
    "a stream": lambda x, y: torch.cuda.current_stream().synchronize(),
    "an event": lambda x, y: torch.cuda.Event().synchronize(),
    "an accelerator": lambda x, y: torch.accelerator.synchronize(),
    "memory given back": lambda x, y: torch.cuda.empty_cache(),
    "a photo that is not pinned": lambda x, y: there(x, torch.zeros(1 << 15)),
    "a rate on the GPU": lambda x, y: sgd(x, torch.tensor(0.1, device=x.device), x.detach().clone()),
}

NOTHING: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "numbers": lambda x, y: (2 * x + 1).clamp(-1, 1).pow(2) / 3,
    "a CPU tensor without dimensions": lambda x, y: x * torch.tensor(2.0) + torch.tensor(1),
    "choices between numbers": lambda x, y: torch.where(x > 0, x, 0.0) + torch.where(x > 0, 1.0, -1.0),
    "a number at a mask": lambda x, y: written(x, x > 0, 0.0),
    "a number in a slice": lambda x, y: written(x, (slice(None), 0), 0.0),
    "values at an index": lambda x, y: written(x, LABELS.to(x.device, non_blocking=True), x.detach()),
    "labels, not waited for": lambda x, y: x.gather(1, y.to(x.device, non_blocking=True)[:, None]),
    "an index there": lambda x, y: x[y.to(x.device, non_blocking=True)],
    "filled": lambda x, y: (
        x.detach().masked_fill(x > 0, -1.0).index_fill_(0, torch.zeros_like(x[0, :1]).long(), 1.0)
    ),
    "scattered": lambda x, y: x.detach().scatter(1, torch.arange(6, device=x.device)[:, None], 2.0),
    "new ones": lambda x, y: x.new_zeros(6) + torch.zeros_like(x) + torch.full((6,), 2.0, device=x.device),
    "random ones": lambda x, y: x + torch.rand(6, 6, generator=torch.Generator(x.device), device=x.device),
    "reductions": lambda x, y: x.max(1).values + x.logsumexp(1) + x.norm(dim=1) + x.sort(1).values[:, 0],
    "the largest": lambda x, y: x.topk(2).values.sum(1) * x.argmax(1),
    "a cross entropy": lambda x, y: functional.cross_entropy(x, y.to(x.device, non_blocking=True)),
    "dropout": lambda x, y: functional.dropout(x),
    "a difference of sizes": lambda x, y: x / len(x) + x.shape[1],
    "half": lambda x, y: x.half().float() + x.to(torch.float64).to(x.dtype),
    "autocast": lambda x, y: _autocast(x, x),
    "the CPU's own work": lambda x, y: x * float(y.unique().numel()),
    "backward": doubled(lambda grad: grad),
    "one hot": lambda x, y: functional.one_hot(there(x, y), 6).float() @ x,
    "a factor for lists": lambda x, y: torch._foreach_mul([x.detach()], torch.tensor(2.0)),
    "a weight of positives": lambda x, y: functional.binary_cross_entropy_with_logits(
        x, x.detach().sigmoid(), pos_weight=torch.tensor(2.0)
    ),
    "a weight to mix by": lambda x, y: torch.lerp(x, x.detach(), torch.tensor(0.5)),
    "known sizes": lambda x, y: x.repeat_interleave(
        torch.ones_like(there(x, y)), 0, output_size=6
    ).repeat_interleave(2, 0),
    "pinned": lambda x, y: there(x, torch.zeros(1 << 15).pin_memory()[1:]),
    "made pinned": lambda x, y: there(x, torch.empty(1 << 15, pin_memory=True)),
    "few to look for": lambda x, y: torch.isin(there(x, y), torch.arange(2, device=x.device)),
    "a histogram with bounds": lambda x, y: torch.histc(x.detach(), 5, 0, 1),
    "bags": lambda x, y: functional.embedding_bag(there(x, y)[None], x),
    "copies in Python": lambda x, y: copy.copy(x.detach()) + copy.deepcopy(x.detach()),
    "shapes in place": lambda x, y: x.view(x.detach().clone().unsqueeze_(1).shape),
    "a result that grows": lambda x, y: x.view(
        torch.add(x.detach(), 1, out=torch.empty(0, device=x.device)).shape
    ),
    "data times two": lambda x, y: setattr(x, "data", x.data * 2),
    "inference mode": lambda x, y: torch.inference_mode()(lambda: x.detach()[0] @ x[1])(),
    "computed twice": lambda x, y: checkpoint(lambda v: v.square(), x, use_reentrant=False),
    "a default device": lambda x, y: _default_device(x),
    "float32 of bfloat16": lambda x, y: _product(x.detach().bfloat16()),
    "a rate": lambda x, y: sgd(x, torch.tensor(0.1), x.detach().clone()),
    "streams": lambda x, y: _streams(x),
    "added at an index": lambda x, y: x.detach().clone().index_add_(0, there(x, y), x.detach()),
    "a sum from a CPU number on": lambda x, y: sum((row.mean() for row in x), torch.tensor(0.0)),
    "an assertion of the GPU": lambda x, y: torch._assert_async((x.detach() < 9).all()),
    "half of a batch": lambda x, y: (0.3 * x + 0.7 * x[there(x, torch.randperm(6))])[::2],
    "what torch says of the device": lambda x, y: (
        x * torch.cuda.get_device_properties(x.device).major + torch.cuda.memory_reserved()
    ),
}  # fmt: skip


def _default_device(x: Tensor) -> Tensor:
    with torch.device(x.device):
        return x + torch.arange(6.0)


def _streams(x: Tensor) -> Tensor:
    beside, event = torch.cuda.Stream(), torch.cuda.Event(enable_timing=True)
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside), torch.cuda.device(0):
        y = x + 1
        event.record()
    event.wait()
    y.record_stream(torch.cuda.current_stream())
    return y


def _autocast(x: Tensor, other: Tensor) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16):
        product = x @ other
    assert product.dtype == torch.bfloat16
    return product
