"""What is known of the searches in one gallery, and how it is written as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import BootstrapInterval
from facerec_cli.metrics.identification_counting import rates_at
from facerec_cli.metrics.identification_points import (
    DetPoint,
    MissPoint,
    RankPoint,
    RatesAtThreshold,
    SearchPoint,
    SizePoint,
)
from facerec_cli.metrics.labeled_searches import LabeledSearches, SearchCounts
from facerec_cli.metrics.searches import SearchOutcomes

TemplateRule = Literal["mean", "max", "images"]

THRESHOLD_RULE = (
    "a score >= the threshold is accepted; the threshold of an FPIR is the least that returns somebody in at "
    "most FPIR x M of the M non-mated searches; TPIR (DIR) asks for the mate first and at the threshold"
)
RULES: dict[TemplateRule, str] = {
    "mean": "rank over people, pessimistic on ties; a person is the mean of their unit vectors",
    "max": "rank over people, pessimistic on ties; a person's score is that of their best photo",
    "images": "rank over photos, pessimistic on ties; the best of the mate's photos counts",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured; the arguments of ``evaluate_identification``."""

    template: TemplateRule
    fpirs: tuple[float, ...]
    ranks: tuple[int, ...]
    rounds: int = 0
    seed: int = 0

    def check(self) -> None:
        """Refuse what cannot be measured of any data.

        Raises:
            InputError: A rate outside (0, 1), a rank below 1, an unknown rule of templates.
        """
        for fpir in self.fpirs:
            if not 0 < fpir < 1:
                raise InputError(f"A false positive identification rate is between 0 and 1, not {fpir}.")
        for rank in self.ranks:
            if rank < 1:
                raise InputError(f"Ranks begin at 1; there is no rank {rank}.")
        if self.template not in RULES:
            raise InputError(
                f"{self.template!r} is no way to compare people with several photos.",
                hint=f"Choose one of {', '.join(RULES)}.",
            )


@dataclass(frozen=True, slots=True)
class IdentificationEvaluation:
    """Everything that is measured of the searches in one gallery.

    Attributes:
        rule: How rank, threshold and templates are defined, in words.
        template: ``mean``, ``max`` or ``images``.
        counts: Of people and searches.
        tied: Mated searches in which another person has exactly the mate's score.
        tied_first: Those whose mate would be first if ties counted for it.
        cmc: A point for each rank asked for.
        tpir_at_fpir: A point for each FPIR asked for.
        fnir: A point for each measurable FPIR and each rank.
        mean_average_precision: 0..1 over the searches that could be made, where rank is over photos.
        mean_average_precision_with_failures: Over all, a photo without an embedding being never found.
        det: From the highest threshold to the lowest; empty without both kinds of searches.
        curve: Smaller galleries of the same people, and last the whole.
        bootstrap: Intervals of TPIR at FPIR over people, threshold drawn anew.
        outcomes: Each search that could be made, from which curves are drawn.
        searches: Who they show.
    """

    rule: str
    template: TemplateRule
    counts: SearchCounts
    tied: int
    tied_first: int
    cmc: tuple[RankPoint, ...]
    tpir_at_fpir: tuple[SearchPoint, ...]
    fnir: tuple[MissPoint, ...]
    mean_average_precision: float | None
    mean_average_precision_with_failures: float | None
    det: tuple[DetPoint, ...]
    curve: tuple[SizePoint, ...]
    outcomes: SearchOutcomes = field(repr=False, compare=False)
    searches: LabeledSearches = field(repr=False, compare=False)
    bootstrap: tuple[BootstrapInterval, ...] = ()

    def point(self, fpir: float) -> SearchPoint | None:
        """The point at ``fpir``, where it was asked for."""
        return next((point for point in self.tpir_at_fpir if point.fpir == fpir), None)

    def at(self, threshold: float) -> RatesAtThreshold:
        """TPIR and FPIR at a threshold from elsewhere, such as a gallery's own."""
        return rates_at(self.outcomes, self.counts, threshold)

    def document(self) -> dict[str, Any]:
        """The figures and counts as plain values for JSON, under their documented names."""
        document: dict[str, Any] = {
            "rule": self.rule,
            "template": self.template,
            "searches": {**asdict(self.counts), "tied": self.tied, "tied_first": self.tied_first},
            "cmc": [asdict(point) for point in self.cmc],
            "tpir_at_fpir": [asdict(point) for point in self.tpir_at_fpir],
            "dir_at_far": [{"far": point.fpir, "dir": point.tpir} for point in self.tpir_at_fpir],
            "fnir": [asdict(point) for point in self.fnir],
            "det": [asdict(point) for point in self.det],
            "curve_over_people": [asdict(point) for point in self.curve],
        }
        if self.template == "images":
            document["mean_average_precision"] = self.mean_average_precision
            document["mean_average_precision_with_failures"] = self.mean_average_precision_with_failures
        if self.bootstrap:
            document["bootstrap"] = [
                {"fpir": b.far, "low": b.low, "high": b.high, "reason": b.reason} for b in self.bootstrap
            ]
        return document
