"""Sub-center ArcFace against its authors' program, and how a class with several centers behaves."""

from __future__ import annotations

import pytest
import reference_cases
import torch
from torch.nn.functional import normalize

from facerec_cli.errors import UsageError
from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.losses.subcenter_arcface import SubCenterArcFace

CASES = reference_cases.cases("subcenter_arcface")


@pytest.mark.parametrize("title", CASES)
def test_authors_program(title: str) -> None:
    case = CASES[title]
    case["weight"] = case.pop("centers")  # (C, K, D)
    reference_cases.compare(reference_cases.build("subcenter_arcface", case), case)


def random_batch(rows: int = 8, classes: int = 5, width: int = 6) -> LossInput:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    return LossInput(x, torch.randint(0, classes, (rows,), generator=generator))


def test_with_one_center_it_is_arcface() -> None:
    value, _ = SubCenterArcFace(5, 6, centers=1).double()(random_batch())
    torch.testing.assert_close(value, ArcFace(5, 6).double()(random_batch())[0])


def test_only_the_nearest_center_of_a_class_moves() -> None:
    loss = SubCenterArcFace(5, 6, centers=4, scale=4.0).double()
    given = random_batch(rows=1)
    loss(given)[0].backward()
    centers = loss.classifier.weight.detach().view(5, 4, 6)
    nearest = (normalize(centers, dim=2) @ normalize(given.embeddings)[0]).argmax(1)
    gradient = loss.classifier.weight.grad
    assert gradient is not None
    moved = gradient.view(5, 4, 6).norm(dim=2) > 0
    assert torch.equal(moved, torch.nn.functional.one_hot(nearest, 4).bool())


def test_classes_start_at_means_in_their_first_center() -> None:
    loss = SubCenterArcFace(5, 6)
    means = normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(1)))
    loss.start_at(means)
    centers = loss.classifier.weight.detach().view(5, 3, 6)
    assert torch.equal(centers[:, 0], means)
    torch.testing.assert_close(centers.norm(dim=2), torch.ones(5, 3))
    assert (centers[:, 1] * means).sum(1).abs().max() < 0.999


def test_a_class_stays_one_row() -> None:
    loss = SubCenterArcFace(5, 6, centers=2)
    assert loss.classifier.weight.shape == (5, 12) and loss.embedding_size == 6
    assert loss.sharded_names() == {"classifier.weight"} and loss.local_classes() == range(5)
    with pytest.raises(UsageError, match=r"centers = 0 does not fit"):
        SubCenterArcFace(5, 6, centers=0)
