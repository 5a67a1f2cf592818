"""Damage to JSON and TOML: values of another type or size, keys that are missing, new, odd or too deep."""

# ruff: noqa: E501 - the tables of odd values
from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from tests.fuzz.mutators.text import damage_text

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "x", "../x", "/etc/hostname",
    "a" * 100_000, "😀", "\0", [], {}, [[]], [1, 2, 3], ["a"], {"a": 1}, "nan", "1", 0.5, -0.5,
)  # fmt: skip


def damage_document(random: Random, document: Any) -> Any:
    """A copy with values of another type or size, keys that are missing, new or odd."""
    changed = json.loads(json.dumps(document))
    for _ in range(random.choice((1, 1, 2, 4))):
        places = list(_places(changed))
        if not places:
            return _value(random)
        holder, key = random.choice(places)
        action = random.random()
        if action < 0.6 or isinstance(holder, list):
            holder[key] = _value(random)
        elif action < 0.8:
            del holder[key]
        else:
            holder[random.choice((f"{key}x", "", "__class__", "a.b", "ключ", "colour", "\n"))] = _value(
                random
            )
    return changed


def _value(random: Random) -> Any:
    """An odd value; a copy, since further damage may go into it."""
    return copy.deepcopy(random.choice(_VALUES))


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def damage_json(random: Random, document: Any) -> tuple[bytes, str]:
    """A damaged JSON document, as bytes; and what was done."""
    kind = random.random()
    if kind < 0.1:
        return b"[" * random.choice((1000, 100_000)), "deep"
    if kind < 0.2:
        return b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep"
    text = json.dumps(damage_document(random, document) if kind < 0.7 else document)
    data, told = damage_text(random, text) if kind > 0.6 else (text.encode(), "values")
    return data, told


def damage_toml(random: Random, text: str) -> tuple[bytes, str]:
    """A damaged TOML document, as bytes; and what was done."""
    import tomllib

    import tomli_w

    kind = random.random()
    if kind < 0.06:
        return f"x = {'[' * 5000}{']' * 5000}\n{text}".encode(), "deep"
    if kind < 0.1:
        return (text + "[" + ".".join(["a"] * 3000) + "]\n").encode(), "deep tables"
    if kind < 0.65:
        document = damage_document(random, tomllib.loads(text))
        try:
            written = tomli_w.dumps(document if isinstance(document, dict) else {"x": document})
        except (TypeError, ValueError, AttributeError):  # None has no form in TOML
            written = text.replace(
                " = ", " = " + random.choice(("nan", "1979-05-27", "''", "[]", "{}", "inf")) + " # ", 3
            )
        return written.encode("utf-8", "surrogatepass"), "values"
    if kind < 0.75:
        lines = text.split("\n")
        lines.insert(random.randrange(len(lines)), random.choice(lines))
        return "\n".join(lines).encode(), "repeated key"
    return damage_text(random, text)
