"""UniTSFace against its authors' program, its memory and its threshold."""

from __future__ import annotations

import pytest
import reference_cases
import torch
from torch.nn.functional import normalize

from facerec_cli.errors import UsageError
from facerec_cli.losses import LossInput
from facerec_cli.losses.cosface import CosFace
from facerec_cli.losses.unitsface import UniTSFace

CASES = reference_cases.cases("unitsface")


def batch(labels: list[int], epoch: int = 1, seed: int = 0) -> LossInput:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(labels), 6, generator=generator, dtype=torch.float64)
    return LossInput(x, torch.tensor(labels), epoch=epoch)


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("title", CASES)
def test_authors_program(title: str, official: bool) -> None:
    case = CASES[title]
    loss = reference_cases.build("unitsface", case, official_threshold=official)
    assert isinstance(loss, UniTSFace)
    with torch.no_grad():
        loss.memory.copy_(case["memory"])
        loss.bias.copy_(case["bias_before"])
    terms = reference_cases.compare(loss, case, epoch=1)
    torch.testing.assert_close(terms["threshold"], case["bias"])
    torch.testing.assert_close(loss.bias.grad, case["bias_gradient"], rtol=1e-9, atol=1e-9)


def test_before_its_epoch_it_is_the_host_and_remembers() -> None:
    loss, host = UniTSFace(5, 6).double(), CosFace(5, 6).double()
    given = batch([0, 3, 0, 1], epoch=0)
    value, terms = loss(given)
    torch.testing.assert_close(value, host(given)[0])
    assert "samples" not in terms
    memory = loss.state_dict()["memory"]
    x = normalize(given.embeddings)
    torch.testing.assert_close(memory[[0, 3, 1]], x[[2, 1, 3]])  # of two rows of class 0 the last
    assert not memory[[2, 4]].any()


def test_threshold_is_set_once_and_then_learned() -> None:
    loss = UniTSFace(5, 6).double()
    loss(batch([0, 1, 2, 3, 4], epoch=0))
    _, terms = loss(batch([0, 1, 2, 3, 4], seed=1))
    assert float(terms["threshold"]) > 0
    with torch.no_grad():
        loss.bias.fill_(-3.0)  # as if it had been learned
    again = UniTSFace(5, 6).double()
    again.load_state_dict(loss.state_dict())
    official = UniTSFace(5, 6, official_threshold=True).double()
    official.load_state_dict(loss.state_dict())
    found = [float(each(batch([0, 1, 2, 3, 4], seed=2))[1]["threshold"]) for each in (loss, again, official)]
    assert found[:2] == [-3.0, -3.0] and found[2] > 0


def test_a_resumed_run_goes_on_as_one_that_was_not_stopped() -> None:
    """The rows of the last step are in the state, though they are written to the memory a step later."""
    steps = [batch([0, 1, 1, 2], epoch=e, seed=e) for e in range(4)]
    whole, first, second = (UniTSFace(4, 6).double() for _ in range(3))
    values = [whole(step)[0] for step in steps]
    for step in steps[:2]:
        first(step)
    second.load_state_dict(first.state_dict())
    for step, expected in zip(steps[2:], values[2:], strict=True):
        assert torch.equal(second(step)[0], expected)


def test_samples_of_one_class_come_together_and_those_of_two_apart() -> None:
    """Four classes of five free embeddings; the host's scale is so small that it has no say."""
    torch.manual_seed(0)
    loss = UniTSFace(4, 8, host_scale=1e-3, start_epoch=0, scale=16.0)
    x = torch.randn(20, 8).requires_grad_()
    labels = torch.arange(20) % 4
    optimizer = torch.optim.Adam([x, *loss.parameters()], 0.03)
    values = []
    for step in range(120):
        rows = torch.randperm(20)[:12]
        optimizer.zero_grad()
        value, terms = loss(LossInput(x[rows], labels[rows], step=step))
        value.backward()
        optimizer.step()
        values.append(float(terms["samples"]))
    assert sum(values[-5:]) < sum(values[5:10]) / 4
    alike = normalize(x.detach()) @ normalize(x.detach()).T
    same = labels[:, None] == labels
    threshold = float(loss.bias.detach()) / 16
    assert float(alike[same].min()) > threshold > float(alike[~same].max())


def test_evaluation_leaves_no_trace() -> None:
    loss = UniTSFace(5, 6).double()
    loss(batch([0, 1, 2, 3, 4]))
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.eval()(batch([4, 3, 2, 1, 0], seed=1))
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_any_loss_with_classes_can_be_the_host() -> None:
    loss = UniTSFace(5, 6, host="arcface", host_margin=0.2, host_scale=30.0)
    assert (loss.host.scale, loss.host.margin, loss.scale, loss.margin) == (30.0, 0.2, 64.0, 0.1)
    with pytest.raises(UsageError, match="no setting 'margin'"):
        UniTSFace(5, 6, host="softmax", host_margin=0.2)


def test_sampled_classes_are_those_of_the_host() -> None:
    loss = UniTSFace(8, 6, sample_rate=0.5).double()
    with torch.no_grad():
        loss.memory.copy_(batch(list(range(8)), seed=3).embeddings)
        loss.bias.fill_(7.0)
    given = batch([1, 6])
    _, terms = loss(given)
    sample = loss.host.classifier.classes(given.labels, 0).index
    assert sample is not None and len(sample) == 4
    cosines = normalize(given.embeddings) @ normalize(batch(list(range(8)), seed=3).embeddings).T
    rows = []
    for cosine, label in zip(cosines, given.labels, strict=True):
        others = cosine[[c for c in sample.tolist() if c != label]]
        rows.append((7 - 64 * (cosine[label] - 0.1)).clamp(-64, 64).exp().log1p())
        rows[-1] = rows[-1] + (64 * others - 7).clamp(-64, 64).exp().log1p().sum()
    torch.testing.assert_close(terms["samples"], torch.stack(rows).mean())
