"""Blocks that are computed twice: the same numbers, less memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from facerec_cli.backbones import Backbone, BackboneOutput, build
from facerec_cli.errors import UsageError
from facerec_cli.training.advice import _activations

NETWORKS = {
    "iresnet18": {"dropout": 0.3},
    "vit_t": {"drop_path": 0.3},
    "mobilefacenet": {"width": 0.125},
    "sface": {},
}


def step(network: Backbone, images: torch.Tensor, seed: int) -> tuple[torch.Tensor, float]:
    """Forward and backward; the embeddings, and the number that torch would draw next."""
    network.zero_grad()
    torch.manual_seed(seed)
    embeddings, feature_map = network(images)
    (embeddings.square().sum() + feature_map.sum()).backward()
    return embeddings.detach(), torch.rand(1).item()


def pair_of(name: str) -> tuple[Backbone, Backbone]:
    torch.manual_seed(0)
    plain = build(name, 16, **NETWORKS[name]).train()
    twice = copy.deepcopy(plain)
    twice.compute_twice()
    return plain, twice


@pytest.mark.parametrize("name", NETWORKS)
def test_no_number_changes(name: str) -> None:
    plain, twice = pair_of(name)
    images = torch.randn(3, 3, 112, 112)
    for seed in (1, 2):  # the second step has the statistics that the first one left
        (expected, following), (found, next_one) = step(plain, images, seed), step(twice, images, seed)
        assert torch.equal(found, expected) and next_one == following
    for (key, p), q in zip(plain.named_parameters(), twice.parameters(), strict=True):
        assert (p.grad is None and q.grad is None) or torch.equal(p.grad, q.grad), key  # type: ignore[arg-type]
    for key, value in plain.state_dict().items():
        assert torch.equal(twice.state_dict()[key], value), key
    if name != "vit_t":
        counted = [v for k, v in twice.state_dict().items() if k.endswith("num_batches_tracked")]
        assert counted and all(int(count) == 2 for count in counted)


def test_frozen_statistics_stay_frozen() -> None:
    plain, twice = pair_of("mobilefacenet")
    images = torch.randn(2, 3, 112, 112)
    for network in (plain, twice):
        network.body[0].requires_grad_(False).eval()  # type: ignore[index, union-attr, operator]
        step(network, images, 1)
    assert int(twice.body[0][1].num_batches_tracked) == 0  # type: ignore[index]
    assert int(twice.body[1][1].num_batches_tracked) == 1  # type: ignore[index]
    for p, q in zip(plain.parameters(), twice.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        assert p.grad is None or torch.equal(p.grad, q.grad)


def kept(network: Backbone, images: torch.Tensor) -> int:
    """Values that the way back holds on to after a forward, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    seen: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            seen[place] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(images)
    return sum(seen.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_less_is_kept_and_the_estimate_knows_it(name: str) -> None:
    plain, twice = pair_of(name)
    images = torch.randn(2, 3, 112, 112)
    assert kept(twice, images) < 0.5 * kept(plain, images)
    assert _activations(twice) < 0.6 * _activations(plain)


def test_nothing_is_computed_twice_without_a_way_back() -> None:
    _, twice = pair_of("mobilefacenet")
    calls: list[int] = []  # the second time ends as soon as all is there that is needed
    twice.body[3].register_forward_pre_hook(lambda *_: calls.append(1))  # type: ignore[index, union-attr, operator]
    step(twice, torch.randn(2, 3, 112, 112), 1)
    assert len(calls) == 2
    twice.eval()
    with torch.no_grad():
        twice(torch.randn(2, 3, 112, 112))
    assert len(calls) == 3


def test_a_network_without_parts_says_so() -> None:
    class Whole(Backbone):
        def __init__(self) -> None:
            super().__init__(4)
            self.fc = nn.Linear(3, 4)

        def forward(self, images: torch.Tensor) -> BackboneOutput:
            return BackboneOutput(self.fc(images.mean((2, 3))), images)

    with pytest.raises(UsageError, match="no parts that can be computed twice"):
        Whole().compute_twice()
