"""The pretended CUDA device finds what CUDA would refuse or wait for, where it is planted, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from pretended_cuda import Allowed, pretend, undeclared
from pretended_cuda.trainer import prepared, recipe, steps, tiny_backbone
from torch import Tensor
from torch.nn import functional

from facerec_cli import registry
from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.training import train as trainer
from facerec_cli.training.devices import join_world

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
ON_THE_CPU = torch.arange(6.0)


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


def written(x: Tensor, index: Any, value: Any) -> Tensor:
    copy = x.detach().clone()
    copy[index] = value
    return copy


# x: (6, 6) on the pretended GPU, with gradient; y: (6,) labels on the CPU.
MIXED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "arange without a device": lambda x, y: x * torch.arange(6),
    "one number with a dimension": lambda x, y: x * torch.ones(1),
    "a mask": lambda x, y: torch.where(torch.ones(6, 6, dtype=torch.bool), x, 0.0),
    "a mask to fill": lambda x, y: x.masked_fill(torch.eye(6, dtype=torch.bool), 0.0),
    "a mask to write at": lambda x, y: written(x, torch.eye(6, dtype=torch.bool), 0.0),
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
}  # fmt: skip


def _autocast(x: Tensor, other: Tensor) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16):
        product = x @ other
    assert product.dtype == torch.bfloat16
    return product


def carried_out(plant: Callable[[Tensor, Tensor], Any]) -> list[str]:
    """The waits of a plant, forward and backward."""
    with pretend() as ledger:
        x = torch.linspace(-1, 2, 36, device="cuda").view(6, 6).requires_grad_()
        before = ledger.snapshot()
        made = plant(x, LABELS)
        if isinstance(made, Tensor) and made.requires_grad:
            made.sum().backward()
        return undeclared(ledger.since(before).waits, ())


@pytest.mark.parametrize("plant", MIXED)
def test_what_cuda_refuses_is_refused(plant: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=r"same device|generator|cuda:0"):
        carried_out(MIXED[plant])


@pytest.mark.parametrize("plant", WAITS)
def test_what_waits_is_counted(plant: str) -> None:
    waits = carried_out(WAITS[plant])
    assert waits, plant
    assert all("test_pretended_plants.py" in wait for wait in waits), waits


@pytest.mark.parametrize("plant", NOTHING)
def test_what_neither_mixes_nor_waits_is_left_alone(plant: str) -> None:
    assert carried_out(NOTHING[plant]) == []


class Planted(ArcFace):
    """ArcFace with a plant among its rows."""

    plant: Callable[[Tensor, Tensor], Any] = staticmethod(lambda x, y: None)

    def rows(self, batch: LossInput) -> Any:
        Planted.plant(batch.embeddings[:6, :6], batch.labels[:6] % 6)
        return super().rows(batch)


@pytest.mark.parametrize("plant", ["item", "nonzero", "a mask as an index", "labels, blocking", "cpu"])
def test_a_wait_in_a_loss_is_found_through_the_trainer(tmp_path, plant: str) -> None:
    waits = planted_run(tmp_path, WAITS[plant])
    assert [w for w in waits if "test_pretended_plants.py" in w], waits
    assert len(waits) == 1


@pytest.mark.parametrize(
    "plant", ["arange without a device", "one number with a dimension", "a buffer not moved"]
)
def test_a_mix_up_in_a_loss_is_found_through_the_trainer(tmp_path, plant: str) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        planted_run(tmp_path, MIXED[plant])


def planted_run(folder: Any, plant: Callable[[Tensor, Tensor], Any]) -> list[str]:
    with (
        mock.patch.dict(registry.LOSSES, planted=f"{__name__}:Planted"),  # type: ignore[arg-type]
        mock.patch.object(Planted, "plant", staticmethod(plant)),
        tiny_backbone(),
        pretend() as ledger,
        join_world("cuda") as world,
    ):
        run = prepared(recipe(folder, "planted"), world)
        return undeclared(steps(run, ledger).waits, ())


def test_waits_and_mix_ups_in_the_step_itself_are_found(tmp_path) -> None:
    """In the trainer, beside the loss: a clipping that looks at the norm, and batches that are not moved."""
    real = trainer.clip_gradients

    def looking(*given: Any) -> Tensor:
        norm = real(*given)
        return norm if float(norm) > 0 else 2 * norm

    with mock.patch.object(trainer, "clip_gradients", looking):
        (wait,) = planted_run(tmp_path, lambda x, y: None)
    assert "values read" in wait and "float(norm)" in wait
    with (
        mock.patch.object(trainer, "to_input", lambda images, *_, **__: images.cpu().float() / 255),
        pytest.raises(RuntimeError, match="same device"),
    ):
        planted_run(tmp_path, lambda x, y: None)


def test_a_declared_wait_is_allowed_as_often_as_it_says() -> None:
    with pretend() as ledger:
        x = torch.ones(3, device="cuda")
        for _ in range(2):
            float(x.sum())
    once = Allowed("test_pretended_plants.py", "float(x.sum())", 1, "a test")
    (left,) = undeclared(ledger.waits, [once])
    assert left.startswith("1 x values read")
    assert undeclared(ledger.waits, [Allowed(once.file, once.text, 2, "a test")]) == []
    assert undeclared(ledger.waits, [Allowed("losses/epl.py", once.text, 2, "another file")])


def test_nothing_is_left_behind() -> None:
    available, generator = torch.cuda.is_available(), torch.Generator
    with pretend():
        assert torch.cuda.is_available() and torch.zeros(1, device="cuda").is_cuda
    assert torch.cuda.is_available() == available and torch.Generator is generator
    assert not torch.zeros(1).is_cuda
