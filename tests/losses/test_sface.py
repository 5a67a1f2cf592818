"""SFace against its authors' program, and the speeds of the paper."""

from __future__ import annotations

import math

import pytest
import reference_cases
import torch

from facerec_cli.losses import LossInput
from facerec_cli.losses.sface import SFaceLoss

CASES = reference_cases.cases("sface")


@pytest.mark.parametrize("title", CASES)
def test_authors_program(title: str) -> None:
    case = CASES[title]
    reference_cases.compare(reference_cases.build("sface", case), case)


def test_speeds_are_the_sigmoids_of_the_angles() -> None:
    """Two classes at right angles and an embedding between them: equations 8 and 9, by hand."""
    angle = 0.9
    loss = SFaceLoss(2, 2, scale=10.0, slope=5.0, own_angle=0.7, other_angle=0.6).double()
    with torch.no_grad():
        loss.classifier.weight.copy_(torch.eye(2))
    x = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64, requires_grad=True)
    value, terms = loss(LossInput(x, torch.tensor([0])))
    pull = 10 / (1 + math.exp(-5 * (angle - 0.7)))
    push = 10 / (1 + math.exp(5 * (math.pi / 2 - angle - 0.6)))
    assert float(value.detach()) == pytest.approx(-pull * math.cos(angle) + push * math.sin(angle), rel=1e-12)
    assert float(terms["pulled"]) == pytest.approx(pull / 10, rel=1e-12)
    value.backward()
    # Along the circle the embedding is moved by pull sin(theta_y) + push sin(theta_j) and nothing more.
    assert x.grad is not None
    tangent = torch.tensor([-math.sin(angle), math.cos(angle)], dtype=torch.float64)
    along = float(x.grad[0] @ tangent)
    assert along == pytest.approx(pull * math.sin(angle) + push * math.cos(angle), rel=1e-12)


def test_what_is_good_enough_is_left_alone() -> None:
    """At the own class and at right angles to the other, the gradient is next to nothing."""
    loss = SFaceLoss(2, 2)
    with torch.no_grad():
        loss.classifier.weight.copy_(torch.eye(2))
    near = torch.tensor([[math.cos(0.05), math.sin(0.05)]], requires_grad=True)
    loss(LossInput(near, torch.tensor([0])))[0].backward()
    assert near.grad is not None and float(near.grad.norm()) < 1e-6
    far = torch.tensor([[math.cos(1.2), math.sin(1.2)]], requires_grad=True)
    loss(LossInput(far, torch.tensor([0])))[0].backward()
    assert far.grad is not None and float(far.grad.norm()) > 50
