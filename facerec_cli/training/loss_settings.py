"""A loss's class and its own settings, checked against its signature."""

from __future__ import annotations

from typing import Any

from facerec_cli.losses.base import Loss
from facerec_cli.registry import LOSSES, load
from facerec_cli.settings import fitted_all, options
from facerec_cli.training.config import Recipe, recipe_settings


def loss_class(name: str) -> type[Loss]:
    """The loss of that name."""
    kind: type[Loss] = load(LOSSES, name, "loss")
    return kind


def loss_settings(kind: type[Loss], recipe: Recipe) -> dict[str, Any]:
    """Check the loss's own settings against its signature.

    Raises:
        UsageError: One is unknown, has the wrong type or is out of its range.
    """
    common = {field.name: field for field in options(Loss.__init__) if field.name in ("seed", "matmul")}
    known = kind.settings() | common
    settings = dict(recipe.loss.settings)
    if kind.batches == "branches":  # as many as the data will have
        settings.setdefault(
            "branches", 1 + len(recipe.data.hard or (*recipe.data.degradations, *recipe.data.versions))
        )
    owner = f"the loss {recipe.loss.name}"
    return fitted_all(settings, known, table="loss", owner=owner, elsewhere=recipe_settings())
