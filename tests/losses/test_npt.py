"""NPT-Loss on cosines that are set by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facerec_cli.losses import LossInput
from facerec_cli.losses.cosface import CosFace
from facerec_cli.losses.npt import NPTLoss


def with_cosines(loss: NPTLoss | CosFace, cosines: list[float], label: int) -> tuple[Tensor, Tensor]:
    """The loss of one embedding whose cosine with class j is ``cosines[j]``, and the weights' gradient."""
    c = torch.tensor(cosines, dtype=torch.float64)
    weight = torch.zeros(len(c), loss.embedding_size, dtype=torch.float64)
    weight[:, 0] = c
    weight[torch.arange(len(c)), 1 + torch.arange(len(c))] = (1 - c * c).sqrt()
    loss = loss.double()
    with torch.no_grad():
        loss.classifier.weight.copy_(3 * weight)
    x = torch.zeros(1, loss.embedding_size, dtype=torch.float64)
    x[0, 0] = 7
    value, _ = loss(LossInput(x.requires_grad_(), torch.tensor([label])))
    value.backward()
    assert loss.classifier.weight.grad is not None
    return value.detach(), loss.classifier.weight.grad


def npt(cosines: list[float], label: int = 0, **own: float) -> float:
    return float(with_cosines(NPTLoss(len(cosines), len(cosines) + 1, **own), cosines, label)[0])  # type: ignore[arg-type]


def test_values_by_hand() -> None:
    assert npt([0.9, 0.3, 0.2, -0.1], 0) == pytest.approx(0, abs=1e-12)
    assert npt([0.9, 0.3, 0.2, -0.1], 1) == pytest.approx(2.2)
    assert npt([0.6, 0.3, 0.2, 0.15], 0, k=1) == pytest.approx(0.4)
    assert npt([0.6, 0.3, 0.2, 0.15], 0, k=3) == pytest.approx(0.7)
    assert npt([0.6, 0.3, 0.2, 0.15], 0, k=3, radius=2.0) == pytest.approx(4 * 0.7)


def test_own_class_is_never_a_negative() -> None:
    """All others below 0: the official mask counts a negative of cosine 0 instead."""
    assert npt([0.2, -0.4, -0.6]) == pytest.approx(0.0, abs=1e-12)
    assert npt([0.2, -0.2, -0.6]) == pytest.approx(2 * 0.1)
    assert npt([0.2, -0.2, -0.6], official_mask=True) == pytest.approx(2 * 0.3)


@pytest.mark.parametrize(("scale", "expected"), [(16.0, 0.2669), (64.0, 0.25003), (256.0, 0.25)])
def test_limit_of_cosface(scale: float, expected: float) -> None:
    cosines = [0.4, 0.3, 0.2, 0.15]
    value, _ = with_cosines(CosFace(4, 5, scale=scale, margin=0.35), cosines, 0)
    assert float(value) / scale == pytest.approx(expected, abs=5e-5)
    assert npt(cosines, margin=0.35) / 2 == pytest.approx(0.25)


cosine = st.floats(-0.99, 0.99)


@given(st.lists(cosine, min_size=4, max_size=8, unique=True), st.integers(1, 3), st.floats(0, 2))
@settings(max_examples=40, deadline=None)
def test_formula_and_sparsity(cosines: list[float], k: int, margin: float) -> None:
    loss = NPTLoss(len(cosines), len(cosines) + 1, k=k, margin=margin)
    value, gradient = with_cosines(loss, cosines, 0)
    nearest = sorted(cosines[1:])[-k:]
    assert float(value) == pytest.approx(2 * sum(max(0, c - cosines[0] + margin) for c in nearest), abs=1e-9)
    touched = gradient.abs().sum(1) > 1e-12
    assert not touched[[j for j in range(1, len(cosines)) if cosines[j] not in nearest]].any()
    radial = (gradient * loss.classifier.weight.detach()).sum(1)
    torch.testing.assert_close(radial, torch.zeros_like(radial), atol=1e-9, rtol=0)
