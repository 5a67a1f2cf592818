"""EPL: how the prototypes move, and when they count."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize
from torch.testing import assert_close

from facerec_cli import registry
from facerec_cli.losses import LossInput, unit
from facerec_cli.losses.epl import EPL, WEIGHTINGS

C, D, B = 9, 6, 8


def build(**own: object) -> EPL:
    return EPL(C, D, **own).double()  # type: ignore[arg-type]


def rows(seed: int = 0, n: int = B) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, D, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("clamp", [False, True])
def test_update_is_the_rule_row_after_row(weighting: str, clamp: bool) -> None:
    """Labels repeat, three times for class 2: the same as a loop over the batch."""
    loss = build(weighting=weighting, clamp_weight=clamp)
    labels = torch.tensor([2, 5, 2, 0, 2, 5, 8, 1])
    x = unit(rows())
    expected = loss.prototypes.clone()
    f = {
        "softsign": lambda c: c / (1 + c.abs()),
        "sigmoid": torch.sigmoid,
        "sigmoid_shift": lambda c: torch.sigmoid(c - 1),
        "zero": lambda c: 0 * c,
    }[weighting]
    for i, y in enumerate(labels.tolist()):
        old = f(expected[y] @ x[i])
        old = old.clamp_min(0) if clamp else old
        expected[y] = normalize(old * expected[y] + (1 - old) * x[i], dim=0)
    before = loss.prototypes.clone()
    loss.update(x, labels)
    assert_close(loss.prototypes, expected)
    untouched = [3, 4, 6, 7]
    assert torch.equal(loss.prototypes[untouched], before[untouched])
    assert loss.seen.tolist() == [c not in untouched for c in range(C)]


def test_update_by_hand() -> None:
    values = torch.tensor([0.2, 0.5, 0.8, 1.0])
    assert_close(
        WEIGHTINGS["softsign"](values), torch.tensor([0.1667, 0.3333, 0.4444, 0.5]), atol=1e-4, rtol=0
    )
    loss = build()
    x = unit(rows(n=2))
    x[1] = unit(x[1] - (x[1] @ x[0]) * x[0])
    loss.prototypes[0] = x[0]
    loss.update(x[:1], torch.tensor([0]))
    assert_close(loss.prototypes[0], x[0])  # c = 1: stays
    loss.update(x[1:], torch.tensor([0]))
    assert_close(loss.prototypes[0], x[1])  # c = 0: replaced


def test_first_visit_may_replace_the_random_prototype() -> None:
    loss = build(replace_unseen=True)
    x = unit(rows(n=1))
    loss.update(x, torch.tensor([4]))
    assert_close(loss.prototypes[4], x[0])
    loss.update(unit(rows(1, n=1)), torch.tensor([4]))
    assert float(loss.prototypes[4] @ unit(rows(1, n=1))[0]) < 1 - 1e-6


def test_evaluation_leaves_prototypes_alone() -> None:
    loss = build().eval()
    before = loss.prototypes.clone()
    loss(LossInput(rows(), torch.arange(B)))
    assert torch.equal(loss.prototypes, before)


@pytest.mark.parametrize("host", ["cosface", "arcface", "uniface"])
def test_start_epoch(host: str) -> None:
    """The host alone before it, half of both from then on."""
    loss = build(host=host)
    own = {"margin_gradient": "straight_through"} if host == "arcface" else {}
    plain = registry.load(registry.LOSSES, host, "loss")(C, D, margin=0.4, **own).double()
    plain.classifier.weight = loss.classifier.weight
    batch = LossInput(rows(), torch.arange(B), epoch=2)
    expected, _ = plain(batch)
    assert_close(loss(batch)[0], expected)
    late, terms = loss(LossInput(rows(), torch.arange(B), epoch=3))
    assert_close(late.detach(), (expected.detach() + terms["prototypes"]) / 2)


def test_arcface_host_lets_the_angle_pass_pi() -> None:
    """The official value is cos(theta + m) at any angle, its gradient that of the plain cosine."""
    loss = build(host="arcface", margin=1.2, scale=4.0)
    x = -loss.classifier.weight[:1].detach() + 0.1 * rows(n=1) * loss.classifier.weight.detach().std()
    x.requires_grad_()
    cosine = (normalize(x) @ normalize(loss.classifier.weight).T).detach()
    assert cosine[0, 0] < -0.9  # theta + m is beyond pi
    logits = 4 * torch.cat([(cosine[:, :1].acos() + 1.2).cos(), cosine[:, 1:]], 1)
    value, _ = loss(LossInput(x, torch.tensor([0])))
    assert_close(value, cross_entropy(logits, torch.tensor([0])))
    (gradient,) = torch.autograd.grad(value, x)
    pull = logits.softmax(1) - torch.eye(C, dtype=torch.float64)[:1]
    (expected,) = torch.autograd.grad(
        normalize(x) @ normalize(loss.classifier.weight.detach()).T, x, 4 * pull
    )
    assert_close(gradient, expected)


def test_prototype_term_reaches_the_embeddings_only() -> None:
    loss = build().eval()
    x = rows().requires_grad_()
    early, _ = loss(LossInput(x, torch.arange(B), epoch=0))
    late, _ = loss(LossInput(x, torch.arange(B), epoch=3))
    w = loss.classifier.weight
    assert not loss.prototypes.requires_grad
    first = torch.autograd.grad(early, (x, w))
    second = torch.autograd.grad(late, (x, w), retain_graph=True)
    again = torch.autograd.grad(late, (x, w))
    assert_close(second[1], first[1] / 2)
    assert not torch.allclose(second[0], first[0] / 2)
    assert_close(again, second)


def test_without_margins_it_is_normface() -> None:
    loss = build(k=0.0, margin=0.0).eval()
    loss.prototypes.copy_(loss.classifier.weight.detach())
    x, y = rows(), torch.arange(B)
    value, _ = loss(LossInput(x, y, epoch=3))
    assert_close(value, cross_entropy(64 * normalize(x) @ normalize(loss.classifier.weight).T, y))


def test_k_moves_the_value_and_not_the_direction() -> None:
    """k = 1: the target logit is 0 whatever the cosine, yet x is pulled to its prototype."""
    loss = build(k=1.0, margin=0.0).eval()
    x, y = rows(n=1), torch.tensor([0])
    others = normalize(loss.prototypes, dim=1)[1:]
    _, terms = loss(LossInput(x, y, epoch=3))
    logits = torch.cat([torch.zeros(1, dtype=torch.float64), 64 * others @ unit(x)[0]])
    assert_close(terms["prototypes"], cross_entropy(logits[None], y))
    values = []
    for k in (0.0, 0.5, 1.0):
        term = build(k=k).eval()
        term.prototypes[0] = unit(x)[0]  # own cosine 1, so the margin k v_y grows with k
        values.append(float(term(LossInput(x, y, epoch=3))[1]["prototypes"]))
    assert values == sorted(values) and values[0] < values[2]


def test_two_batches_may_be_looked_at_before_the_backward_of_the_first() -> None:
    """The first one's gradient is that of the prototypes as they were, and the second moves them on."""
    first, second = rows(1), rows(2)
    y = torch.arange(B)
    alone, both = build(), build()
    x = first.clone().requires_grad_()
    alone(LossInput(x, y, epoch=3))[0].backward()
    alone(LossInput(second, y, epoch=3))
    x_both = first.clone().requires_grad_()
    value, _ = both(LossInput(x_both, y, epoch=3))
    before = both.prototypes
    both(LossInput(second, y, epoch=3))
    assert both.prototypes is not before  # a copy, since the graph still needs them
    value.backward()
    assert_close(x_both.grad, x.grad)
    assert_close(both.prototypes, alone.prototypes)


def test_prototypes_are_moved_in_place_where_no_graph_needs_them() -> None:
    loss = build()
    place = loss.prototypes
    for step in range(2):
        x = rows(step).requires_grad_()
        loss(LossInput(x, torch.arange(B), epoch=3))[0].backward()
    loss(LossInput(rows(3).requires_grad_(), torch.arange(B), epoch=3))  # its graph is dropped
    loss(LossInput(rows(4), torch.arange(B), epoch=3))
    assert loss.prototypes is place
