"""OTFace: transport checked against POT, mining against all triples, properties of the loss."""

from __future__ import annotations

import itertools

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from facerec_cli.errors import UsageError
from facerec_cli.losses import LossInput
from facerec_cli.losses.otface import OTFace, mine
from facerec_cli.losses.transport import descriptors, ground_cost, sinkhorn

N = 9


def maps(seed: int, n: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, 3, 3, dtype=torch.float64, generator=generator)


def costs(seed: int) -> torch.Tensor:
    columns = descriptors(maps(seed))
    return ground_cost(columns, columns.roll(1, 0))


@pytest.mark.parametrize(
    ("regularisation", "tolerance"), [(1.0, 1e-9), (0.3, 1e-9), (0.1, 1e-8), (0.05, 1e-4), (0.02, 1e-3)]
)
def test_equals_pot(regularisation: float, tolerance: float) -> None:
    """Converged plan and cost of ``ot.sinkhorn``; log-domain below 0.1, where both converge slowly."""
    cost = costs(0)[:2]
    values, plans = sinkhorn(cost, regularisation, 1000)
    uniform = np.full(N, 1 / N)
    for one, value, plan in zip(cost, values, plans, strict=True):
        method = "sinkhorn" if regularisation >= 0.1 else "sinkhorn_log"
        expected = ot.sinkhorn(
            uniform, uniform, one.numpy(), regularisation, method=method, numItermax=4000, stopThr=1e-13
        )
        assert_close(plan, torch.from_numpy(expected), atol=tolerance, rtol=0)
        assert float(value) == pytest.approx(float((expected * one.numpy()).sum()), rel=tolerance)


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_equals_pot_after_the_same_iterations(iterations: int) -> None:
    """POT updates v first; its iteration on the transposed cost is ours, half-step for half-step."""
    cost = costs(1)[0]
    uniform = np.full(N, 1 / N)
    with pytest.warns(UserWarning):
        expected = ot.sinkhorn(
            uniform, uniform, cost.T.numpy(), 1.0, numItermax=iterations, stopThr=0.0, warn=True
        )
    assert_close(sinkhorn(cost[None], 1.0, iterations)[1][0], torch.from_numpy(expected.T), rtol=1e-9, atol=0)


def test_log_domain_is_the_same_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sinkhorn(costs(2), 0.2, 7)
    wrong = sinkhorn(costs(2), 0.2, 7, official=True)
    monkeypatch.setattr("facerec_cli.losses.transport._LOGARITHMIC_BELOW", 1.0)
    assert_close(sinkhorn(costs(2), 0.2, 7), plain)
    assert_close(sinkhorn(costs(2), 0.2, 7, official=True), wrong)
    assert (wrong[1].sum(1) - 1 / N).abs().max() > 1e-3  # the marginals that it misses


@given(st.integers(0, 10_000), st.sampled_from([1.0, 0.2]))
@settings(max_examples=10, deadline=None)
def test_plan_properties(seed: int, regularisation: float) -> None:
    columns = descriptors(maps(seed))
    first, second = columns[:2], columns[2:]
    value, plan = sinkhorn(ground_cost(first, second), regularisation, 500)
    assert (plan >= 0).all()
    assert_close(plan.sum(1), torch.full_like(plan[:, 0], 1 / N), atol=1e-5, rtol=0)
    assert_close(plan.sum(2), torch.full_like(plan[:, 0], 1 / N), atol=1e-5, rtol=0)
    assert_close(sinkhorn(ground_cost(second, first), regularisation, 500)[0], value, atol=1e-6, rtol=0)
    shuffled = second[:, :, torch.randperm(N, generator=torch.Generator().manual_seed(seed))]
    few = sinkhorn(ground_cost(first, second), regularisation, 5)[0]
    assert_close(sinkhorn(ground_cost(first, shuffled), regularisation, 5)[0], few)


def test_limits_of_the_regularisation() -> None:
    columns = descriptors(maps(3))
    first, second = columns[:2], columns[2:]
    mean = 1 - (first.mean(2) * second.mean(2)).sum(1)
    assert_close(sinkhorn(ground_cost(first, second), 1e5, 10)[0], mean, atol=1e-4, rtol=0)
    assert sinkhorn(ground_cost(first, first), 0.005, 300)[0].max() < 1e-3
    assert sinkhorn(ground_cost(first, first), 1.0, 10)[0].min() > 0.1
    one = descriptors(maps(4)[:, :, :1, :1])
    cosine = (one[:2, :, 0] * one[2:, :, 0]).sum(1)
    assert_close(sinkhorn(ground_cost(one[:2], one[2:]), 0.7, 1)[0], 1 - cosine)


