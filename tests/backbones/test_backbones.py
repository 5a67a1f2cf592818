"""One contract over everything that ``registry.BACKBONES`` holds."""

import pytest
import torch

from facerec_cli.backbones import build
from facerec_cli.errors import UsageError
from facerec_cli.registry import BACKBONES

LIGHT = ["mobilefacenet", "iresnet18", "vit_t", "sface"]
PARAMETERS = {  # millions at D = 512; iresnets' as published with arcface_torch
    "iresnet18": 24.03, "iresnet34": 34.14, "iresnet50": 43.59, "iresnet100": 65.16, "iresnet200": 118.8,
    "mobilefacenet": 1.20, "sface": 28.91, "vit_t": 10.23, "vit_s": 31.08, "vit_b": 104.62,
}  # fmt: skip


@pytest.mark.parametrize("name", BACKBONES)
def test_has_the_known_number_of_parameters(name):
    with torch.device("meta"):
        backbone = build(name, 512)
    millions = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert millions == pytest.approx(PARAMETERS[name], abs=0.3 if name == "iresnet200" else 0.006)


@pytest.mark.parametrize("name", LIGHT)
def test_gives_embeddings_and_a_7_by_7_map_with_gradient_into_every_parameter(name):
    torch.manual_seed(0)
    backbone = build(name, 64)
    embeddings, feature_map = backbone(torch.rand(3, 3, 112, 112) * 2 - 1)
    assert embeddings.shape == (3, 64)
    assert embeddings.dtype == torch.float32
    assert feature_map.shape[0] == 3
    assert feature_map.shape[2:] == (7, 7)
    # The map feeds the embedding: a loss on either reaches the first layer.
    (embeddings.square().sum() + feature_map.square().sum()).backward()
    lacking = [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None]
    assert lacking == []


@pytest.mark.parametrize("name", LIGHT)
def test_embeddings_stay_float32_under_autocast(name):
    backbone = build(name, 32).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert backbone(torch.rand(1, 3, 112, 112)).embeddings.dtype == torch.float32


@pytest.mark.parametrize("name", LIGHT)
def test_output_layers_are_all_that_depends_on_the_embedding_size(name):
    with torch.device("meta"):
        small, large = build(name, 32).state_dict(), build(name, 64)
    differ = {
        key.rpartition(".")[0] for key, value in large.state_dict().items() if value.shape != small[key].shape
    }
    assert differ == set(large.output_layers())


def test_mobilefacenet_width_scales_its_channels():
    assert build("mobilefacenet", 16, width=0.125)(torch.rand(2, 3, 112, 112)).feature_map.shape == (
        2,
        64,
        7,
        7,
    )


def test_unknown_backbone_and_setting_are_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'iresnet50'"):
        build("iresnet5", 512)
    with pytest.raises(UsageError, match="Did you mean 'width'"):
        build("mobilefacenet", 512, widht=2)
    with pytest.raises(UsageError, match="width must be"):
        build("mobilefacenet", 512, width=-1)
