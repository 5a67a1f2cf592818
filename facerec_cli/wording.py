"""Counts in sentences that people read."""

from __future__ import annotations


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
