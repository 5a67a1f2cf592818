"""The figures of a 1:N search and their document; ``identification_points.py`` counts them.

* CMC(k), "closed set": the share of mated searches whose mate has rank k or better, at no threshold. This
  is what somebody has who looks through a list of k candidates.
* FPIR(N, T): the share of non-mated searches that return at least one person with score >= T.
* TPIR(N, R, T) = 1 - FNIR(N, R, T): the share of mated searches whose mate has rank R or better and score
  >= T. TPIR at R = 1 and FPIR are what the Handbook of Face Recognition (Phillips, Grother and Micheals
  2011) and BLUFR call DIR and FAR. How both depend on N: Grother and Phillips, "Models of Large Population
  Recognition Performance", CVPR 2004. The terms are those of ISO/IEC 19795-1.

Rank is 1 + the other people whose score is >= the mate's, so ties count against the model: only by that rule
does a model that gives everybody one score find nobody. FPIR is that of this gallery: other people enrolled
are other people to be taken for, and no interval over searches knows of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import BootstrapInterval
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
class RankPoint:
    """One point of the CMC.

    Attributes:
        rank: The mate is among the first ``rank``.
        rate: Share of the mated searches that could be made; None without one.
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        rate_with_failures: Share of all mated searches.
        hits: In how many it is.
    """

    rank: int
    rate: float | None
    low: float | None
    high: float | None
    rate_with_failures: float | None
    hits: int


@dataclass(frozen=True, slots=True)
class SearchPoint:
    """The largest TPIR at rank 1 whose measured FPIR is at most the wanted one.

    Attributes:
        fpir: The wanted false positive identification rate.
        measurable: Whether there are at least 3 / fpir non-mated searches (rule of three).
        tpir: Share of the mated searches that could be made whose mate is first and accepted.
        low: Lower end of the 95 % Wilson interval of ``tpir`` at this threshold.
        high: Upper end.
        threshold: Accept when score >= threshold.
        measured_fpir: Share of non-mated searches that could be made and returned somebody, <= ``fpir``.
        fpir_low: Lower end of the 95 % Wilson interval of the FPIR of this gallery at this threshold.
        fpir_high: Upper end.
        tpir_with_failures: Share of all mated searches.
        fpir_with_failures: Share of all non-mated searches.
        accepted_mated: How many mated searches return their mate first and accepted.
        accepted_non_mated: How many non-mated searches return somebody.
        reason: Why it is not measurable, else "".
    """

    fpir: float
    measurable: bool
    tpir: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    measured_fpir: float | None = None
    fpir_low: float | None = None
    fpir_high: float | None = None
    tpir_with_failures: float | None = None
    fpir_with_failures: float | None = None
    accepted_mated: int | None = None
    accepted_non_mated: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MissPoint:
    """FNIR(N, R, T), at the threshold of an FPIR.

    Attributes:
        fpir: The wanted FPIR that the threshold stands for.
        threshold: T.
        rank: R, the length of the list.
        fnir: Share of the mated searches that could be made whose mate is outside the list or below T.
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        fnir_with_failures: Share of all mated searches.
    """

    fpir: float
    threshold: float
    rank: int
    fnir: float
    low: float
    high: float
    fnir_with_failures: float


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
    outcomes: SearchOutcomes = field(repr=False, compare=False)
    searches: LabeledSearches = field(repr=False, compare=False)
    bootstrap: tuple[BootstrapInterval, ...] = ()

    def point(self, fpir: float) -> SearchPoint | None:
        """The point at ``fpir``, where it was asked for."""
        return next((point for point in self.tpir_at_fpir if point.fpir == fpir), None)

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
        }
        if self.template == "images":
            document["mean_average_precision"] = self.mean_average_precision
            document["mean_average_precision_with_failures"] = self.mean_average_precision_with_failures
        if self.bootstrap:
            document["bootstrap"] = [
                {"fpir": b.far, "low": b.low, "high": b.high, "reason": b.reason} for b in self.bootstrap
            ]
        return document
