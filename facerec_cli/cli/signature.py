"""The one place where signatures are made: what is declared of settings becomes the flags of a command.

::

    @command
    def embed(
        inputs: Inputs,                      # Annotated[list[str], typer.Argument(...)], as Typer has it
        output: Output = "embeddings.npy",   # Annotated[str, Option(...)], as settings declare it
        *,
        options: EmbedOptions,               # a dataclass of settings: a flag for each of its fields
    ) -> None: ...

:class:`Signature` has a parameter for every flag, and makes the dataclasses of what was typed.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

from facerec_cli.cli.completion import offering
from facerec_cli.errors import UsageError
from facerec_cli.option import Option, item_type, plain
from facerec_cli.settings import Field, options
from facerec_cli.wording import alternatives


class Shown(NamedTuple):
    """Other words than are declared, for one command: ``Annotated[Json, Shown(panel="Results")]``."""

    help: str | None = None
    panel: str | None = None


class Given(NamedTuple):
    """Marks a dictionary of the settings that were typed: ``Annotated[dict[str, Any], Given(settings)]``.

    Attributes:
        settings: Key -> setting. Those without a flag are left out.
    """

    settings: Mapping[str, Field]


class Signature:
    """What Typer is told of a command, and what the command is told of what was typed.

    Attributes:
        parameters: For Typer, each with an annotation that it knows.
        flags: By parameter, the flags of settings.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.parameters: list[inspect.Parameter] = []
        self.flags: dict[str, str] = {}
        self._groups: dict[str, _Dataclass | _GivenSettings] = {}
        self._parsed: dict[str, Field] = {}
        types = get_type_hints(function, include_extras=True)
        for parameter in inspect.signature(function).parameters.values():
            kind = types[parameter.name]
            marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
            if dataclasses.is_dataclass(kind):
                self._groups[parameter.name] = _Dataclass(kind)
            elif isinstance(next(iter(marks), None), Given):
                self._groups[parameter.name] = _GivenSettings(marks[0].settings)
            else:
                self.parameters.append(parameter.replace(annotation=_annotation(parameter.name, kind, marks)))
                if isinstance(next(iter(marks), None), Option) and marks[0].parse:
                    self._parsed[parameter.name] = Field(parameter.name, get_args(kind)[0], None, marks[0])
                continue
            for name, field, default in self._groups[parameter.name].flags():
                self.flags[name] = field.flag
                self.parameters.append(
                    inspect.Parameter(
                        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_annotated(field)
                    )
                )

    def arguments(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """The command's own arguments.

        Raises:
            UsageError: A setting's value does not fit.
        """
        left = {n: _value(self._parsed[n], v) if n in self._parsed else v for n, v in typed.items()}
        made = {name: group.take(left) for name, group in self._groups.items()}
        return {**left, **made}


class _Dataclass:
    """The flags of a dataclass of settings; a field without help is none."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._fields = {field.name: field for field in options(kind) if field.option.help and field.flag}
        self._inner = {f.name: _Dataclass(f.kind) for f in options(kind) if dataclasses.is_dataclass(f.kind)}

    def flags(self) -> Iterator[tuple[str, Field, Any]]:
        """Parameter, setting and default of each flag."""
        for name in (field.name for field in options(self._kind)):
            if name in self._inner:
                yield from self._inner[name].flags()
            elif field := self._fields.get(name):
                default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
                yield name, field, None if default == () else default

    def take(self, typed: dict[str, Any]) -> Any:
        """Make the dataclass of what was typed, and take that out."""
        inner = {name: group.take(typed) for name, group in self._inner.items()}
        return self._kind(**inner, **{n: _value(f, typed.pop(n)) for n, f in self._fields.items()})


class _GivenSettings:
    """The flags of settings whose defaults are decided elsewhere."""

    def __init__(self, settings: Mapping[str, Field]) -> None:
        self._settings = {key: field for key, field in settings.items() if field.flag}

    def flags(self) -> Iterator[tuple[str, Field, Any]]:
        """Parameter, setting and default of each flag."""
        for key, field in self._settings.items():
            optional = dataclasses.replace(field, kind=field.kind | None)
            yield key.replace(".", "_"), optional, None

    def take(self, typed: dict[str, Any]) -> dict[str, Any]:
        """The settings that were typed, by their keys; takes them out."""
        values = {key: typed.pop(key.replace(".", "_")) for key in self._settings}
        return {key: value for key, value in values.items() if value not in (None, [])}


def _value(field: Field, typed: Any) -> Any:
    """The value of a setting of what Typer gives for its flag."""
    if typed is None:
        return field.default
    if isinstance(typed, list):
        return tuple(typed)
    try:
        return typed if field.option.parse is None else field.option.parse(typed)
    except ValueError as fault:
        raise UsageError(f"{field.flag} {typed!r} does not fit.", hint=f"It must be {fault}.") from None


def _annotation(name: str, kind: Any, marks: tuple[Any, ...]) -> Any:
    """The annotation of a parameter of a command, with other words where there are some."""
    if not marks:
        return kind
    declared, value = marks[0], get_args(kind)[0]
    words: dict[str, Any] = {}
    for mark in marks[1:]:
        words |= {key: text for key, text in mark._asdict().items() if text is not None}
    if isinstance(declared, Option):
        field = Field(name, value, None, dataclasses.replace(declared, **words))
        return _annotated(field)
    info: ParameterInfo = copy.copy(declared)
    info.help = words.get("help", info.help)
    info.rich_help_panel = words.get("panel", info.rich_help_panel)
    return Annotated[value, info]


def _typed(field: Field) -> Any:
    """The type that Typer reads. Choices are texts, so that a wrong one is answered with the nearest."""
    item = item_type(field.kind)
    if field.option.parse or get_origin(item) is Literal:
        item = str
    if get_origin(plain(field.kind)) is tuple and not field.option.parse:
        return list[item] | None  # type: ignore[valid-type]
    return item | None if NoneType in get_args(field.kind) else item


def _annotated(field: Field) -> Any:
    """A setting as Typer reads it."""
    option = field.option
    number = item_type(field.kind) in (int, float) and not option.parse
    names = [option.flag or field.flag, *([option.short] if option.short else [])]
    help = option.help
    if "{" in help:
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        help = help.replace("{choices}", alternatives(field.offers)).replace("{default}", default)
    shown = typer.Option(
        *names,
        help=help,
        rich_help_panel=option.panel,
        metavar=option.metavar,
        show_default=field.default != "",
        min=option.ge if number else None,
        max=option.le if number else None,
        hidden=option.hidden,
        readable=False,  # that a file may not be read is said as for every other fault of it
        autocompletion=offering(lambda: field.offers) if field.choices or option.offers else None,
    )
    return Annotated[_typed(field), shown]
