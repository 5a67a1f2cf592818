"""A calibration that is kept in a card, and what it says of the similarity of two photos."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tomli_w

from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import write_file
from facerec_cli.metrics.likelihood import LARGEST, Calibration, IsotonicModel, LikelihoodModel, Method
from facerec_cli.metrics.thresholds import check_card
from facerec_cli.settings import Option, convert, to_tables
from facerec_cli.untrusted import read_toml
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_SAVE = "facerec verify LIST --save-likelihood"
_VERSION = "likelihood_version"


@dataclass(frozen=True, slots=True)
class LikelihoodCard:
    """A calibration with what it was fitted on; see ``LikelihoodModel`` and ``LikelihoodEvaluation``."""

    method: Method
    low: Annotated[float, Option(ge=-100, le=0)]
    high: Annotated[float, Option(ge=0, le=100)]
    cllr: Annotated[float, Option(ge=0, le=1000)]
    min_cllr: Annotated[float, Option(ge=0, le=1)]
    same_pairs: Annotated[int, Option(ge=1, le=10**15)]
    different_pairs: Annotated[int, Option(ge=1, le=10**15)]
    people: Annotated[int, Option(ge=1, le=10**15)]
    person_pairs: Annotated[int, Option(ge=1, le=10**15)]
    data: str
    model: str
    model_sha256: str
    flip: bool
    aligned: bool
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

    @property
    def calibration(self) -> Calibration:
        """The calibration itself."""
        if self.slope is None or self.intercept is None:
            return IsotonicModel(np.array(self.starts), np.array(self.steps), self.low, self.high)
        return LikelihoodModel(self.slope, self.intercept, self.low, self.high)

    def state(self, similarity: float) -> StatedLikelihood:
        """What the card says of a similarity, within its bounds."""
        free = float(self.calibration.unbounded(similarity))
        bounded = min(max(free, self.low), self.high)
        return StatedLikelihood(bounded, free != bounded, self)


@dataclass(frozen=True, slots=True)
class StatedLikelihood:
    """What a card says of one similarity.

    Attributes:
        llr: Natural logarithm of the likelihood ratio, within the card's bounds.
        beyond: Whether the card's line leads out of them: the ratio is ``llr`` or more, or that or less.
        card: Where that is from.
    """

    llr: float
    beyond: bool
    card: LikelihoodCard

    def sentence(self) -> str:
        """The likelihood ratio in words, by two figures."""
        ratio, card = math.exp(abs(self.llr)), self.card
        among = f"among people like those of {card.data or 'the card'}"
        if not self.beyond:
            number = _two_figures(ratio)
            if number == "1":
                return f"this similarity is as likely for one person as for two, {among}"
            return f"this similarity is {number} times more likely {_for(self.llr)}, {among}"
        units = (
            counted(card.person_pairs, "pair of two people", "pairs of two people")
            if self.llr > 0
            else counted(card.people, "person with several photos", "people with several photos")
        )
        if _two_figures(ratio, down=True) == "1":
            return (
                f"what this similarity is worth is not known: {card.data or 'the card'} has too little data"
            )
        return (
            f"this similarity is more than {_two_figures(ratio, down=True)} times more likely "
            f"{_for(self.llr)}, {among}; how much more, its {units} do not say"
        )

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        card = asdict(self.card)
        return {
            "llr": self.llr,
            "ratio": math.exp(self.llr),
            "beyond": self.beyond,
            "bounds": {"low": self.card.low, "high": self.card.high},
            **{
                key: card[key]
                for key in (
                    "method",
                    "data",
                    "same_pairs",
                    "different_pairs",
                    "people",
                    "person_pairs",
                    "cllr",
                    "min_cllr",
                )
            },
            "sentence": self.sentence(),
        }


def save_likelihood(card: LikelihoodCard, path: Path) -> None:
    """Write a card as TOML; the file is there whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    # The list is called as its file, whose name need not be text.
    values = {key: value for key, value in to_tables(card).items() if value != []}
    values |= {"data": card.data.encode("utf-8", "backslashreplace").decode()}
    write_file(path, tomli_w.dumps({_VERSION: 1, **values}).encode(), what="likelihood card")


def read_likelihood(path: Path) -> LikelihoodCard:
    """Read a card.

    Raises:
        InputError: It is not there, not TOML, or lacks a field.
    """
    name, advice = f"The likelihood card {str(path)!r}", f"Write one with `{_SAVE}`."
    content = read_toml(path, name=name, advice=advice)
    if content.pop(_VERSION, None) != 1:
        raise InputError(f"{str(path)!r} is not a likelihood card of version 1.", hint=advice)
    return convert(content, LikelihoodCard, source=name, advice=advice)


def card_for(path: Path, *, model: str, sha256: str, flip: bool, aligned: bool) -> LikelihoodCard:
    """The card at ``path``, if it is one for these settings.

    Raises:
        InputError: It cannot be read.
        ModelError: It belongs to another model or to the other setting of ``flip``.
    """
    card = read_likelihood(path)
    check_card(card, model=model, sha256=sha256, flip=flip, kind="likelihood")
    if card.aligned != aligned:
        log.warning(
            f"the likelihood card was measured on {'aligned crops' if card.aligned else 'photos'}, not on "
            f"{'photos' if card.aligned else 'aligned crops'}, whose scores may be others"
        )
    return card


def _for(llr: float) -> str:
    return "for one person than for two" if llr > 0 else "for two people than for one"


def _two_figures(ratio: float, *, down: bool = False) -> str:
    """``4,100``, ``25``, ``1.3``: two figures, rounded or cut."""
    step = 10.0 ** (math.floor(math.log10(ratio)) - 1)
    figures = ratio / step
    whole = math.floor(figures + 1e-9) if down else round(figures)
    return f"{whole * step:,.0f}" if whole * step >= 9.95 else f"{whole * step:.1f}".removesuffix(".0")
