"""What scores are worth, as a report shows it: a reliability and a Tippett plot."""

from __future__ import annotations

import math

import numpy as np

from facerec_cli.metrics.likelihood_curves import tippett
from facerec_cli.metrics.likelihood_evaluation import LikelihoodEvaluation
from facerec_cli.report.svg import linear_axis, plot, ratio_axis
from facerec_cli.wording import counted

_ROOM = math.log(10)  # beyond what is stated, so that intervals can be seen


def likelihood_plots(found: LikelihoodEvaluation) -> dict[str, str]:
    """Both plots as SVG, by name; none where one ratio is stated of all pairs."""
    low, high = float(found.stated.values.min()), float(found.stated.values.max())
    if low == high:
        return {}
    ends = np.array([low - _ROOM, high + _ROOM])
    stated, observed = (
        ratio_axis(f"{word} likelihood ratio", *np.exp(ends)) for word in ("stated", "observed")
    )
    at, genuine, impostor = tippett(found.stated)
    lines = [("even", np.exp(ends), np.exp(ends))]
    marks = []
    for point in found.reliability:
        x = math.exp(point.stated)
        span = [
            math.exp(end if there is None else there)
            for end, there in zip(ends, (point.low, point.high), strict=True)
        ]
        lines.append(("genuine", np.array([x, x]), np.array(span)))
        if point.observed is not None:
            pairs = counted(point.genuine + point.impostor, "pair")
            marks.append(
                ("genuine", x, math.exp(point.observed), f"{pairs}, {point.genuine:,} of one person")
            )
    shares = linear_axis("share of the pairs", 0.0, 1.0, lambda v: f"{100 * v:.0f} %")
    return {
        "reliability": plot(
            "Reliability: observed against stated likelihood ratio",
            stated,
            observed,
            lines=lines,
            marks=marks,
        ),
        "tippett": plot(
            "Tippett plot: share of the pairs with at least a likelihood ratio",
            ratio_axis("stated likelihood ratio, at least", *np.exp(ends)),
            shares,
            lines=[("genuine", np.exp(at), genuine), ("impostor", np.exp(at), impostor)],
        ),
    }


def likelihood_words(found: LikelihoodEvaluation) -> str:
    """What the plots are of, in a sentence or two."""
    pairs = {"folds": "the other folds", "people": "pairs of other people", "nothing": "the same pairs"}
    return (
        f"Each likelihood ratio is from a calibration on {pairs[found.held_out]}. Their cost (Cllr) is "
        f"{found.cllr:.4f} bits; none that rise with the score have less than {found.min_cllr:.4f} here, and "
        f"ratios that say nothing have 1. "
        f"{bounds_words(found)}"
    )


def bounds_words(found: LikelihoodEvaluation) -> str:
    """How large ratios are stated: ``These data carry ratios from 1/219 to 891.``."""
    low, high = math.floor(math.exp(-found.model.low) + 1e-9), math.floor(math.exp(found.model.high) + 1e-9)
    return f"These data carry ratios from {'1' if low == 1 else f'1/{low:,}'} to {high:,}."
