"""Readers of values from outside: each takes what TOML or JSON gave and returns it checked, or refuses it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from facerec_cli.errors import ModelError
from facerec_cli.spelling import american
from facerec_cli.suggest import guess

T = TypeVar("T")
Reader = Callable[[Any], Any]


def build(kind: type[T], readers: Mapping[str, Reader], found: Any, *, where: str, **given: Any) -> T:
    """Make a dataclass of a table.

    Args:
        kind: The dataclass; its fields without a default have to be there.
        readers: A reader for each key that the table may have.
        found: The table.
        where: Leads to the table, for messages.
        given: Fields that do not come from the table.

    Raises:
        ModelError: An unknown or missing key, or a value that its reader refuses.
    """
    if not isinstance(found, dict):
        raise ModelError(f"{where} must be a table, not {found!r}.")
    values: dict[str, Any] = dict(given)
    for name, value in found.items():
        key = name if name in readers else american(name)
        if key not in readers:
            near = guess(key, readers)
            raise ModelError(f"{where}: unknown key {key!r}.", hint=f"{near}Known: {', '.join(readers)}")
        if key != name and key in found:
            raise ModelError(f"{where}: {name!r} and {key!r} are one key.", hint="Leave one of them out.")
        try:
            values[key] = readers[key](value)
        except Refused as fault:
            raise ModelError(
                f"{where}: {key!r} {fault}, not {value!r}.",
                hint="Correct it; docs/models.md has a whole manifest.",
            ) from None
        except _Nested as fault:
            raise fault.at(where, key) from None
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        optional = (
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        )
        if field.name not in values and not optional:
            raise ModelError(
                f"{where}: {field.name!r} is missing.", hint="Add it; docs/models.md has a whole manifest."
            )
    return kind(**values)


class Refused(Exception):  # noqa: N818 - says what the value must be
    """A value that its reader does not take; the text completes "KEY ..., not VALUE"."""


class _Nested(Exception):  # noqa: N818 - a fault in an inner table, on its way to learning its address
    def __init__(self, fault: ModelError) -> None:
        super().__init__(fault.message)
        self.fault = fault

    def at(self, where: str, key: str) -> ModelError:
        return ModelError(f"{where} [{key}]{self.fault.message}", hint=self.fault.hint)


def table(kind: type[Any], readers: Mapping[str, Reader]) -> Reader:
    """A table inside the table."""

    def read(value: Any) -> Any:
        try:
            return build(kind, readers, value, where="")
        except ModelError as fault:
            raise _Nested(fault) from None

    return read


def text(value: Any) -> str:
    """Text, perhaps empty."""
    if not isinstance(value, str):
        raise Refused("must be text")
    return value


def filled(value: Any) -> str:
    """Text that is not blank."""
    if not text(value).strip():
        raise Refused("must be text that is not empty")
    return str(value)


def boolean(value: Any) -> bool:
    """True or false, and no number."""
    if not isinstance(value, bool):
        raise Refused("must be true or false")
    return value


def integer(low: int, high: int) -> Reader:
    """A whole number from ``low`` to ``high``."""

    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Refused(f"must be a whole number from {low} to {high}")
        return value

    return read


def number(low: float, high: float, *, positive: bool = False) -> Reader:
    """A finite number from ``low`` to ``high``, whole or not; a float afterwards."""

    def read(value: Any) -> float:
        plain = type(value) in (int, float) and math.isfinite(value) and low <= value <= high
        if not plain or (positive and value <= 0):
            raise Refused(f"must be a number from {low:g} to {high:g}" + (", above 0" if positive else ""))
        return float(value)

    return read


def listing(reader: Reader, length: int | None = None) -> Reader:
    """A list, of ``length`` if given, whose items ``reader`` takes; a tuple afterwards."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise Refused("must be a list" + (f" of {length}" if length else ""))
        try:
            return tuple(reader(item) for item in value)
        except Refused as fault:
            raise Refused(f"must be a list where each {fault}") from None

    return read


def choice(*known: str) -> Reader:
    """One of the texts ``known``."""

    def read(value: Any) -> str:
        if value not in known:
            raise Refused(f"must be one of {', '.join(known)}")
        return str(value)

    return read


def sha256(value: Any) -> str:
    """A sha256 in hexadecimal, or nothing; lower case afterwards."""
    if value != "" and not re.fullmatch(r"[0-9a-fA-F]{64}", text(value)):
        raise Refused("must be 64 hexadecimal digits, or empty where the source publishes none")
    return str(value).lower()


DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def possible_name(name: str) -> bool:
    """Whether a file can be called so on every system, and lies in the folder that it is made in."""
    plain = re.fullmatch(r"[^/\\:*?\"<>|\x00-\x1f]{1,255}", name)
    return bool(plain) and not name.endswith((".", " ")) and name.split(".")[0].lower() not in DEVICES


def file_name(value: Any) -> str:
    """A plain file name: a manifest must not reach outside its folder, on any system."""
    if not possible_name(text(value)):
        raise Refused("must be the plain name of a file in the pack's folder")
    return str(value)


def url(value: Any) -> str:
    """An address to download from."""
    if not re.match(r"https?://[^\s/]+/\S+$", text(value)):
        raise Refused("must be an http(s) address")
    return str(value)


def facts(value: Any) -> dict[str, str]:
    """A table with any keys, of texts."""
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise Refused("must be a table of texts")
    return dict(value)
