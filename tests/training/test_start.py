"""Weights to start from: SFace equals ONNX Runtime, insightface's files load, sizes may change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facerec_cli.backbones import build
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.settings import to_tables
from facerec_cli.training.checkpoint import describe_backbone, header, load_backbone, write
from facerec_cli.training.config import BackboneSettings, Recipe
from facerec_cli.training.start import freeze, make_backbone, open_start, train_mode
from facerec_cli.training.train import train


def test_sface_gives_onnx_runtimes_embeddings_on_real_crops(lfw):
    from facerec_cli.faces import open_model
    from facerec_cli.images import read_image

    model = open_model("sface", device="cpu", threads=1)
    photos = [read_image(path) for path in sorted((lfw / "images").glob("A*/*_0001.jpg"))[:6]]
    found = model.detect(photos)
    crops = np.stack([model.align(p, faces[0]) for p, faces in zip(photos, found, strict=True) if faces])
    assert len(crops) >= 4
    start = open_start(BackboneSettings(init="sface"), "mobilefacenet")
    backbone = make_backbone(start, start.embedding_size)
    ours = TorchEncoder(backbone, torch.device("cpu")).encode(crops)
    theirs = model.encode(crops)
    assert ours.shape == theirs.shape == (len(crops), 128)
    assert np.abs(ours - theirs).max() < 1e-4


def test_sface_preprocessing_is_what_its_manifest_says():
    from facerec_cli.packs.resolve import open_pack

    encoder = open_pack("sface").encoder
    ours = build("sface", 128).preprocessing
    assert (ours.mean, ours.std, ours.color, ours.size, ours.template) == (
        encoder.mean,
        encoder.std,
        encoder.color,
        encoder.input_size,
        encoder.template,
    )


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_insightfaces_backbone_pth_is_known_by_its_layers(tmp_path, prefix):
    torch.manual_seed(0)
    network = build("iresnet18", 64)
    torch.save({prefix + k: v for k, v in network.state_dict().items()}, tmp_path / "backbone.pth")
    start = open_start(BackboneSettings(init=str(tmp_path / "backbone.pth")), "mobilefacenet")
    assert (start.backbone, start.embedding_size) == ("iresnet18", 64)
    again = make_backbone(start, 64)
    assert torch.equal(again.fc.weight, network.fc.weight)


def test_another_embedding_size_gets_a_fresh_output_layer(tmp_path, caplog):
    start = open_start(BackboneSettings(init="sface"), "mobilefacenet")
    backbone = make_backbone(start, 64)
    assert backbone.pre_fc1.weight.shape[0] == 64
    assert torch.equal(backbone.body.conv_1.conv.weight, start.state["body.conv_1.conv.weight"])


def test_a_checkpoint_starts_a_run_with_another_number_of_classes(small, tmp_path):
    torch.manual_seed(0)
    network = build("mobilefacenet", 32, width=0.125)
    document = header("0.1") | {
        "backbone": describe_backbone("mobilefacenet", {"width": 0.125}, network),
        "loss": {"name": "arcface"},
        "recipe": to_tables(Recipe()),
        "data": {"name": "x", "classes": 99, "images": 1},
        "progress": {"epoch": 0, "step": 0, "metrics": {}},
    }
    write(tmp_path / "start.pt", document)
    with pytest.raises(UsageError, match=r"a checkpoint of facerec, and adaface: says .* Leave adaface: out"):
        open_start(BackboneSettings(init=f"adaface:{tmp_path / 'start.pt'}"), "mobilefacenet")
    recipe = small(
        tmp_path / "run", backbone__init=str(tmp_path / "start.pt"), schedule__steps=1, optimizer__lr=1e-9
    )
    train(recipe)
    again, info = load_backbone(tmp_path / "run")
    assert info.classes == 12
    assert info.settings == {"width": 0.125}
    assert torch.allclose(again.fc.weight, network.fc.weight, atol=1e-6)
    assert torch.equal(
        again.body[0][1].running_mean, network.body[0][1].running_mean
    )  # BN kept when fine-tuning


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"init": "sface", "name": "iresnet50"}, UsageError, "holds sface, not iresnet50"),
        ({"init": "sfase"}, ModelError, "sfase"),
        ({"init": "nowhere.pt"}, ModelError, "nowhere"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(settings, kind, message):
    with pytest.raises(kind, match=message):
        open_start(BackboneSettings(**settings), "mobilefacenet")


def test_onnx_and_foreign_weights_are_refused_with_what_works(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with pytest.raises(ModelError, match=r"no trainable network.*--init sface"):
        open_start(BackboneSettings(init=str(tmp_path / "model.onnx")), "mobilefacenet")
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="no improved residual network that is known here"):
        open_start(BackboneSettings(init=str(tmp_path / "other.pth")), "mobilefacenet")


def test_the_first_blocks_of_a_transformer_are_frozen_with_their_position_table(small, tmp_path):
    backbone = build("vit_t", 8)
    names = ("patches", "position", *(f"blocks.{number}" for number in range(11)))
    freeze(backbone, names)
    trained = {name.partition(".")[0] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {"blocks", "norm", "fc", "features"}
    before = small(tmp_path)
    train_mode(backbone, replace(before, backbone=replace(before.backbone, freeze=names)))
    assert not backbone.blocks[10].training and backbone.blocks[11].training
