"""Recipes of the kit's runs, and a run that is opened without a folder on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from gpu_kit.report import Kit

_TINY = {"backbone.name": "mobilefacenet", "backbone.width": 0.125, "data.workers": 0}


def make_recipe(kit: Kit, settings: Mapping[str, Any]) -> Recipe:
    """A recipe on the kit's device; in a tiny run with a tiny network and without reading processes."""
    recipe = Recipe()
    given = {
        "run.device": kit.device,
        "run.out": str(kit.folder / "run"),
        **settings,
        **(_TINY if kit.tiny else {}),
    }
    for key, value in given.items():
        recipe = changed(recipe, key, value)
    return recipe
