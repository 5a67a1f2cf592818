"""Curves and similarity distributions of a study as SVG text: small multiples, all of a kind on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.report.svg import Axis, histogram, linear_axis, log_axis, plot
from facerec_cli.study.comparison import Comparison
from facerec_cli.study.tables import arm_words, subset_words

_LIGHT = ("#55606f", "#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d", "#0e7490")
_DARK = ("#a9b3c1", "#5aa9f5", "#f59056", "#4ade80", "#c084fc", "#facc15", "#f472b6", "#22d3ee")

Line = tuple[str, NDArray[np.float64], NDArray[np.float64]]


def colors_of(arms: Sequence[str]) -> dict[str, str]:
    """A color for each arm, on a light page."""
    return {arm: _LIGHT[i % len(_LIGHT)] for i, arm in enumerate(arms)}


def style_of(arms: Sequence[str]) -> str:
    """CSS that gives the arms' lines and keys their colors; dashes where a color comes again."""

    def rules(colors: Sequence[str]) -> str:
        return " ".join(
            f".line.a{i} {{ stroke: {colors[i % len(colors)]}; }} "
            f".key.a{i} {{ background: {colors[i % len(colors)]}; }}"
            for i in range(len(arms))
        )

    again = [f".line.a{i} {{ stroke-dasharray: 5 3; }}" for i in range(len(_LIGHT), len(arms))]
    dark = f"@media screen and (prefers-color-scheme: dark) {{ {rules(_DARK)} }}"
    return f"{rules(_LIGHT)} {' '.join(again)} {dark}"


def roc(results: Comparison, subset: str) -> str:
    """TAR over FAR of one subset, mean over the seeds; on the scale of all subsets."""
    everything = _all_lines(results)
    floor = min((float(tar.min()) for _, _, tar in everything if len(tar)), default=0.0)
    rates = linear_axis("true accept rate (TAR)", min(floor, 0.95), 1.0, lambda v: f"{100 * v:.0f} %")
    return plot(f"ROC, {subset_words(subset)}", _far_axis(everything), rates, lines=_lines(results, subset))


def det(results: Comparison, subset: str) -> str:
    """False rejects over false accepts, both logarithmic; "" where nobody is falsely rejected."""
    everything = _all_lines(results)
    wrong = _rejects(_lines(results, subset))
    if not wrong:
        return ""
    least = max(min(float(line[2].min()) for line in _rejects(everything)), 1e-5)
    rates = log_axis("false reject rate", min(least, 0.1))
    return plot(f"DET, {subset_words(subset)}", _far_axis(everything), rates, lines=wrong)


def similarities(results: Comparison, subset: str) -> dict[str, str]:
    """How alike same and different pairs are: arm -> its panel, on one scale (the figure of DDL's paper)."""
    assert results.similarities is not None
    edges = np.array(results.similarities.edges)
    shares = {
        arm: {
            "impostor": np.array(own.different, np.float64),
            "genuine": np.array(own.same, np.float64),
        }
        for arm, own in results.similarities.shares[subset].items()
    }
    top = max(float(np.nanmax(share)) for kinds in shares.values() for share in kinds.values())
    return {
        arm: histogram(
            f"Similarity of same and different pairs, {subset_words(subset)}, {arm_words(arm)}",
            edges,
            kinds,
            1.05 * top,
        )
        for arm, kinds in shares.items()
    }


def _rejects(lines: Iterable[Line]) -> list[Line]:
    """The lines as false reject rates, where there are any."""
    return [(name, far[tar < 1], 1 - tar[tar < 1]) for name, far, tar in lines if (tar < 1).sum() > 1]


def _all_lines(results: Comparison) -> list[Line]:
    return [line for subset in results.measured for line in _lines(results, subset)]


def _lines(results: Comparison, subset: str) -> list[Line]:
    """(class, FAR, TAR) of each arm where there are pairs enough."""
    assert results.curves is not None
    far = np.array(results.curves.far)
    lines = []
    for i, values in enumerate(results.curves.tar[subset].values()):
        tar = np.array(values, np.float64)  # None becomes NaN
        seen = np.isfinite(tar)
        lines.append((f"a{i}", far[seen], tar[seen]))
    return lines


def _far_axis(lines: Sequence[Line]) -> Axis:
    low = min((float(line[1][0]) for line in lines if len(line[1])), default=1e-3)
    return log_axis("false accept rate (FAR)", min(low, 0.1))
