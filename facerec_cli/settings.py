"""Settings are dataclasses: one declaration gives default, type, range, choices and help of each of them.

A field is declared where it belongs::

    max_side: Annotated[int, Option("Longest side that is searched.", ge=32, unit="pixels")] = 1024

and from that follow the flag and its line in ``docs/commands.md`` (:func:`options`), what a Python caller is
told who gives a wrong value (:func:`check`, called by ``__post_init__``), and what TOML and JSON may say
(:func:`convert`): recipes, STUDY.toml, model manifests and threshold cards are all read here.

Why by hand: msgspec (0.22, as tried) would save some thirty lines, but it ignores unknown keys, knows one
spelling of a key, says neither the value nor the flag, and takes 10 ms more to read a manifest.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from types import NoneType
from typing import Any, ParamSpec, TypeVar, get_args

from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.option import (
    Field,
    Option,
    Unfit,
    choices_of,
    filled,
    fit,
    in_bounds,
    item_type,
    keys,
    must_be,
    options,
    plain,
)
from facerec_cli.registry import unknown_name
from facerec_cli.spelling import american
from facerec_cli.suggest import guess, guess_or_list, nearest

__all__ = [
    "Field",
    "Option",
    "check",
    "checked",
    "convert",
    "filled",
    "fitted",
    "keys",
    "options",
    "to_tables",
]

P = ParamSpec("P")
T = TypeVar("T")


def check(instance: object) -> None:
    """Refuse a setting that is no choice or out of its range; for ``__post_init__``.

    Raises:
        UsageError: It names the flag, or the field where there is none, and what it must be.
    """
    for field in options(type(instance)):
        _check(field, getattr(instance, field.name), field.flag or field.name)


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that takes settings: it refuses what their annotations do not allow.

    ::

        @checked
        def __init__(self, *, scale: Annotated[float, Option(gt=0)] = 64.0) -> None: ...

    The function raises ``UsageError`` for an argument that is no choice or out of its range.
    """

    @functools.wraps(function)
    def call(*positional: P.args, **named: P.kwargs) -> T:
        given = inspect.signature(function).bind(*positional, **named).arguments
        for field in options(function):
            if field.name in given:
                _check(field, given[field.name], field.name)
        return function(*positional, **named)

    return call


def _check(field: Field, value: Any, name: str) -> None:
    if value is None and NoneType in get_args(field.kind):
        return
    kind = item_type(field.kind)
    for item in value if isinstance(value, tuple | list) else (value,):
        try:
            in_bounds(field.option, field.choices, item)
        except Unfit as unfit:
            raise _refusal(name, item, kind, field.option, unfit) from None


def fitted(field: Field, value: Any, name: str) -> Any:
    """``value`` as the type of ``field``: an int becomes a float, a list a tuple.

    Raises:
        UsageError: It has the wrong type, is no choice or is out of its range; ``name`` is what it is called.
    """
    try:
        return fit(plain(field.kind), field.option, value)
    except Unfit as unfit:
        raise _refusal(name, value, field.kind, field.option, unfit) from None


def fitted_all(
    values: Mapping[str, Any],
    known: Mapping[str, Field],
    *,
    table: str,
    owner: str,
    elsewhere: Iterable[str] = (),
) -> dict[str, Any]:
    """Settings for a constructor of somebody else: a loss's, a backbone's.

    Args:
        values: What the user says.
        known: The settings that there are, by name.
        table: Where they stand, ``loss`` for ``loss.k``.
        owner: Whose they are, for messages: "the loss npt".
        elsewhere: Keys of other tables that may have been meant.

    Raises:
        UsageError: One is unknown, has the wrong type or is out of its range.
    """
    for key in values:
        if key not in known:
            raise unknown_name(key, known, f"setting of {owner}", elsewhere=elsewhere)
    return {key: fitted(known[key], value, f"{table}.{key}") for key, value in values.items()}


def convert(
    data: Any,
    kind: type[T],
    *,
    source: str = "",
    base: T | None = None,
    given: Mapping[str, Any] | None = None,
    error: type[FacerecError] = InputError,
    advice: str = "",
    typed: str = "",
    also: Sequence[str] = (),
) -> T:
    """Make a dataclass of tables that TOML or JSON gave.

    An int becomes the float that a field wants, a list (also one of tables) a tuple, and one value a tuple of
    it where any number of values is taken. Keys are taken in both spellings (``spelling.py``).

    Args:
        data: The tables.
        kind: The dataclass; tables inside are dataclasses too.
        source: The file, for messages.
        base: Settings that ``data`` is laid over; None starts from the defaults.
        given: Fields that do not come from ``data`` and cannot be set by it.
        error: What is raised.
        advice: What may help with every fault, such as the page that describes the file.
        typed: The flag or key that a single value was typed with; "" names its place, ``[optimizer] lr``.
        also: Further keys that an unknown one may have meant; those without a dot are read by somebody else.

    Raises:
        FacerecError: An ``error``: a key is unknown (the hint has the nearest one) or missing, or a value has
            the wrong type or is out of its range.
    """
    known = [key for key in keys(kind) if key not in (given or {})]
    reader = _Reader([*known, *also], [key for key in also if "." not in key], typed)
    try:
        made: T = reader.table(kind, data, (), base, given or {})
    except UsageError as fault:
        where = f"{source}: " if source else ""
        raise error(where + fault.message, hint=f"{fault.hint} {advice}".strip()) from None
    return made


