"""Networks at batch 1,024, and losses with a million classes, on the meta device: shapes and types."""

from __future__ import annotations

import pytest
import torch

from facerec_cli import registry
from facerec_cli.backbones import build
from facerec_cli.losses import Loss, LossInput

BATCH, CLASSES, SIZE = 1024, 1_000_000, 512
MAPS = {
    **{f"iresnet{depth}": (512, 7, 7) for depth in (18, 34, 50, 100, 200)},
    **{name: (width, 7, 7) for name, width in (("vit_t", 192), ("vit_s", 384), ("vit_b", 768))},
    "mobilefacenet": (512, 7, 7),
    "sface": (1024, 7, 7),
}


def test_every_network_is_looked_at() -> None:
    assert MAPS.keys() == registry.BACKBONES.keys()


@pytest.mark.parametrize("name", MAPS)
def test_a_network_at_batch_1024(name: str) -> None:
    with torch.device("meta"):
        network = build(name, SIZE).train()
    output = network(torch.empty(BATCH, 3, 112, 112, device="meta"))
    assert output.embeddings.shape == (BATCH, SIZE)
    assert output.feature_map.shape == (BATCH, *MAPS[name])
    assert output.embeddings.dtype == output.feature_map.dtype == torch.float32
    output.embeddings.sum().backward()
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.is_meta and parameter.grad.shape == parameter.shape


@pytest.mark.parametrize("name", registry.LOSSES)
def test_a_loss_with_a_million_classes(name: str) -> None:
    """Forward and backward, through all logits: the class weights get a gradient of their shape."""
    with torch.device("meta"):
        loss: Loss = registry.load(registry.LOSSES, name, "loss")(CLASSES, SIZE)
    number = torch.arange(BATCH)  # labels stay on the CPU, as the loader gives them
    embeddings = torch.empty(BATCH, SIZE, device="meta", dtype=torch.float16, requires_grad=True)
    value, terms = loss(
        LossInput(
            embeddings,
            number,
            feature_map=torch.empty(BATCH, 64, 7, 7, device="meta", requires_grad=True),
            branch=number % 2,
            pair=torch.where(number < BATCH // 2, -1, number // 2),
            target=torch.empty(BATCH, SIZE, device="meta"),
            epoch=9,
        )
    )
    assert value.shape == () and value.dtype == torch.float32 and value.is_meta
    assert all(term.shape == () for term in terms.values())
    value.backward()
    assert embeddings.grad is not None
    assert embeddings.grad.shape == (BATCH, SIZE) and embeddings.grad.dtype == torch.float16
    assert sum(len(p) for p in loss.parameters() if p.ndim == 2) == (CLASSES if loss.local_classes() else 0)
    for parameter in loss.parameters():
        assert parameter.grad is not None and parameter.grad.shape == parameter.shape
