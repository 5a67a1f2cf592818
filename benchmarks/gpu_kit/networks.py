"""Networks and one whole training step on the device beside the same on the CPU, both in float32."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facerec_cli.backbones import build
from facerec_cli.backbones.encoder import to_input
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.losses import classifier
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import join_world
from facerec_cli.training.setup import prepare
from facerec_cli.training.start import train_mode
from facerec_cli.training.state import TrainingState
from facerec_cli.training.train import _step
from gpu_kit.losses import distances, exact_products
from gpu_kit.recipes import make_recipe
from gpu_kit.report import Kit, Report

NETWORKS = ("iresnet50", "mobilefacenet", "vit_t")
TINY = {"iresnet50": ("iresnet18", {}), "mobilefacenet": ("mobilefacenet", {"width": 0.25})}
EMBEDDINGS = {"embeddings": 1e-3, "feature map": 1e-3, "cosine": 1e-5}
"""Parts of the largest number; ``cosine`` is 1 less the smallest cosine of two embeddings of one photo."""
STEPS = (
    ("iresnet50", "arcface", 8, 1.0),
    ("mobilefacenet", "epl", 16, 1.0),
    ("mobilefacenet", "arcface", 16, 0.5),
)
MOVED = {"loss": 1e-4, "gradient norm": 1e-3, "all weights": 1e-2, "weights": 5e-2}
"""Parts of the CPU's number. Of weights: the length of the difference of what the step has moved them by, as
a part of the length of that move, together and one parameter after the other. Two ways of a CPU to compute
the same step (oneDNN and not) differ by up to 3e-7, 1.1e-5, 2e-3 and 1e-2: a bias deep in the network has the
rounding of all layers behind it."""


def prove_networks(kit: Kit, report: Report) -> None:
    """Embeddings and feature maps of fixed random weights, both orders of the numbers in memory."""
    exact_products()
    for name in NETWORKS:
        with report.attempt(name):
            network = _random_network(name, tiny=kit.tiny)
            photos = _photos(kit.size(8, 2))
            expected = embed(network, photos, channels_last=True)
            network.to(kit.device)
            if kit.plant == "networks":
                with torch.no_grad():
                    next(network.parameters()).mul_(1.1)
            for order in (torch.contiguous_format, torch.channels_last):
                last = order == torch.channels_last
                found = embed(network.to(memory_format=order), photos.to(kit.device), channels_last=last)
                measured = distances(expected, found)
                measured["cosine"] = _lost_cosine(expected["embeddings"], found["embeddings"])
                about = "channels last" if last else "contiguous"
                report.proof(f"{name}, {about}", measured, EMBEDDINGS)


def _random_network(name: str, *, tiny: bool) -> Any:
    """Fixed random weights, and batch statistics that are not those of a fresh network."""
    torch.manual_seed(0)
    name, settings = TINY.get(name, (name, {})) if tiny else (name, {})
    network = build(name, **settings).eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def _photos(count: int) -> Tensor:
    """(count, 3, 112, 112) uint8 RGB of different people."""
    photos = SyntheticDataset(count, 1)
    return torch.from_numpy(np.stack([photos.image(number) for number in range(count)])).permute(0, 3, 1, 2)


@torch.no_grad()
def embed(network: Any, photos: Tensor, *, channels_last: bool) -> dict[str, Tensor]:
    """What the network makes of photos, on the CPU; they are given to it in that order of memory."""
    output = network(to_input(photos, network.preprocessing, channels_last=channels_last))
    return {"embeddings": output.embeddings.cpu(), "feature map": output.feature_map.cpu()}


def _lost_cosine(expected: Tensor, found: Tensor) -> float:
    return float(1 - torch.nn.functional.cosine_similarity(expected.double(), found.double()).min())


def prove_step(kit: Kit, report: Report) -> None:
    """One step of the trainer, with its data, loss, clipping and optimizer: how does it move the weights?"""
    exact_products()
    for name, loss, batch, rate in STEPS:
        about = f"a step of {name}, {loss}, sample rate {rate:g}"
        with report.attempt(about):
            settings = {
                "data.path": "synthetic:40:8",
                "data.workers": 0,
                "backbone.name": name,
                "loss.name": loss,
                "loss.sample_rate": rate,
                "run.batch_size": batch,
                "run.precision": "fp32",
                "schedule.warmup": 0.0,
            }
            expected = one_step(make_recipe(replace(kit, device="cpu"), settings))
            found = one_step(make_recipe(kit, settings), spoiled=kit.plant == "step")
            report.proof(about, _moves(expected, found), MOVED)


def one_step(recipe: Recipe, *, spoiled: bool = False) -> dict[str, Tensor]:
    """Make the first step of a run; its loss, the norm of its gradient, and what it adds to each weight."""
    with join_world(recipe.run.device) as world:
        run = prepare(recipe, world)
        exact_products()  # whatever preparing has chosen
        train_mode(run.model.backbone, run.recipe)
        weights = {f"backbone.{name}": value for name, value in run.model.backbone.named_parameters()}
        weights |= {f"loss.{name}": value for name, value in run.model.loss.named_parameters()}
        before = {name: value.detach().clone() for name, value in weights.items()}
        state = TrainingState()
        batch = next(run.data.loader.epoch(0))
        rate = run.learning_rate(0) * (1.1 if spoiled else 1.0)
        with drawn_on_the_cpu():
            _step(run, state, itertools.repeat(batch), 0, rate)
        means = state.means()
        moved = {
            f"weights {name}": (value.detach() - before[name]).double().cpu()
            for name, value in weights.items()
        }
    loss, norm = (torch.tensor(means[name], dtype=torch.float64) for name in ("loss", "grad_norm"))
    return {"loss": loss, "gradient norm": norm, **moved}


@contextlib.contextmanager
def drawn_on_the_cpu() -> Iterator[None]:
    """Draw the sample of classes on the CPU: the generators of two devices draw different ones."""
    plain = classifier.sample
    classifier.sample = lambda positive, *rest: plain(positive.cpu(), *rest).to(positive.device)
    try:
        yield
    finally:
        classifier.sample = plain


def _moves(expected: dict[str, Tensor], found: dict[str, Tensor]) -> dict[str, float]:
    """Loss and norm as parts of themselves; moves by their length, the largest difference of each part.

    A parameter that hardly moves (a thousandth of the largest move a number) is left to the sum of all: what
    moves it is little more than rounding.
    """
    measured = {
        key: float((found[key] - expected[key]).abs() / expected[key].abs()) for key in MOVED if key in found
    }
    moves = {key: value for key, value in expected.items() if key.startswith("weights")}
    apart = sum(float((found[key] - value).square().sum()) for key, value in moves.items())
    whole = sum(float(value.square().sum()) for value in moves.values())
    measured["all weights"] = (apart / whole) ** 0.5
    mean = {key: float(value.norm()) / value.numel() ** 0.5 for key, value in moves.items()}
    for key, value in moves.items():
        if mean[key] >= 1e-3 * max(mean.values()):
            measured[key] = float((found[key] - value).norm() / value.norm())
    return measured
