"""Measures of a face that may tell whether its embedding can be trusted, and limits on them: names only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facerec_cli.errors import UsageError
from facerec_cli.suggest import guess

QUALITY = ("size", "sharpness", "brightness", "contrast", "clipped", "yaw", "pitch", "roll")
"""The measures of ``faces.quality.FaceQuality``, in the order of the table's columns."""

MEASURES = ("norm", "score", *QUALITY)
"""All measures of a face, those of the encoder and of the detector first."""

LOW_QUALITY = "low_quality"
"""The status of a face that does not keep to limits: it has its row in every table, and is not compared."""

MIDDLE = 127.5
"""The brightness from which dark and bright faces are equally far."""

_OF_PLACE = ("score", "size", "yaw", "pitch", "roll")
_SMALL_IS_GOOD = ("clipped", "yaw", "pitch", "roll")


def goodness(name: str, values: Any) -> Any:
    """A measure so that larger is better: what pairs are discarded by, and what limits are held against.

    ``norm``, ``score``, ``size``, ``sharpness`` and ``contrast`` as they are; minus the absolute value of
    ``clipped``, ``yaw``, ``pitch`` and ``roll``; minus the distance of ``brightness`` from 127.5.

    Args:
        name: One of ``MEASURES``.
        values: A number or an array of them.
    """
    if name == "brightness":
        return -abs(values - MIDDLE)
    return -abs(values) if name in _SMALL_IS_GOOD else values


def limit_of(name: str, good: float) -> float:
    """What a user writes after ``name=`` so that faces from this :func:`goodness` on pass."""
    return good if _is_least(name) else abs(good)


def _is_least(name: str) -> bool:
    return name != "brightness" and name not in _SMALL_IS_GOOD


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """What is asked of a face, as ``--min-quality`` says it.

    Attributes:
        limits: Measure -> limit. The least value of ``norm``, ``score``, ``size``, ``sharpness`` and
            ``contrast``; the largest ``clipped``, and ``yaw``, ``pitch`` and ``roll`` without their sign; the
            largest distance of ``brightness`` from 127.5.
    """

    limits: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> QualityLimits:
        """Read ``norm=8,yaw=0.2``.

        Raises:
            ValueError: With what it must be.
        """
        limits: dict[str, float] = {}
        for part in text.split(","):
            name, _, number = (word.strip() for word in part.partition("="))
            if name not in MEASURES:
                near = guess(name, MEASURES).strip()
                raise ValueError(
                    f"limits such as norm=8,yaw=0.2 on {', '.join(MEASURES)}, or a .toml card of "
                    f"`facerec verify LIST --save-quality`{f' ({near})' if near else ''}"
                )
            if name in limits:
                raise ValueError(f"limits that are named once each; {name} is there twice")
            try:
                limits[name] = float(number)
            except ValueError:
                limits[name] = math.nan
            if not (math.isfinite(limits[name]) and limits[name] >= 0):
                said = f"{name} has {number or 'nothing'}, not a number of at least 0"
                raise ValueError(f"limits such as norm=8; {said}")
        return cls(limits)

    @property
    def text(self) -> str:
        """As it can be written after ``--min-quality``."""
        return ",".join(f"{name}={limit!r}" for name, limit in self.limits.items())

    def fault(self, values: Mapping[str, float]) -> str:
        """Which limits a face does not keep to, as "norm 6.1 is below 8"; "" for none.

        Args:
            values: Measure -> value; NaN where it is not known, which keeps to no limit.
        """
        said = []
        for name, limit in self.limits.items():
            value = values.get(name, math.nan)
            least = limit if _is_least(name) else -limit
            if math.isnan(value):
                said.append(f"its {name} is not known")
            elif goodness(name, value) < least:
                said.append(f"{name} {value:.4g} is {_BEYOND.get(name, _beyond(name))} {limit:.4g}")
        return "; ".join(said)


def _beyond(name: str) -> str:
    return "below" if _is_least(name) else "beyond"


_BEYOND = {"clipped": "above", "brightness": f"farther from {MIDDLE} than"}


def is_limits(text: str) -> bool:
    """Whether a value of ``--min-quality`` has limits in it; otherwise it is the path of a card."""
    return "=" in text


def quality_given(text: str) -> str:
    """A rule: limits that can be read, or the path of a card.

    Raises:
        ValueError: With what it must be.
    """
    if is_limits(text) or not text.strip().lower().endswith(".toml"):
        QualityLimits.parse(text)
    return text


def refuse_for_crops(text: str) -> None:
    """Refuse limits on what nobody knows of a ready crop: where its face lies in its photo.

    Raises:
        UsageError: The limits name such a measure.
    """
    limits = QualityLimits.parse(text).limits if is_limits(text) else {}
    unknown = [name for name in limits if name in _OF_PLACE]
    if unknown:
        raise UsageError(
            f"--min-quality {', '.join(unknown)} is not known of aligned crops.",
            hint="Leave it out, or take norm, sharpness, brightness, contrast or clipped.",
        )
