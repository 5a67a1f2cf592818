"""Counts in sentences that people read."""

from __future__ import annotations

import math
from collections.abc import Sequence


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 photo``, ``1,024 photos``, ``0 people``.

    Args:
        number: How many.
        noun: The word for one.
        plural: The word for several, where it is not ``noun`` and an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def people(number: int) -> str:
    """``1 person``, ``2 people``."""
    return counted(number, "person", "people")


def one_in(rate: float) -> str:
    """A false accept rate as people read it: ``1 in 1,000 (0.1 %)``, ``3 in 1,000 (0.3 %)``.

    Args:
        rate: Above 0 and below 1; of others the percentage alone.
    """
    return f"{fraction(rate)} ({percent(rate)})" if 0 < rate < 1 else percent(rate)


def percent(rate: float) -> str:
    """``0.1 %``, ``0.0001 %``, ``12.5 %``: four figures at most, never with an exponent."""
    digits = max(0, 3 - math.floor(math.log10(abs(100 * rate)))) if rate else 0
    text = f"{100 * rate:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def fraction(rate: float) -> str:
    """``1 in 1,000``, or the smallest power of ten below which the rate is a whole number to four figures."""
    inverse = 1 / rate
    if rate <= 0.5 and abs(inverse - round(inverse)) < 1e-6 * inverse:
        return f"1 in {round(inverse):,}"
    below = 10
    while abs(rate * below - round(rate * below)) > 1e-4 * rate * below and below < 10**12:
        below *= 10
    return f"{round(rate * below):,} in {below:,}"


def alternatives(names: Sequence[str]) -> str:
    """``main, center or largest``."""
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
