"""One HTML file that shows what was measured: curves, table, hardest pairs; it loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.files import write_file
from facerec_cli.images import ImageError, read_image
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.metrics.scores import Distribution
from facerec_cli.report.html import (
    Markup,
    Row,
    cards,
    figure,
    join,
    jpeg,
    page,
    percentage,
    shrunk,
    table,
    tag,
)
from facerec_cli.report.svg import linear_axis, log_axis, plot
from facerec_cli.verify.result import Verification
from facerec_cli.wording import counted, one_in

HARDEST = 12  # pairs of each kind that are shown
_LISTED = 50  # photos of a kind that are named
_THUMBNAIL = 240  # pixels of the longer side, for screens with two to a point
_HISTOGRAM_BINS = 120

_HOW = (
    "A pair is accepted when its cosine is at least the threshold. TAR at FAR is the largest share of "
    "accepted same pairs whose measured FAR does not exceed the wanted one; intervals are 95 % Wilson "
    "intervals; a FAR needs 3 / FAR different pairs."
)


def write_report(result: Verification, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, render(result).encode(), what="report")


def render(result: Verification) -> str:
    """The report as HTML."""
    title = f"Verification on {Path(result.source).name}"
    model, counts = result.gallery.model, result.evaluation.pairs
    lead = (
        f"{counts.total:,} pairs ({counts.genuine:,} same, {counts.impostor:,} different) of "
        f"{counted(len(result.names), 'photo')}, compared by the model "
    )
    name = [tag("b", model.name or "unknown"), " ", tag("code", model.sha256[:12]), "."]
    body = [tag("h1", title), tag("p", lead, name, class_="lead"), cards(_figures(result))]
    if result.evaluation.genuine.size and result.evaluation.impostor.size:
        body.append(tag("section", _plots(result), class_="plots"))
    body += [tag("h2", "True accepts at a false accept rate"), _points(result)]
    if result.groups is not None:
        body += [tag("h2", "Groups"), _groups(result)]
    body += [_hardest(result, same=True), _hardest(result, same=False)]
    body.append(_named(result, "Photos without an embedding", result.gallery.reasons))
    body.append(_named(result, "Photos with a doubtful face, compared all the same", result.gallery.doubts))
    return page(title, body, note=_HOW)


def _figures(result: Verification) -> list[tuple[str, str, str]]:
    evaluation = result.evaluation
    found: list[tuple[str, str, str]] = []
    if evaluation.accuracy is not None:
        accuracy = evaluation.accuracy
        sure = f"± {percentage(accuracy.standard_error)} standard error of {len(accuracy.folds)} folds"
        found.append((percentage(accuracy.mean), accuracy.kind, sure))
    point = result.chosen
    if point is not None and point.tar is not None:
        about = f"95 % interval {percentage(point.low)} to {percentage(point.high)}"
        about += f"; threshold {point.threshold:.4f}"
        found.append((percentage(point.tar), f"TAR at FAR {one_in(point.far)}", about))
    if evaluation.eer is not None:
        found.append((percentage(evaluation.eer), "equal error rate", "false accepts = false rejects"))
    if evaluation.auc is not None:
        about = "" if evaluation.d_prime is None else f"d′ {evaluation.d_prime:.2f}"
        found.append((f"{evaluation.auc:.5f}", "area under the ROC curve", about))
    failed = len(result.gallery.reasons)
    left_out = f"{counted(evaluation.pairs.failed, 'pair')} left out"
    found.append((f"{failed:,}", "photos without an embedding", left_out))
    return found


def _plots(result: Verification) -> list[Markup]:
    genuine, impostor = result.evaluation.genuine, result.evaluation.impostor
    far = (impostor.size - impostor.below) / impostor.size
    tar = (genuine.size - genuine.below) / genuine.size
    lowest = max(1.0 / impostor.size, 1e-9)
    seen = (far >= lowest) & (far < 1)
    floor = float(np.floor(max(0.0, tar[seen].min() - 0.01) * 50) / 50) if seen.any() else 0.0
    marks = [
        ("genuine", p.measured_far, p.tar, f"TAR {percentage(p.tar)} at FAR {one_in(p.far)}")
        for p in result.evaluation.measured_points
        if p.measured_far and p.tar is not None
    ]
    rates = log_axis("false accept rate (FAR)", lowest)
    order = slice(None, None, -1)
    digits = 0 if 1 - floor >= 0.1 else 1
    roc = plot(
        "ROC: true accept rate against false accept rate",
        rates,
        linear_axis("true accept rate (TAR)", min(floor, 0.98), 1.0, lambda v: f"{100 * v:.{digits}f} %"),
        lines=[("genuine", far[order][far[order] > 0], tar[order][far[order] > 0])],
        marks=marks,
    )
    least = max(1.0 / genuine.size, 1e-9)
    even = np.array([max(lowest, least), 1.0])
    det = plot(
        "DET: false reject rate against false accept rate",
        rates,
        log_axis("false reject rate", least),
        lines=[("genuine", far[order][far[order] > 0], 1 - tar[order][far[order] > 0]), ("even", even, even)],
        marks=[(name, a, 1 - b, text) for name, a, b, text in marks if b < 1],
    )
    return [
        figure(Markup(roc), "ROC. Dots are the points of the table."),
        figure(Markup(det), "DET. On the dashed line both errors are equal."),
        _histogram(result),
    ]


def _histogram(result: Verification) -> Markup:
    genuine, impostor = result.evaluation.genuine, result.evaluation.impostor
    binning = genuine.binning
    edges = binning.low + np.arange(binning.bins + 1) * (binning.high - binning.low) / (binning.bins - 1)
    used = np.flatnonzero(genuine.histogram + impostor.histogram)
    low, high = edges[used[0]], edges[used[-1] + 1]
    coarse = np.linspace(low, high, _HISTOGRAM_BINS + 1)

    def shares(one: Distribution) -> NDArray[np.float64]:
        return np.diff(np.interp(coarse, edges, one.below)) / one.size

    heights = [shares(impostor), shares(genuine)]
    top = float(max(h.max() for h in heights)) * 1.05
    stairs = np.repeat(coarse, 2)[1:-1]
    point = result.chosen
    at = point.threshold if point else None
    picture = plot(
        "Histogram of the similarity of same and of different pairs",
        linear_axis("cosine similarity", float(low), float(high), lambda v: f"{v:.1f}"),
        linear_axis("share of the pairs", 0.0, top, lambda v: f"{100 * v:.{0 if top > 0.05 else 1}f} %"),
        areas=[
            (name, stairs, np.repeat(height, 2))
            for name, height in zip(("impostor", "genuine"), heights, strict=True)
        ],
        rules=[] if at is None else [(at, f"threshold {at:.3f}")],
    )
    keys = [
        tag("i", class_=f"key {name}") + words
        for name, words in (("genuine", "same person"), ("impostor", "different people"))
    ]
    stands = f" The threshold is that of FAR {one_in(point.far)}." if point and at is not None else ""
    return figure(Markup(picture), map(Markup, keys), "; each fills its own 100 %.", stands)


def _points(result: Verification) -> Markup:
    """What is measured as a table, and below it in a line what is not."""
    points = result.evaluation.measured_points
    notes = [tag("p", sentence, class_="note") for sentence in result.evaluation.reasons()]
    if not points:
        return join(notes)
    failures = result.evaluation.pairs.failed_genuine > 0
    people = {interval.far: interval for interval in result.bootstrap}
    head = ["FAR", "TAR", "95 % interval", "threshold", "measured FAR"]
    head += ["TAR, failures as errors"] if failures else []
    measured = any(interval.low is not None for interval in people.values())
    head += ["interval over people"] if measured else []
    rows = []
    for point in points:
        cells = [
            one_in(point.far),
            tag("b", percentage(point.tar)),
            f"{percentage(point.low)} – {percentage(point.high)}",
            f"{point.threshold:.4f}",
            _measured_far(point, result.evaluation.impostor.size),
        ]
        cells += [percentage(point.tar_with_failures)] if failures else []
        if measured:
            own = people[point.far]
            cells.append("–" if own.low is None else f"{percentage(own.low)} – {percentage(own.high)}")
        rows.append(Row(cells))
    if people and not measured:
        reason = next(iter(people.values())).reason
        notes.append(tag("p", f"Interval over people: {reason}.", class_="note"))
    return join(table(head, rows, "TAR at each FAR"), notes)


def _measured_far(point: OperatingPoint, different: int) -> str:
    """The rate with what it was counted from: ``0.0998 % (52 of 52,110)``."""
    accepted = point.accepted_impostor or 0
    return f"{100 * accepted / different:.3g} % ({accepted:,} of {different:,})"


def _groups(result: Verification) -> Markup:
    report = result.groups
    assert report is not None
    rows = []
    for kind, rates in (("false non-match", report.fnmr), ("false match", report.fmr)):
        for rate in rates:
            cells = [
                rate.label,
                kind,
                percentage(rate.rate, 3),
                "–" if rate.rate is None else f"{percentage(rate.low, 3)} – {percentage(rate.high, 3)}",
                f"{rate.pairs:,}",
                "" if rate.enough else "too few pairs to compare",
            ]
            rows.append(Row(cells, muted=not rate.enough))
    head = ["group", "rate", "value", "95 % interval", "pairs", ""]
    words = (
        f"At one threshold for everybody, {report.threshold:.4f} (FAR {one_in(report.far)} over all pairs)."
    )
    return join(tag("p", words), table(head, rows, "Error rates of each group"))


def _hardest(result: Verification, *, same: bool) -> Markup:
    """The pairs on which the model is most wrong, as pictures."""
    pairs, scores, failed = result.pairs, result.scores, result.failed
    if pairs is None or scores is None or failed is None or pairs.templates is not None:
        return Markup()
    rows = np.flatnonzero((pairs.same == same) & ~failed)
    order = np.argsort(scores[rows] if same else -scores[rows], kind="stable")
    point = result.chosen
    threshold = point.threshold if point else None
    found = []
    for row in rows[order[:HARDEST]]:
        sides = [int(side[row]) for side in (pairs.first, pairs.second)]
        pictures = [_thumbnail(result.images[i], result.names[i]) for i in sides]
        wrong = threshold is not None and (scores[row] >= threshold) != same
        verdict = [" ", tag("b", f"wrong at {threshold:.3f}", class_="wrong")] if wrong else []
        names = tag("small", " · ".join(Path(result.names[i]).name for i in sides))
        caption = tag("figcaption", f"{scores[row]:.3f}", verdict, names)
        found.append(tag("figure", tag("div", pictures), caption, class_="pair"))
    if not found:
        return Markup()
    title = "Same person, least alike" if same else "Different people, most alike"
    note = "The number is the cosine similarity."
    if point and threshold is not None:
        side = "below" if same else "at or above"
        note += f" Wrong are pairs {side} the threshold {threshold:.4f}, that of FAR {one_in(point.far)}."
    return join(tag("h2", title), tag("p", note, class_="note"), tag("section", found, class_="pairs"))


def _thumbnail(image: Path | bytes, name: str) -> Markup:
    try:
        photo = read_image(image)
    except ImageError:
        return tag("span", "no picture", class_="gone")
    return tag("img", alt=name, src=jpeg(shrunk(photo, _THUMBNAIL)), loading="lazy")


def _named(result: Verification, title: str, photos: Mapping[int, str]) -> Markup:
    """Photos with what is to be said of each."""
    if not photos:
        return Markup()
    rows = [Row([result.names[i], reason]) for i, reason in sorted(photos.items())[:_LISTED]]
    more = len(photos) - len(rows)
    listing = tag("div", table(["photo", "reason"], rows, title), class_="long")
    return join(tag("h2", title), listing, tag("p", f"… and {more:,} more") if more else "")
