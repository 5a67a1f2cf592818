"""Whether a gallery is like the photos of the model's impostor tail, by its own searches; and if not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

from facerec_cli.metrics.fpir import of_search, per_comparison
from facerec_cli.metrics.impostor_tail import rate_at, score_at, tail_of_searches
from facerec_cli.metrics.scores import Scores
from facerec_cli.threshold import ImpostorTail
from facerec_cli.wording import counted

_SIGMAS = 2.0  # one gallery in 20 that is like the tail is taken for another, half of them for a worse one
_LEAST = 0.3  # so far off, FPIR is about 1.5 times what it should be; less is no matter
_FEW = 20  # people; among fewer, FPIR may be three times as high without a sign
_CHANCE = 1e-3  # pairs as high as the highest, by the tail, of which one is no chance
_MOST = 2000  # searches that are looked at


@dataclass(frozen=True, slots=True)
class OwnLevel:
    """The tail that a gallery's threshold is taken from.

    Attributes:
        tail: The model's, or that of the gallery's own searches where it demands more.
        reason: Why the threshold is not measured, where it is the latter; else "".
        caution: What speaks against the tail, else "".
    """

    tail: ImpostorTail
    reason: str = ""
    caution: str = ""


def at_own_level(tail: ImpostorTail, people: int, fpir: float, own: Scores | None) -> OwnLevel:
    """The model's tail, unless the gallery's own searches speak against it.

    They are too few to measure this FPIR, but tell whether the people, and how they were photographed, are as
    those of the tail. Where they look more alike to the model, the threshold is extrapolated from them.

    Args:
        tail: Of the model, for the gallery's templates.
        people: N.
        fpir: The wished share of strangers who get a name.
        own: (N,) best score of one photo of each person among the others; None where nobody looked.
    """
    above = 0.0 if own is None else above_the_tail(own, tail, people)
    if own is None:
        return OwnLevel(tail)
    if not above:
        few = "too few people to see whether they look as alike as those of the model's impostor tail"
        return OwnLevel(tail, caution=few if people < _FEW else "")
    if above < 0:
        words = "look less alike to the model than those of its impostor tail; fewer strangers may get a name"
        return OwnLevel(tail, caution=f"the people of this gallery {words}")
    data = f"{counted(own.size, 'search', 'searches')} for this gallery's people among the others"
    found = tail_of_searches(np.sort(own), people, 2, data, deviation=tail.deviation)
    rate = per_comparison(fpir, people)
    if score_at(found, rate) <= score_at(tail, rate):
        return OwnLevel(tail)
    return OwnLevel(
        found,
        "extrapolated, not measured: the people of this gallery look more alike to the model than those of "
        f"its impostor tail, and {data} are too few; calibrate it with photos of strangers",
    )


def look_like_one(own: Scores, tail: ImpostorTail, people: int) -> tuple[list[str], int]:
    """A caution where two people of a gallery score higher than any two of so many should by the tail.

    They may be one person, twice enrolled, or the photo of one lies with the other. Where names are doubled
    in a gallery, strangers may be enrolled under another name too.

    Args:
        own: (N,) best score of one photo of each person among the others.
        tail: Of the model, for the gallery's templates.
        people: N.

    Returns:
        The sentence, or nothing; and how many people score so high.
    """
    least = score_at(tail, _CHANCE / max(1, people * (people - 1) / 2))
    doubled = own[np.isfinite(own) & (own >= least)]
    if not doubled.size:
        return [], 0
    return [
        f"two people of the gallery look like one (score {doubled.max():.2f}), which raises the threshold or "
        "lets more strangers through; `facerec gallery check` lists them"
    ], int(doubled.size)


def above_the_tail(own: Scores, tail: ImpostorTail, people: int) -> float:
    """How far the best scores of a gallery's own searches lie above what the tail says of them.

    By the tail and the binomial rule each best score has a probability to be that high; made normal scores,
    their mean is about 0 with the variance 2 / N (own searches come in pairs).

    Args:
        own: (N,) best score of one photo of each person among the others.
        tail: Of the model, for the gallery's templates.
        people: N.

    Returns:
        That mean, in deviations of a best score: above 0 where this gallery's people look more alike to the
        model than the tail's, below 0 where less; exactly 0 where it is not more than chance or no matter.
    """
    finite = own[np.isfinite(own)][:_MOST]
    if finite.size < 2 or people < 2:
        return 0.0
    normal = NormalDist()
    shares = [of_search(rate_at(tail, float(score)), people - 1) for score in finite]
    mean = -fmean(normal.inv_cdf(min(max(share, 1e-6), 1 - 1e-6)) for share in shares)
    return mean if abs(mean) > max(_LEAST, _SIGMAS * math.sqrt(2 / finite.size)) else 0.0
