"""Runs on several data sets: class counts, class means, going on, and what is refused before training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.training.compose import compose, default_folder
from facerec_cli.training.devices import join_world
from facerec_cli.training.setup import prepare
from facerec_cli.training.train import plan, train

TWO = {"data__path": ["synthetic:8:3", "synthetic:5:4"], "data__weights": [1, 2]}


def test_classes_of_all_sets_are_learned_and_a_stopped_run_goes_on(small, tmp_path, stop_at):
    settings = {**TWO, "run__log_every": 1, "schedule__steps": 6}
    train(small(tmp_path / "whole", **settings))
    with pytest.raises(KeyboardInterrupt):
        train(small(tmp_path / "parts", **settings), observer=stop_at(2))
    outcome = train(small(tmp_path / "parts", **settings), resume=True)
    whole, parts = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "parts"))
    assert outcome.steps == 6 and whole == parts
    assert (
        'path = [\n    "synthetic:8:3",\n    "synthetic:5:4",\n]'
        in (tmp_path / "whole/recipe.toml").read_text()
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data__path": ["synthetic:5:4", "synthetic:8:3"]}, r"people of the photos"),
        (
            {"data__path": ["synthetic:8:4", "synthetic:5:4"]},
            r"the data was synthetic:8:3 \+ synthetic:5:4 and is synthetic:8:4 \+ synthetic:5:4",
        ),
        ({"data__weights": [1, 3]}, r"data\.weights was \[1\.0, 2\.0\] and is \[1\.0, 3\.0\]"),
        ({"data__labels": ["shared"]}, r"classes in the data was 13 and is 8"),
    ],
)
def test_a_run_goes_on_with_the_same_sets_only(small, tmp_path, changed, said):
    settings = {**TWO, "schedule__steps": 1}
    train(small(tmp_path / "run", **settings))
    with pytest.raises(ModelError, match=said):
        train(small(tmp_path / "run", **{**settings, **changed}), resume=True)


def test_class_weights_of_both_sets_start_at_means(small, tmp_path):
    train(small(tmp_path / "first", schedule__steps=2))
    given = {"backbone__init": str(tmp_path / "first"), "loss__class_weights": "means"}
    outcome = train(small(tmp_path / "run", **TWO, **given, schedule__steps=1))
    assert outcome.steps == 1
    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "again", **TWO, **given), world)
        assert run.model.loss.num_classes == 13 == run.data.dataset.num_classes
        labels = np.concatenate([b.labels for b in run.data.loader.epoch(0)])
    assert labels.max() > 7


def test_what_does_not_fit_is_refused_before_training(small, tmp_path):
    cases = [
        ({"data__weights": [0, 0]}, UsageError, "weight 0"),
        ({"data__weights": [1]}, UsageError, "1 thing of 2 data sets"),
        ({"data__weights": [1, -0.5]}, UsageError, r"--data-weight -0\.5 of synthetic:\S+ does not fit"),
        ({"data__path": [str(tmp_path), f"{tmp_path}/"], "data__weights": []}, UsageError, "named twice"),
        ({"data__path": ["synthetic:8:3", str(tmp_path)], "data__labels": ["shared"]}, InputError, "photo"),
        ({"data__path": [""], "data__weights": []}, UsageError, "each text that is not empty"),
    ]
    for settings, kind, said in cases:
        with pytest.raises(kind, match=said):
            plan(small(tmp_path / "run", **{**TWO, **settings}))
    assert not (tmp_path / "run").exists()


def test_recipes_may_name_one_set_or_several(tmp_path):
    one, two = compose(flags={"data.path": ["x/crops.txt"]}), tmp_path / "two.toml"
    assert one.run.out == "runs/arcface-crops" == default_folder(compose(flags={"data.path": "x/crops"}))
    two.write_text('data = {path = ["ms1m/", "b/glint.rec"], weights = [1, 0.5], labels = "shared"}\n')
    recipe = compose(recipe=str(two))
    assert recipe.run.out == "runs/arcface-ms1m+glint" and recipe.data.name == "ms1m/ + b/glint.rec"
    assert (recipe.data.weights, recipe.data.labels) == ((1.0, 0.5), ("shared",))
    assert json.dumps(recipe.data.path) == '["ms1m/", "b/glint.rec"]'
