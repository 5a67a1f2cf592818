"""Rows of a sample: how they are drawn, who gets their gradient, and products of rounded factors."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput
from facerec_cli.losses.class_cosines import Product
from facerec_cli.losses.classifier import sample

CLASSES, SIZE, ROWS = 50, 8, 6


class Keeper:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.asked: list[torch.Tensor] = []
        self.given: list[tuple[torch.Tensor, torch.Tensor]] = []

    def bring_up(self, index: torch.Tensor) -> None:
        self.asked.append(index)

    def add(self, index: torch.Tensor, gradient: torch.Tensor) -> None:
        self.given.append((index, gradient))


def batch() -> LossInput:
    generator = torch.Generator().manual_seed(1)
    return LossInput(
        torch.randn(ROWS, SIZE, generator=generator),
        torch.randint(0, CLASSES, (ROWS,), generator=generator),
        feature_map=torch.randn(ROWS, 5, 3, 3, generator=generator),
        branch=torch.arange(ROWS) % 2,
        pair=torch.where(torch.arange(ROWS) < 2, -1, torch.arange(ROWS) % 2),
        epoch=9,
        step=4,
    )


@pytest.mark.parametrize("name", [name for name in registry.LOSSES if name != "distill"])
def test_a_keeper_gets_the_rows_of_the_whole_gradient(name: str) -> None:
    def run(keeper: Keeper | None) -> tuple[Loss, torch.Tensor, torch.Tensor]:
        loss: Loss = registry.load(registry.LOSSES, name, "loss")(CLASSES, SIZE, sample_rate=0.2)
        holder = next(m for m in loss.modules() if hasattr(m, "keeper"))
        holder.keeper = keeper
        embeddings = batch().embeddings.requires_grad_()
        value, _ = loss(replace(batch(), embeddings=embeddings))
        value.backward()
        return holder, value.detach(), embeddings.grad

    keeper = Keeper()
    kept, value, gradient = run(keeper)
    whole, other, embeddings = run(None)
    assert torch.equal(value, other) and torch.equal(gradient, embeddings)
    assert kept.weight.grad is None
    total = torch.zeros_like(whole.weight)
    for index, rows in keeper.given:
        assert len(index) == 10 and (index.diff() > 0).all()
        assert any(torch.equal(index, asked) for asked in keeper.asked)  # first, so that they are up to date
        total[index] += rows
    assert total.abs().sum() > 0
    assert torch.equal(total, whole.weight.grad)


def test_each_class_is_drawn_as_often_as_another() -> None:
    classes, count, draws = 40, 9, 6_000
    positive = torch.tensor([3, 3, -1, 17])
    seen = torch.zeros(classes)
    for seed in range(draws):
        seen[sample(positive, classes, count, seed)] += 1
    others = torch.ones(classes, dtype=torch.bool)
    others[[3, 17]] = False
    assert (seen[~others] == draws).all()
    expected = (count - 2) / (classes - 2)
    # Five standard errors, and 1 / count of it beside a positive.
    assert_close(seen[others] / draws, torch.full((38,), expected), rtol=0.11, atol=0.026)
    assert float(seen[others].mean() / draws) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7, 49, 8])
@pytest.mark.parametrize(
    "positive", [[-1], [0], [49], [5, 5, 5], [49, 0, 1, 2, 3, 4, 48], [-1, -1, 9]], ids=str
)
def test_a_sample_has_all_positives_and_its_size(positive: list[int], count: int) -> None:
    count = max(count, len(positive))
    for seed in range(30):
        drawn = sample(torch.tensor(positive), CLASSES, count, seed)
        assert len(drawn) == count and (drawn.diff() > 0).all()
        assert drawn[0] >= 0 and drawn[-1] < CLASSES
        assert set(positive) - {-1} <= set(drawn.tolist())
        assert torch.equal(drawn, sample(torch.tensor(positive), CLASSES, count, seed))


@pytest.mark.parametrize("matmul", ["bfloat16", "auto", "tf32", "float32"])
def test_products_are_added_up_in_float32(matmul: str) -> None:
    """Also where PyTorch cannot multiply bfloat16 into float32."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(5, 300, generator=generator), torch.randn(300, 7, generator=generator)
    x, y = (t.bfloat16().double() if matmul == "bfloat16" else t.double() for t in (a, b))
    exact = (x @ y).float()
    product = Product(matmul)  # type: ignore[arg-type]
    for found in (product.of(a, b), added(product, a, b) - 1, put(product, a, b)):
        assert found.dtype == torch.float32
        assert_close(found, exact, rtol=1e-5, atol=2e-5)
    assert torch.equal(product.of(a.double(), b.double()), a.double() @ b.double())


def added(product: Product, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    total = torch.ones(len(a), b.shape[1])
    product.add(total, a, b)
    return total


def put(product: Product, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    out = torch.empty(len(a), b.shape[1])
    product.into(out, a, b)
    return out
