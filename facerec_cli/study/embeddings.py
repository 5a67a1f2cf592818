"""Embeddings of a study's crops, and how well they tell people apart under each condition."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.study.conditions import apply
from facerec_cli.study.crops import read_crops
from facerec_cli.study.prepare import Materials, Photos
from facerec_cli.study.subsets import conditions_of, make_pairs, score_subset
from facerec_cli.training.config import Recipe

if TYPE_CHECKING:
    import torch

    from facerec_cli.backbones import Backbone

_SMALL, _MANY = 300_000, 64  # parameters of a network that takes so many crops at a time faster than a few
PAIRS = "pairs"  # key of the embeddings of the pair list's photos, clean

Rows = NDArray[np.float32]


class SubsetEvaluator:
    """Evaluates networks on some photos under some conditions: subset -> TAR.

    Args:
        crops: Folder of the crops.
        photos: Which of them.
        subsets: What is compared.
        device: Where the networks run.
    """

    def __init__(self, crops: Path, photos: Photos, subsets: Sequence[str], device: torch.device) -> None:
        images = read_crops(crops, photos.paths)
        people = np.array(photos.people)
        self.device = device
        self.images = {name: apply(name, images, photos.paths) for name in conditions_of(subsets)}
        self.pairs = {name: make_pairs(name, people, images, 0.2) for name in subsets}

    def __call__(self, network: Backbone) -> dict[str, float]:
        """TAR of each subset at :func:`far_for` its pairs."""
        rows = {name: embed_crops(network, self.device, images) for name, images in self.images.items()}
        return {name: _tar(name, pairs, rows) for name, pairs in self.pairs.items()}


def far_for(pairs: PairList) -> float:
    """The lowest FAR of 1e-3, 1e-2 and 1e-1 that accepts ten different pairs."""
    return next((far for far in (1e-3, 1e-2) if far * pairs.impostors >= 10), 1e-1)


def embed_photos(network: Backbone, device: torch.device, materials: Materials) -> dict[str, Rows]:
    """Unit rows of the judged photos under each condition, and of the pair list's photos."""
    photos = materials.judged
    crops = read_crops(materials.crops, photos.paths)
    embeddings = {
        name: embed_crops(network, device, apply(name, crops, photos.paths))
        for name in conditions_of(materials.subsets)
    }
    if materials.pairs:
        known = {path: row for row, path in enumerate(photos.paths)}
        others = [path for path in materials.pairs if path not in known]
        rows = dict(
            zip(others, embed_crops(network, device, read_crops(materials.crops, others)), strict=True)
        )
        both = [embeddings["clean"][known[path]] if path in known else rows[path] for path in materials.pairs]
        embeddings[PAIRS] = np.stack(both)
    return embeddings


def embed_speed(recipe: Recipe, materials: Materials) -> float:
    """Crops a second of the network that a recipe starts from, measured on a few."""
    network, device = first_network(recipe), device_of(recipe)
    crops = read_crops(materials.crops, materials.judged.paths[:32])
    embed_crops(network, device, crops)
    began = time.monotonic()
    embed_crops(network, device, crops)
    return len(crops) / (time.monotonic() - began)


def embed_crops(network: Backbone, device: torch.device, crops: NDArray[np.uint8]) -> Rows:
    """(N, D) unit embeddings of (N, H, W, 3) uint8 RGB crops."""
    from facerec_cli.backbones.encoder import TorchEncoder

    small = sum(parameter.numel() for parameter in network.parameters()) < _SMALL
    encoder = TorchEncoder(network.to(device), device, normalize=True, batch_size=_MANY if small else None)
    return encoder.encode(crops[..., ::-1])


def first_network(recipe: Recipe) -> Backbone:
    """The network that the arms start from."""
    import torch

    from facerec_cli.training.start import make_backbone, open_start

    start = open_start(recipe.backbone, recipe.backbone.name or "mobilefacenet")
    return make_backbone(start, start.embedding_size).eval().to(memory_format=torch.channels_last)


def device_of(recipe: Recipe) -> torch.device:
    """The device of a recipe."""
    from facerec_cli.training.devices import choose_device

    return choose_device(recipe.run.device)


def _tar(subset: str, pairs: PairList, rows: Mapping[str, Rows]) -> float:
    point = evaluate(score_subset(subset, pairs, rows), pairs.same, fars=(far_for(pairs),)).tar_at_far[0]
    return point.tar or 0.0
