"""A calibration that is kept in a card or comes with a model, and what it says of two photos' similarity."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.errors import InputError
from facerec_cli.files import write_file
from facerec_cli.metrics.likelihood import calibration_of
from facerec_cli.metrics.thresholds import as_text, card_table, check_card
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import convert, to_tables
from facerec_cli.threshold import Likelihood, data_name
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_SAVE = "facerec verify LIST --save-likelihood"
_VERSION = "likelihood_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodCard(Likelihood):
    """A calibration with the model and the settings that it was fitted with."""

    model: str
    model_sha256: str
    flip: bool
    aligned: bool


def likelihood_of(pack: ModelPack, *, flip: bool) -> Likelihood | None:
    """The calibration that was measured for a pack with this setting of ``flip``; None where none was."""
    return next((one for one in pack.likelihoods if one.flip == flip), None)


def has_likelihood(given: str | float | None) -> bool:
    """Whether what a user gives as threshold is a calibration, which says what scores are worth too."""
    if not isinstance(given, str) or not Path(given).is_file():
        return False
    return bool(card_table(Path(given), "likelihood", name=given, advice="").get(_VERSION))


def state(card: Likelihood, similarity: float) -> StatedLikelihood:
    """What a calibration says of a similarity, within its bounds."""
    free = float(calibration_of(card).unbounded(similarity))
    bounded = min(max(free, card.low), card.high)
    return StatedLikelihood(bounded, free != bounded, card)


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
    card: Likelihood

    def sentence(self) -> str:
        """The likelihood ratio in words, by two figures."""
        ratio, card = math.exp(abs(self.llr)), self.card
        data = data_name(card.data) or "the card"
        among = f"among people like those of {data}"
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
            return f"what this similarity is worth is not known: {data} has too little data"
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


def likelihood_table(card: LikelihoodCard) -> dict[str, Any]:
    """A card as the table of a TOML document."""
    values = {key: value for key, value in to_tables(card).items() if value != []}
    return {_VERSION: 1, **values, "data": as_text(card.data)}


def save_likelihood(card: LikelihoodCard, path: Path) -> None:
    """Write a card as TOML; the file is there whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, tomli_w.dumps(likelihood_table(card)).encode(), what="likelihood card")


def read_likelihood(path: Path) -> LikelihoodCard:
    """Read a card, or the part of a calibration.

    Raises:
        InputError: It is not there, not TOML, or lacks a field.
    """
    name, advice = f"The likelihood card {str(path)!r}", f"Write one with `{_SAVE}`."
    content = card_table(path, "likelihood", name=name, advice=advice)
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
