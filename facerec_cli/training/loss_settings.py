"""A loss's class and its own settings, checked against its signature."""

from __future__ import annotations

import inspect
from typing import Any

from facerec_cli.errors import UsageError
from facerec_cli.losses.base import Loss
from facerec_cli.registry import LOSSES, load, unknown_name
from facerec_cli.training.config import Recipe, recipe_settings


def loss_class(name: str) -> type[Loss]:
    """The loss of that name."""
    kind: type[Loss] = load(LOSSES, name, "loss")
    return kind


def loss_settings(kind: type[Loss], recipe: Recipe) -> dict[str, Any]:
    """Check the loss's own settings against its signature.

    Raises:
        UsageError: One is unknown, or its type differs from the default's.
    """
    known = kind.settings()
    common = {p: d.default for p, d in inspect.signature(Loss).parameters.items() if p in ("seed", "matmul")}
    settings = dict(recipe.loss.settings)
    if kind.batches == "branches":  # as many as the data will have
        settings.setdefault("branches", 1 + len(recipe.data.hard or recipe.data.degradations))
    for key, value in settings.items():
        if key not in known and key not in common:
            kind_of = f"setting of the loss {recipe.loss.name}"
            raise unknown_name(key, [*known, *common], kind_of, elsewhere=recipe_settings())
        default = known.get(key, common.get(key))
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            settings[key] = value = float(value)
        if default is not None and type(value) is not type(default):
            raise UsageError(
                f"loss.{key} = {value!r} does not fit.",
                hint=f"Its default is {default!r}; give the same kind.",
            )
    return settings
