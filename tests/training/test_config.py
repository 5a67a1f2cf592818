"""What a recipe declares: every setting has words and a range, and the flags of train are among them."""

from __future__ import annotations

import math
import re
from dataclasses import fields

import pytest

from facerec_cli.errors import InputError, UsageError
from facerec_cli.registry import LOSSES
from facerec_cli.settings import to_tables
from facerec_cli.training.compose import changed, compose, parse_recipe
from facerec_cli.training.config import Recipe, recipe_settings
from tests.wrong_values import wrong_values


def test_every_setting_says_what_it_is_and_its_default_fits():
    settings = recipe_settings()
    assert len(settings) > 40 and {key.partition(".")[0] for key in settings} == {
        f.name for f in fields(Recipe)
    }
    assert [key for key, setting in settings.items() if not setting.option.help] == []
    recipe = Recipe()
    for table, values in to_tables(recipe).items():
        for key, value in values.items():
            assert changed(recipe, f"{table}.{key}", value) == recipe


def test_flags_are_declared_once_with_what_they_offer():
    flags = {setting.flag: key for key, setting in recipe_settings().items() if setting.flag}
    assert len(flags) == 28 and len(set(flags.values())) == 28
    assert (flags["--data"], flags["--eval"], flags["--freeze-bn"]) == (
        "data.path",
        "evaluate.sets",
        "backbone.freeze_bn",
    )
    settings = recipe_settings()
    assert settings["loss.name"].offers == tuple(LOSSES) and settings["loss.name"].choices == ()
    assert settings["run.precision"].choices == ("auto", "fp32", "bf16", "fp16")


@pytest.mark.parametrize(
    ("key", "wrong", "said"),
    [
        ("run.batch_size", 1, "--batch-size 1 does not fit. It must be a whole number of at least 2."),
        ("optimizer.name", "adam", "--optimizer cannot be 'adam'. Did you mean 'adamw'? Known: sgd, adamw."),
        (
            "loss.sample_rate",
            0.0,
            "--sample-rate 0.0 does not fit. It must be a number above 0 and at most 1.",
        ),
        ("data.weights", [1.0, math.nan], "--data-weight nan does not fit. It must be a finite number."),
        ("data.weights", [math.inf, 1.0], "--data-weight inf does not fit. It must be a finite number."),
        ("data.path", ["crops/", ""], "--data '' does not fit. It must be text that is not empty."),
        ("data.hard", [""], "--hard-data '' does not fit. It must be text that is not empty."),
        ("evaluate.sets", [""], "--eval '' does not fit. It must be text that is not empty."),
        ("run.out", "", "--out names no folder. Name one"),
    ],
)
def test_a_flag_is_called_as_it_was_typed(key, wrong, said):
    with pytest.raises(UsageError) as fault:
        compose(flags={key: wrong})
    assert str(fault.value).startswith(said)


def test_every_setting_stands_on_the_page_about_training(repository):
    page = (repository / "docs" / "train.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1].strip("[]"): line for line in page.splitlines() if line.startswith("| `[")}
    for key in recipe_settings():
        table, _, name = key.partition(".")
        assert f"`{name}`" in rows[table], key


REFUSED = [(key, value) for key, setting in recipe_settings().items() for value in wrong_values(setting)]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_every_setting_refuses_what_is_beyond_its_range(key, value):
    with pytest.raises(UsageError, match=f"^{re.escape(key)} (=|cannot be) .*(It must be|Known: )"):
        changed(Recipe(), key, value)
    with pytest.raises(InputError, match=r"^r\.toml: \[\w+\] \w+ (=|cannot be) .*(It must be|Known: )"):
        table, _, name = key.partition(".")
        parse_recipe({table: {name: value}}, "r.toml")
