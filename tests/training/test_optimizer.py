import pytest
import torch
from torch import nn

from facerec_cli.backbones import build
from facerec_cli.errors import UsageError
from facerec_cli.training.config import OptimizerSettings, ScheduleSettings
from facerec_cli.training.devices import World
from facerec_cli.training.optimizer import (
    build_optimizer,
    clip_gradients,
    named_parameters,
    schedule_factor,
    set_rate,
)

ALONE = World(0, 1, torch.device("cpu"), None, False)


def make(**settings):
    backbone, head = build("vit_t", 8), nn.Linear(8, 5)
    parameters = named_parameters(backbone, head)
    return parameters, build_optimizer(OptimizerSettings(**settings), parameters)


def test_norms_slopes_biases_and_positions_are_not_decayed():
    parameters, optimizer = make(weight_decay=0.1)
    names = {p: name for name, p in parameters.items()}
    for group in optimizer.param_groups:
        for p in group["params"]:
            plain = p.ndim < 2 or names[p].endswith("position")
            assert group["weight_decay"] == (0.0 if plain else 0.1), names[p]
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(parameters)


def test_head_and_backbone_have_their_own_rates():
    _, optimizer = make(head_lr=10.0, backbone_lr=0.5)
    set_rate(optimizer, 0.2)
    assert sorted({g["lr"] for g in optimizer.param_groups}) == [0.1, 2.0]


def test_clipping_scales_to_the_limit_and_reports_the_length_before():
    p = nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([3.0, 4.0])
    assert clip_gradients({"loss.w": p}, frozenset({"loss.w"}), 1.0, ALONE) == pytest.approx(5.0)
    assert torch.allclose(p.grad, torch.tensor([0.6, 0.8]), atol=1e-5)
    assert clip_gradients({"loss.w": p}, frozenset(), 0.0, ALONE) == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(p.grad, torch.tensor([0.6, 0.8]), atol=1e-5)


def test_nothing_to_train_is_said():
    with pytest.raises(UsageError, match="Nothing is left to train"):
        build_optimizer(OptimizerSettings(), {})


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_first_step_with_an_overflow_leaves_no_trace(nesterov, monkeypatch):
    """Fused SGD takes memory for the momentum that nobody has cleared, and leaves it so."""
    monkeypatch.setattr(torch, "empty_like", lambda tensor: torch.full_like(tensor, float("nan")))
    found = {}
    for overflow in (False, True):
        head = nn.Linear(8, 5)
        with torch.no_grad():
            head.weight.fill_(1.0)
        parameters = named_parameters(nn.Identity(), head)
        optimizer = build_optimizer(OptimizerSettings(nesterov=nesterov), parameters)
        set_rate(optimizer, 0.1)
        scaler = torch.amp.GradScaler("cpu")
        for factor in (float("inf"), 1.0, 2.0) if overflow else (1.0, 2.0):
            optimizer.zero_grad()
            scaler.scale(factor * head.weight.sum() + head.bias.sum()).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
        found[overflow] = head.weight.detach()
    assert torch.equal(found[True], found[False]) and found[True].max() < 1


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_momentum_of_zeros_is_how_sgd_begins(nesterov):
    ours, theirs = nn.Linear(3, 2, bias=False), nn.Parameter(torch.zeros(2, 3))
    theirs.data.copy_(ours.weight)
    optimizers = (
        build_optimizer(OptimizerSettings(nesterov=nesterov), named_parameters(nn.Identity(), ours)),
        torch.optim.SGD([theirs], momentum=0.9, weight_decay=5e-4, nesterov=nesterov, fused=True),
    )
    set_rate(optimizers[0], 1e-3)  # torch's own default
    for _ in range(3):
        ours.weight.grad = theirs.grad = torch.randn(2, 3)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(ours.weight, theirs)


def rates(steps, per_epoch, **settings):
    return [schedule_factor(ScheduleSettings(**settings), step, per_epoch, steps) for step in range(steps)]


def test_warmup_is_linear_and_ends_at_one():
    assert rates(8, 4, name="constant", warmup=1.0) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_step_divides_at_the_milestones():
    found = rates(6, 2, name="step", warmup=0.0, milestones=(1, 2), gamma=0.1)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_polynomial_is_insightfaces():
    assert rates(4, 4, name="polynomial", warmup=0.0, power=2.0) == pytest.approx([1, 0.5625, 0.25, 0.0625])


def test_cosine_starts_at_one_and_is_half_way_in_the_middle():
    found = rates(10, 10, name="cosine", warmup=0.0)
    assert found[0] == 1
    assert found[5] == pytest.approx(0.5)
    assert found == sorted(found, reverse=True)
