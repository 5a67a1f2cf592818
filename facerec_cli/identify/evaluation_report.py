"""One HTML file that shows how good a search is: curves, tables, and people who look like one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.files import write_file
from facerec_cli.identify.evaluation import ProtocolEvaluation, TrialEvaluation
from facerec_cli.images import ImageError, read_image
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.report.pages import Cell, Row, Table, percentage, render
from facerec_cli.report.pictures import jpeg_address, resized
from facerec_cli.report.svg import linear_axis, log_axis, plot
from facerec_cli.wording import counted, percent
from facerec_cli.wording import people as counted_people

_TWINS = 12  # pairs of people whose photos are shown
_LISTED = 50
_LINES = 4  # trials, or rates, that have a line of their own
_RANKS = 50
_THUMBNAIL = 240
_WORDS = {"cmc": "CMC, rank", "tpir": "TPIR (DIR) at FPIR", "tar": "TAR (VR) of all pairs at FAR"}


def write_evaluation_report(outcome: ProtocolEvaluation, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, evaluation_page(outcome).encode(), what="report")


def evaluation_page(outcome: ProtocolEvaluation) -> str:
    """The report as HTML."""
    trials, names = outcome.trials, outcome.protocol.names
    first = trials[0]
    reasons = sorted(outcome.embeddings.reasons.items())
    return render(
        "evaluation.html",
        title=f"Identification on {Path(outcome.source).name}",
        lead=f"{counted(len(names), 'photo')} of {counted_people(len(outcome.protocol.people))}, "
        f"{counted(len(trials), 'trial')}",
        model=outcome.embeddings.model,
        alike=Table(
            ["person", "person", "score"],
            [Row([a, b, f"{score:.3f}"]) for a, b, score in outcome.alike[:_LISTED]],
            "People who look like one",
        ),
        alike_more=max(0, len(outcome.alike) - _LISTED),
        twins=_twins(outcome),
        without=[
            f"TPIR at FPIR {percent(one.at)} is {percentage(one.mean)} without these people"
            for one in outcome.figures_without_alike()
            if one.figure == "tpir" and one.mean is not None
        ],
        figures=_cards(outcome),
        transfer=outcome.transfer(),
        plots=_plots(first.search),
        lines=[f"FPIR {percent(rate.fpir)}" for rate in _rates(first.search)],
        tables=[*_tables(outcome)],
        not_measured=sorted({p.reason for one in trials for p in one.search.tpir_at_fpir if p.reason}),
        failed=Table(
            ["photo", "reason"],
            [Row([names[i], why]) for i, why in reasons[:_LISTED]],
            "Photos without an embedding",
        ),
        failed_more=max(0, len(reasons) - _LISTED),
        rule=first.search.rule,
    )


def _cards(outcome: ProtocolEvaluation) -> list[tuple[str, str, str]]:
    search, several = outcome.trials[0].search, len(outcome.trials) > 1
    counts = search.counts
    cards = [
        (f"{counts.people:,}", "people enrolled", "in the first trial" if several else ""),
        (f"{counts.mated:,}", "mated searches", f"{counts.mated_failed:,} could not be made"),
        (f"{counts.non_mated:,}", "non-mated searches", f"{counts.non_mated_failed:,} could not be made"),
    ]
    for figure in outcome.figures():
        if figure.mean is None or (figure.figure == "cmc" and figure.at != 1) or figure.figure == "tar":
            continue
        at = "1" if figure.figure == "cmc" else percent(figure.at)
        spread = (
            f"mean of {figure.trials} trials, sd {percentage(figure.sd)}"
            if several
            else _interval_of(search, figure.at)
        )
        cards.append((percentage(figure.mean), f"{_WORDS[figure.figure]} {at}", spread))
    return cards


def _interval_of(search: IdentificationEvaluation, at: float) -> str:
    point = search.point(at) or next((one for one in search.cmc if one.rank == at), None)
    return "" if point is None else f"95 % interval {_interval(point.low, point.high)}"


def _plots(search: IdentificationEvaluation) -> dict[str, str]:
    """DET, CMC and the curve over N of one trial, by caption."""
    plots = {}
    if search.det:
        fpir = np.array([point.fpir for point in search.det])
        fnir = np.array([point.fnir for point in search.det])
        plots["DET: misses against strangers who get a name, at each threshold"] = plot(
            "DET: FNIR against FPIR",
            log_axis("FPIR", max(fpir[fpir > 0].min(initial=1.0), 1e-6)),
            log_axis("FNIR at rank 1", max(fnir[fnir > 0].min(initial=1.0), 1e-6)),
            lines=[("genuine", fpir[fpir > 0], fnir[fpir > 0])],
        )
    ranks = search.outcomes.rank[search.outcomes.mated]
    if ranks.size:
        upto = np.arange(1, _RANKS + 1)
        rate = np.array([(ranks <= rank).mean() for rank in upto])
        low = float(np.floor(max(0.0, rate.min() - 0.02) * 50) / 50)
        plots["CMC: the mate is among the first, without a threshold"] = plot(
            "CMC: share of searches whose mate has at most a rank",
            linear_axis("rank", 0, _RANKS, lambda value: f"{value:.0f}"),
            linear_axis("share of mated searches", min(low, 0.98), 1.0, lambda value: f"{100 * value:.0f} %"),
            lines=[("genuine", upto.astype(float), rate)],
        )
    curve = search.curve
    if len(curve) > 1 and curve[0].rates:
        sizes = np.array([float(point.people) for point in curve])
        values = [np.array([p.rates[at].own_tpir for p in curve]) for at in range(len(_rates(search)))]
        lowest = float(np.floor(max(0.0, min(v.min() for v in values) - 0.02) * 20) / 20)
        plots["The curve over N: among how many people, with the threshold that each N takes"] = plot(
            "TPIR at FPIR against the number of enrolled people",
            _people_axis(sizes),
            linear_axis("TPIR", min(lowest, 0.95), 1.0, lambda value: f"{100 * value:.0f} %"),
            lines=[(f"a{at}", sizes, line) for at, line in enumerate(values)],
            marks=[
                (f"a{at}", float(n), float(v), f"{n:,.0f} people: {percentage(float(v))}")
                for at, line in enumerate(values)
                for n, v in zip(sizes, line, strict=True)
            ],
        )
    return plots


def _people_axis(sizes: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """A logarithmic axis of numbers of people."""
    from facerec_cli.report.svg import Axis

    low, high = float(np.floor(np.log10(sizes.min()))), float(np.ceil(np.log10(sizes.max())))
    ticks = [(10.0**power, f"{10**power:,}") for power in range(int(low), int(max(high, low + 1)) + 1)]
    return Axis("enrolled people (N)", ticks[0][0], ticks[-1][0], ticks, log=True)


def _rates(search: IdentificationEvaluation) -> Sequence[Any]:
    return search.curve[0].rates[:_LINES] if search.curve else []


def _tables(outcome: ProtocolEvaluation) -> list[tuple[Table, str]]:
    tables = []
    if len(outcome.trials) > 1:
        rows = [
            Row(
                [
                    f"{_WORDS[one.figure]} {one.at:.0f}"
                    if one.figure == "cmc"
                    else f"{_WORDS[one.figure]} {percent(one.at)}",
                    Cell(percentage(one.mean), bold=True),
                    percentage(one.sd),
                    percentage(one.mean_less_sd),
                ]
            )
            for one in outcome.figures()
        ]
        head = ["figure", "mean", "sd", "mean - sd"]
        tables.append((Table(head, rows, f"Over {len(outcome.trials)} trials"), outcome.protocol.rule))
    for one in outcome.trials:
        of = f" ({one.trial.name})" if len(outcome.trials) > 1 else ""
        tables.append((_points(one, of), ""))
    first = outcome.trials[0]
    tables += [
        (
            _misses(first),
            "FNIR(N, R, T): the mate is not among the first R or below the threshold T of an FPIR.",
        )
    ]
    return tables


def _points(one: TrialEvaluation, of: str) -> Table:
    head = [
        "FPIR",
        "TPIR",
        "95 % interval",
        "threshold",
        "measured FPIR",
        "its 95 % interval",
        "TPIR, failures as misses",
    ]
    rows = [
        Row(
            [
                percent(point.fpir),
                Cell(percentage(point.tpir), bold=True),
                _interval(point.low, point.high),
                "–" if point.threshold is None else f"{point.threshold:.4f}",
                percentage(point.measured_fpir, 3),
                _interval(point.fpir_low, point.fpir_high, 3),
                percentage(point.tpir_with_failures),
            ]
        )
        for point in one.search.tpir_at_fpir
        if point.tpir is not None
    ]
    return Table(head, rows, f"TPIR at each FPIR{of}")


def _misses(one: TrialEvaluation) -> Table:
    rows = [
        Row(
            [
                percent(point.fpir),
                f"{point.threshold:.4f}",
                str(point.rank),
                Cell(percentage(point.fnir), bold=True),
                _interval(point.low, point.high),
                percentage(point.fnir_with_failures),
            ]
        )
        for point in one.search.fnir
    ]
    head = ["FPIR", "T", "R", "FNIR", "95 % interval", "FNIR, failures as misses"]
    return Table(head, rows, f"Misses ({one.trial.name})")


def _interval(low: float | None, high: float | None, digits: int = 2) -> str:
    return "–" if low is None else f"{percentage(low, digits)} – {percentage(high, digits)}"


def _twins(outcome: ProtocolEvaluation) -> list[tuple[list[tuple[str, str | None]], str, str]]:
    """The first photo of each of two people who look like one."""
    protocol = outcome.protocol
    if protocol.templates is not None:
        return []
    twins = []
    for first, second, score in outcome.alike[:_TWINS]:
        photos = []
        for name in (first, second):
            at = int(np.flatnonzero(protocol.identity == protocol.people.index(name))[0])
            photos.append((protocol.names[at], _thumbnail(protocol.images[at])))
        twins.append((photos, f"{first} · {second}", f"{score:.3f}"))
    return twins if any(address for photos, _, _ in twins for _, address in photos) else []


def _thumbnail(image: Path | bytes) -> str | None:
    try:
        return jpeg_address(resized(read_image(image), _THUMBNAIL))
    except ImageError:
        return None
