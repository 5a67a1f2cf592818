"""How the library tells its caller how far long work has come, without printing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A function that is told the units done so far and, once known, the total."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Take note of ``done`` units out of ``total``."""
        ...


class Stages(Protocol):
    """A function that is told what is done next, and gives the progress to tell of it."""

    def __call__(self, description: str, unit: str = "photos") -> Progress:
        """Begin ``description``, which is counted in ``unit`` where it is counted at all."""
        ...


def silent(done: int, total: int | None = None) -> None:
    """Progress that goes nowhere; the default of every library function that takes one."""


def silent_stages(description: str, unit: str = "photos") -> Progress:
    """Stages that nobody is told of."""
    return silent
