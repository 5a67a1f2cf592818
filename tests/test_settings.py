"""Settings dataclasses: what is declared is what is checked, read and told."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field
from typing import Annotated, Any, Literal

import pytest

from facerec_cli.embed.settings import EmbedOptions, EngineOptions
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.export.settings import ExportOptions, GraphOptions
from facerec_cli.option import must_be
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.registry import DETECTORS
from facerec_cli.settings import Option, check, convert, keys, options, to_tables
from facerec_cli.verify.settings import VerifySettings
from tests.wrong_values import wrong_values


def _address(value: str) -> str:
    if "://" not in value:
        raise ValueError("an address")
    return value.lower()


@dataclass(frozen=True, slots=True)
class Search:
    max_side: Annotated[int, Option("Side.", ge=32, unit="pixels")] = 1024
    score: Annotated[float | None, Option("Score.", flag="--min-score", ge=0, le=1)] = None
    rates: Annotated[tuple[float, ...], Option("Rates.", flag="", gt=0, lt=1)] = (0.001,)
    faces: Annotated[Literal["all", "largest"], Option("Faces.")] = "all"
    detector: Annotated[str, Option("Detector.", choices=DETECTORS)] = "yunet"
    flip: Annotated[bool, Option("Flip.", flag="--flip/--no-flip")] = False

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Net:
    file: str
    color: Literal["rgb", "bgr"] = "rgb"
    mean: Annotated[tuple[float, float, float], Option(ge=-1024, le=1024)] = (0.0, 0.0, 0.0)
    size: Annotated[tuple[int, int] | None, Option(ge=16, le=4096)] = None
    urls: Annotated[tuple[str, ...], Option(rule=_address)] = ()
    ways: tuple[Literal["there", "back"], ...] = ()
    settings: Annotated[dict[str, Any], Option(others=True)] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    net: Net
    search: Search = field(default_factory=Search)
    folder: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tables:
    search: Search = field(default_factory=Search)


def test_a_declaration_gives_flag_default_choices_and_words():
    found = {one.name: one for one in options(Search)}
    assert found["max_side"].flag == "--max-side" and found["score"].flag == "--min-score"
    assert found["rates"].flag == "" and found["flip"].flag == "--flip"
    assert found["faces"].choices == ("all", "largest") and found["detector"].choices == tuple(DETECTORS)
    assert must_be(found["max_side"].kind, found["max_side"].option) == "a whole number of at least 32 pixels"
    assert must_be(found["rates"].kind, found["rates"].option) == "a list, each a number between 0 and 1"
    assert found["score"].kind == float | None and found["score"].default is None
    assert options(Net)[0].default is MISSING and options(Net)[-1].default == {}
    assert list(keys(Pack))[:2] == ["net.file", "net.color"] and "net.settings" not in keys(Pack)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_side": 31}, "--max-side 31 does not fit. It must be a whole number of at least 32 pixels."),
        ({"score": 1.5}, "--min-score 1.5 does not fit. It must be a number from 0 to 1."),
        ({"score": math.nan}, "--min-score nan does not fit. It must be a number from 0 to 1."),
        ({"score": "x"}, "--min-score 'x' does not fit. It must be a number from 0 to 1."),
        (
            {"rates": (0.1, 1.0)},
            "rates = 1.0 does not fit. It must be a number between 0 and 1.",
        ),
        ({"faces": "bigest"}, "--faces cannot be 'bigest'. Did you mean 'largest'? Known: all, largest."),
        ({"detector": "yunt"}, "--detector cannot be 'yunt'. Did you mean 'yunet'? Known: scrfd, yunet."),
    ],
)
def test_a_wrong_value_is_refused_where_the_settings_are_made(wrong, said):
    with pytest.raises(UsageError) as fault:
        Search(**wrong)
    assert str(fault.value) == said


def test_tables_become_what_they_say_and_come_back():
    tables = {"net": {"file": "a.onnx", "colour": "bgr", "mean": [1, 2, 3.5], "k": 6, "urls": "HTTP://x"}}
    pack = convert(tables, Pack)
    assert pack.net == Net("a.onnx", "bgr", (1.0, 2.0, 3.5), urls=("http://x",), settings={"k": 6})
    assert all(type(value) is float for value in pack.net.mean)
    assert convert(to_tables(pack), Pack) == pack
    assert "size" not in to_tables(pack)["net"] and to_tables(pack)["net"]["k"] == 6


def test_what_is_said_lies_over_what_there_was():
    base = convert({"net": {"file": "a.onnx", "k": 6, "j": 1}, "search": {"score": 1}}, Pack)
    pack = convert({"net": {"k": 7}}, Pack, base=base)
    assert (pack.net.file, pack.net.settings, pack.search.score) == ("a.onnx", {"k": 7, "j": 1}, 1.0)
    assert base.net.settings == {"k": 6, "j": 1}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            {"net": {"mean": [1, 2]}},
            "[net] mean = [1, 2] does not fit. It must be a list of 3, each a number from",
        ),
        ({"net": {"mean": [1, 2, True]}}, "mean = [1, 2, True] does not fit."),
        ({"net": {"mean": [1, 2, 10**400]}}, "does not fit"),
        ({"net": {"size": [112, 112.0]}}, "each a whole number from 16 to 4,096."),
        ({"net": {"urls": ["x"]}}, "[net] urls = ['x'] does not fit. It must be a list, each an address."),
        ({"net": {"color": "rbg"}}, "[net] color cannot be 'rbg'. Did you mean 'rgb'? Known: rgb, bgr."),
        ({"net": {"ways": ["there", "bakc"]}}, "[net] ways cannot be 'bakc'. Did you mean 'back'?"),
        ({"net": {"ways": ["there", 3]}}, "[net] ways = 3 does not fit. It must be one of there, back."),
        ({"net": {"color": 3}}, "[net] color = 3 does not fit. It must be one of rgb, bgr."),
        ({"net": {"file": "x" * 999, "mean": "x" * 999}}, "xxx... does not fit."),
        (
            {"net": {"color": "rgb", "colour": "rgb"}},
            "'colour' and 'color' are one key. Leave one of them out.",
        ),
        ({"net": {}}, "[net] 'file' is missing. Add it."),
        ({}, "'net' is missing. Add it."),
        (
            {"net": {"file": ""}, "search": {"fcaes": 1}},
            "no setting 'search.fcaes'. Did you mean 'search.faces'?",
        ),
        ({"net": {"file": ""}, "serch": {}}, "There is no table [serch]. Did you mean 'search'?"),
        (
            {"net": {"file": ""}, "max_side": 3},
            "There is no setting 'max_side'. Did you mean 'search.max_side'?",
        ),
        ({"net": 3}, "net is not a table. Write [net] above its settings."),
        ([], "is not a table"),
        ({"net": {"file": ""}, "folder": "/"}, "no setting 'folder'"),
    ],
)
def test_a_fault_in_a_document_has_its_place_and_what_to_do(tables, said):
    with pytest.raises(ModelError) as fault:
        convert(
            tables, Pack, source="p.toml", given={"folder": "."}, error=ModelError, advice="See the docs."
        )
    assert said in str(fault.value) and fault.value.message.startswith("p.toml: ")
    assert fault.value.hint.endswith("See the docs.") and "Known: ." not in fault.value.hint


def test_a_setting_outside_of_the_tables_is_told_its_own():
    with pytest.raises(InputError, match=r"side is not a table.*; write max_side below \[search\]\."):
        convert({"side": 3}, Tables)
    with pytest.raises(InputError, match=r"write one, such as \[search\], above it\."):
        convert({"xyzzy": 3}, Tables)
    with pytest.raises(InputError, match=r"There is no table \[7\]\."):
        convert({7: {}}, Tables)


def test_a_fault_is_called_as_it_was_typed():
    with pytest.raises(InputError, match=r"^--size \[1\] does not fit\."):
        convert({"net": {"size": [1]}}, Pack, typed="--size")


CHECKED = [EmbedOptions, EngineOptions, ExportOptions, GraphOptions, PackOverrides, VerifySettings]
REFUSED = [
    (kind, field, value) for kind in CHECKED for field in options(kind) for value in wrong_values(field)
]


@pytest.mark.parametrize(("kind", "field", "value"), REFUSED, ids=lambda v: getattr(v, "name", str(v)[:40]))
def test_every_setting_of_a_command_refuses_what_is_beyond_its_range(kind, field, value):
    required = {one.name: "x" for one in options(kind) if one.default is MISSING}
    value = (value,) * 3 if "tuple" in str(field.kind) else value
    with pytest.raises(UsageError) as fault:
        kind(**required, **{field.name: value})
    assert fault.value.message.startswith(field.flag or field.name)
    assert fault.value.hint.startswith(("It must be ", "Known: ", "Did you mean "))


def test_every_class_of_settings_has_something_to_refuse():
    assert {kind for kind, _, _ in REFUSED} == set(CHECKED)
