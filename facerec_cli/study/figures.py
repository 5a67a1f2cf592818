"""Curves and similarity distributions of a study as SVG text, a colour for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.study.tables import subset_words
from facerec_cli.verify.plots import Axis, linear_axis, log_axis, plot

_COLOURS = ("#5b6675", "#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#eab308", "#be185d", "#0e9fb5")

Line = tuple[str, NDArray[np.float64], NDArray[np.float64]]


def colours_of(arms: Sequence[str]) -> dict[str, str]:
    """A colour for each arm."""
    return {arm: _COLOURS[i % len(_COLOURS)] for i, arm in enumerate(arms)}


def style_of(arms: Sequence[str]) -> str:
    """CSS that gives the arms' lines and areas their colours; dashes where a colour comes again."""
    return "".join(
        f".line.a{i} {{ stroke: {colour};{' stroke-dasharray: 5 3;' if i >= len(_COLOURS) else ''} }} "
        f".area.a{i} {{ fill: {colour}; fill-opacity: .08; stroke: {colour}; }}"
        for i, colour in enumerate(colours_of(arms).values())
    )


def roc(results: Mapping[str, Any], subset: str) -> str:
    """TAR over FAR of one subset, mean over the seeds."""
    lines = _lines(results, subset)
    floor = min((float(line[2].min()) for line in lines if len(line[2])), default=0.0)
    rates = linear_axis("true accept rate (TAR)", min(floor, 0.95), 1.0, lambda v: f"{v:.0%}")
    return plot(f"ROC, {subset_words(subset)}", _far_axis(lines), rates, lines=lines)


def det(results: Mapping[str, Any], subset: str) -> str:
    """False rejects over false accepts, both logarithmic; "" where nobody is falsely rejected."""
    lines = _lines(results, subset)
    wrong = [(name, far[tar < 1], 1 - tar[tar < 1]) for name, far, tar in lines if (tar < 1).sum() > 1]
    if not wrong:
        return ""
    least = max(min(float(line[2].min()) for line in wrong), 1e-5)
    rates = log_axis("false reject rate", min(least, 0.1))
    return plot(f"DET, {subset_words(subset)}", _far_axis(lines), rates, lines=wrong)


def similarities(results: Mapping[str, Any], subset: str) -> str:
    """How alike same and different pairs are, an outline for each arm (the figure of DDL's paper)."""
    edges = np.array(results["similarities"]["edges"])
    stairs = np.repeat(edges, 2)[1:-1]
    areas, top = [], 0.0
    for i, shares in enumerate(results["similarities"]["shares"][subset].values()):
        for kind in ("same", "different"):
            height = np.array(shares[kind])
            top = max(top, float(height.max()))
            areas.append((f"a{i}", stairs, np.repeat(height, 2)))
    return plot(
        f"Similarity of same and different pairs, {subset_words(subset)}",
        linear_axis("cosine similarity", float(edges[0]), float(edges[-1]), lambda v: f"{v:.1f}"),
        linear_axis("share of the pairs", 0.0, top * 1.05, lambda v: f"{v:.0%}"),
        areas=areas,
    )


def _lines(results: Mapping[str, Any], subset: str) -> list[Line]:
    """(class, FAR, TAR) of each arm where there are pairs enough."""
    far = np.array(results["curves"]["far"])
    lines = []
    for i, values in enumerate(results["curves"]["tar"][subset].values()):
        tar = np.array([np.nan if value is None else value for value in values])
        seen = np.isfinite(tar)
        lines.append((f"a{i}", far[seen], tar[seen]))
    return lines


def _far_axis(lines: Sequence[Line]) -> Axis:
    low = min((float(line[1][0]) for line in lines if len(line[1])), default=1e-3)
    return log_axis("false accept rate (FAR)", min(low, 0.1))
