"""Every loss of the registry on the device beside the same on the CPU: values, gradients, state.

Both sides start from the same weights and see the same two batches. In float32 (without TF32) they may differ
by rounding; in float64 by almost nothing, so that a small mistake cannot hide behind rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput
from facerec_cli.losses.classifier import Classifier, unit
from gpu_kit.report import Kit, Report

CLASSES, WIDTH, ROWS, PER_CLASS = 60, 64, 32, 4
STEPS = 2  # the second one sees what the first has left in averages and prototypes
ALLOWED = {
    torch.float32: {"value": 1e-4, "gradient": 5e-4, "state": 1e-5},
    torch.float64: {"value": 1e-10, "gradient": 1e-9, "state": 1e-10},
}
"""The most that :func:`distances` may give. Rounding alone takes 4.7e-7, 2.9e-6 and 1.1e-7 in float32: so
far are its results on a CPU from those in float64."""
WAYS: dict[str, dict[str, Any]] = {"all classes": {}, "half of the classes": {"sample_rate": 0.5}}


def prove(kit: Kit, report: Report) -> None:
    """One proof for each loss, number format, and with all or a sample of the classes."""
    exact_products()
    for name in registry.LOSSES:
        for dtype in ALLOWED:
            for way, settings in WAYS.items():
                about = f"{name}, {str(dtype).removeprefix('torch.')}, {way}"
                with report.attempt(about):
                    differences = compare(name, dtype, settings, kit)
                    report.proof(about, differences, ALLOWED[dtype])
    if not kit.on_gpu:
        for what, part in rounding().items():
            report.figure(f"rounding of float32, {what}", 1e9 * part, "billionths of the largest number")


def rounding() -> dict[str, float]:
    """How far losses in float32 are at most from those in float64, both on the CPU; keys as in ALLOWED."""
    worst = dict.fromkeys(ALLOWED[torch.float32], 0.0)
    for name in registry.LOSSES:
        for settings in WAYS.values():
            exact, rounded = (build(name, dtype, settings) for dtype in (torch.float64, torch.float32))
            share_sample(rounded, exact)
            measured = [
                distances(
                    results(exact, batch(step, torch.float64), "cpu"),
                    results(rounded, batch(step, torch.float32), "cpu"),
                )
                for step in range(STEPS)
            ]
            for found in (*measured, distances(state(exact), state(rounded))):
                for key, value in found.items():
                    kind = key.partition(" ")[0]
                    worst[kind] = max(worst[kind], value)
    return worst


def exact_products() -> None:
    """No TensorFloat-32: PyTorch's convolutions use it unless they are told not to."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


def compare(name: str, dtype: torch.dtype, settings: dict[str, Any], kit: Kit) -> dict[str, float]:
    """How far the device's results are from the CPU's; see :func:`distances`."""
    here, there = (build(name, dtype, settings) for _ in range(2))
    there.to(kit.device)
    share_sample(here, there)
    worst: dict[str, float] = {}
    for step in range(STEPS):
        given = batch(step, dtype)
        expected = results(here, given, "cpu")
        if kit.plant == "losses":
            given.embeddings[:, 1] += 1.0
        for key, value in distances(expected, results(there, given, kit.device)).items():
            worst[key] = max(worst.get(key, 0.0), value)
    return worst | distances(state(here), state(there))


def build(name: str, dtype: torch.dtype, settings: dict[str, Any]) -> Loss:
    """A loss whose class weights already point to its people, as some way into a training run."""
    kind: type[Loss] = registry.load(registry.LOSSES, name, "loss")
    loss = kind(CLASSES, WIDTH, seed=0, matmul="float32", **settings)
    loss.start_at(unit(centers()).float())
    return loss.to(dtype)


def centers() -> Tensor:
    """(CLASSES, WIDTH) float64, where the people of :func:`batch` lie."""
    return torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(99), dtype=torch.float64)


