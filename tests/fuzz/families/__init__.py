"""The families of inputs: each module has functions that fill a sandbox and give the command for it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from random import Random

from tests.fuzz.sandbox import Case, Sandbox

#: Name -> (module:function, how many of a hundred runs).
FAMILIES: dict[str, tuple[str, int]] = {
    "photos": ("photos:photos", 20),
    "photo_lists": ("lists:photo_lists", 10),
    "pairs": ("pairs:pairs", 13),
    "bins": ("pairs:bins", 4),
    "protocols": ("protocols:protocols", 5),
    "people": ("people:people", 10),
    "records": ("people:records", 7),
    "shards": ("people:shards", 4),
    "vectors": ("vectors:vectors", 9),
    "groups": ("tables:groups", 3),
    "cards": ("tables:cards", 3),
    "results": ("tables:results", 3),
    "packs": ("models:packs", 4),
    "archives": ("models:archives", 3),
    "networks": ("models:networks", 5),
    "homes": ("models:homes", 2),
    "checkpoints": ("training:checkpoints", 2),
    "recipes": ("training:recipes", 3),
    "studies": ("training:studies", 2),
    "flags": ("flags:flags", 6),
    "api": ("api:api", 7),
}


def make(family: str, seed: int, number: int, root: Path) -> tuple[Sandbox, Case]:
    """The case of a number: the same one for the same seed, always."""
    module, _, name = FAMILIES[family][0].partition(":")
    sandbox = Sandbox(root)
    random = Random(f"{seed}/{family}/{number}")
    case: Case = getattr(import_module(f"tests.fuzz.families.{module}"), name)(random, sandbox)
    return sandbox, case


def plan(inputs: int, families: list[str]) -> list[tuple[str, int]]:
    """(family, number) of so many cases, by the families' weights; each family has at least one."""
    total = sum(FAMILIES[family][1] for family in families)
    counts = {family: max(1, inputs * FAMILIES[family][1] // total) for family in families}
    counts[families[0]] += max(0, inputs - sum(counts.values()))
    return [(family, number) for family in families for number in range(counts[family])]
