"""Values that a declared setting must refuse, made from its declaration."""

from __future__ import annotations

from typing import Any, get_args

from facerec_cli.settings import Field


def wrong_values(field: Field) -> list[Any]:
    """A value beyond each end of the range, NaN, or a name that is no choice; empty where all is allowed."""
    option = field.option
    below = [] if option.ge is None else [option.ge - 1]
    above = [] if option.le is None else [option.le + 1]
    values = [*below, *above, *(bound for bound in (option.gt, option.lt) if bound is not None)]
    kinds = {field.kind, *get_args(field.kind)}
    if float in kinds:
        return [float("nan"), *map(float, values)]
    return ["xyzzy"] if field.choices else values
