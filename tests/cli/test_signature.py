"""Flags follow from what is declared of settings, and the settings from what is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, Overwrite
from facerec_cli.cli.signature import Given, Shown
from facerec_cli.errors import PartialFailure
from facerec_cli.option import Option
from facerec_cli.settings import check, options


def _size(text: str) -> tuple[int, int]:
    first, second = text.split("x")
    return int(first), int(second)


@dataclass(frozen=True, slots=True)
class Look:
    """Settings inside of settings."""

    sharp: Annotated[bool, Option("Sharpen.", panel="Look")] = False


@dataclass(frozen=True, slots=True)
class Settings:
    """A field of each kind."""

    faces: Annotated[Literal["all", "largest"], Option("Which: {choices}.", panel="Look")] = "all"
    look: Look = field(default_factory=Look)
    side: Annotated[int, Option("Longest side.", ge=32, le=64)] = 48
    score: Annotated[float | None, Option("Least score.", ge=0, le=1)] = None
    size: Annotated[tuple[int, int] | None, Option("Crop.", metavar="WxH", parse=_size, ge=2)] = None
    names: Annotated[tuple[str, ...], Option("Names.", flag="--name", short="-n")] = ()
    cache: Annotated[bool, Option("Keep.", flag="--cache/--no-cache")] = True
    place: Annotated[Path | None, Option("Where to.")] = None
    seed: Annotated[int, Option("For files and Python.", flag="")] = 7

    def __post_init__(self) -> None:
        check(self)


got: dict[str, Any] = {}


@command
def take(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO")],
    *,
    settings: Settings,
    force: Annotated[Overwrite, Shown("Replace it.", panel="Look")] = False,
    json_output: Json = False,
) -> None:
    """Take settings."""
    got.update(photos=photos, settings=settings, force=force)


@command
def take_given(
    *, given: Annotated[dict[str, Any], Given({f"table.{f.name}": f for f in options(Settings)})]
) -> None:
    """Take what was typed."""
    got.update(given)


def _app(body: Callable[..., None]) -> typer.Typer:
    app = typer.Typer()
    app.command()(body)
    return app


def _run(body: Callable[..., None], *arguments: str) -> Any:
    got.clear()
    return CliRunner().invoke(_app(body), list(arguments))


FLAGS: dict[str, Any] = {flag: p for p in get_command(_app(take)).params for flag in p.opts}


def test_defaults_are_those_of_the_dataclass() -> None:
    assert _run(take, "a.jpg").exit_code == 0
    assert got == {"photos": ["a.jpg"], "settings": Settings(), "force": False}


def test_every_kind_of_value_is_read() -> None:
    typed = "a b --faces largest --sharp --side 64 --score 0.5 --size 3x4 -n x --name y --no-cache --place p"
    assert _run(take, *typed.split(), "--force").exit_code == 0
    assert got["settings"] == Settings(
        "largest", Look(sharp=True), 64, 0.5, (3, 4), ("x", "y"), cache=False, place=Path("p")
    )
    assert got["photos"] == ["a", "b"] and got["force"] is True


def test_help_range_panel_and_choices_are_those_that_are_declared() -> None:
    faces, side = FLAGS["--faces"], FLAGS["--side"]
    assert (faces.help, faces.rich_help_panel) == ("Which: all or largest.", "Look")
    assert (side.min, side.max, side.default) == (32, 64, 48)
    assert (FLAGS["--size"].metavar, FLAGS["--size"].min) == ("WxH", None)  # the range of its numbers
    assert FLAGS["-n"].multiple
    assert "--no-cache" in FLAGS["--cache"].secondary_opts
    assert "--seed" not in FLAGS and {"--quiet", "--debug"} < set(FLAGS)


def test_one_command_may_say_an_option_in_other_words() -> None:
    shown = FLAGS["--overwrite"]
    assert (shown.help, shown.rich_help_panel) == ("Replace it.", "Look")
    assert shown.opts == ["--overwrite", "--force"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--faces", "bigest"), "Did you mean 'largest'?"),
        (("--side", "31"), "--side"),
        (("--score", "nan"), "--score"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(typed: tuple[str, str], said: str) -> None:
    done = _run(take, "a.jpg", *typed)
    assert done.exit_code == 2 and said in " ".join(done.output.split()) and not got


def test_of_settings_that_are_decided_elsewhere_only_those_that_were_typed_are_there() -> None:
    assert _run(take_given, "--side", "32", "--no-cache", "-n", "x").exit_code == 0
    assert got == {"table.side": 32, "table.cache": False, "table.names": ["x"]}


def test_stdout_has_one_document_where_results_come_with_a_fault() -> None:
    @command
    def partly(
        *, first: Annotated[bool, Option("Results first.")] = False, json_output: Json = False
    ) -> None:
        if first:
            console.result_json({"photos": 2})
        raise PartialFailure("One photo is damaged.")

    for flags, document in ((["--first"], {"photos": 2}), ([], None)):
        done = _run(partly, "--json", *flags)
        shown = json.loads(done.stdout)
        assert done.exit_code == PartialFailure.exit_code
        assert shown == document if document else shown["error"]["kind"] == "PartialFailure"
