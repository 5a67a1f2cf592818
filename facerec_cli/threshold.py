"""The threshold of a model: one type, that manifests, threshold cards, verdicts and exports share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from facerec_cli.errors import UsageError
from facerec_cli.settings import Option, filled

DEFAULT_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""The false accept rates that an evaluation measures unless others are asked for."""


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
