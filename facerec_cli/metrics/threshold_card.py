"""Threshold cards: a threshold, what it stands for, and the model that it was measured with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.errors import InputError, ModelError
from facerec_cli.files import write_file
from facerec_cli.untrusted import parse_toml


@dataclass(frozen=True, slots=True)
class ThresholdCard:
    """A measured threshold.

    Attributes:
        threshold: Accept when cosine >= threshold.
        far: The false accept rate that it was chosen for.
        measured_far: The one it had on the data, <= ``far``.
        tar: True accept rate on the same data.
        different_pairs: How many different pairs the data had.
        same_pairs: How many same pairs.
        data: Name of the list.
        model: Name of the pack.
        model_sha256: What identifies detector, encoder and preprocessing.
        flip: Whether the mirrored crop was added.
        aligned: Whether the photos were aligned crops.
    """

    threshold: float
    far: float
    measured_far: float
    tar: float
    different_pairs: int
    same_pairs: int
    data: str
    model: str
    model_sha256: str
    flip: bool
    aligned: bool


def save_card(card: ThresholdCard, path: Path) -> None:
    """Write ``card`` as TOML; the file is there whole or not at all."""
    data = card.data.encode("utf-8", "backslashreplace").decode()  # a name of a file need not be text
    text = tomli_w.dumps({"version": 1, **asdict(card), "data": data})
    write_file(path, text.encode(), what="threshold card")


_LEAST_RATE = 1e-12  # a threshold for a rate of 0 cannot be measured
_RANGES = {
    "threshold": (-1.001, 1.001),  # a cosine, as far as rounding goes
    "far": (_LEAST_RATE, 1),
    "measured_far": (0, 1),
    "tar": (0, 1),
}


def read_card(path: Path) -> ThresholdCard:
    """Read a card.

    Raises:
        InputError: It is not there, not TOML, or lacks a field.
    """
    try:
        content: dict[str, Any] = parse_toml(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            f"The threshold card {str(path)!r} cannot be read: {error.strerror}.",
            hint="Write one with `facerec verify LIST --save-threshold`.",
        ) from error
    except ValueError as error:
        raise InputError(
            f"The threshold card {str(path)!r} is not TOML: {error}.",
            hint="Write one with `facerec verify LIST --save-threshold`.",
        ) from error
    if content.get("version") != 1:
        raise InputError(
            f"{str(path)!r} is not a threshold card of version 1.",
            hint="Write one with `facerec verify LIST --save-threshold`.",
        )
    kinds = ThresholdCard.__annotations__
    values: dict[str, Any] = {}
    for name, kind in kinds.items():
        value = content.get(name)
        fits = {"float": (int, float), "int": int, "str": str, "bool": bool}[kind]
        usable = isinstance(value, fits) and (kind == "bool" or not isinstance(value, bool))  # type: ignore[arg-type]
        if not usable or (name in _RANGES and not _RANGES[name][0] <= value <= _RANGES[name][1]):  # type: ignore[operator]
            raise InputError(
                f"The threshold card {str(path)!r} has no usable {name!r}.",
                hint="Write it again with `facerec verify LIST --save-threshold`.",
            )
        values[name] = value
    return ThresholdCard(**values)


def check_card(card: ThresholdCard, *, model: str, sha256: str, flip: bool) -> None:
    """Refuse a card of another model or setting.

    Raises:
        ModelError: The card's threshold means nothing for this model, or without the card's --flip.
    """
    if card.model_sha256 != sha256:
        raise ModelError(
            f"The threshold card was measured with the model {card.model!r} "
            f"({card.model_sha256[:12]}), not with {model!r} ({sha256[:12]}).",
            hint="Cosines of different models cannot be compared: choose the card's model with --model, or "
            "measure a threshold for this one with --save-threshold.",
        )
    if card.flip != flip:
        raise ModelError(
            f"The threshold card was measured {'with' if card.flip else 'without'} --flip.",
            hint="Add --flip." if card.flip else "Leave --flip out.",
        )
