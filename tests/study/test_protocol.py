"""What a STUDY.toml may say, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.errors import InputError, UsageError
from facerec_cli.settings import options
from facerec_cli.study.protocol import Protocol, parse_protocol, read_protocol
from tests.wrong_values import wrong_values


def document(**tables):
    return {"study": {"data": "photos"}, "arms": {"arcface": {}, "npt": {}}} | tables


def test_arms_share_the_recipe_and_are_named_after_their_loss():
    protocol = parse_protocol(
        document(
            recipe={"optimizer": {"lr": 0.01}, "loss": {"scale": 32.0}},
            arms={"arcface": {}, "small": {"loss": {"name": "npt", "k": 2}, "optimizer": {"lr": 1}}},
        ),
        "x.toml",
    )
    assert list(protocol.arms) == ["arcface", "small"]
    one, two = protocol.arms.values()
    assert (one.loss.name, one.optimizer.lr, one.loss.settings) == ("arcface", 0.01, {"scale": 32.0})
    assert (two.loss.name, two.optimizer.lr, two.loss.settings) == ("npt", 1.0, {"scale": 32.0, "k": 2})


@pytest.mark.parametrize(
    ("tables", "message", "hint"),
    [
        ({"stdy": {}}, "no table [stdy]", "'study'"),
        ({"study": {"data": "x", "sedes": [1]}}, "no setting 'study.sedes'", "'study.seeds'"),
        ({"study": {"data": "x", "seeds": [1, 1]}}, "must differ", ""),
        ({"study": {"data": "x", "seeds": 2**31}}, "2147483648 seeds", "seeds = [0, 1, 2, 3"),
        ({"study": {"data": "x", "seeds": ["a"]}}, "does not fit", "whole number"),
        ({"study": {"data": "x", "judge": "train"}}, "[study] judge cannot be 'train'", "test, validation"),
        ({"study": {"data": "x", "faces": "big"}}, "[study] faces cannot be 'big'", "'largest'"),
        ({"study": {}}, "no data", "folder per person"),
        ({"study": {"data": "x", "baseline": "cosface"}}, "baseline 'cosface' is not an arm", "arcface, npt"),
        ({"arms": {}}, "no arms", ""),
        ({"arms": {"arcface": {}, "arcfce": {}}}, "no loss 'arcfce'", "'arcface'"),
        ({"arms": {"arcface": {"optimiser": {"rate": 1.0}}}}, "no setting 'optimizer.rate'", "optimizer.lr"),
        ({"arms": {"arcface": {}, "../x": {}}}, "cannot be called", ""),
        ({"arms": {"arcface": {}, "npt": {"backbone": {"init": "sface"}}}}, "different weights", ""),
        ({"recipe": {"schedule": {"stps": 3}}}, "no setting 'schedule.stps'", "schedule.steps"),
        ({"test": {"subsets": ["clean", "clean px17"]}}, "no subset", ""),
        ({"test": {"subsets": ["clean px17"]}}, "'clean px17' is no subset", "px16"),
        ({"test": {"far": 0.5}}, "one of test.fars", ""),
        ({"test": {"photos": 2}}, "[test] photos = 2 does not fit", "at least 8"),
        ({"split": {"train": 0.9, "validation": 0.1}}, "leave people to test", ""),
        ({"validation": {"interpolate": [0.0]}}, "interpolate = [0.0]", "above 0 and at most 1"),
        (
            {"arms": {"arcface": {}, "before": {"loss": {"name": "npt"}}}},
            "called 'before'",
            "before training",
        ),
        ({"study": {"data": "photos", "seeds": []}}, "seeds is empty", ""),
        ({"study": {"data": "photos", "seeds": [1, 1]}}, "must differ", ""),
        (
            {
                "recipe": {"backbone": {"init": "sface", "embedding_size": 64}},
                "validation": {"interpolate": [0.5]},
            },
            "no first weights",
            "Leave embedding_size out",
        ),
    ],
)
def test_mistakes_are_named(tables, message, hint):
    with pytest.raises(InputError) as fault:
        parse_protocol(document(**tables), "x.toml")
    assert message in fault.value.message and fault.value.message.startswith("x.toml")
    assert hint in fault.value.hint


REFUSED = [
    (table.name, setting.name, value)
    for table in options(Protocol)
    if table.name != "arms"
    for setting in options(table.kind)
    for value in wrong_values(setting)
]


@pytest.mark.parametrize(("table", "key", "value"), REFUSED)
def test_every_setting_refuses_what_is_beyond_its_range(table, key, value):
    tables = document(study={"data": "photos"})
    tables.setdefault(table, {})[key] = value
    said = rf"^x\.toml: \[{table}\] {key} (=|cannot be) .*(It must be|Known: )"
    with pytest.raises(InputError, match=said):
        parse_protocol(tables, "x.toml")


def test_no_toml(tmp_path):
    for path in (tmp_path / "absent.toml", tmp_path / "broken.toml"):
        if path.name == "broken.toml":
            path.write_text("[study\n")
        with pytest.raises(InputError, match=r"cannot be read( as TOML)?: "):
            read_protocol(path)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples" / "studies").glob("*.toml")))
def test_shipped_studies_can_be_read(path):
    protocol = read_protocol(path)
    assert protocol.study.baseline in protocol.arms


def test_settings_can_be_laid_over_the_file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('[study]\ndata = "photos/"\n[arms.arcface]\n[arms.npt]\n')
    sets = ["split.seed=1", "study.seeds=[4]", "arms.npt.loss.k=6", "recipe.schedule.name=cosine"]
    protocol = read_protocol(path, sets)
    assert protocol.split.seed == 1 and protocol.study.seeds == (4,)
    assert protocol.arms["npt"].loss.settings == {"k": 6} and not protocol.arms["arcface"].loss.settings
    assert {recipe.schedule.name for recipe in protocol.arms.values()} == {"cosine"}
    for wrong, fault in (("split.sed=1", InputError), ("split", UsageError), ("study.data.x=1", UsageError)):
        with pytest.raises(fault, match=r"sed|no value|not a table"):
            read_protocol(path, [wrong])
