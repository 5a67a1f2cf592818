"""What every backbone of ``registry.BACKBONES`` promises; a new one is tested by being in the registry."""

from __future__ import annotations

import inspect
import io

import pytest
import torch

from facerec_cli.backbones import Backbone, build
from facerec_cli.errors import UsageError
from facerec_cli.registry import BACKBONES, load

D = 32
HEAVY = 20_000_000  # parameters from which gradients would take long


def shapes_only(name: str, embedding_size: int = D) -> Backbone:
    with torch.device("meta"):
        return build(name, embedding_size)


LIGHT = [name for name in BACKBONES if sum(p.numel() for p in shapes_only(name).parameters()) < HEAVY]


def crops(count: int) -> torch.Tensor:
    """(count, 3, 112, 112), other than preprocessing would give, but of its order."""
    return torch.rand(count, 3, 112, 112, generator=torch.Generator().manual_seed(count)) * 2 - 1


def test_every_architecture_has_one_whose_gradients_are_tested() -> None:
    modules = {BACKBONES[name].partition(":")[0] for name in LIGHT}
    assert modules == {place.partition(":")[0] for place in BACKBONES.values()}


@pytest.mark.parametrize("name", BACKBONES)
def test_settings_have_defaults(name: str) -> None:
    parameters = inspect.signature(load(BACKBONES, name, "backbone")).parameters
    assert next(iter(parameters)) == "embedding_size"
    assert all(p.default is not p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values())


@pytest.mark.parametrize("name", BACKBONES)
def test_gives_embeddings_and_a_7_by_7_map(name: str) -> None:
    backbone = build(name, D).eval()
    assert backbone.embedding_size == D
    with torch.no_grad():
        embeddings, feature_map = backbone(crops(1))
    assert embeddings.shape == (1, D)
    assert embeddings.dtype == torch.float32
    assert feature_map.shape[0] == 1 and feature_map.shape[2:] == (7, 7)
    assert (backbone.preprocessing.size, backbone.preprocessing.color) == ((112, 112), "rgb")


@pytest.mark.parametrize("name", BACKBONES)
def test_output_layers_are_all_that_depends_on_the_embedding_size(name: str) -> None:
    small, large = shapes_only(name).state_dict(), shapes_only(name, 2 * D)
    depends = {k.rpartition(".")[0] for k, v in large.state_dict().items() if v.shape != small[k].shape}
    assert depends == set(large.output_layers())


@pytest.mark.parametrize("name", BACKBONES)
def test_names_of_the_state_are_those_of_a_bare_network(name: str) -> None:
    """As a wrapper's prefix would be taken off when a checkpoint is read."""
    tops = {key.split(".")[0] for key in shapes_only(name).state_dict()}
    assert not tops & {"module", "model", "net", "backbone", "head", "loss", "classifier", "_orig_mod"}


@pytest.mark.parametrize("name", LIGHT)
def test_finite_gradients_reach_every_parameter_from_either_output(name: str) -> None:
    torch.manual_seed(0)
    backbone = build(name, D)
    images = crops(3)
    before = images.clone()
    embeddings, feature_map = backbone(images)
    assert torch.equal(images, before)
    # The map feeds the embedding: a loss on either reaches the first layer.
    first = next(p for p in backbone.parameters() if p.requires_grad)
    (from_map,) = torch.autograd.grad(feature_map.square().sum(), first, retain_graph=True)
    assert from_map.isfinite().all() and from_map.abs().max() > 0
    embeddings.square().sum().backward()
    for key, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", LIGHT)
def test_an_embedding_depends_on_its_own_photo_only_when_evaluated(name: str) -> None:
    torch.manual_seed(0)
    backbone = build(name, D)
    with torch.no_grad():
        backbone(crops(4))  # statistics move in training, not below
        backbone.eval()
        state = {key: value.clone() for key, value in backbone.state_dict().items()}
        whole, _ = backbone(crops(4))
        alone, _ = backbone(crops(4)[2:3])
        assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())
    torch.testing.assert_close(alone[0], whole[2], rtol=1e-4, atol=1e-4 * float(whole.abs().max()))
    assert not torch.allclose(whole[0], whole[1])


@pytest.mark.parametrize("name", LIGHT)
def test_a_saved_state_gives_the_same_embeddings(name: str) -> None:
    backbone, again = build(name, D).eval(), build(name, D).eval()
    file = io.BytesIO()
    torch.save(backbone.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(backbone(crops(1)).embeddings, again(crops(1)).embeddings)


@pytest.mark.parametrize("name", LIGHT)
def test_embeddings_stay_float32_under_autocast(name: str) -> None:
    backbone = build(name, D).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert backbone(crops(1)).embeddings.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "millions"),  # at D = 512; iresnets' as published with arcface_torch
    [
        ("iresnet18", 24.03), ("iresnet34", 34.14), ("iresnet50", 43.59), ("iresnet100", 65.16),
        ("iresnet200", 118.8), ("mobilefacenet", 1.20), ("sface", 28.91), ("vit_t", 10.23), ("vit_s", 31.08),
        ("vit_b", 104.62),
    ],
)  # fmt: skip
def test_has_the_known_number_of_parameters(name: str, millions: float) -> None:
    count = sum(p.numel() for p in shapes_only(name, 512).parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.3 if name == "iresnet200" else 0.006)


def test_mobilefacenet_width_scales_its_channels() -> None:
    backbone = build("mobilefacenet", 16, width=0.125)
    assert backbone(crops(2)).feature_map.shape == (2, 64, 7, 7)


@pytest.mark.parametrize("halvings", [1, 2])
def test_mobilefacenet_halves_its_input_and_keeps_its_map(halvings: int) -> None:
    """The network sees means of 2 x 2 or 4 x 4 pixels: not what differs within them, but larger things."""
    torch.manual_seed(0)
    backbone = build("mobilefacenet", 16, width=0.125, halvings=halvings).eval()
    with torch.no_grad():
        sides = (1, 2**halvings, 2 ** (halvings + 1))
        seen, same, other = (backbone(coarse(crops(2), side)) for side in sides)
    assert seen.feature_map.shape == (2, 64, 7, 7)
    assert torch.allclose(seen.embeddings, same.embeddings, atol=1e-5)
    assert not torch.allclose(seen.embeddings, other.embeddings, atol=1e-3)


def coarse(images: torch.Tensor, side: int) -> torch.Tensor:
    """Every square of ``side`` pixels filled with its mean."""
    means = torch.nn.functional.avg_pool2d(images, side)
    return means.repeat_interleave(side, 2).repeat_interleave(side, 3)


def test_mobilefacenet_depth_scales_its_repeats() -> None:
    blocks = {depth: len(build("mobilefacenet", 16, width=0.125, depth=depth).body) for depth in (0.5, 1, 2)}
    assert blocks == {0.5: 3 + 2 + 1 + 3 + 1 + 1, 1: 3 + 5 + 1 + 6 + 1 + 2, 2: 3 + 10 + 2 + 12 + 2 + 4}


def test_unknown_backbone_and_setting_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'iresnet50'"):
        build("iresnet5", 512)
    with pytest.raises(UsageError, match="Did you mean 'width'"):
        build("mobilefacenet", 512, widht=2)
    with pytest.raises(UsageError, match=r"^backbone.width = -1 does not fit\. .* above 0 and at most 8"):
        build("mobilefacenet", 512, width=-1)
