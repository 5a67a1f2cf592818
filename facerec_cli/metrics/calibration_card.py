"""The one card of ``verify LIST --calibrate``: a threshold, what scores are worth, and the impostor tail.

A TOML file whose tables ``threshold`` and ``likelihood`` are the cards of ``--save-threshold`` and
``--save-likelihood``, so whatever reads one of these reads it; ``impostor_tail`` is as in a manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.errors import ModelError
from facerec_cli.files import write_file
from facerec_cli.metrics.likelihood_card import LikelihoodCard, likelihood_table, read_likelihood
from facerec_cli.metrics.thresholds import (
    CALIBRATION,
    as_text,
    card_table,
    check_card,
    read_card,
    threshold_table,
)
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.settings import convert, options, to_tables
from facerec_cli.threshold import ImpostorTail, Likelihood, Threshold

_SAVE = "facerec verify LIST --calibrate"


@dataclass(frozen=True, slots=True)
class CalibrationCard:
    """What a list or folder says of a model's scores.

    Attributes:
        threshold: At a false accept rate, bound to the model.
        likelihood: What scores are worth, likewise.
        tail: How high the scores of two people come; None where that is not measurable.
    """

    threshold: Threshold
    likelihood: LikelihoodCard
    tail: ImpostorTail | None = None


def save_calibration(card: CalibrationCard, path: Path) -> None:
    """Write a card as TOML; the file is there whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    document: dict[str, Any] = {
        CALIBRATION: 1,
        "threshold": threshold_table(card.threshold),
        "likelihood": likelihood_table(card.likelihood),
    }
    if card.tail is not None:
        document["impostor_tail"] = to_tables(card.tail) | {"data": as_text(card.tail.data)}
    write_file(path, tomli_w.dumps(document).encode(), what="calibration card")


def read_calibration(path: Path) -> CalibrationCard:
    """Read a card.

    Raises:
        InputError: It is not there, not TOML, or lacks a part or a field.
    """
    name, advice = f"The calibration card {str(path)!r}", f"Write one with `{_SAVE}`."
    threshold, likelihood = read_card(path), read_likelihood(path)
    table = card_table(path, "impostor_tail", name=name, advice=advice)
    tail = convert(table, ImpostorTail, source=name, advice=advice) if table else None
    return CalibrationCard(threshold, likelihood, tail)


def with_card(pack: ModelPack, path: Path) -> ModelPack:
    """A pack that carries what a card says, so that it need not be named again.

    What the manifest said of other photos goes: a threshold and its kinds belong together.

    Raises:
        InputError: The card cannot be read.
        ModelError: It was measured with another model, or with ``--flip``.
    """
    card = read_calibration(path)
    check_card(card.threshold, model=pack.name, sha256=pack_hash(pack), flip=False)
    if card.threshold.aligned:
        raise ModelError(
            f"{path} was measured on aligned crops, not on photos.",
            hint="Measure it on photos, or without --aligned.",
        )
    kept = {field.name: getattr(card.likelihood, field.name) for field in options(Likelihood)}
    return replace(
        pack,
        threshold=replace(card.threshold, source=None),
        likelihoods=(Likelihood(**kept),),
        impostor_tails=() if card.tail is None else (card.tail,),
        measured=(),
        unmeasured=(),
    )
