"""The pretended CUDA device finds what CUDA would refuse or wait for, where it is planted, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from pretended_cuda import Allowed, pretend, undeclared
from pretended_cuda.trainer import prepared, recipe, steps, tiny_backbone
from pretended_plants import LABELS, MIXED, NOTHING, WAITS
from torch import Tensor

from facerec_cli import registry
from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.training import train as trainer
from facerec_cli.training.devices import join_world


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
    assert all("pretended_plants.py" in wait for wait in waits), waits


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
    assert [w for w in waits if "pretended_plants.py" in w], waits
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
