"""How a threshold is chosen, kept in a card, and found again for two photos."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import tomli_w

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.faces import FaceModel
from facerec_cli.files import write_file
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.impostor_tail import score_at, supports, tail_of
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.packs.evaluations import read_evaluations
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import Option, convert
from facerec_cli.threshold import ImpostorTail, Threshold
from facerec_cli.untrusted import read_toml

log = logging.getLogger("facerec")

_SAVE = "facerec verify LIST --save-threshold"
_OTHER_MODEL = "Cosines of different models cannot be compared: choose the card's model with --model, or "
CALIBRATION = "calibration_version"
_MEASURE = {
    "threshold": _OTHER_MODEL + "measure a threshold for this one with --save-threshold.",
    "likelihood": _OTHER_MODEL + "calibrate this one with --save-likelihood.",
    "quality": "What foretells the errors of one model need not foretell another's: measure a limit for this "
    "one with --save-quality.",
}


@dataclass(frozen=True, slots=True)
class _Card:
    """What a threshold card says, by its keys; see :class:`Threshold`."""

    threshold: Annotated[float, Option(ge=-1.001, le=1.001)]  # a cosine, as far as rounding goes
    far: Annotated[float, Option(ge=1e-12, le=1)]  # a threshold for a rate of 0 cannot be measured
    measured_far: Annotated[float, Option(ge=0, le=1)]
    tar: Annotated[float, Option(ge=0, le=1)]
    different_pairs: int
    same_pairs: int
    data: str
    model: str
    model_sha256: str
    flip: bool
    aligned: bool


_FIELDS = {"threshold": "value", "different_pairs": "impostor_pairs", "same_pairs": "genuine_pairs"}
"""Keys of a card that are not called as the fields of ``Threshold`` are."""


def chosen_point(evaluation: Evaluation, far: float | None = None) -> OperatingPoint | None:
    """The operating point whose threshold is used: at ``far``, else at the smallest measurable FAR.

    Args:
        evaluation: Of a list of pairs.
        far: One of the rates that were asked for; its point need not be measurable.

    Returns:
        The point, or None where ``far`` was not asked for or, without ``far``, no rate is measurable.
    """
    if far is not None:
        return evaluation.point(far)
    return min((p for p in evaluation.tar_at_far if p.measurable), key=lambda p: p.far, default=None)


def choose(evaluation: Evaluation, far: float | None = None, *, data: str = "") -> Threshold | str:
    """The threshold that an evaluation supports: the one rule for cards, groups, exports and built packs.

    Args:
        evaluation: Of a list of pairs.
        far: The false accept rate; None takes the smallest one that is measurable.
        data: What the pairs are called; kept in the threshold.

    Returns:
        The threshold of :func:`chosen_point`, or why there is none.
    """
    point = chosen_point(evaluation, far)
    if point is None:
        return "no FAR is measurable on this list" if far is None else f"FAR {far:g} was not measured"
    if point.threshold is None:
        return point.reason
    return Threshold(
        value=point.threshold,
        far=point.far,
        data=data,
        impostor_pairs=evaluation.impostor.size,
        genuine_pairs=evaluation.genuine.size,
        measured_far=point.measured_far,
        tar=point.tar,
    )


def resolve(given: str | float | None, model: FaceModel, *, flip: bool = False) -> Threshold | None:
    """The threshold that applies to two photos, with its ``source``.

    Args:
        given: A cosine, or the path of a threshold card; None takes :func:`default_threshold`.
        model: What the photos are compared with.
        flip: Whether the mirrored crop is added.

    Returns:
        The threshold; None where none is given and the model has none.

    Raises:
        InputError: The card cannot be read.
        ModelError: The card belongs to another model or to the other setting of ``flip``.
        UsageError: ``given`` is no cosine.
    """
    if given is None:
        return default_threshold(model.pack, flip=flip)
    try:
        value = float(given)
    except ValueError:
        card = read_card(Path(str(given)))
        check_card(card, model=model.pack.name, sha256=model.hash, flip=flip)
        return replace(card, source=f"card {given}")
    if not -1 <= value <= 1:
        raise UsageError(
            f"--threshold {given} is not a cosine between -1 and 1.",
            hint="Name one such as 0.4, or a card of `facerec verify LIST --calibrate`.",
        )
    return Threshold(value, far=None, data="", impostor_pairs=None, source="given")


def default_threshold(pack: ModelPack, *, flip: bool) -> Threshold | None:
    """The threshold that a model comes with, where it has one, and its ``source``.

    Args:
        pack: The model.
        flip: Whether the mirrored crop is added: then that of the impostor tail with flip at the same FAR,
            or of an evaluation with flip, if the pack has one.
    """
    if pack.threshold is None or not flip:
        return pack.threshold and replace(pack.threshold, source="the model's default")
    far = pack.threshold.far
    tail = tail_of(pack, flip=True)
    if tail is not None and far is not None and supports(tail, far):
        return replace(threshold_of_tail(tail, far), source="the model's impostor tail with --flip")
    measured = threshold_with_flip(pack, far)
    if measured is not None:
        return replace(measured, source="the model's evaluation with --flip")
    log.warning(
        "the model's threshold was measured without --flip, which shifts scores a little; "
        f"measure one with it: {_SAVE.replace('LIST', 'LIST --flip')} card.toml"
    )
    return replace(pack.threshold, source="the model's default")


def threshold_of_tail(tail: ImpostorTail, far: float) -> Threshold:
    """The threshold of two photos that an impostor tail gives.

    Each two people count once in a tail, as do two people of whom somebody asks whether they are one; in all
    pairs of photos those with many photos would count most.

    Args:
        tail: Of a model.
        far: A false accept rate that it was measured for.
    """
    value = round(score_at(tail, far), 4)
    return Threshold(value, far, tail.data, tail.pairs, flip=tail.flip)


def threshold_with_flip(pack: ModelPack, far: float | None) -> Threshold | None:
    """The threshold that a stored evaluation with ``--flip`` has at ``far``; None where there is none."""
    for name, evaluation in read_evaluations(pack):
        if (evaluation.settings or {}).get("flip") is not True:
            continue
        for rate in evaluation.tar_at_far or ():
            if rate.far == far and rate.threshold is not None:
                impostors = (evaluation.different_pairs or 0) - (evaluation.failed_different_pairs or 0)
                return Threshold(
                    value=rate.threshold,
                    far=far,
                    data=f"{evaluation.source or name}, flip",
                    impostor_pairs=impostors,
                    flip=True,
                )
    return None


def threshold_table(threshold: Threshold) -> dict[str, Any]:
    """A threshold as the table of a card."""
    values = {key.name: getattr(threshold, _FIELDS.get(key.name, key.name)) for key in fields(_Card)}
    return {"version": 1, **values, "data": as_text(threshold.data)}


def as_text(data: str) -> str:
    """What data is called, as TOML can hold it: a list is called as its file, whose name need not be text."""
    return data.encode("utf-8", "backslashreplace").decode()


def save_card(threshold: Threshold, path: Path) -> None:
    """Write a threshold as TOML; the file is there whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, tomli_w.dumps(threshold_table(threshold)).encode(), what="threshold card")