def batch(step: int, dtype: torch.dtype) -> LossInput:
    """Rows of several people with several photos each: hard ones, and in DDL's branches and pairs.

    They are so hard that OTFace finds triplets to transport, and a few show somebody else, whose labels
    BoundaryFace mends.
    """
    random = torch.Generator().manual_seed(step)
    people = torch.randperm(CLASSES, generator=random)[: ROWS // PER_CLASS]
    labels = people.repeat_interleave(PER_CLASS)
    lengths = 4 + 20 * torch.rand(
        ROWS, 1, generator=random, dtype=torch.float64
    )  # magface, adaface look at them
    noise = torch.randn(ROWS, WIDTH, generator=random, dtype=torch.float64)
    row = torch.arange(ROWS)
    shows = torch.where(row % 11 == 3, (labels + 1) % CLASSES, labels)
    blurred = torch.where(shows == labels, 1.5, 0.3)[:, None]
    embeddings = unit(centers()[shows] + blurred * noise) * lengths
    return LossInput(
        embeddings.to(dtype),
        labels,
        feature_map=torch.randn(ROWS, 32, 7, 7, generator=random, dtype=torch.float64).relu().to(dtype),
        branch=row % 2,
        pair=torch.where(row < ROWS // 2, -1, row // PER_CLASS),
        target=torch.randn(ROWS, WIDTH, generator=random, dtype=torch.float64).to(dtype),
        epoch=10,  # every term has begun
        step=step,
    )


def results(loss: Loss, given: LossInput, device: str) -> dict[str, Tensor]:
    """Value, terms and gradients of one batch, as tensors on the CPU."""
    loss.zero_grad(set_to_none=True)
    embeddings = given.embeddings.to(device, copy=True).requires_grad_()
    assert given.feature_map is not None and given.target is not None
    maps = given.feature_map.to(device, copy=True).requires_grad_()
    # The labels stay on the CPU, where the trainer leaves them.
    value, terms = loss(
        replace(given, embeddings=embeddings, feature_map=maps, target=given.target.to(device))
    )
    value.backward()
    found = {"value": value, **{f"value {key}": term for key, term in terms.items()}}
    gradients = {"embeddings": embeddings.grad, "feature map": maps.grad}
    gradients |= {key: parameter.grad for key, parameter in loss.named_parameters()}
    found |= {f"gradient {key}": g for key, g in gradients.items() if g is not None}
    return {
        key: (tensor.to_dense() if tensor.is_sparse else tensor).detach().cpu()
        for key, tensor in found.items()
    }


def state(loss: Loss) -> dict[str, Tensor]:
    """What the loss has learned beside its weights: averages, prototypes."""
    return {f"state {key}": value.cpu() for key, value in loss.named_buffers() if value.is_floating_point()}


def distances(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, float]:
    """The largest difference of each tensor, as a part of the largest number that is expected in it.

    A term that is logged is held against the loss as a whole where that is larger: of a term that is nearly 0
    rounding leaves few digits.
    """
    total = float(expected["value"].abs()) if "value" in expected else 0.0
    measured = {}
    for key, tensor in expected.items():
        a, b = tensor.double(), found[key].double()
        if a.shape != b.shape or not (a.isfinite().all() and b.isfinite().all()):
            measured[key] = float("inf")
        elif a.numel():
            largest = max(float(a.abs().max()), total if key.startswith("value") else 0.0)
            measured[key] = float((a - b).abs().max()) / max(largest, 1e-30)
    return measured


def share_sample(here: Loss, there: Loss) -> None:
    """Let the CPU's loss take the sample of classes that the device draws; their generators differ."""
    pairs = zip(_classifiers(here), _classifiers(there), strict=True)
    for ours, theirs in pairs:
        if theirs.sample_rate < 1:
            ours.classes = partial(_drawn_there, ours, theirs)  # type: ignore[method-assign]


def _classifiers(loss: Loss) -> Iterator[Classifier]:
    return (module for module in loss.modules() if isinstance(module, Classifier))


def _drawn_there(ours: Classifier, theirs: Classifier, labels: Tensor, step: int) -> Any:
    drawn = theirs.classes(labels, step)
    tensors = {f.name: getattr(drawn, f.name) for f in fields(drawn)}
    moved = {name: value.cpu() for name, value in tensors.items() if isinstance(value, Tensor)}
    return replace(drawn, owner=ours, **moved)
