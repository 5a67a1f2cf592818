"""One HTML file that shows what was measured: curves, table, hardest pairs; it loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.files import write_file
from facerec_cli.images import ImageError, read_image
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.metrics.scores import Distribution
from facerec_cli.report.pages import Cell, Row, Table, percentage, render
from facerec_cli.report.pictures import jpeg_address, resized
from facerec_cli.report.svg import histogram, linear_axis, log_axis, plot
from facerec_cli.verify.discard import discard_section
from facerec_cli.verify.group_tables import group_sections
from facerec_cli.verify.likelihood_plots import likelihood_plots, likelihood_words
from facerec_cli.verify.result import Verification
from facerec_cli.wording import counted, one_in

HARDEST = 12  # pairs of each kind that are shown
_LISTED = 50  # photos of a kind that are named
_THUMBNAIL = 240  # pixels of the longer side, for screens with two to a point
_HISTOGRAM_BINS = 120


def write_report(result: Verification, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, page(result).encode(), what="report")


def page(result: Verification) -> str:
    """The report as HTML."""
    evaluation, groups, embeddings = result.evaluation, result.groups, result.embeddings
    counts = evaluation.pairs
    point = result.chosen
    worth = None if isinstance(result.likelihood, str) else result.likelihood
    return render(
        "verify.html",
        title=f"Verification on {Path(result.source).name}",
        lead=f"{counts.total:,} pairs ({counts.genuine:,} same, {counts.impostor:,} different) of "
        f"{counted(len(result.names), 'photo')}",
        model=embeddings.model,
        figures=_figures(result),
        far=point.far if point else None,
        threshold=point.threshold if point else None,
        plots=_plots(result) if evaluation.genuine.size and evaluation.impostor.size else None,
        points=_points(result),
        not_measured=_not_measured(result),
        worth=None if worth is None else likelihood_plots(worth),
        worth_words="" if worth is None else likelihood_words(worth),
        model_threshold=_capital(result.model_threshold.sentence) if result.model_threshold else "",
        doubtful_labels=_doubtful_labels(result),
        quality=discard_section(result.discard),
        groups=[] if groups is None else group_sections(groups),
        hardest=[
            ("Same person, least alike", "below", _hardest(result, same=True)),
            ("Different people, most alike", "at or above", _hardest(result, same=False)),
        ],
        named=[
            _named(result, "Photos without an embedding", embeddings.reasons),
            _named(result, "Photos with a doubtful face, compared all the same", embeddings.doubts),
        ],
    )


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
    failed = len(result.embeddings.reasons)
    left_out = f"{counted(evaluation.pairs.failed, 'pair')} left out"
    found.append((f"{failed:,}", "photos without an embedding", left_out))
    return found


def _plots(result: Verification) -> dict[str, str]:
    """ROC, DET and histogram as SVG."""
    genuine, impostor = result.evaluation.genuine, result.evaluation.impostor
    far = ((impostor.size - impostor.below) / impostor.size)[::-1]
    tar = ((genuine.size - genuine.below) / genuine.size)[::-1]
    lowest, least = (max(1.0 / kind.size, 1e-9) for kind in (impostor, genuine))
    seen = (far >= lowest) & (far < 1)
    floor = float(np.floor(max(0.0, tar[seen].min() - 0.01) * 50) / 50) if seen.any() else 0.0
    far, tar = far[far > 0], tar[far > 0]
    marks = [
        ("genuine", p.measured_far, p.tar, f"TAR {percentage(p.tar)} at FAR {one_in(p.far)}")
        for p in result.evaluation.measured_points
        if p.measured_far and p.tar is not None
    ]
    rates = log_axis("false accept rate (FAR)", lowest)
    digits = 0 if 1 - floor >= 0.1 else 1
    even = np.array([max(lowest, least), 1.0])
    return {
        "roc": plot(
            "ROC: true accept rate against false accept rate",
            rates,
            linear_axis("true accept rate (TAR)", min(floor, 0.98), 1.0, lambda v: f"{100 * v:.{digits}f} %"),
            lines=[("genuine", far, tar)],
            marks=marks,
        ),
        "det": plot(
            "DET: false reject rate against false accept rate",
            rates,
            log_axis("false reject rate", least),
            lines=[("genuine", far, 1 - tar), ("even", even, even)],
            marks=[(name, a, 1 - b, text) for name, a, b, text in marks if b < 1],
        ),
        "histogram": _histogram(genuine, impostor, result.chosen.threshold if result.chosen else None),
    }


def _histogram(genuine: Distribution, impostor: Distribution, threshold: float | None) -> str:
    binning = genuine.binning
    edges = binning.low + np.arange(binning.bins + 1) * (binning.high - binning.low) / (binning.bins - 1)
    used = np.flatnonzero(genuine.histogram + impostor.histogram)
    low, high = edges[used[0]], edges[used[-1] + 1]
    coarse = np.linspace(low, high, _HISTOGRAM_BINS + 1)
    heights = {
        name: np.diff(np.interp(coarse, edges, kind.below)) / kind.size
        for name, kind in (("impostor", impostor), ("genuine", genuine))
    }
    top = float(max(height.max() for height in heights.values())) * 1.05
    return histogram(
        "Histogram of the similarity of same and of different pairs",
        coarse,
        heights,
        top,
        [] if threshold is None else [(threshold, f"threshold {threshold:.3f}")],
        digits=0 if top > 0.05 else 1,
    )


def _points(result: Verification) -> Table | None:
    """The operating points that are measured; None where none is."""
    points = result.evaluation.measured_points
    if not points:
        return None
    failures = result.evaluation.pairs.failed_genuine > 0
    people = {interval.far: interval for interval in result.bootstrap if interval.low is not None}
    head = ["FAR", "TAR", "95 % interval", "threshold", "measured FAR"]
    head += ["TAR, failures as errors"] if failures else []
    head += ["interval over people"] if people else []
    rows = []
    for point in points:
        cells: list[str | Cell] = [
            one_in(point.far),
            Cell(percentage(point.tar), bold=True),
            _interval(point.low, point.high),
            f"{point.threshold:.4f}",
            _measured_far(point, result.evaluation.impostor.size),
        ]
        cells += [percentage(point.tar_with_failures)] if failures else []
        if people:
            interval = people.get(point.far)
            cells.append("–" if interval is None else _interval(interval.low, interval.high))
        rows.append(Row(cells))
    return Table(head, rows, "TAR at each FAR")


def _not_measured(result: Verification) -> list[str]:
    """Sentences that say which figures are missing and why."""
    sentences = list(result.evaluation.reasons())
    unknown = [interval for interval in result.bootstrap if interval.low is None]
    if unknown and len(unknown) == len(result.bootstrap) and result.evaluation.measured_points:
        sentences.append(f"Interval over people: {unknown[0].reason}.")
    if isinstance(result.discard, str):
        sentences.append(f"Which quality foretells errors: {result.discard}.")
    if isinstance(result.likelihood, str):
        sentences.append(f"What a score is worth (likelihood ratio): {result.likelihood}.")
    return sentences


def _interval(low: float | None, high: float | None, digits: int = 2) -> str:
    return f"{percentage(low, digits)} – {percentage(high, digits)}"


def _measured_far(point: OperatingPoint, different: int) -> str:
    """The rate with what it was counted from: ``0.0998 % (52 of 52,110)``."""
    accepted = point.accepted_impostor or 0
    return f"{100 * accepted / different:.3g} % ({accepted:,} of {different:,})"


def _hardest(result: Verification, *, same: bool) -> list[dict[str, Any]]:
    """The pairs on which the model is most wrong, for the template; none where scores were not kept."""
    pairs, scores, failed = result.pairs, result.scores, result.failed
    if scores is None or failed is None or pairs.templates is not None:
        return []
    rows = np.flatnonzero((pairs.same == same) & ~failed)
    order = np.argsort(scores[rows] if same else -scores[rows], kind="stable")
    threshold = result.chosen.threshold if result.chosen else None
    hardest = []
    for row in rows[order[:HARDEST]]:
        photos = [int(side[row]) for side in (pairs.first, pairs.second)]
        hardest.append(
            {
                "score": scores[row],
                "wrong": threshold is not None and (scores[row] >= threshold) != same,
                "names": " · ".join(Path(result.names[i]).name for i in photos),
                "pictures": [(result.names[i], thumbnail(pairs.images[i])) for i in photos],
            }
        )
    return hardest


def thumbnail(image: Path | bytes) -> str | None:
    """The photo as an address; None where it cannot be read."""
    try:
        return jpeg_address(resized(read_image(image), _THUMBNAIL))
    except ImageError:
        return None


def _doubtful_labels(result: Verification) -> tuple[str, Table] | None:
    """A sentence, and the pairs of different labels that look like one person."""
    doubtful = result.doubtful_labels
    if doubtful is None or not doubtful.pairs:
        return None
    named = zip(doubtful.pairs, doubtful.names, strict=True)
    rows = [Row([f"{pair.score:.4f}", *names]) for pair, names in named]
    return _capital(doubtful.sentence()), Table(["score", "photo", "other photo"], rows, "Doubtful labels")


def _capital(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."


def _named(result: Verification, title: str, photos: Mapping[int, str]) -> tuple[str, Table, int]:
    """Photos with what is to be said of each, and how many more there are."""
    rows = [Row([result.names[i], reason]) for i, reason in sorted(photos.items())[:_LISTED]]
    return title, Table(["photo", "reason"], rows, title), len(photos) - len(rows)
