"""Line plots and histograms as SVG text, drawn for a page: they stay sharp and follow its colors.

A plot is as wide as a phone, so that its letters are as large there as the page's; a page with more room sets
several side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from facerec_cli.report.pages import render
from facerec_cli.wording import percent

WIDTH, HEIGHT = 360, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 22, 12, 44
_LETTER = 6.6  # width of a letter of the ticks, about

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        label: Its title.
        low: Value at its start.
        high: Value at its end.
        ticks: (value, text) of each grid line.
        log: Whether it is logarithmic.
    """

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def share(self, values: Points) -> Points:
        """Position along the axis, 0..1."""
        scale: Callable[[Points], Points] = np.log10 if self.log else np.asarray
        low, high = scale(np.array([self.low, self.high]))
        clipped = np.clip(values, min(self.low, self.high), max(self.low, self.high))
        return np.asarray((scale(clipped) - low) / (high - low))


def log_axis(label: str, low: float, high: float = 1.0) -> Axis:
    """A logarithmic axis of rates with a grid line at each power of ten; it spans one power at least."""
    end = int(np.ceil(np.log10(high)))
    start = min(int(np.floor(np.log10(low))), end - 1)
    powers = range(start, end + 1)
    ticks = [(10.0**p, percent(10.0**p)) for p in powers]
    return Axis(label, 10.0**start, ticks[-1][0], ticks, log=True)


def ratio_axis(label: str, low: float, high: float) -> Axis:
    """A logarithmic axis of ratios around 1 with at most seven grid lines, at powers of ten."""
    start, end = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    step = max(1, math.ceil((end - start) / 6))
    powers = [power for power in range(start, end + 1) if power % step == 0]
    ticks = [(10.0**power, f"1/{10**-power:,}" if power < 0 else f"{10**power:,}") for power in powers]
    return Axis(label, low, high, [tick for tick in ticks if low <= tick[0] <= high], log=True)


def linear_axis(label: str, low: float, high: float, style: Callable[[float], str]) -> Axis:
    """A linear axis with round grid lines."""
    raw = (high - low) / 5
    unit = 10.0 ** np.floor(np.log10(raw))
    step = float(unit * next(m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999))
    values = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    return Axis(label, low, high, [(float(v), style(float(v) + 0.0)) for v in values])


def plot(
    title: str,
    x: Axis,
    y: Axis,
    lines: Sequence[tuple[str, Points, Points]] = (),
    areas: Sequence[tuple[str, Points, Points]] = (),
    marks: Sequence[tuple[str, float, float, str]] = (),
    rules: Sequence[tuple[float, str]] = (),
) -> str:
    """One plot as the text of an ``<svg>`` element (``templates/plot.svg``).

    Args:
        title: Read out by screen readers.
        x: Horizontal axis.
        y: Vertical axis.
        lines: (class, x values, y values) of each line.
        areas: The same, filled down to the horizontal axis.
        marks: (class, x, y, what it is) of single points.
        rules: (x, text) of dashed vertical lines.
    """
    across, up = partial(_x, x), partial(_y, y)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    shown = _with_room([text for _, text in x.ticks], WIDTH - _LEFT - _RIGHT)
    across_ticks, up_ticks = (
        scale(np.array([value for value, _ in axis.ticks])) for scale, axis in ((across, x), (up, y))
    )
    return render(
        "plot.svg",
        title=title,
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=right,
        top=_TOP,
        bottom=bottom,
        middle=(_TOP + bottom) / 2,
        x_label=x.label,
        y_label=y.label,
        columns=[
            (f"{at:.1f}", text if text in shown else "")
            for at, (_, text) in zip(across_ticks, x.ticks, strict=True)
        ],
        rows=[(f"{at:.1f}", f"{at + 4:.1f}", text) for at, (_, text) in zip(up_ticks, y.ticks, strict=True)],
        areas=[
            (name, f"{_path(across(xs), up(ys))}V{bottom}H{across(xs[:1])[0]:.1f}Z") for name, xs, ys in areas
        ],
        lines=[(name, _path(across(xs), up(ys))) for name, xs, ys in lines],
        rules=[_rule(across(np.array([value]))[0], text, right) for value, text in rules],
        marks=[
            (name, f"{across(np.array([a]))[0]:.1f}", f"{up(np.array([b]))[0]:.1f}", text)
            for name, a, b, text in marks
        ],
    )


def histogram(
    title: str,
    edges: Points,
    shares: Mapping[str, Points],
    top: float,
    rules: Sequence[tuple[float, str]] = (),
    *,
    digits: int = 0,
) -> str:
    """A histogram of cosine similarities as the text of an ``<svg>`` element.

    Args:
        title: Read out by screen readers.
        edges: (B + 1,) edges of the bins.
        shares: Class -> (B,) share of its pairs in each bin, 0..1.
        top: The share at the upper end of the axis.
        rules: (similarity, text) of dashed vertical lines.
        digits: Decimals of the percentages.
    """
    stairs = np.repeat(edges, 2)[1:-1]
    return plot(
        title,
        linear_axis("cosine similarity", float(edges[0]), float(edges[-1]), lambda v: f"{v:.1f}"),
        linear_axis("share of the pairs", 0.0, top, lambda v: f"{100 * v:.{digits}f} %"),
        areas=[(name, stairs, np.repeat(share, 2)) for name, share in shares.items()],
        rules=rules,
    )


def _rule(at: float, text: str, right: float) -> tuple[str, str, str, str]:
    """Where a dashed line is, and where its text: on its right side if there is room, else on its left."""
    room = right - at > _LETTER * len(text) + 6
    return f"{at:.1f}", f"{at + 6 if room else at - 6:.1f}", "start" if room else "end", text


def _with_room(ticks: Sequence[str], width: float) -> list[str]:
    """Every n-th of evenly spaced ticks, counted from the last, so that none touches its neighbor."""
    needed = _LETTER * max(map(len, ticks), default=0) + 10
    step = max(1, int(np.ceil(needed * max(len(ticks) - 1, 1) / width)))
    return list(ticks[::-1][::step])


def _x(axis: Axis, values: Points) -> Points:
    return _LEFT + axis.share(values) * (WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, values: Points) -> Points:
    return HEIGHT - _BOTTOM - axis.share(values) * (HEIGHT - _TOP - _BOTTOM)


def _path(xs: Points, ys: Points) -> str:
    """The points joined, without those that would not be seen apart."""
    px, py = np.round(xs, 1), np.round(ys, 1)
    keep = np.concatenate(([True], (np.diff(px) != 0) | (np.diff(py) != 0)))
    return "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(px[keep], py[keep], strict=True))
