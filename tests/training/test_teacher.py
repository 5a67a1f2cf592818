"""A teacher of another architecture: a checkpoint, a pack, an ONNX file; what it sees, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces import FaceModel
from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import EncoderSpec
from facerec_cli.packs.resolve import open_pack
from facerec_cli.training import checkpoint, setup, teacher
from facerec_cli.training.devices import join_world
from facerec_cli.training.setup import prepare
from facerec_cli.training.teacher import PackTeacher
from facerec_cli.training.train import plan, train
from tests.tiny_models import encoder_file

ADAM = {"optimizer__name": "adamw", "optimizer__lr": 0.01, "optimizer__clip": 0.0}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def other(tmp_path_factory, small):
    """A trained network of another width, with embeddings of 48 numbers."""
    out = tmp_path_factory.mktemp("other")
    train(small(out, schedule__steps=1, backbone__width=0.25, backbone__embedding_size=48))
    return out / "last.pt"


@pytest.fixture
def taught(small, tmp_path):
    def make(name="run", **settings):
        given = {"loss__name": "distill", "backbone__embedding_size": None, "run__log_every": 1, **settings}
        return small(tmp_path / name, **given)

    return make


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_fresh_student_learns_the_embeddings_of_another_network(taught, other, tmp_path):
    outcome = train(taught(backbone__teacher=str(other), schedule__steps=24, **ADAM))
    found = losses(tmp_path / "run")
    assert np.mean(found[-4:]) < 0.9 * np.mean(found[:4])
    backbone, info = checkpoint.load_backbone(outcome.checkpoint)
    assert backbone.embedding_size == 48 and info.backbone == "mobilefacenet"
    assert info.recipe["data"]["degraded"] == 0.0  # clean photos have something to teach
    assert checkpoint.read(tmp_path / "run" / "last.pt")["teacher"]


def test_a_pack_is_a_teacher_with_its_own_preprocessing(taught, tmp_path):
    with join_world("cpu") as world:
        run = prepare(taught(backbone__teacher="sface"), world)
        batch = next(run.data.loader.epoch(0))
        target = run.model.target(batch.clean)
        assert run.model.backbone.embedding_size == 128
    crops = batch.clean.permute(0, 2, 3, 1).numpy()[..., ::-1]
    expected = FaceModel(open_pack("sface"), device="cpu").encode(np.ascontiguousarray(crops))
    cosine = torch.cosine_similarity(target, torch.from_numpy(np.asarray(expected)))
    assert cosine.min() > 0.99999


def test_a_teacher_may_stand_beside_another_loss(taught, tmp_path):
    term = {"loss__name": "arcface", "loss__distill": 3.0, "schedule__steps": 2}
    train(taught(backbone__teacher="sface", **term))
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert 0.1 < first["distill"] < 2 and first["loss"] > 3 * first["distill"]


def test_a_run_goes_on_with_the_same_teacher_only(taught, other, tmp_path, stop_at):
    moved = tmp_path / "moved.pt"
    moved.write_bytes(other.read_bytes())
    train(taught("whole", backbone__teacher=str(other), schedule__steps=4))
    with pytest.raises(KeyboardInterrupt):
        train(taught("parts", backbone__teacher=str(other), schedule__steps=4), observer=stop_at(2))
    with pytest.raises(ModelError, match=r"teacher's file .sha256. was"):
        changed = checkpoint.read_tensors(other) | {"facerec": "another"}
        checkpoint.write(tmp_path / "else.pt", changed)
        train(taught("parts", backbone__teacher=str(tmp_path / "else.pt"), schedule__steps=4), resume=True)
    train(taught("parts", backbone__teacher=str(moved), schedule__steps=4), resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        (
            {"backbone__embedding_size": 32},
            UsageError,
            r"teacher of another size.* 128 .*--embedding-size is 32",
        ),
        ({"loss__name": "arcface"}, UsageError, "Nothing of this run learns from --teacher"),
        ({"data__hard": ["synthetic:12:6"]}, UsageError, "--hard-data"),
        ({"backbone__teacher": "no-such-model"}, ModelError, "no-such-model"),
        ({"backbone__teacher": "missing.onnx"}, ModelError, "missing.onnx"),
    ],
)
def test_what_cannot_teach_is_refused_before_the_data_is_opened(
    taught, tmp_path, monkeypatch, settings, kind, said
):
    def opened(recipe):
        raise AssertionError("large data would have been opened for nothing")

    monkeypatch.setattr(setup, "open_data", opened)
    with pytest.raises(kind, match=said):
        plan(taught(**{"backbone__teacher": "sface", **settings}))
    assert not (tmp_path / "run").exists()


def test_a_start_of_another_size_is_refused_too(taught, other):
    recipe = taught(backbone__teacher="sface", backbone__init=str(other))
    recipe = replace(recipe, backbone=replace(recipe.backbone, name=None, settings={}))
    with pytest.raises(UsageError, match=r"--teacher sface .* 128 numbers, and --init .*last\.pt gives 48"):
        plan(recipe)
    outcome = plan(replace(recipe, backbone=replace(recipe.backbone, embedding_size=128)))
    assert outcome.recipe.backbone.embedding_size == 128 and outcome.memory["teacher"] > 1e6


def test_an_onnx_file_that_says_nothing_of_itself_is_refused(taught, tmp_path):
    path = encoder_file(tmp_path / "bare.onnx", dimension=16)
    with pytest.raises(ModelError) as fault:
        plan(taught(backbone__teacher=str(path)))
    assert "color" in f"{fault.value} {fault.value.hint}"


def test_crops_are_cut_as_the_manifest_says_or_refused(tmp_path):
    pack = open_pack("sface")
    for size, template in (((128, 128), "arcface"), ((224, 224), "arcface"), ((112, 112), "mtcnn")):
        spec = replace(pack.encoder, input_size=size, template=template)
        with pytest.raises(
            ModelError, match=rf"wants crops of {size[0]} x {size[1]} pixels by the template '{template}'"
        ):
            PackTeacher(spec, pack.encoder_path, "other", CPU)


def test_a_teacher_runs_on_the_gpu_of_its_process(monkeypatch):
    asked = []

    class Encoder:
        def __init__(self, spec, path, *, device, threads, gpu):
            asked.append((device, threads, gpu))
            self.network = SimpleNamespace(device="cuda")

    monkeypatch.setattr(teacher, "OnnxEncoder", Encoder)
    pack = open_pack("sface")
    for place in ("cuda:3", "cuda"):
        PackTeacher(pack.encoder, pack.encoder_path, "sface", torch.device(place))
    assert asked == [("auto", None, 3), ("auto", None, 0)]


def test_a_teacher_of_96_columns_sees_the_middle_ones(tmp_path):
    path = encoder_file(tmp_path / "narrow.onnx", size=None, dimension=16)
    plain = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "input_size": (96, 112)}
    spec = EncoderSpec(path.name, sha256_of(path), 16, **plain)
    narrow = PackTeacher(spec, path, "narrow", CPU)
    crops = np.zeros((2, 3, 112, 112), np.uint8)
    crops[:, :, :, :8] = crops[:, :, :, 104:] = 255  # which the network never sees
    crops[1, 0] += 100
    found = narrow.embed(torch.from_numpy(crops), torch.float32)
    assert found.shape == (2, spec.embedding_size) and found[0].abs().max() == 0
    assert found[1].abs().max() > 0
