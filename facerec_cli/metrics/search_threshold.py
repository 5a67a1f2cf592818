"""The threshold of a search among N people: it follows from the wished FPIR and from N.

A stranger is compared with everybody who is enrolled, so a threshold that is right for two photos is wrong
for a search. With independent comparisons FPIR = 1 - (1 - f)^N (Grother and Phillips 2004), f being the false
match rate of one comparison. T is the score at that f, by what was measured nearest to the use:

* ``outsiders``: searches for strangers of the user's own in this gallery; the best.
* ``own searches``: each enrolled person searched for among all others.
* ``impostor tail``: scores of two people, measured with the model on other photos.

The rule of three decides whether a rate can be measured: 3 / FPIR searches, 3 / f pairs. Own searches come in
pairs (if a looks like b, both find somebody), so twice as many are needed. The interval is in ``fpir.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, UsageError
from facerec_cli.metrics.fpir import STRANGERS, after_searches, of_search, per_comparison, searches_needed
from facerec_cli.metrics.impostor_tail import (
    for_templates,
    interval_of,
    rate_at,
    score_at,
    supports,
    tail_of,
    tail_of_searches,
)
from facerec_cli.metrics.own_level import at_own_level, look_like_one
from facerec_cli.metrics.roc import accepted_at_most, threshold_between
from facerec_cli.settings import Option, convert
from facerec_cli.threshold import ImpostorTail
from facerec_cli.wording import counted, percent
from facerec_cli.wording import people as people_words

Source = Literal["outsiders", "own searches", "impostor tail", "given", "none"]

__all__ = [
    "SearchThreshold",
    "choose_search_threshold",
    "from_searches",
    "from_tail",
    "from_value",
    "per_comparison",
    "tail_of",
]


@dataclass(frozen=True, slots=True)
class SearchThreshold:
    """The score from which on a candidate is named, and how many strangers get a name with it.

    Attributes:
        value: Accept when score >= value; None where nothing supports one.
        fpir: The wished share of strangers who get a name; None where ``value`` was given.
        people: How many are enrolled, N.
        expected: The share of strangers who get a name with ``value``; None where nobody knows.
        low: Lower end of its 95 % interval for 1,000 strangers; None where it was not measured.
        high: Upper end.
        measurable: Whether the data support it; else it is extrapolated, or there is none.
        reason: Why not, else "".
        source: What it rests on.
        data: The searches or the pairs that it was measured with.
        measured_people: With how many people enrolled; other than ``people`` once it has been moved.
        caution: What speaks against it, else "".
        tail: Along which it moves when people are added.
    """

    value: Annotated[float | None, Option(ge=-2, le=2)]
    fpir: Annotated[float | None, Option(gt=0, lt=1)]
    people: Annotated[int, Option(ge=1, le=10**12)]
    expected: Annotated[float | None, Option(ge=0, le=1)] = None
    low: Annotated[float | None, Option(ge=0, le=1)] = None
    high: Annotated[float | None, Option(ge=0, le=1)] = None
    measurable: bool = False
    reason: str = ""
    source: Source = "none"
    data: str = ""
    measured_people: Annotated[int | None, Option(ge=1, le=10**12)] = None
    caution: str = ""
    tail: ImpostorTail | None = None

    def for_people(self, people: int) -> SearchThreshold:
        """The threshold with another number of people enrolled: same FPIR, moved along the tail.

        A number that was given stays, and its FPIR moves.

        Raises:
            InputError: ``people`` is below 1.
        """
        _check(people)
        if people == self.people or self.value is None or self.tail is None:
            return replace(self, people=people)
        if self.source == "given" or self.fpir is None:
            return from_value(self.value, people, self.tail)
        if self.source == "impostor tail":
            return replace(from_tail(self.tail, people, self.fpir), caution=self.caution)
        before, now = (score_at(self.tail, per_comparison(self.fpir, n)) for n in (self.people, people))
        return replace(self, value=self.value + now - before, people=people)

    def document(self) -> dict[str, Any]:
        """Plain JSON, with the sentence; :meth:`from_document` reads it."""
        values = asdict(self)
        if values["tail"] is not None:
            values["tail"] |= {key: [*values["tail"][key]] for key in ("rates", "scores")}
        return {**values, "strangers": STRANGERS, "sentence": self.sentence()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, source: str = "The threshold") -> SearchThreshold:
        """What :meth:`document` made.

        Raises:
            InputError: A key is unknown or missing, or a value does not fit; ``source`` names it.
        """
        own = {key: value for key, value in document.items() if key not in ("strangers", "sentence")}
        return convert(own, cls, source=source)

    def sentence(self) -> str:
        """How many strangers get a name, for users: one sentence."""
        start = f"With {people_words(self.people)} enrolled"
        if self.value is None or self.expected is None:
            return f"{start}, nobody knows how many strangers get a name: {self.reason}."
        number = STRANGERS
        while self.expected * number < 0.95 and number < 10**9:
            number *= 10
        named = round(self.expected * number)
        of, bounds = f"of {number:,}", self.reason or "not measured"
        if self.low is not None and self.high is not None:
            bounds, after = f"95 %: {self.low * 1000:,.0f} to {self.high * 1000:,.0f}", "of the next 1,000"
            of, bounds = (after, bounds) if number == STRANGERS else (of, f"{bounds} {after}")
        return f"{start}, about {named:,} {of} strangers {'gets' if named == 1 else 'get'} a name ({bounds})."


def from_tail(tail: ImpostorTail, people: int, fpir: float) -> SearchThreshold:
    """The threshold by the binomial rule and an impostor tail.

    Args:
        tail: Of the model, with the setting of ``flip`` of the gallery (``for_templates`` where people have
            several photos).
        people: How many are enrolled.
        fpir: The wished share of strangers who get a name.

    Returns:
        The threshold; beyond the tail's rates it is extrapolated, not ``measurable`` and without interval.

    Raises:
        FacerecError: ``people`` is below 1, or ``fpir`` no rate between 0 and 1.
    """
    _check(people, fpir)
    rate = per_comparison(fpir, people)
    made = SearchThreshold(score_at(tail, rate), fpir, people, fpir, data=tail.data, tail=tail)
    return _judged(replace(made, source="impostor tail", measured_people=people), tail, rate, fpir)


def from_value(value: float, people: int, tail: ImpostorTail | None) -> SearchThreshold:
    """A threshold that somebody gives, with the FPIR that it has among ``people`` by the tail."""
    _check(people)
    made = SearchThreshold(value, None, people, source="given", measured_people=people, tail=tail)
    if tail is None:
        return replace(made, reason="not measurable: the model has no impostor tail")
    rate = rate_at(tail, value)
    expected = of_search(rate, people)
    return _judged(replace(made, expected=expected, data=tail.data), tail, rate, expected)


def _judged(made: SearchThreshold, tail: ImpostorTail, rate: float, fpir: float) -> SearchThreshold:
    """With the interval, or why there is none."""
    if not supports(tail, rate):
        ends = f"the impostor tail ends at {tail.rates[-1]:.2g} a comparison, this is {rate:.2g}"
        return replace(made, reason=f"extrapolated, not measured: {ends}")
    low, high = interval_of(tail, rate, made.people, fpir)
    return replace(made, measurable=True, low=low, high=high)


def from_searches(
    best: NDArray[Any],
    people: int,
    fpir: float,
    *,
    source: Literal["own searches", "outsiders"],
    variation: float = 1.0,
    tail: ImpostorTail | None = None,
) -> SearchThreshold:
    """The threshold by searches for people who are not enrolled.

    T is the smallest score such that at most floor(FPIR * S) of the best scores lie at or above it, midway to
    the next higher one.

    Args:
        best: (S,) the best score of each search, of people who are strangers to those they are compared with.
        people: How many are enrolled.
        fpir: The wished share of strangers who get a name.
        source: Whether the gallery's people or strangers were searched for.
        variation: How unevenly people are taken for others, as of :class:`ImpostorTail`.
        tail: Along which T moves when people are added; None makes one of the best scores.

    Raises:
        FacerecError: ``people`` is below 1, ``fpir`` no rate between 0 and 1, or a score not finite.
    """
    _check(people, fpir)
    scores = np.sort(np.asarray(best).reshape(-1))
    own, count = source == "own searches", scores.size
    whom = "this gallery's people among the others" if own else "strangers"
    needed, data = searches_needed(fpir, own=own), f"{counted(count, 'search', 'searches')} for {whom}"
    if not np.isfinite(scores).all():
        raise InputError(
            "A best score of a search is not finite.", hint="Leave out searches without a result."
        )
    made = SearchThreshold(None, fpir, people, source=source, data=data, measured_people=people)
    if count < needed:
        return replace(made, reason=f"not measurable with {data}; FPIR {percent(fpir)} takes {needed:,}")
    rejected = scores[count - 1 - accepted_at_most(fpir, count)]
    above = scores[np.searchsorted(scores, rejected, side="right") :]
    following = float(above[0]) if above.size else math.inf
    pair = 2 if own else 1
    # How alike a gallery's people are to each other tells only roughly how alike strangers are.
    relative = variation / people if own else 0.0
    expected, low, high = after_searches(above.size, count, pair=pair, relative=relative)
    return replace(
        made,
        value=threshold_between(float(rejected), following, scores.dtype.type),
        expected=expected,
        low=low,
        high=high,
        measurable=True,
        tail=tail or tail_of_searches(scores, people, pair, data),
    )


def choose_search_threshold(
    fpir: float,
    people: int,
    *,
    own: NDArray[Any] | None = None,
    tail: ImpostorTail | None = None,
    outsiders: NDArray[Any] | None = None,
    faces: NDArray[np.int64] | None = None,
) -> SearchThreshold:
    """The threshold of a search, from the best that there is: outsiders, own searches, the model's tail.

    Args:
        fpir: The wished share of strangers who get a name.
        people: How many are enrolled, N.
        own: (N,) best score of one photo of each enrolled person among the others' templates, if they were
            searched for; of templates as ``as_single_photos`` gives it.
        tail: Of the model, with the gallery's setting of ``flip`` (``tail_of``).
        outsiders: (S,) best scores of photos of strangers, one photo a stranger.
        faces: (N,) int64, of how many photos each template is the mean; None takes one photo each.

    Returns:
        The threshold; with ``value`` None and a ``reason`` where nothing supports one.

    Raises:
        FacerecError: ``people`` is below 1, ``fpir`` no rate between 0 and 1, or a score not finite.
    """
    _check(people, fpir)
    moving = tail
    if tail is not None and faces is not None:
        moving = for_templates(tail, faces)
    notes, doubled = ([], 0) if own is None or moving is None else look_like_one(own, moving, people)
    if outsiders is not None:
        made = from_searches(outsiders, people, fpir, source="outsiders", tail=moving)
        if made.measurable:
            return made
        notes.append(f"the strangers are too few to calibrate with: {made.reason}")
    if own is not None:
        variation = tail.variation if tail else 1.0
        made = from_searches(own, people, fpir, source="own searches", variation=variation, tail=moving)
        if made.measurable:
            return replace(made, caution="; ".join(notes))
    if moving is not None:
        level = at_own_level(moving, people, fpir, own)
        made = from_tail(level.tail, people, fpir)
        if doubled and made.high is not None:  # strangers may be enrolled under other names as often
            high = after_searches(fpir * people + doubled, people, pair=2)[2]
            made = replace(made, high=max(made.high, high))
        if level.reason:
            made = replace(made, low=None, high=None, measurable=False, reason=level.reason)
        return replace(made, caution="; ".join(filter(None, [*notes, level.caution])))
    reason = (
        f"the model has no impostor tail, and {people_words(people)} make too few searches of their own "
        f"(FPIR {percent(fpir)} takes {searches_needed(fpir, own=True):,})"
    )
    return SearchThreshold(None, fpir, people, reason=reason, caution="; ".join(notes))


def _check(people: int, fpir: float | None = None) -> None:
    if people < 1:
        raise InputError("Nobody is enrolled, so there is no threshold.", hint="Enroll people first.")
    if fpir is not None and not 0 < fpir < 1:
        raise UsageError(
            f"--fpir {fpir:g} does not fit.", hint="It must be a number between 0 and 1, such as 0.01."
        )