def to_tables(instance: Any) -> dict[str, Any]:
    """The settings as tables for TOML or JSON: tuples are lists, and what is None is left out."""
    document: dict[str, Any] = {}
    for field in options(type(instance)):
        value = _to_plain(getattr(instance, field.name))
        if field.option.others:
            document |= {key: item for key, item in value.items() if item is not None}
        elif value is not None:
            keys = field.option.keys
            document[field.name] = {key: value[key] for key in keys if key in value} if keys else value
    return document


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_tables(value)
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    return [_to_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _refusal(name: str, value: Any, kind: Any, option: Option, unfit: Unfit) -> UsageError:
    """The error for a value that does not fit; ``name`` is what the user calls it."""
    choices = choices_of(item_type(kind), option)
    if unfit.inner is not None and (choices or name.startswith("-")):  # a flag is typed once for each item
        value, kind, unfit = unfit.item, item_type(kind), unfit.inner
    shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
    if choices and isinstance(value, str):
        return UsageError(f"{name} cannot be {shown}.", hint=guess_or_list(value, choices))
    equals = " " if name.startswith("-") else " = "
    must = str(unfit) or must_be(kind, option)
    return UsageError(f"{name}{equals}{shown} does not fit.", hint=f"It must be {must}.")


class _Reader:
    """Walks through the tables of a document.

    Args:
        known: All keys, for suggestions.
        beside: Those of the outermost table that somebody else reads.
        typed: See :func:`convert`.
    """

    def __init__(self, known: list[str], beside: list[str], typed: str) -> None:
        self.known = known
        self.beside = beside
        self.typed = typed

    def table(
        self,
        kind: Any,
        data: Any,
        path: tuple[str, ...],
        base: Any,
        given: Mapping[str, Any],
        only: Sequence[str] = (),
    ) -> Any:
        """The dataclass ``kind`` of the table ``data``, which stands at ``path``."""
        if not isinstance(data, Mapping):
            advice = f"Write [{'.'.join(path)}] above its settings." if path else ""
            raise UsageError(f"{'.'.join(path) or 'It'} is not a table.", hint=advice)
        data = {str(name): value for name, value in data.items()}  # a checkpoint's recipe may have any keys
        fields = {
            field.name: field
            for field in options(kind)
            if field.name not in given and (not only or field.name in only)
        }
        others = next((name for name, field in fields.items() if field.option.others), None)
        values: dict[str, Any] = dict(given)
        for name, value in data.items():
            key = name if name in fields else american(name)
            if key != name and key in data:
                raise UsageError(f"{name!r} and {key!r} are one key.", hint="Leave one of them out.")
            if key in fields and key != others:
                values[key] = self._value(fields[key], value, (*path, key), getattr(base, key, None))
            elif others is not None and key.isidentifier():
                if others not in values:
                    values[others] = dict(getattr(base, others, None) or {})
                values[others][key] = value
            else:
                raise self._unknown(fields, (*path, key), value)
        if base is not None:
            return dataclasses.replace(base, **values)
        for field in fields.values():
            if (only or field.default is MISSING) and field.name not in values:
                raise UsageError(f"{_place(path)}{field.name!r} is missing.", hint="Add it.")
        return kind(**values)

    def _value(self, field: Field, value: Any, path: tuple[str, ...], base: Any) -> Any:
        inner = plain(field.kind)
        if value is None and NoneType in get_args(field.kind):  # JSON has null, TOML leaves the key out
            return None
        if dataclasses.is_dataclass(inner):
            return self.table(inner, value, path, base, {}, field.option.keys)
        if dataclasses.is_dataclass(item := item_type(inner)) and isinstance(value, list):
            return tuple(self.table(item, row, (*path, str(n)), None, {}) for n, row in enumerate(value))
        return fitted(field, value, self.typed or _place(path[:-1]) + path[-1])

    def _unknown(self, fields: Mapping[str, Field], path: tuple[str, ...], value: Any) -> UsageError:
        name = ".".join(path)
        tables_only = all(dataclasses.is_dataclass(plain(field.kind)) for field in fields.values())
        if tables_only and not isinstance(value, Mapping):
            table, _, key = (nearest(path[-1], self.known) or "").rpartition(".")
            example = f"write one, such as [{next(iter(fields))}], above it"
            advice = f"write {key} below [{table}]" if table else example
            hint = f"Settings are grouped in tables; {advice}."
            return UsageError(f"{name} is not a table.", hint=hint)
        here = [*fields] if path[1:] else [*fields, *self.beside]
        inside = f" in [{'.'.join(path[:-1])}]" if path[1:] else ""
        listed = f"Known{inside}: {', '.join(here)}."
        if isinstance(value, Mapping):
            return UsageError(f"There is no table [{name}].", hint=guess(name, [*here, *self.known]) + listed)
        return UsageError(f"There is no setting {name!r}.", hint=guess(name, self.known) + listed)


def _place(path: Sequence[str]) -> str:
    return f"[{'.'.join(path)}] " if path else ""
