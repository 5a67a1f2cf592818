"""What was measured of a model's scores: types that manifests, cards, verdicts and exports share."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from facerec_cli.errors import UsageError
from facerec_cli.settings import Option, filled

DEFAULT_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""The false accept rates that an evaluation measures unless others are asked for."""


LARGEST = 1000.0
"""Stands for an infinite log likelihood ratio where there is no sign for it; all bounds are far below."""


def data_name(data: str) -> str:
    """What data is called in a sentence: the words before the first comma or semicolon."""
    return re.split("[,;]", data)[0].strip()


def false_accept_rate(value: float) -> float:
    """``value``, if it is above 0 and below 1; the rule of settings that are such a rate.

    Raises:
        ValueError: With what it must be.
    """
    if not 0 < value < 1:
        raise ValueError("a false accept rate between 0 and 1")
    return value


@dataclass(frozen=True, slots=True)
class Threshold:
    """A cosine from which on two faces are called the same person, and what it stands for.

    What is not known is None. A manifest has the first four, all of them; a threshold card has all but
    ``source``; of a number that a user gives nothing but the value is known. How one is chosen from an
    evaluation, written as a card and found again is told in ``metrics/thresholds.py`` and nowhere else.

    Attributes:
        value: Accept when cosine >= value, -1..1.
        far: The false accept rate that it was chosen for, above 0 and below 1.
        data: The labeled pairs that it was chosen on, and the settings (flip or not); "" where unknown.
        impostor_pairs: How many scored pairs of two people that data has.
        genuine_pairs: How many scored pairs of one person.
        measured_far: The false accept rate that it had on the data, <= ``far``.
        tar: The true accept rate that it had there.
        model: Name of the pack that it was measured with.
        model_sha256: What identifies that pack's detector, encoder and preprocessing.
        flip: Whether the mirrored crop was added.
        aligned: Whether the photos were aligned crops.
        source: Where it was found, for a person, once ``thresholds.resolve`` has looked.
    """

    value: Annotated[float, Option(ge=-1, le=1)]
    far: Annotated[float | None, Option(gt=0, le=1)]
    data: Annotated[str, Option(rule=filled)]
    impostor_pairs: Annotated[int | None, Option(ge=1, le=10**15)]
    genuine_pairs: int | None = None
    measured_far: float | None = None
    tar: float | None = None
    model: str | None = None
    model_sha256: str | None = None
    flip: bool | None = None
    aligned: bool | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ImpostorTail:
    """How high the scores of two people come with a model, from which a threshold for a search follows.

    A verification threshold is never used for a search: a stranger is compared with all N enrolled people.

    Attributes:
        data: The photos that were compared, and how the faces were chosen.
        people: How many people they show.
        pairs: How many scored pairs of two people.
        mean: Mean of these scores, a cosine.
        deviation: Their standard deviation.
        rates: False match rates of one comparison, from large to small, each of 3 / rate pairs or more.
        scores: The least score that is accepted at each of them, of the same length.
        flip: Whether the mirrored crop was added.
        variation: How unevenly people are taken for others: the variance of the people's own false match
            rates over the square of their mean. 1 is more than was measured (0.3 to 0.6).
        genuine_mean: Mean score of two photos of one person. From it follows how much higher templates of
            several photos score with strangers than single photos do; None where nobody has measured it.
        raised: By how much they have been raised for such templates; None in manifests.

    Raises:
        UsageError: Rates and scores are not of one length or not in order, or a rate has too few pairs.
    """

    data: Annotated[str, Option(rule=filled)]
    people: Annotated[int, Option(ge=2, le=10**9)]
    pairs: Annotated[int, Option(ge=1, le=10**15)]
    mean: Annotated[float, Option(ge=-1, le=1)]
    deviation: Annotated[float, Option(gt=0, le=1)]
    rates: Annotated[tuple[float, ...], Option(gt=0, lt=1)]
    scores: Annotated[tuple[float, ...], Option(ge=-1, le=1)]
    flip: bool = False
    variation: Annotated[float, Option(ge=0, le=1e6)] = 1.0
    genuine_mean: Annotated[float | None, Option(gt=0, le=1)] = None
    raised: Annotated[float | None, Option(ge=0, le=1)] = None

    def __post_init__(self) -> None:
        if not self.rates or len(self.rates) != len(self.scores):
            raise UsageError(
                f"impostor_tails has {len(self.rates)} rates and {len(self.scores)} scores.",
                hint="Each rate needs its score.",
            )
        if any(b >= a for a, b in pairwise(self.rates)) or any(b < a for a, b in pairwise(self.scores)):
            raise UsageError(
                "impostor_tails is not in order.", hint="Rates fall from one to the next, scores rise."
            )
        if self.rates[-1] * self.pairs < 3 * (1 - 1e-9):
            raise UsageError(
                f"impostor_tails cannot have the rate {self.rates[-1]:g} of {self.pairs:,} pairs.",
                hint=f"It takes {math.ceil(3 / self.rates[-1] - 1e-6):,} pairs (3 / rate): leave it out.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """What a score is worth: how many times more likely it is for one person than for two.

    ``metrics/likelihood.py`` makes such calibrations and takes the ratio of a score from them.

    Attributes:
        method: ``logistic``, a line, or ``isotonic``, stairs that never fall.
        low: The lowest log likelihood ratio that the data carry; logarithms are natural.
        high: The highest.
        cllr: What the ratios cost, in bits.
        min_cllr: What ratios that rise with the score cost at least, in bits.
        same_pairs: How many scored pairs of one person the data has.
        different_pairs: How many of two people.
        people: How many people the former show.
        person_pairs: How many pairs of two people the latter show.
        data: The photos that were compared, and how the faces were chosen.
        flip: Whether the mirrored crop was added.
        slope: Of the line; above 0.
        intercept: Of the line.
        starts: The lowest score of each step, ascending.
        steps: Its log likelihood ratio, ascending.

    Raises:
        UsageError: The line or the stairs are missing, or do not rise.
    """

    method: Literal["logistic", "isotonic"]
    low: Annotated[float, Option(ge=-100, le=0)]
    high: Annotated[float, Option(ge=0, le=100)]
    cllr: Annotated[float, Option(ge=0, le=1000)]
    min_cllr: Annotated[float, Option(ge=0, le=1)]
    same_pairs: Annotated[int, Option(ge=1, le=10**15)]
    different_pairs: Annotated[int, Option(ge=1, le=10**15)]
    people: Annotated[int, Option(ge=1, le=10**15)]
    person_pairs: Annotated[int, Option(ge=1, le=10**15)]
    data: str
    flip: bool = False
    slope: Annotated[float | None, Option(gt=0, le=1e6)] = None
    intercept: Annotated[float | None, Option(ge=-1e6, le=1e6)] = None
    starts: Annotated[tuple[float, ...], Option(ge=-1.001, le=1.001)] = ()
    steps: Annotated[tuple[float, ...], Option(ge=-LARGEST, le=LARGEST)] = ()

    def __post_init__(self) -> None:
        line, stairs = self.slope is not None and self.intercept is not None, bool(self.starts)
        if not (line if self.method == "logistic" else stairs):
            needs = "slope and intercept" if self.method == "logistic" else "starts and steps"
            raise UsageError(f"{needs} are missing.", hint=f"A {self.method} calibration has them.")
        rising = all(a < b for part in (self.starts, self.steps) for a, b in pairwise(part))
        if len(self.starts) != len(self.steps) or not rising:
            raise UsageError("starts and steps do not rise together.", hint="Each start has its step.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredKind:
    """What a model's default threshold, without flip, did on photos of one kind.

    Attributes:
        kind: Such photos, in plain words.
        data: The photos that were compared.
        people: How many people they show.
        photos: How many photos have a face that was found.
        failed: How many have none.
        pairs: How many scored pairs of two people.
        far: The share of them that is accepted.
        far_low: Lower end of its 95 % interval over people.
        far_high: Upper end.
        tar: The share of accepted pairs of one person; None where there is no such pair.
        tar_low: Lower end of its interval.
        tar_high: Upper end.
        faces_to: Width in pixels up to which faces are of this kind, where their size is what makes it.
    """

    kind: Annotated[str, Option(rule=filled)]
    data: Annotated[str, Option(rule=filled)]
    people: Annotated[int, Option(ge=1, le=10**9)]
    photos: Annotated[int, Option(ge=1, le=10**9)]
    failed: Annotated[int, Option(ge=0, le=10**9)] = 0
    pairs: Annotated[int, Option(ge=1, le=10**15)]
    far: Annotated[float, Option(ge=0, le=1)]
    far_low: Annotated[float, Option(ge=0, le=1)]
    far_high: Annotated[float, Option(ge=0, le=1)]
    tar: Annotated[float | None, Option(ge=0, le=1)] = None
    tar_low: Annotated[float | None, Option(ge=0, le=1)] = None
    tar_high: Annotated[float | None, Option(ge=0, le=1)] = None
    faces_to: Annotated[int | None, Option(ge=1, le=10**6)] = None

    def holds(self, far: float) -> bool:
        """Whether the interval has a false accept rate in it, or lies below."""
        return self.far_low <= far
