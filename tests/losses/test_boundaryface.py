"""BoundaryFace against its authors' program, and which labels it mends."""

from __future__ import annotations

import math

import pytest
import reference_cases
import torch

from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.losses.boundaryface import BoundaryFace

CASES = reference_cases.cases("boundaryface")


@pytest.mark.parametrize("title", CASES)
def test_authors_program(title: str) -> None:
    case = CASES[title]
    terms = reference_cases.compare(
        reference_cases.build("boundaryface", case), case, epoch=int(case["epoch"])
    )
    if "too early" not in title:
        mended = (case["mended"] != case["labels"]).double().mean()
        torch.testing.assert_close(terms["mended"], mended)


def on_circle(angles: list[float], **settings: object) -> BoundaryFace:
    """Classes at these angles, in degrees."""
    loss = BoundaryFace(len(angles), 2, start_epoch=0, scale=8.0, **settings).double()
    radians = torch.tensor(angles, dtype=torch.float64).deg2rad()
    with torch.no_grad():
        loss.classifier.weight.copy_(torch.stack([radians.cos(), radians.sin()], 1))
    return loss


def photo(angle: float, label: int) -> LossInput:
    radians = math.radians(angle)
    x = torch.tensor([[math.cos(radians), math.sin(radians)]], dtype=torch.float64, requires_grad=True)
    return LossInput(x, torch.tensor([label]))


def test_a_photo_beyond_the_boundary_of_another_class_is_taken_for_one_of_it() -> None:
    """Classes at 0 and 90 degrees, margin 30: label 0 is mended from (90 + 30) / 2 = 60 degrees on."""
    margin = math.radians(30)
    for angle, mended in ((59.0, False), (61.0, True)):
        loss = on_circle([0.0, 90.0], margin=margin)
        given = photo(angle, 0)
        value, terms = loss(given)
        assert bool(terms["mended"]) is mended
        own, other = (90 - angle, angle) if mended else (angle, 90 - angle)
        target, near = math.cos(math.radians(own + 30)), math.cos(math.radians(other))
        expected = math.log1p(math.exp(8 * (near - target))) + math.pi * max(0.0, near - target)
        assert float(value.detach()) == pytest.approx(expected, rel=1e-12)
        assert bool(terms["hard"]) is (near > target)
        value.backward()
        assert given.embeddings.grad is not None
        towards_class_1 = float(given.embeddings.grad[0, 0]) > 0  # a step goes against the gradient
        assert towards_class_1 is mended


def test_hard_photos_weigh_more_only_in_the_margin() -> None:
    """At 20 degrees nothing of the second term, at 50 (own boundary 30, mended from 60 on) all of it."""
    margin = math.radians(30)
    for angle, hard in ((20.0, 0.0), (50.0, math.cos(math.radians(40)) - math.cos(math.radians(80)))):
        full, plain = (
            on_circle([0.0, 90.0], margin=margin),
            on_circle([0.0, 90.0], margin=margin, hard_weight=0.0),
        )
        difference = full(photo(angle, 0))[0] - plain(photo(angle, 0))[0]
        assert float(difference.detach()) == pytest.approx(math.pi * hard, abs=1e-12)


def test_official_mask_mends_to_no_class_on_the_far_side() -> None:
    """Both classes are far: by the formula the nearer one gets the photo, by the program the label stays."""
    given = photo(180.0, 0)
    for official, mended in ((False, True), (True, False)):
        loss = on_circle([0.0, 100.0], margin=math.radians(30), official_mask=official)
        assert bool(loss(given)[1]["mended"]) is mended


def test_until_its_epoch_it_is_arcface() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    given = LossInput(x, torch.tensor([0, 1, 2, 3, 3, 3]), epoch=6)
    value, terms = BoundaryFace(4, 5).double()(given)
    torch.testing.assert_close(value, ArcFace(4, 5, scale=32.0).double()(given)[0])
    assert "mended" not in terms