def naive(cosine: torch.Tensor, labels: list[int], alpha: float) -> dict[tuple[int, int, int], float]:
    triples = itertools.permutations(range(len(labels)), 3)
    return {
        (a, p, n): float(cosine[a, n] - cosine[a, p])
        for a, p, n in triples
        if labels[a] == labels[p] != labels[n] and cosine[a, n] - cosine[a, p] > -alpha
    }


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=10),
    st.integers(0, 999),
    st.sampled_from([0.0, 0.3, 5.0]),
    st.sampled_from([0, 1, 7, 40]),
)
@settings(max_examples=60, deadline=None)
def test_mining_finds_the_hardest(labels: list[int], seed: int, alpha: float, limit: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(len(labels), 4, generator=generator).double())
    cosine = x @ x.mT
    found = mine(cosine, torch.tensor(labels), alpha, limit)
    assert found.valid.all()
    every = naive(cosine, labels, alpha)
    got = list(zip(*(index.tolist() for index in found[:3]), strict=True))
    assert len(set(got)) == len(got)
    assert set(got) <= set(every)
    hardest = sorted(every.values(), reverse=True)[: limit or None]
    assert sorted((every[t] for t in got), reverse=True) == pytest.approx(hardest)


def loss_of(x: torch.Tensor, labels: list[int], feature_map: torch.Tensor, **own: object) -> dict[str, float]:
    loss = OTFace(4, x.shape[1], **own).double()  # type: ignore[arg-type]
    value, terms = loss(LossInput(x, torch.tensor(labels), feature_map=feature_map))
    return {"loss": float(value.detach()), **{k: float(v) for k, v in terms.items()}}


def test_easy_batch_has_no_term_whatever_the_maps() -> None:
    x = torch.eye(2, dtype=torch.float64).repeat_interleave(2, 0)
    terms = loss_of(x, [0, 0, 1, 1], maps(5))
    assert terms["mined"] == terms["active"] == terms["transport"] == 0
    assert terms["loss"] == terms["host"]


def test_weight_zero_is_the_host() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    terms = loss_of(x, [0, 0, 1, 1], maps(6), weight=0.0)
    assert terms["mined"] > 0 and terms["loss"] == terms["host"]


def hard() -> tuple[torch.Tensor, list[int]]:
    """One violated triplet: 0 and 1 are the same person, but 2 is nearer to 0."""
    return torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.8, 0.0, 0.6]], dtype=torch.float64), [0, 0, 1]


def test_term_follows_the_maps() -> None:
    x, labels = hard()
    three = maps(7, 3)
    three[1] = three[2] + 0.1  # the positive looks like the negative
    wrong = three.clone()
    wrong[2] = three[0]  # the negative's map is the anchor's: worst
    far = three.clone()
    far[2] = -three[0]
    terms = {name: loss_of(x, labels, m)["transport"] for name, m in {"wrong": wrong, "far": far}.items()}
    assert terms["wrong"] > terms["far"] == 0
    scaled = wrong * torch.tensor([0.5, 3.0, 20.0], dtype=torch.float64)[:, None, None, None]
    assert loss_of(x, labels, scaled)["transport"] == pytest.approx(terms["wrong"], rel=1e-9)
    same = loss_of(x, labels, three[:1].repeat(3, 1, 1, 1))
    assert same["mined"] >= 1 and same["active"] == 0


def test_start_epoch_and_group_variant() -> None:
    x, labels = hard()
    wrong = maps(7, 3)
    wrong[2] = wrong[0]
    assert "transport" not in loss_of(x, labels, wrong, start_epoch=1)
    group = loss_of(x, labels, wrong, variant="group")
    columns = descriptors(wrong, centered=True)
    # Rows 0 and 1 have one hard negative each at most, so the mean map is the negative's own map.
    pairs = mine(x @ x.mT, torch.tensor(labels), 0.0, 0)
    near = sinkhorn(ground_cost(columns[pairs.anchor], columns[pairs.positive]), 0.1, 6)[0]
    far = sinkhorn(ground_cost(columns[pairs.anchor], columns[pairs.negative]), 0.1, 6)[0]
    assert group["mined"] == len(pairs.anchor)
    assert group["transport"] == pytest.approx(float((near - far).relu().mean()))


def test_group_averages_all_hard_negatives() -> None:
    x = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.9, 0.1, 0], [0.9, 0, 0.1]], dtype=torch.float64)
    x = torch.nn.functional.normalize(x)
    four = maps(8)
    loss = OTFace(4, 3, variant="group").double()
    hinges, counted, _ = loss._groups(x @ x.mT, torch.tensor([0, 0, 1, 2]), four)
    columns = descriptors(four, centered=True)
    mean = descriptors(four[2:].mean(0, keepdim=True), centered=True)
    near = sinkhorn(ground_cost(columns[:1], columns[1:2]), 0.1, 6)[0]
    far = sinkhorn(ground_cost(columns[:1], mean), 0.1, 6)[0]
    assert counted.any()
    assert (hinges - (near - far).relu()).abs().min() < 1e-12


def test_a_floor_above_the_hinge_is_refused() -> None:
    """Below 0 ``beta`` would make every mined triplet count."""
    with pytest.raises(UsageError, match="beta"):
        OTFace(5, 4, beta=-0.1)
