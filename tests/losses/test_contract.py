"""What every loss of the registry promises, on batches that a real run can meet."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli import registry
from facerec_cli.errors import InputError, UsageError
from facerec_cli.losses import Loss, LossInput

C, D, B = 7, 8, 6
VARIANTS = [
    *((name, {}) for name in registry.LOSSES),
    ("epl", {"host": "arcface"}),
    ("epl", {"host": "uniface"}),
    ("otface", {"variant": "group", "host": "amsoftmax"}),
    ("otface", {"regularisation": 0.05, "max_triplets": 0}),
    ("ddl", {"later_index": True, "detach_teacher": True, "branches": 3}),
    ("npt", {"k": 3}),
    ("magface", {"easy_margin": False}),
    ("elasticface", {"variant": "cos", "plus": True}),
    ("boundaryface", {"official_mask": True}),
    ("subcenter_arcface", {"centers": 1}),
]


def build(name: str, classes: int = C, **own: object) -> Loss:
    loss: Loss = registry.load(registry.LOSSES, name, "loss")(classes, D, **own)
    return loss


def batch(seed: int = 0, n: int = B, classes: int = C) -> LossInput:
    generator = torch.Generator().manual_seed(seed)
    return LossInput(
        torch.randn(n, D, generator=generator),
        torch.randint(0, classes, (n,), generator=generator),
        feature_map=torch.randn(n, 5, 3, 3, generator=generator),
        branch=torch.arange(n) % 2,
        pair=torch.where(torch.arange(n) < n // 2, -1, torch.arange(n) % 2),
        target=torch.randn(n, D, generator=generator),
        epoch=9,
    )


def odd_batches() -> dict[str, LossInput]:
    plain = batch()
    e, maps = plain.embeddings, plain.feature_map
    assert maps is not None
    dead = maps.clone()
    dead[:, :, 1, 1] = 0
    return {
        "plain": plain,
        "one identity": replace(plain, labels=torch.zeros(B, dtype=torch.int64)),
        "all singletons": replace(plain, labels=torch.arange(B)),
        "one row": LossInput(
            **{k: v[:1] if isinstance(v, torch.Tensor) else v for k, v in vars(plain).items()}
        ),
        "identical images": replace(
            plain, embeddings=e[:1].repeat(B, 1), feature_map=maps[:1].repeat(B, 1, 1, 1)
        ),
        "zero embeddings": replace(plain, embeddings=torch.zeros(B, D)),
        "one zero embedding": replace(plain, embeddings=e * (torch.arange(B) > 0)[:, None]),
        "zero map columns": replace(plain, feature_map=dead),
        "zero maps": replace(plain, feature_map=torch.zeros_like(maps)),
        "huge": replace(plain, embeddings=1e30 * e, feature_map=1e25 * maps),
        "tiny": replace(plain, embeddings=1e-8 * e, feature_map=1e-8 * maps),
        "no branches": replace(plain, branch=None, pair=None),
        "bfloat16": replace(plain, embeddings=e.bfloat16(), feature_map=maps.bfloat16()),
        "float16": replace(plain, embeddings=e.half(), feature_map=maps.half()),
    }


def step(loss: Loss, given: LossInput) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    embeddings = given.embeddings.clone().requires_grad_()
    maps = given.feature_map.clone().requires_grad_() if given.feature_map is not None else None
    before = embeddings.detach().clone(), None if maps is None else maps.detach().clone()
    value, terms = loss(replace(given, embeddings=embeddings, feature_map=maps))
    value.backward()
    assert embeddings.grad is not None
    assert torch.equal(embeddings.detach(), before[0])
    if maps is not None and before[1] is not None:
        assert torch.equal(maps.detach(), before[1])
        assert maps.grad is None or maps.grad.isfinite().all()
    return value.detach(), embeddings.grad, terms


@pytest.mark.parametrize("odd", odd_batches())
@pytest.mark.parametrize(("name", "own"), VARIANTS, ids=str)
def test_finite_and_connected(name: str, own: dict[str, object], odd: str) -> None:
    loss = build(name, **own)
    value, gradient, terms = step(loss, odd_batches()[odd])
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert gradient.isfinite().all()
    for parameter in loss.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    for term, got in terms.items():
        assert got.shape == () and not got.requires_grad and got.isfinite(), term


@pytest.mark.parametrize(("name", "own"), VARIANTS, ids=str)
def test_one_class(name: str, own: dict[str, object]) -> None:
    value, gradient, _ = step(build(name, classes=1, **own), batch(classes=1))
    assert value.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("name", registry.LOSSES)
def test_float32_under_autocast(name: str) -> None:
    plain = batch()
    expected, gradient, _ = step(build(name), plain)
    embeddings = plain.embeddings.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, _ = build(name)(replace(plain, embeddings=embeddings))
    value.backward()
    assert torch.equal(value, expected)
    assert torch.equal(embeddings.grad, gradient)


@pytest.mark.parametrize("name", [n for n in registry.LOSSES if n not in ("distill", "sface")])
def test_gradient_is_that_of_the_value(name: str) -> None:
    """Central differences in float64, with the exact margin; EPL's and SphereFace2's detached parts aside.

    SFace's factors carry no gradient on purpose; ``test_sface.py`` has its gradient by hand.
    """
    own = {"margin_gradient": "exact"} if name == "sphereface2" else {}
    own |= {"k": 0.0, "host": "arcface", "margin_gradient": "exact"} if name == "epl" else {}
    loss = build(name, **own).double().eval()
    plain = batch(3)
    plain = replace(plain, feature_map=plain.feature_map.double(), target=plain.target.double())
    embeddings = 4 * plain.embeddings.double()

    def value(e: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        entry = next(n for n, _ in loss.named_parameters() if n.endswith("classifier.weight"))
        out, _ = torch.func.functional_call(loss, {entry: w}, (replace(plain, embeddings=e),))
        return out

    w = next(p for n, p in loss.named_parameters() if n.endswith("classifier.weight")).detach() * 50
    w = w.clone().requires_grad_()
    e = embeddings.clone().requires_grad_()
    if name == "adaface":  # its margin follows the length, without gradient
        e = (e.detach() / e.detach().norm(dim=1, keepdim=True)).requires_grad_()
        value(e, w).backward()
        tangent = torch.randn(B, D, dtype=torch.float64)
        tangent -= (tangent * e.detach()).sum(1, keepdim=True) * e.detach()
    else:
        value(e, w).backward()
        tangent = torch.randn(B, D, dtype=torch.float64)
    for leaf, direction in ((e, tangent), (w, torch.randn(w.shape, dtype=torch.float64))):
        h = 1e-6
        ends = []
        for sign in (1, -1):
            shifted = (leaf + sign * h * direction).detach()
            ends.append(value(shifted, w) if leaf is e else value(e, shifted))
        slope = (ends[0] - ends[1]).detach() / (2 * h)
        assert leaf.grad is not None
        torch.testing.assert_close((leaf.grad * direction).sum(), slope, rtol=1e-4, atol=1e-5)


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", ["softmax", "cosface", "arcface", "curricularface", "npt", "uniface"])
def test_length_does_not_matter(name: str, scale: float, seed: int) -> None:
    loss = build(name).double().eval()
    plain = replace(batch(seed), embeddings=batch(seed).embeddings.double())
    first, gradient, _ = step(loss, plain)
    second, _, _ = step(loss, replace(plain, embeddings=scale * plain.embeddings))
    torch.testing.assert_close(first, second)
    along = (gradient * plain.embeddings).sum(1)
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", registry.LOSSES)
def test_settings_and_state(name: str) -> None:
    kind = registry.load(registry.LOSSES, name, "loss")
    defaults = kind.settings()
    assert "sample_rate" not in defaults and "group" not in defaults and "common" not in defaults
    loss = kind(C, D, **{name: field.default for name, field in defaults.items()})
    names = loss.sharded_names()
    assert names <= set(loss.state_dict())
    assert all(len(loss.state_dict()[n]) == C for n in names)
    if loss.needs_classes:
        assert "classifier.weight" in names
    again = kind(C, D)
    step(loss, batch())
    again.load_state_dict(loss.state_dict())
    assert torch.equal(step(loss.eval(), batch(1))[0], step(again.eval(), batch(1))[0])


@pytest.mark.parametrize("name", registry.LOSSES)
def test_every_setting_refuses_what_is_no_value_of_it(name: str) -> None:
    kind = registry.load(registry.LOSSES, name, "loss")
    for key, field in kind.settings().items():
        numbers = float in (field.kind, *get_args(field.kind))
        wrong = [math.nan] if numbers else ["x"] if field.choices or field.option.ge is not None else []
        for value in wrong:
            with pytest.raises(UsageError, match=f"^{key} (=|cannot be) {value!r}.*(It must be|Known: )"):
                kind(C, D, **{key: value})


@pytest.mark.parametrize("name", registry.LOSSES)
def test_margins_and_first_epochs_have_the_range_of_their_formulas(name: str) -> None:
    known = registry.load(registry.LOSSES, name, "loss").settings()
    margins = [key for key in known if key.endswith("margin") and key != "easy_margin"]
    for key, value in [*((key, value) for key in margins for value in (1000, -0.1)), ("start_epoch", -3)]:
        if key in known:
            with pytest.raises(UsageError, match=r"margin = .* from 0 to|start_epoch = -3 .* of at least 0"):
                build(name, **{key: value})
    for key in margins:
        build(name, **{key: 2})


def test_refusals() -> None:
    plain = batch()
    with pytest.raises(InputError, match=r"Label -1 in the batch, but the loss has 7 classes"):
        build("arcface")(replace(plain, labels=plain.labels.masked_fill(torch.arange(B) == 0, -1)))
    with pytest.raises(InputError, match="needs the feature map"):
        build("otface")(replace(plain, feature_map=None))
    with pytest.raises(InputError, match="have 8 values, the loss expects 16"):
        registry.load(registry.LOSSES, "arcface", "loss")(C, 16)(plain)
    with pytest.raises(InputError, match="needs a target"):
        build("distill")(replace(plain, target=None))
    with pytest.raises(UsageError, match=r"sample_rate = 0 does not fit\. .* above 0 and at most 1\."):
        build("arcface", sample_rate=0)
    with pytest.raises(UsageError, match="Known: softsign, sigmoid, sigmoid_shift, zero"):
        build("epl", weighting="softmax")
    for name, host in (("otface", "distill"), ("unitsface", "otface"), ("unitsface", "unitsface")):
        with pytest.raises(UsageError, match=r"no class weights of its own, .* host") as refusal:
            build(name, host=host)
        assert "adaface, arcface" in refusal.value.hint and host not in refusal.value.hint
    with pytest.raises(UsageError, match="no setting 'margin'"):
        build("ddl", host="softmax", margin=0.3)
    with pytest.raises(UsageError, match="Did you mean 'arcface'"):
        build("otface", host="arcfase")


def test_sample_depends_on_seed_and_step_and_keeps_the_batch() -> None:
    labels = torch.tensor([3, 97, 3, 50])
    loss = build("cosface", classes=100, sample_rate=0.1)
    first = loss.classifier.classes(labels, 0)
    assert first.index is not None and len(first.index) == 10
    assert torch.equal(first.index[first.position], labels)
    again = loss.classifier.classes(labels, 0).index
    other = loss.classifier.classes(labels, 1).index
    assert torch.equal(first.index, again) and not torch.equal(first.index, other)
    crowd = torch.arange(40)
    many = loss.classifier.classes(crowd, 0)
    assert many.index is not None and torch.equal(many.index, crowd)


def test_reduced_precision_of_the_products_stays_near() -> None:
    exact, gradient, _ = step(build("arcface"), batch())
    rounded, near, _ = step(build("arcface", matmul="bfloat16"), batch())
    assert float(rounded) == pytest.approx(float(exact), rel=0.02) and rounded != exact
    assert torch.nn.functional.cosine_similarity(near.flatten(), gradient.flatten(), dim=0) > 0.999
    with pytest.raises(UsageError, match="Known: float32, tf32, bfloat16"):
        build("arcface", matmul="int8")


@pytest.mark.parametrize(
    "name", ["arcface", "curricularface", "sphereface2", "uniface", "sface", "subcenter_arcface"]
)
def test_blocks_do_not_change_the_result(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(name).double()
    again = build(name).double()
    plain = replace(batch(), embeddings=batch().embeddings.double())
    value, gradient, _ = step(whole, plain)
    monkeypatch.setattr("facerec_cli.losses.class_cosines._BLOCK", {"cpu": 2 * B})
    blocked, other, _ = step(again, plain)
    torch.testing.assert_close(blocked, value)
    torch.testing.assert_close(other, gradient)
    for p, q in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad)
