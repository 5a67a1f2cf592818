"""Fine-tuning starts its class weights where the network already puts each person."""

import numpy as np
import pytest
import torch

from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.errors import InputError, UsageError
from facerec_cli.training import checkpoint
from facerec_cli.training.class_means import class_means
from facerec_cli.training.devices import join_world
from facerec_cli.training.setup import prepare
from facerec_cli.training.train import begin, plan, train


@pytest.fixture(scope="module")
def before(tmp_path_factory, small):
    out = tmp_path_factory.mktemp("before")
    train(small(out, schedule__steps=4))
    return out / "last.pt"


def expected_means(network, dataset, rows):
    means = []
    for label in range(dataset.num_classes):
        photos = np.stack([dataset.image(i) for i in np.flatnonzero(dataset.labels == label)[rows]])
        found = torch.from_numpy(TorchEncoder(network, torch.device("cpu")).encode(photos[..., ::-1]))
        means.append(torch.nn.functional.normalize(found).mean(0))
    return torch.nn.functional.normalize(torch.stack(means))


def test_class_means_are_unit_means_of_photos_spread_over_those_there_are(before):
    network, _ = checkpoint.load_backbone(before)
    dataset = SyntheticDataset(5, 7)
    found = class_means(network, dataset, range(5), each=3)
    torch.testing.assert_close(found, expected_means(network, dataset, [0, 3, 6]))
    torch.testing.assert_close(class_means(network, dataset, range(2, 4), each=3), found[2:4])
    every = class_means(network, dataset, range(5), each=99)
    torch.testing.assert_close(every, expected_means(network, dataset, slice(None)))


@pytest.mark.parametrize("loss", ["arcface", "npt", "epl", "otface", "ddl"])
def test_every_loss_with_classes_starts_there_when_it_is_fine_tuned(loss, small, tmp_path, before):
    recipe = small(tmp_path / "run", loss__name=loss, backbone__init=str(before), schedule__steps=40)
    with join_world("cpu") as world:
        run = prepare(recipe, world)
        begin(run)
    assert run.recipe.loss.class_weights == "means"
    network, _ = checkpoint.load_backbone(before)
    means = class_means(network, run.data.dataset, range(run.data.dataset.num_classes), 4)
    weights = [
        value for name, value in run.model.loss.state_dict().items() if name.endswith("classifier.weight")
    ]
    assert len(weights) == 1
    torch.testing.assert_close(weights[0], means)
    if loss == "epl":
        torch.testing.assert_close(run.model.loss.prototypes, means)
        assert run.model.loss.seen.all()
        assert run.recipe.loss.settings["start_epoch"] == run.model.loss.start_epoch == 0


def test_a_term_that_would_never_start_is_told(small, tmp_path, before):
    def warnings(**settings):
        return [w for w in plan(small(tmp_path / "run", **settings)).warnings if "start_epoch" in w]

    epl = {"loss__name": "epl", "schedule__steps": 12}
    assert plan(small(tmp_path / "run", **epl)).steps_per_epoch < 12
    assert not warnings(**epl, loss__start_epoch=1)
    for late in ({}, {"backbone__init": str(before), "loss__start_epoch": 3}):
        (warning,) = warnings(**epl, **late)
        assert "epl takes no part: loss.start_epoch is 3" in warning
    assert not warnings(**epl, backbone__init=str(before))


def test_a_fresh_network_and_a_short_run_start_at_random_weights(small, tmp_path, before):
    assert plan(small(tmp_path / "fresh")).recipe.loss.class_weights == "random"
    short = plan(small(tmp_path / "short", backbone__init=str(before), schedule__steps=1))
    assert short.recipe.loss.class_weights == "random"


@pytest.mark.parametrize(
    ("settings", "message"),
    [({}, "--init"), ({"init": True, "backbone__embedding_size": 16}, "embedding size")],
)
def test_means_that_cannot_be_had_are_refused(settings, message, small, tmp_path, before):
    given = {"backbone__init": str(before)} if settings.pop("init", False) else {}
    with pytest.raises(UsageError, match=message):
        plan(small(tmp_path / "run", loss__class_weights="means", **given, **settings))


def test_a_stopped_run_goes_on_without_looking_at_the_photos_again(
    small, tmp_path, before, stop_at, monkeypatch
):
    def recipe(name):
        return small(tmp_path / name, backbone__init=str(before), schedule__steps=20, run__log_every=5)

    train(recipe("whole"))
    with pytest.raises(KeyboardInterrupt):
        train(recipe("parts"), observer=stop_at(10))
    monkeypatch.setattr("facerec_cli.training.train.start_classes", None)
    train(recipe("parts"), resume=True)
    whole, parts = (tmp_path / name / "metrics.jsonl" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_means_are_read_from_a_file_that_fits(small, tmp_path, before):
    path = tmp_path / "means.npy"

    def prepared():
        recipe = small(tmp_path / "run", backbone__init=str(before), loss__class_weights=str(path))
        with join_world("cpu") as world:
            run = prepare(recipe, world)
            begin(run)
            return run

    with pytest.raises(InputError, match="cannot be read"):
        prepared()
    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "run", backbone__init=str(before)), world)
        people, width = run.data.dataset.num_classes, run.model.loss.embedding_size
    means = np.random.default_rng(0).normal(size=(people, width)).astype(np.float32)
    np.save(path, means[:-1])
    with pytest.raises(InputError, match="not means of"):
        prepared()
    np.save(path, means)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(prepared().model.loss.classifier.weight.detach().numpy(), unit, rtol=1e-5)
