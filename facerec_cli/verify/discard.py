"""Which measure of quality foretells false rejects on a list or folder, and how a report shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.quality_limits import MEASURES
from facerec_cli.metrics.discard import discard_curves
from facerec_cli.metrics.discard_curve import SHARES, DiscardCurve, DiscardReport
from facerec_cli.metrics.discard_pairs import judge_all, judge_list
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.report.pages import Cell, Row, Table, percentage
from facerec_cli.report.svg import linear_axis, log_axis, plot
from facerec_cli.verify.photo_vectors import PhotoVectors

_LINES = 4  # curves that are drawn
_SHOWN = (0.05, 0.1, 0.2)


def discard_of(
    point: OperatingPoint | None,
    pairs: PairList,
    embeddings: PhotoVectors,
    scored: tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]] | None,
) -> DiscardReport | str:
    """The curves of all measures at a threshold, or why there are none.

    Args:
        point: Whose threshold.
        pairs: The list, or the photos of a folder.
        embeddings: Of the photos.
        scored: Of a list (P,) scores, whether a pair has none, and who is on the first side of those that
            have one; None for all pairs of a folder, which are too many to list.
    """
    if pairs.templates is not None:
        return "templates of several photos have no quality of their own"
    if point is None or point.threshold is None:
        return "no FAR is measurable on this list" if point is None else point.reason
    if embeddings.measures is None or not np.isfinite(embeddings.measures).any():
        return "the embeddings do not say anything of quality; embed the photos again"
    if scored is not None:
        scores, failed, people = scored
        judged = judge_list(
            scores[~failed],
            pairs.same[~failed],
            (pairs.first[~failed], pairs.second[~failed]),
            people,
            point.threshold,
        )
    else:
        assert pairs.identity is not None
        made = judge_all(embeddings.vectors, pairs.identity, point.threshold, failed=embeddings.failed)
        if isinstance(made, str):
            return made
        judged = made
    measures = {name: embeddings.measures[:, at] for at, name in enumerate(MEASURES)}
    return discard_curves(judged, measures, threshold=point.threshold, far=point.far)


def discard_section(found: DiscardReport | str) -> dict[str, Any] | None:
    """What the report shows: a sentence, the curves of the best measures, a table of all."""
    if isinstance(found, str):
        return None
    words = found.sentence()
    measured = [curve for curve in found.curves if curve.points]
    section: dict[str, Any] = {"words": f"{words[0].upper()}{words[1:]}.", "plot": None}
    if not measured:
        return section
    best = sorted(measured, key=lambda curve: -(curve.gain or 0))[:_LINES]
    rates = [point.fnmr for curve in best for point in curve.points]
    floor = min((rate for rate in rates if rate > 0), default=0.001)
    even = max(curve.points[0].fnmr for curve in best)
    shares = np.array(SHARES)
    lines = [
        (f"a{at}", shares, np.array([max(point.fnmr, floor / 10) for point in curve.points]))
        for at, curve in enumerate(best)
    ]
    section["plot"] = plot(
        "False non-match rate against the share of the same pairs that is discarded",
        linear_axis(
            "share of the same pairs that is discarded", 0.0, SHARES[-1], lambda v: f"{100 * v:.0f} %"
        ),
        log_axis("false non-match rate", floor, min(1.0, even)),
        lines=[*lines, ("even", shares[[0, -1]], np.array([even, even]))],
    )
    section["lines"] = [curve.measure for curve in best]
    section["table"] = Table(
        [
            "measure",
            "gain",
            "interval",
            "FNMR",
            *(f"without the worst {share:.0%}" for share in _SHOWN),
            "limit for 10%",
        ],
        [_row(curve) for curve in found.curves],
        "False non-match rate without the same pairs of the worst quality",
    )
    return section


def _row(curve: DiscardCurve) -> Row:
    if curve.gain is None or curve.low is None or curve.high is None:
        return Row([curve.measure, "–", curve.reason, *["–"] * (2 + len(_SHOWN))], muted=True)
    limit = curve.at(0.1).limit
    return Row(
        [
            curve.measure,
            Cell(f"{curve.gain:.2f}", bold=curve.predicts),
            f"{curve.low:.2f} – {curve.high:.2f}",
            percentage(curve.at(0).fnmr, 3),
            *(percentage(curve.at(share).fnmr, 3) for share in _SHOWN),
            "–" if limit is None else f"{curve.measure}={limit:.4g}",
        ],
        muted=not curve.predicts,
    )
