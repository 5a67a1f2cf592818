"""Did you mean: misspelt names, other programs' words, and nothing where nothing is like it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from facerec_cli.cli import app
from facerec_cli.errors import InputError, UsageError
from facerec_cli.registry import BACKBONES, LOSSES, unknown_name
from facerec_cli.suggest import guess, nearest
from facerec_cli.training.compose import assigned, parse_recipe
from facerec_cli.training.config import Recipe, recipe_settings


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rate", "optimizer.lr"),
        ("optimizer.learning_rate", "optimizer.lr"),
        ("lerning_rate", "optimizer.lr"),
        ("wd", "optimizer.weight_decay"),
        ("run.batch", "run.batch_size"),
        ("epoch", "schedule.epochs"),
        ("data.num_workers", "data.workers"),
        ("evaluate.flipp", "evaluate.flip"),  # not data.flip: the table counts
        ("grad_clip", "optimizer.clip"),
        ("optimizer.momentun", "optimizer.momentum"),
        ("xyzzy", None),
    ],
)
def test_keys_of_a_recipe(typed: str, meant: str | None) -> None:
    assert nearest(typed, list(recipe_settings())) == meant


def test_names_of_networks_and_losses() -> None:
    assert nearest("r50", BACKBONES) == nearest("IResNet-50", BACKBONES) == "iresnet50"
    assert guess("arcfase", LOSSES) == "Did you mean 'arcface'? "
    assert guess("triplet", LOSSES) == ""
    assert "Did you mean 'scale'? Known: k, scale" in str(unknown_name("s", ["k", "scale"], "setting"))


def test_a_recipe_says_where_a_setting_belongs() -> None:
    with pytest.raises(InputError, match=r"write lr below \[optimizer\]"):
        parse_recipe({"learning_rate": 0.1}, "mine.toml")
    with pytest.raises(UsageError, match=r"'margin'.*Did you mean 'loss.margin'"):
        assigned(Recipe(), "margin=0.4")
    with pytest.raises(UsageError, match=r"Known in \[schedule\]: name, epochs, steps"):
        assigned(Recipe(), "schedule.xyzzy=1")
    assert assigned(Recipe(), "optimiser.lr=0.1").optimizer.lr == 0.1


@pytest.mark.parametrize(
    "words",
    [["embed", "x", "--bacth-size", "1"], ["verify"], ["models", "shwo"], ["bnech"], ["embed", "x", "-o"]],
)
def test_a_misuse_is_one_json_document_where_one_is_asked_for(words: list[str]) -> None:
    done = CliRunner().invoke(
        app, [words[0], "--json", *words[1:]] if words[0] in ("embed", "verify") else [*words, "--json"]
    )
    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["exit_code"], error["kind"]) == (2, 2, "UsageError") and error["message"]
    assert CliRunner().invoke(app, words).stdout == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["train", "--learning-rate", "1"], "Did you mean --lr?"),
        (["train", "--num-workers", "1"], "Did you mean --workers?"),
        (["train", "--output", "runs"], "Did you mean --out?"),
        (["embed", "--batch", "1", "x"], "Did you mean --batch-size?"),
        (["embed", "--det-thresh", "1", "x"], "Did you mean --min-score?"),
        (["verify", "--treshold", "1", "x"], "Did you mean --threshold?"),
        (["compare", "a.jpg", "b.jpg"], "Two photos: facerec verify A.jpg B.jpg"),
        (["match", "a.jpg", "b.jpg"], "Did you mean 'verify'?"),
        (["recognize", "db", "a.jpg"], "Did you mean 'identify'?"),
        (["find", "a.jpg", "db"], "Did you mean 'identify'?"),
        (["identify", "g", "--top-k", "3"], "Did you mean --candidates?"),
        (["identify", "g", "--tolerance", "3"], "Did you mean --threshold?"),
        (["align", "a", "b"], "Did you mean 'data align'?"),
        (["models", "download", "x"], "Did you mean 'pull'?"),
        (["data", "splitt"], "Did you mean 'split'?"),
        (["xyzzy"], "No such command 'xyzzy'."),
    ],
)
def test_flags_and_commands(words: list[str], meant: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and meant in done.stderr
