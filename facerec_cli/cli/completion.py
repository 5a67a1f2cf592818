"""What a shell offers for the value of a flag: the names in the registries, and the models on this machine.

A callback runs at every press of the tab key, so it imports little (never torch), and it never raises: a
prompt is no place for a message. Where nothing here fits what was typed, the shell goes on to offer files.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from facerec_cli import registry

Offers = list[tuple[str, str]]
"""Values, each with a few words about it, which some shells show."""


def _offering(find: Callable[[], Iterable[str | tuple[str, str]]]) -> Callable[[str], Offers]:
    """A callback for Typer that gives those of ``find()`` that begin like what was typed."""

    @functools.wraps(find)
    def offer(incomplete: str) -> Offers:
        try:
            found = [(one, "") if isinstance(one, str) else one for one in find()]
        except Exception:  # whatever is wrong with a pack or a folder is said by the command itself
            return []
        return [(value, words) for value, words in found if value.startswith(incomplete)]

    del offer.__wrapped__  # Typer looks at the parameters
    offer.__annotations__ = {"incomplete": str, "return": Offers}
    return offer


def _models(*statuses: str) -> Iterable[tuple[str, str]]:
    from facerec_cli.packs.catalogue import catalogue

    for entry in catalogue():
        if entry.status in statuses or not statuses:
            yield entry.name, entry.detail or (entry.pack.description if entry.pack else entry.status)


@_offering
def models() -> Iterable[tuple[str, str]]:
    """What ``--model`` takes by name."""
    return _models("embedded", "registered", "insightface")


@_offering
def all_models() -> Iterable[tuple[str, str]]:
    """Models here and those that can be pulled."""
    return _models()


@_offering
def registered_models() -> Iterable[tuple[str, str]]:
    """Models that ``models remove`` may delete."""
    return _models("registered", "broken")


@_offering
def pullable_models() -> Iterable[tuple[str, str]]:
    """Models that can be pulled."""
    from facerec_cli.packs.known import known_packs

    return ((name, pack.description) for name, pack in known_packs().items())


@_offering
def pair_formats() -> Iterable[str]:
    """Formats of lists of pairs."""
    return registry.PAIR_FORMATS


@_offering
def templates() -> Iterable[str]:
    """Alignment templates."""
    from facerec_cli.faces.align import TEMPLATES

    return TEMPLATES


@_offering
def recipes() -> Iterable[str]:
    """Recipes that come with facerec."""
    from facerec_cli.training.compose import shipped_recipes

    return shipped_recipes()


@_offering
def settings() -> Iterable[str]:
    """``--set`` of training: every key, ready for its value."""
    from facerec_cli.training.config import recipe_settings

    return (f"{key}=" for key in recipe_settings())


def choices(key: str) -> Callable[[str], Offers]:
    """The values that a setting of training may have."""

    @_offering
    def find() -> Iterable[str]:
        from facerec_cli.training.config import recipe_settings

        return recipe_settings()[key].choices

    return find


def names(*known: str) -> Callable[[str], Offers]:
    """These."""
    return _offering(lambda: known)


devices = names(*registry.DEVICES)
all_faces = names("all", *registry.FACE_RULES)
one_face = names(*registry.FACE_RULES)
engines = names(*registry.ENGINES)
losses = names(*registry.LOSSES)
backbones = names(*registry.BACKBONES)
projects = names(*registry.PROJECTS)
formats = names(*registry.WRITABLE)
