"""A limit of quality that was measured on labeled pairs, kept in a card and found again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tomli_w

from facerec_cli.errors import InputError
from facerec_cli.faces.quality_limits import MEASURES, QualityLimits, is_limits
from facerec_cli.files import write_file
from facerec_cli.metrics.thresholds import as_text, check_card
from facerec_cli.settings import Option, convert, to_tables
from facerec_cli.untrusted import read_toml

_SAVE = "facerec verify LIST --save-quality"
_VERSION = "quality_version"


@dataclass(frozen=True, slots=True)
class QualityCard:
    """A limit and what it did on the pairs that it was measured on; see ``metrics.discard.DiscardCurve``.

    Attributes:
        measure: What is limited.
        limit: As after ``--min-quality measure=``.
        discarded: The share of the same pairs that it discards there.
        far: The false accept rate of the threshold at which false rejects were counted.
        fnmr: False non-match rate of all same pairs.
        fnmr_left: Of those that are left.
        gain: Of the curve, with its interval.
        low: Lower end.
        high: Upper end.
        same_pairs: How many were followed.
        people: How many they show.
        data: What the pairs are called.
        model: Name of the pack.
        model_sha256: What identifies it.
        flip: Whether the mirrored crop was added.
        aligned: Whether the photos were aligned crops.
    """

    measure: Annotated[str, Option(choices=MEASURES)]
    limit: Annotated[float, Option(ge=-1e12, le=1e12)]
    discarded: Annotated[float, Option(gt=0, lt=1)]
    far: Annotated[float, Option(gt=0, lt=1)]
    fnmr: Annotated[float, Option(ge=0, le=1)]
    fnmr_left: Annotated[float, Option(ge=0, le=1)]
    gain: Annotated[float, Option(le=1)]
    low: Annotated[float, Option(le=1)]
    high: Annotated[float, Option(le=1)]
    same_pairs: Annotated[int, Option(ge=1, le=10**15)]
    people: Annotated[int, Option(ge=1, le=10**15)]
    data: str
    model: str
    model_sha256: str
    flip: bool
    aligned: bool

    @property
    def limits(self) -> QualityLimits:
        """What it asks of a face."""
        return QualityLimits({self.measure: self.limit})


def save_quality(card: QualityCard, path: Path) -> None:
    """Write a card as TOML; the file is there whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    values = {_VERSION: 1, **to_tables(card), "data": as_text(card.data)}
    write_file(path, tomli_w.dumps(values).encode(), what="quality card")


def read_quality(path: Path) -> QualityCard:
    """Read a card.

    Raises:
        InputError: It is not there, not TOML, or lacks a field.
    """
    name, advice = f"The quality card {str(path)!r}", f"Write one with `{_SAVE}`."
    content = read_toml(path, name=name, advice=advice)
    if content.pop(_VERSION, None) != 1:
        raise InputError(f"{str(path)!r} is not a quality card of version 1.", hint=advice)
    return convert(content, QualityCard, source=name, advice=advice)


def limits_for(given: str, *, model: str, sha256: str, flip: bool) -> QualityLimits:
    """What a value of ``--min-quality`` asks of faces that a model embeds.

    Args:
        given: Limits, or the path of a card.
        model: Name of the pack.
        sha256: What identifies it.
        flip: Whether the mirrored crop is added.

    Raises:
        InputError: The card cannot be read.
        ModelError: It belongs to another model or to the other setting of ``flip``, which norms depend on.
    """
    if is_limits(given):
        return QualityLimits.parse(given)
    card = read_quality(Path(given))
    check_card(card, model=model, sha256=sha256, flip=flip, kind="quality")
    return card.limits
