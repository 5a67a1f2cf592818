"""What a shell offers for the value of a flag: the names in the registries, and the models on this machine.

A callback runs at every press of the tab key, so it imports little (never torch), and it never raises: a
prompt is no place for a message. Where nothing here fits what was typed, the shell goes on to offer files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Offers = list[tuple[str, str]]
"""Values, each with a few words about it, which some shells show."""


def offering(find: Callable[[], Iterable[str | tuple[str, str]]]) -> Callable[[str], Offers]:
    """A callback for Typer that gives those of ``find()`` that begin like what was typed."""

    def offer(incomplete: str) -> Offers:
        try:
            found = [(value, "") if isinstance(value, str) else value for value in find()]
        except Exception:  # whatever is wrong with a pack or a folder is said by the command itself
            return []
        return [(value, words) for value, words in found if value.startswith(incomplete)]

    offer.__doc__ = find.__doc__
    return offer


def _models(*statuses: str) -> Iterable[tuple[str, str]]:
    from facerec_cli.packs.catalog import catalog

    for entry in catalog():
        if entry.status in statuses or not statuses:
            yield entry.name, entry.detail or (entry.pack.description if entry.pack else entry.status)


@offering
def models() -> Iterable[tuple[str, str]]:
    """What ``--model`` takes by name."""
    return _models("embedded", "registered", "insightface")


@offering
def all_models() -> Iterable[tuple[str, str]]:
    """Models here and those that can be pulled."""
    return _models()


@offering
def registered_models() -> Iterable[tuple[str, str]]:
    """Models that ``models remove`` may delete."""
    return _models("registered", "broken")


@offering
def pullable_models() -> Iterable[tuple[str, str]]:
    """Models that can be pulled."""
    from facerec_cli.packs.known import known_packs

    return ((name, pack.description) for name, pack in known_packs().items())


@offering
def recipes() -> Iterable[str]:
    """Recipes that come with facerec."""
    from facerec_cli.training.compose import shipped_recipes

    return shipped_recipes()


@offering
def settings() -> Iterable[str]:
    """``--set`` of training: every key, ready for its value."""
    from facerec_cli.training.config import recipe_settings

    return (f"{key}=" for key in recipe_settings())


@offering
def galleries() -> Iterable[str]:
    """The galleries of this folder."""
    from pathlib import Path

    return (place.stem for place in Path().glob("*.gallery"))
