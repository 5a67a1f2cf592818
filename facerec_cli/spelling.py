"""One spelling of names, the ecosystem's (American); what was written or typed in the other goes on working.

Manifests, ONNX metadata, flags and Python code of before say ``colour``, ``normalised`` and ``licence``.
Whatever reads names from outside takes both through :func:`american`; nothing writes the other spelling.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_AMERICAN: Mapping[str, str] = {
    "centre": "center",
    "colour": "color",
    "labelled": "labeled",
    "licence": "license",
    "normalise": "normalize",
    "normalised": "normalized",
    "optimiser": "optimizer",
}


def american(name: str) -> str:
    """A name in the spelling that is used here: ``accept-licence`` is ``accept-license``, word by word."""
    return re.sub(r"[A-Za-z]+", lambda word: _AMERICAN.get(word[0], word[0]), name)


def both_spellings(*others: str) -> Callable[[type[T]], type[T]]:
    """Let a dataclass be made and read with other spellings of its fields too.

    Args:
        others: Names in the other spelling, such as ``colour`` for the field ``color``.
    """

    def decorate(kind: type[T]) -> type[T]:
        made = kind.__init__

        @functools.wraps(made)
        def init(self: T, *values: Any, **named: Any) -> None:
            for other in others:
                if other in named:  # over the field itself, which dataclasses.replace() fills in
                    named[american(other)] = named.pop(other)
            made(self, *values, **named)

        kind.__init__ = init  # type: ignore[method-assign, assignment]
        for other in others:
            setattr(kind, other, property(operator.attrgetter(american(other))))
        return kind

    return decorate
