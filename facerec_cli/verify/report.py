"""One HTML file that shows what was measured: curves, table, hardest pairs; it loads nothing else."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli import __version__
from facerec_cli.files import write_file
from facerec_cli.images import ImageError, read_image
from facerec_cli.verify.distribution import Distribution
from facerec_cli.verify.plots import WIDTH, linear_axis, log_axis, plot
from facerec_cli.verify.result import Verification

HARDEST = 12  # pairs of each kind that are shown
_THUMBNAIL = 120  # pixels of the longer side
_HISTOGRAM_BINS = 120

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Verification on {name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{style}</style></head><body><main>{body}</main></body></html>
"""

_HOW = (
    "A pair is accepted when its cosine is at least the threshold. TAR at FAR is the largest share of "
    "accepted same pairs whose measured FAR does not exceed the wanted one; intervals are 95 % Wilson "
    "intervals; a FAR needs 3 / FAR different pairs."
)

_STYLE = (Path(__file__).parent / "report.css").read_text("utf-8")


def write_report(result: Verification, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    page = render(result).encode("utf-8", "backslashreplace")  # names may hold any byte
    write_file(path, page, what="report")


def render(result: Verification) -> str:
    """The report as HTML."""
    name = escape(Path(result.source).name)
    model = result.gallery.model
    counts = result.evaluation.pairs
    body = [
        f"<h1>Verification on {name}</h1>",
        f'<p class="lead">{counts.total:,} pairs ({counts.same:,} same, {counts.different:,} different) of '
        f"{len(result.names):,} photos, compared by the model <b>{escape(model.name or 'unknown')}</b> "
        f"<code>{escape(model.sha256[:12])}</code>.</p>",
        _cards(result),
    ]
    if result.genuine.size and result.impostor.size:
        body += ['<section class="plots">', *_plots(result), "</section>"]
    body += ["<h2>True accepts at a false accept rate</h2>", _points(result)]
    if result.groups is not None:
        body += ["<h2>Groups</h2>", _groups(result)]
    body += [_hardest(result, same=True), _hardest(result, same=False), _failures(result)]
    body.append(f"<footer>facerec {__version__}. {_HOW}</footer>")
    return _PAGE.format(name=name, style=_STYLE, body="".join(body))


def _cards(result: Verification) -> str:
    evaluation = result.evaluation
    cards: list[tuple[str, str, str]] = []
    if evaluation.accuracy is not None:
        accuracy = evaluation.accuracy
        cards.append(
            (
                f"{accuracy.mean:.2%}",
                "accuracy",
                f"± {accuracy.standard_error:.2%} standard error of {len(accuracy.folds)} folds",
            )
        )
    point = result.chosen
    if point is not None and point.tar is not None:
        about = f"95 %: {point.low:.2%} to {point.high:.2%}"
        cards.append((f"{point.tar:.2%}", f"TAR at FAR {point.far:g}", about))
    if evaluation.eer is not None:
        cards.append((f"{evaluation.eer:.2%}", "equal error rate", "false accepts = false rejects"))
    if evaluation.auc is not None and evaluation.d_prime is not None:
        cards.append((f"{evaluation.auc:.5f}", "area under ROC", f"d′ {evaluation.d_prime:.2f}"))
    failed = len(result.gallery.reasons)
    cards.append((f"{failed:,}", "photos without a face", f"{evaluation.pairs.failed:,} pairs left out"))
    return '<section class="cards">' + "".join(
        f"<div><strong>{value}</strong><span>{label}</span><small>{note}</small></div>"
        for value, label, note in cards
    ) + "</section>"  # fmt: skip


def _plots(result: Verification) -> list[str]:
    genuine, impostor = result.genuine, result.impostor
    far = (impostor.size - impostor.below) / impostor.size
    tar = (genuine.size - genuine.below) / genuine.size
    points = [p for p in result.evaluation.tar_at_far if p.tar is not None and p.measured_far]
    lowest = max(1.0 / impostor.size, 1e-9)
    seen = (far >= lowest) & (far < 1)
    floor = float(np.floor(max(0.0, tar[seen].min() - 0.01) * 50) / 50) if seen.any() else 0.0
    marks = [
        ("genuine", p.measured_far or 0.0, p.tar or 0.0, f"TAR {p.tar:.2%} at FAR {p.far:g}") for p in points
    ]
    rates = log_axis("false accept rate (FAR)", lowest)
    order = slice(None, None, -1)
    digits = 0 if 1 - floor >= 0.1 else 1
    roc = plot(
        "ROC: true accept rate against false accept rate",
        rates,
        linear_axis("true accept rate (TAR)", min(floor, 0.98), 1.0, lambda v: f"{v:.{digits}%}"),
        lines=[("genuine", far[order][far[order] > 0], tar[order][far[order] > 0])],
        marks=marks,
    )
    least = max(1.0 / genuine.size, 1e-9)
    det = plot(
        "DET: false reject rate against false accept rate",
        rates,
        log_axis("false reject rate", least),
        lines=[
            ("genuine", far[order][far[order] > 0], 1 - tar[order][far[order] > 0]),
            ("even", np.array([max(lowest, least), 1.0]), np.array([max(lowest, least), 1.0])),
        ],
        marks=[(name, a, 1 - b, text) for name, a, b, text in marks if b < 1],
    )
    return [
        f"<figure>{roc}<figcaption>ROC. Dots are the points of the table.</figcaption></figure>",
        f"<figure>{det}<figcaption>DET. On the dashed line both errors are equal.</figcaption></figure>",
        f"<figure class='wide'>{_histogram(result)}<figcaption><i class='key genuine'></i> same person "
        "<i class='key impostor'></i> different people; each fills its own 100 %.</figcaption></figure>",
    ]


def _histogram(result: Verification) -> str:
    genuine, impostor = result.genuine, result.impostor
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
    rules = [(point.threshold, f"threshold at FAR {point.far:g}")] if point and point.threshold else []
    return plot(
        "Histogram of the similarity of same and of different pairs",
        linear_axis("cosine similarity", float(low), float(high), lambda v: f"{v:.1f}"),
        linear_axis("share of the pairs", 0.0, top, lambda v: f"{v:.0%}" if top > 0.03 else f"{v:.1%}"),
        areas=[
            (name, stairs, np.repeat(height, 2))
            for name, height in zip(("impostor", "genuine"), heights, strict=True)
        ],
        rules=rules,
        width=2 * WIDTH + 20,
    )


def _points(result: Verification) -> str:
    failures = result.evaluation.pairs.failed_same > 0
    people = {interval.far: interval for interval in result.bootstrap}
    head = ["FAR", "TAR", "95 % interval", "threshold", "measured FAR"]
    head += ["TAR, failures as errors"] if failures else []
    head += ["interval over people"] if people else []
    rows = []
    for point in result.evaluation.tar_at_far:
        if point.tar is None:
            rows.append(
                f'<tr class="muted"><td>{point.far:g}</td><td colspan="{len(head) - 1}">'
                f"{escape(point.reason)}</td></tr>"
            )
            continue
        cells = [
            f"{point.far:g}",
            f"<b>{point.tar:.2%}</b>",
            f"{point.low:.2%} – {point.high:.2%}",
            f"{point.threshold:.4f}",
            f"{point.measured_far:.2e}",
        ]
        cells += [f"{point.tar_with_failures:.2%}"] if failures else []
        if people:
            cells.append(f"{people[point.far].low:.2%} – {people[point.far].high:.2%}")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return _table(head, rows)


def _groups(result: Verification) -> str:
    report = result.groups
    assert report is not None
    rows = []
    for kind, rates in (("false non-match", report.fnmr), ("false match", report.fmr)):
        for rate in rates:
            value = "–" if rate.rate is None else f"{rate.rate:.3%}"
            note = "" if rate.enough else "too few pairs to compare"
            mark = "" if rate.enough else ' class="muted"'
            cells = [
                kind,
                escape(rate.label),
                value,
                f"{rate.low:.3%} – {rate.high:.3%}",
                f"{rate.pairs:,}",
                note,
            ]
            rows.append(f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = ["rate", "group", "value", "95 % interval", "pairs", ""]
    text = (
        f"<p>At one threshold for everybody, {report.threshold:.4f} (FAR {report.far:g} over all pairs).</p>"
    )
    return text + _table(head, rows)


def _table(head: list[str], rows: list[str]) -> str:
    cells = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="scroll">{body}</div>'


def _hardest(result: Verification, *, same: bool) -> str:
    """The pairs on which the model is most wrong, as pictures."""
    pairs, scores, failed = result.pairs, result.scores, result.failed
    if pairs is None or scores is None or failed is None or pairs.templates is not None:
        return ""
    rows = np.flatnonzero((pairs.same == same) & ~failed)
    order = np.argsort(scores[rows] if same else -scores[rows], kind="stable")
    threshold = result.chosen.threshold if result.chosen else None
    figures = []
    for row in rows[order[:HARDEST]]:
        sides = [int(side[row]) for side in (pairs.first, pairs.second)]
        pictures = "".join(_thumbnail(result.images[i], result.names[i]) for i in sides)
        wrong = threshold is not None and (scores[row] >= threshold) != same
        verdict = ' <b class="wrong">wrong</b>' if wrong else ""
        names = " · ".join(escape(Path(result.names[i]).name) for i in sides)
        figures.append(
            f'<figure class="pair"><div>{pictures}</div>'
            f"<figcaption>{scores[row]:.3f}{verdict}<small>{names}</small></figcaption></figure>"
        )
    if not figures:
        return ""
    title = "Same person, least alike" if same else "Different people, most alike"
    return f'<h2>{title}</h2><section class="pairs">{"".join(figures)}</section>'


def _thumbnail(image: Path | bytes, name: str) -> str:
    try:
        photo = read_image(image)
    except ImageError:
        return '<span class="gone">no picture</span>'
    scale = _THUMBNAIL / max(photo.shape[:2])
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()).decode()
    return f'<img alt="{escape(name)}" src="data:image/jpeg;base64,{data}">'


def _failures(result: Verification) -> str:
    reasons = result.gallery.reasons
    if not reasons:
        return ""
    shown = list(reasons.items())[:50]
    rows = [f"<tr><td>{escape(result.names[i])}</td><td>{escape(reason)}</td></tr>" for i, reason in shown]
    more = f"<p>… and {len(reasons) - len(shown):,} more</p>" if len(reasons) > len(shown) else ""
    return f"<h2>Photos without an embedding</h2>{_table(['photo', 'reason'], rows)}{more}"
