"""The figures of a 1:N search, one type each.

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

from dataclasses import dataclass


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
class RatesAtThreshold:
    """What a threshold does that was not chosen on these searches.

    Attributes:
        threshold: Accept when score >= threshold.
        tpir: Share of the mated searches that could be made whose mate is first and accepted; None without
            one.
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        fpir: Share of non-mated searches that could be made and returned somebody; None without one.
        fpir_low: Lower end of the 95 % Wilson interval of the FPIR of this gallery.
        fpir_high: Upper end.
        tpir_with_failures: Share of all mated searches.
        fpir_with_failures: Share of all non-mated searches.
        accepted_mated: How many mated searches return their mate first and accepted.
        accepted_non_mated: How many non-mated searches return somebody.
    """

    threshold: float
    tpir: float | None
    low: float | None
    high: float | None
    fpir: float | None
    fpir_low: float | None
    fpir_high: float | None
    tpir_with_failures: float | None
    fpir_with_failures: float | None
    accepted_mated: int
    accepted_non_mated: int


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
class SizeRate:
    """Rates at one FPIR in galleries of one size; means over the galleries drawn.

    Attributes:
        fpir: The wanted rate.
        threshold: That of the whole gallery at this FPIR, kept.
        measured_fpir: FPIR at it.
        fpir_sd: Its standard deviation over the galleries; None of one gallery.
        tpir: TPIR at it.
        own_threshold: The threshold of this size, measured in each gallery anew; their mean.
        own_tpir: TPIR at it.
        own_tpir_sd: Its standard deviation over the galleries.
    """

    fpir: float
    threshold: float
    measured_fpir: float
    fpir_sd: float | None
    tpir: float
    own_threshold: float
    own_tpir: float
    own_tpir_sd: float | None


@dataclass(frozen=True, slots=True)
class SizePoint:
    """One size of the curve over N.

    Attributes:
        people: n, the size.
        draws: How many galleries of it were drawn; no two share a person.
        rank_1: Share of mated searches whose mate is first.
        rates: One for each measurable FPIR.
    """

    people: int
    draws: int
    rank_1: float
    rates: tuple[SizeRate, ...]


@dataclass(frozen=True, slots=True)
class DetPoint:
    """One point of the DET curve: what is missed where so many strangers are let through.

    Attributes:
        threshold: Accept when score >= threshold.
        fpir: Share of non-mated searches that return somebody.
        fnir: Share of mated searches whose mate is not first, or is not accepted.
    """

    threshold: float
    fpir: float
    fnir: float
