"""DDL: histograms, divergences and the order of means on similarities set by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from facerec_cli.losses import LossInput
from facerec_cli.losses.ddl import DDL
from facerec_cli.losses.histogram import soft_histogram

NODES = torch.arange(1000, dtype=torch.float64) / 1000


def histogram(values: torch.Tensor) -> torch.Tensor:
    return soft_histogram(values, torch.ones(1, len(values), dtype=torch.float64), NODES, 0.1)[0]


def divergence(easy: torch.Tensor, hard: torch.Tensor, **own: object) -> float:
    loss = DDL(2, 3, **own)  # type: ignore[arg-type]
    members = torch.zeros(2, len(easy) + len(hard), dtype=torch.bool)
    members[0, : len(easy)] = members[1, len(easy) :] = True
    return float(loss._divergence(torch.cat([easy, hard]), members))


def groups(seed: int = 0, people: int = 6, pairs: int = 5, size: int = 8, branches: int = 2) -> LossInput:
    """Per branch: one single photo of each of ``people``, and ``pairs`` pairs."""
    generator = torch.Generator().manual_seed(seed)
    embeddings, labels, branch, pair = [], [], [], []
    for b in range(branches):
        base = torch.randn(pairs, size, dtype=torch.float64, generator=generator)
        noise = torch.randn(pairs, size, dtype=torch.float64, generator=generator)
        singles = torch.randn(people, size, dtype=torch.float64, generator=generator)
        embeddings += [singles, base, base + 0.5 * noise]
        labels += [torch.arange(people), torch.arange(pairs), torch.arange(pairs)]
        branch.append(torch.full((people + 2 * pairs,), b))
        pair += [torch.full((people,), -1), *[torch.arange(pairs) + 50 * b] * 2]
    return LossInput(torch.cat(embeddings), torch.cat(labels), branch=torch.cat(branch), pair=torch.cat(pair))


def test_histogram_against_the_formula_and_its_gradient() -> None:
    values = torch.tensor([0.1, 0.45, 0.8], dtype=torch.float64, requires_grad=True)
    mass = torch.exp(-((values[:, None] - NODES) ** 2) / (2 * 0.1**2)).sum(0)
    assert_close(histogram(values), mass / mass.sum())
    assert float(histogram(values.detach()).sum()) == pytest.approx(1)
    weights = torch.tensor([[1.0, 0, 1], [0, 2, 0.5]], dtype=torch.float64)
    coarse = NODES[::50]
    assert torch.autograd.gradcheck(lambda v: soft_histogram(v, weights, coarse, 0.1), values)


def test_blocks_do_not_change_the_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.rand(40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = histogram(values)
    monkeypatch.setattr("facerec_cli.losses.histogram._BLOCK", 97)
    assert_close(histogram(values), whole)


def test_divergence_of_two_points() -> None:
    """Two Gaussians of width sigma: half the squared distance in units of sigma."""
    easy, hard = (torch.tensor([v], dtype=torch.float64) for v in (0.5, 0.7))
    assert divergence(easy, hard) == pytest.approx(1.998, abs=2e-3)


def test_divergence_grows_with_the_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(400, dtype=torch.float64, generator=generator)
    values = [divergence(0.6 + noise, mean + noise.flip(0)) for mean in (0.6, 0.5, 0.4, 0.3, 0.2)]
    assert values == sorted(values) and values[0] < 1e-6 and values[-1] > 2


@given(st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_divergence_is_not_negative(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    easy, hard = torch.rand(2, 9, dtype=torch.float64, generator=generator)
    assert divergence(easy, hard) >= -1e-9
    assert abs(divergence(easy, easy.flip(0))) < 1e-6


def test_identical_branches_leave_the_order_term() -> None:
    batch = groups()
    half = len(batch.labels) // 2
    twice = torch.cat([batch.embeddings[:half]] * 2)
    loss, terms = DDL(6, 8).distribution(LossInput(**{**vars(batch), "embeddings": twice}))
    assert abs(float(terms["positive_kl"])) < 1e-6 and abs(float(terms["negative_kl"])) < 1e-6
    x = torch.nn.functional.normalize(twice[:half])
    positive = (x[6:11] * x[11:16]).sum(1)
    positive = positive[positive > 0].mean()
    rivals = (x[:6] @ x[:6].mT).fill_diagonal_(-2).amax(1).mean()
    assert float(loss) == pytest.approx(0.5 * 4 * float(rivals - positive))


@pytest.mark.parametrize("branches", [1, 2, 3])
def test_order_gradient_of_every_positive(branches: int) -> None:
    batch = groups(branches=branches)
    loss = DDL(6, 8, branches=branches, positive_weight=0.0, negative_weight=0.0)
    values = torch.tensor([0.2, 0.9, 0.4], dtype=torch.float64, requires_grad=True)
    embeddings = batch.embeddings.clone().requires_grad_()
    value, terms = loss.distribution(LossInput(**{**vars(batch), "embeddings": embeddings}))
    assert float(value.detach()) == pytest.approx(0.5 * float(terms["order"].detach()))
    value.backward()
    # The chain through one pair: weight * branches / |S+| times the gradient of its cosine.
    first, second = 6, 6 + 5
    a, b = (batch.embeddings[i].clone().requires_grad_() for i in (first, second))
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=0)
    (expected,) = torch.autograd.grad(cosine, a)
    assert embeddings.grad is not None and values.requires_grad
    assert_close(embeddings.grad[first], -0.5 * branches / 5 * expected)


def test_one_branch_has_no_divergence() -> None:
    _, terms = DDL(6, 8, branches=1).distribution(groups(branches=1))
    assert float(terms["positive_kl"]) == float(terms["negative_kl"]) == 0


def test_order_of_the_batch_does_not_matter() -> None:
    batch = groups()
    order = torch.randperm(len(batch.labels), generator=torch.Generator().manual_seed(1))
    shuffled = {k: v[order] if isinstance(v, torch.Tensor) else v for k, v in vars(batch).items()}
    value, terms = DDL(6, 8).distribution(batch)
    again, moved = DDL(6, 8).distribution(LossInput(**shuffled))
    assert_close(again, value)
    later, rule = DDL(6, 8, later_index=True).distribution(batch)
    _, other = DDL(6, 8, later_index=True).distribution(LossInput(**shuffled))
    assert_close(other["positive_kl"], rule["positive_kl"])
    assert not torch.allclose(later, value)
    assert set(terms) == set(moved)


def test_a_person_twice_among_the_singles_is_no_negative() -> None:
    batch = groups(pairs=5)
    labels = batch.labels.clone()
    labels[1] = labels[0]
    embeddings = batch.embeddings.clone()
    embeddings[1] = embeddings[0]
    mixed = LossInput(**{**vars(batch), "labels": labels, "embeddings": embeddings})
    _, terms = DDL(6, 8).distribution(mixed)
    _, with_official_rule = DDL(6, 8, branches=1).distribution(mixed)
    x = torch.nn.functional.normalize(embeddings[:6])
    cosine = (x @ x.mT).masked_fill(labels[:6, None] == labels[:6], -2).amax(1)
    positive = torch.nn.functional.cosine_similarity(embeddings[6:11], embeddings[11:16])
    expected = cosine.mean() - positive[positive > 0].mean()
    assert float(with_official_rule["order"]) == pytest.approx(float(expected))
    assert float(terms["rivals"]) == 12


def test_teacher_detached() -> None:
    """With the KL of pairs alone, easy pairs get a gradient only where the teacher is not detached."""
    own = {"negative_weight": 0.0, "order_weight": 0.0}
    for detach in (False, True):
        batch = groups()
        embeddings = batch.embeddings.clone().requires_grad_()
        loss = DDL(6, 8, detach_teacher=detach, **own)
        loss.distribution(LossInput(**{**vars(batch), "embeddings": embeddings}))[0].backward()
        assert embeddings.grad is not None
        easy, hard = embeddings.grad[:16].norm(), embeddings.grad[16:].norm()
        assert hard > 0 and (easy == 0) == detach


def test_host_sees_singles_or_all() -> None:
    batch = groups()
    own = {"positive_weight": 0.0, "negative_weight": 0.0, "order_weight": 0.0, "host": "cosface"}
    for classify in ("singles", "all"):
        loss = DDL(6, 8, classify=classify, **own).double()
        value, _ = loss(batch)
        rows, _ = loss.host.rows(batch)
        seen = (batch.pair < 0) | (classify == "all")
        expected = sum(rows[seen & (batch.branch == b)].mean() for b in (0, 1))
        assert_close(value, expected)