def read_card(path: Path) -> Threshold:
    """Read a card, or the part of a calibration.

    Raises:
        InputError: It is not there, not TOML, or lacks a field.
    """
    card, advice = f"The threshold card {str(path)!r}", f"Write one with `{_SAVE}`."
    content = card_table(path, "threshold", name=card, advice=advice)
    if content.pop("version", None) != 1:
        raise InputError(f"{str(path)!r} is not a threshold card of version 1.", hint=advice)
    read = convert(content, _Card, source=card, advice=advice)
    return Threshold(**{_FIELDS.get(key.name, key.name): getattr(read, key.name) for key in fields(_Card)})


def card_table(path: Path, part: str, *, name: str, advice: str) -> dict[str, Any]:
    """What a card says; of a calibration of ``verify --calibrate``, which is several, the table ``part``.

    Raises:
        InputError: It is not there or not TOML.
    """
    content = read_toml(path, name=name, advice=advice)
    if content.get(CALIBRATION) != 1:
        return content
    table = content.get(part)
    return dict(table) if isinstance(table, dict) else {}


class BoundCard(Protocol):
    """A card whose figures mean something for one model and one setting of ``flip`` alone."""

    @property
    def model(self) -> str | None:
        """Name of the pack."""

    @property
    def model_sha256(self) -> str | None:
        """What identifies it."""

    @property
    def flip(self) -> bool | None:
        """Whether the mirrored crop was added."""


def check_card(
    card: BoundCard,
    *,
    model: str,
    sha256: str,
    flip: bool,
    kind: Literal["threshold", "likelihood", "quality"] = "threshold",
) -> None:
    """Refuse a card of another model or setting.

    Raises:
        ModelError: What the card says means nothing for this model, or without the card's --flip.
    """
    if card.model_sha256 != sha256:
        raise ModelError(
            f"The {kind} card was measured with the model {card.model!r} "
            f"({(card.model_sha256 or '')[:12]}), not with {model!r} ({sha256[:12]}).",
            hint=_MEASURE[kind],
        )
    if card.flip != flip:
        raise ModelError(
            f"The {kind} card was measured {'with' if card.flip else 'without'} --flip.",
            hint="Add --flip." if card.flip else "Leave --flip out.",
        )
