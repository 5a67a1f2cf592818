"""Distillation: the network of --init, frozen, tells what a photo made hard should look like."""

import json

import pytest
import torch

from facerec_cli.backbones.encoder import to_input
from facerec_cli.data.loading.batches import Batch
from facerec_cli.errors import UsageError
from facerec_cli.losses.base import LossInput
from facerec_cli.losses.distill import Distill
from facerec_cli.training import checkpoint
from facerec_cli.training.devices import join_world
from facerec_cli.training.run import hard_left_out
from facerec_cli.training.setup import prepare
from facerec_cli.training.train import plan, train


@pytest.fixture(scope="module")
def before(tmp_path_factory, small):
    out = tmp_path_factory.mktemp("before")
    train(small(out, schedule__steps=4))
    return out / "last.pt"


@pytest.fixture
def distil(small, tmp_path, before):
    def make(name="run", **settings):
        given = {"loss__name": "distill", "backbone__init": str(before), "run__log_every": 1, **settings}
        return small(tmp_path / name, **given)

    return make


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_photos_that_stay_clean_have_nothing_to_learn(distil, tmp_path):
    train(distil(data__degraded=0.0, schedule__steps=1, optimizer__lr=1e-9))
    assert losses(tmp_path / "run") == pytest.approx([0.0], abs=1e-6)


def test_photos_made_hard_are_pulled_to_their_clean_selves(distil, tmp_path):
    train(distil(data__degraded=1.0, schedule__steps=40, optimizer__lr=0.1, run__log_every=4))
    found = losses(tmp_path / "run")
    assert found[0] > 0.001
    assert sum(found[5:]) / 5 < 0.9 * found[0]  # one record alone depends on its photos


def test_the_teacher_is_the_network_of_init_and_never_moves(distil, tmp_path, before):
    with join_world("cpu") as world:
        run = prepare(distil(), world)
        batch = next(run.data.loader.epoch(0))
        target = run.model.target(batch.clean)
    original, _ = checkpoint.load_backbone(before)
    with torch.no_grad():
        expected = original.eval()(to_input(batch.clean, original.preprocessing)).embeddings
    torch.testing.assert_close(target, expected)
    assert not any(p.requires_grad for p in run.model.teacher.backbone.parameters())
    assert not torch.equal(batch.images, batch.clean)
    trained = {id(p) for p in run.optimization.parameters.values()}
    assert not any(id(p) in trained for p in run.model.teacher.backbone.parameters())


def test_the_term_may_be_about_the_clean_photos_alone(distil, tmp_path):
    """Those made hard give it nothing and get nothing from it; the share of the others counts."""
    given = {"loss__name": "arcface", "loss__distill": 5.0, "optimizer__lr": 0.1, "data__degraded": 1.0}
    terms = {}
    for name, hard in (("kept", False), ("pulled", True)):
        train(distil(name, loss__distill_hard=hard, **given))
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        terms[name] = [json.loads(line)["distill"] for line in lines]
    assert terms["kept"] == pytest.approx([0.0] * len(terms["kept"]), abs=1e-6)
    assert min(terms["pulled"]) > 0.001
    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    clean = images.clone()
    clean[1] += 1
    batch = Batch(images, torch.arange(3), None, None, torch.arange(3), [], clean)
    embeddings = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    loss, _ = Distill(3, 4)(hard_left_out(LossInput(embeddings, batch.labels, target=target), batch))
    expected = (1 - torch.cosine_similarity(embeddings, target))[[0, 2]].sum() / 3
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    loss.backward()
    assert embeddings.grad[1].abs().max() < 1e-6 < embeddings.grad[[0, 2]].abs().max()


def test_the_estimate_of_memory_counts_the_teacher(distil, tmp_path, before):
    found = plan(distil()).memory
    network, _ = checkpoint.load_backbone(before)
    assert found["teacher"] == sum(t.nbytes for t in network.state_dict().values())
    assert "teacher" not in plan(distil("plain", loss__name="arcface")).memory


def test_a_stopped_distillation_goes_on_bit_for_bit(distil, tmp_path, stop_at):
    train(distil("whole"))
    with pytest.raises(KeyboardInterrupt):
        train(distil("parts"), observer=stop_at(3))
    train(distil("parts"), resume=True)
    assert (tmp_path / "parts" / "metrics.jsonl").read_bytes() == (
        tmp_path / "whole" / "metrics.jsonl"
    ).read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone__init": ""}, "--init sface"),
        ({"backbone__embedding_size": 16}, "keeps the embedding size"),
        ({"data__hard": ["synthetic:12:6"]}, "--hard-data"),
        ({"data__degradations": []}, r"data\.degradations"),
        ({"data__degradations": ["lowress"]}, "lowres"),
        ({"data__degraded": 1.5}, r"data\.degraded"),
    ],
)
def test_what_cannot_be_distilled_is_refused(distil, settings, message):
    with pytest.raises(UsageError, match=message):
        plan(distil(**settings))


def test_a_distill_term_beside_another_loss_has_its_weight(distil, tmp_path):
    """Of each branch, also those that DDL makes itself."""
    for name, loss in (("arcface", "arcface"), ("ddl", "ddl")):
        given = {"loss__name": loss, "data__degraded": 1.0, "loss__distill": 2.0, "schedule__steps": 1}
        train(distil(name, **given))
        first = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])
        train(distil(f"{name}-alone", **given | {"loss__distill": 0.0}))
        alone = json.loads((tmp_path / f"{name}-alone" / "metrics.jsonl").read_text().splitlines()[0])
        assert first["distill"] > 1e-4
        assert first["loss"] == pytest.approx(alone["loss"] + 2 * first["distill"], rel=1e-5)
        assert "distill" not in alone
