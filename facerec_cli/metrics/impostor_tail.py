"""How often two people are taken for one, by the least score that counts: the tail of a pack, read and moved.

Between measured rates the score is interpolated in the logarithm of the rate. Beyond them the normal
distribution goes on: scores of two people have a normal tail (docs/search-thresholds.md), so a rate f lies at
mean + deviation z(f), where z is the normal distribution's upper quantile; it is moved to meet the outermost
measured point, so that a threshold never falls when people are added.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.fpir import interval, per_comparison
from facerec_cli.metrics.scores import Scores
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.threshold import ImpostorTail
from facerec_cli.wording import counted

_NORMAL = NormalDist()
_TEMPLATE_DOUBT = 0.25  # the part of what templates of several photos change that is not known
_SHARES = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # of searches that find somebody


def tail_of(pack: ModelPack, *, flip: bool) -> ImpostorTail | None:
    """The impostor tail that was measured for a pack with this setting of ``flip``; None where none was."""
    return next((tail for tail in pack.impostor_tails if tail.flip == flip), None)


def supports(tail: ImpostorTail, rate: float) -> bool:
    """Whether a false match rate was measured, and need not be extrapolated."""
    return rate >= tail.rates[-1] * (1 - 1e-9)


def score_at(tail: ImpostorTail, rate: float) -> float:
    """The least accepted score at a false match rate.

    Args:
        tail: Of a pack, or of a gallery's own searches.
        rate: Of one comparison, above 0 and below 1.

    Returns:
        A cosine; beyond the measured rates an extrapolation, which may lie above 1.
    """
    end = _end(tail, rate <= tail.rates[-1], rate >= tail.rates[0])
    if end is not None:
        return tail.scores[end] + tail.deviation * (z(rate) - z(tail.rates[end]))
    logs, scores = np.log(tail.rates[::-1]), tail.scores[::-1]
    return float(np.interp(math.log(rate), logs, scores))


def rate_at(tail: ImpostorTail, score: float) -> float:
    """The false match rate of a threshold: what :func:`score_at` gives, the other way round."""
    end = _end(tail, score >= tail.scores[-1], score <= tail.scores[0])
    if end is not None:
        above = z(tail.rates[end]) + (score - tail.scores[end]) / tail.deviation
        return math.erfc(above / math.sqrt(2)) / 2
    return float(np.exp(np.interp(score, tail.scores, np.log(tail.rates))))


def _end(tail: ImpostorTail, beyond: bool, before: bool) -> int | None:
    """The measured point from which the normal distribution goes on; None between two of them."""
    return len(tail.rates) - 1 if beyond else 0 if before else None


def z(rate: float) -> float:
    """The upper quantile of the normal distribution: how many deviations above the mean a rate lies."""
    return -_NORMAL.inv_cdf(rate)


def interval_of(tail: ImpostorTail, rate: float, people: int, fpir: float) -> tuple[float, float]:
    """The 95 % interval of the FPIR of a gallery by a tail; ``fpir.py`` says what is in it.

    Args:
        tail: Of the model, raised for the gallery's templates.
        rate: False match rate of one comparison, measured in the tail.
        people: How many are enrolled.
        fpir: By the rule.
    """
    templates = _TEMPLATE_DOUBT * (tail.raised or 0) * z(rate) / tail.deviation  # d ln f = z / deviation dT
    relative = tail.variation * (1 / people + 4 / tail.people) + 1 / (rate * tail.pairs) + templates**2
    return interval(fpir, relative)


def template_lengths(tail: ImpostorTail, faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """How long the mean of a person's unit vectors is, before it is made a unit vector again.

    Of k photos that score r with each other: sqrt((1 + (k - 1) r) / k). What the photos have in common stays,
    and so does what the person has in common with strangers, so the scores with these grow by 1 / length.

    Args:
        tail: With its ``genuine_mean`` r; without it all lengths are 1.
        faces: (N,) int64, of how many photos each template is the mean.
    """
    r = 1.0 if tail.genuine_mean is None else tail.genuine_mean
    lengths: NDArray[np.float64] = np.sqrt((1 + (np.maximum(faces, 1) - 1) * r) / np.maximum(faces, 1))
    return lengths


def for_templates(tail: ImpostorTail, faces: NDArray[np.int64]) -> ImpostorTail:
    """The tail of single photos compared with templates of several.

    The mean of scores rises by mean (1 / length - 1), their deviation does not (measured, see
    docs/search-thresholds.md); the rates of templates of all lengths are averaged.

    Args:
        tail: Of single photos.
        faces: (N,) int64, of how many photos each template of the gallery is the mean.

    Returns:
        A tail with scores for the same rates.
    """
    lengths, count = np.unique(template_lengths(tail, faces), return_counts=True)
    raised, weight = tail.mean * (1 / lengths - 1), count / count.sum()
    if not raised.any():
        return tail

    def score(rate: float) -> float:
        low, high = (score_at(tail, rate) + float(end) for end in (raised.min(), raised.max()))
        for _ in range(40):  # each halves the 0.1 at most that templates raise scores by
            middle = (low + high) / 2
            got = sum(w * rate_at(tail, middle - up) for w, up in zip(weight, raised, strict=True))
            low, high = (middle, high) if got > rate else (low, middle)
        return high

    return replace(
        tail,
        data=f"{tail.data}; for templates of {counted(round(float(np.mean(faces))), 'photo')}",
        mean=tail.mean + float(raised @ weight),
        scores=tuple(float(s) for s in np.maximum.accumulate([score(rate) for rate in tail.rates])),
        genuine_mean=None,
        raised=float(raised @ weight),
    )


def as_single_photos(best: Scores, tail: ImpostorTail, faces: NDArray[np.int64]) -> Scores:
    """Best scores of the gallery's own searches, as if one photo a person had been searched for.

    A template of several photos scores higher with other people than one photo of a stranger will.

    Args:
        best: (N,) best score of each person's template among the others' templates.
        tail: Of single photos.
        faces: (N,) int64, of how many photos each template is the mean.
    """
    lengths = template_lengths(tail, faces)
    return best - tail.mean * float(np.mean(1 / lengths)) * (1 / lengths - 1)


def tail_of_searches(
    scores: Scores, people: int, pair: int, data: str, *, deviation: float | None = None
) -> ImpostorTail:
    """The tail of one comparison that the best scores of searches tell of, by the binomial rule.

    Args:
        scores: (S,) best scores, from low to high.
        people: How many are enrolled.
        pair: How many searches meet the same two people: 2 of own searches, 1 for strangers.
        data: What was searched for.
        deviation: Of the scores of two people, where the searches are too few to tell.
    """
    shares = [share for share in _SHARES if share * scores.size >= 2 * pair] or [_SHARES[0]]
    found = [float(np.quantile(scores, 1 - share)) for share in shares]
    rates = [per_comparison(share, people) for share in shares]
    width = z(rates[-1]) - z(rates[0])
    if deviation is None or len(shares) > 2:
        deviation = max((found[-1] - found[0]) / width, 1e-6) if width else 1e-6
    return ImpostorTail(
        data=data,
        people=max(people, 2),
        pairs=math.ceil(max(3 / rates[-1], scores.size * people / pair)),
        mean=found[0] - deviation * z(rates[0]),
        deviation=deviation,
        rates=tuple(rates),
        scores=tuple(found),
    )
