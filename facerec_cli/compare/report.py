"""One HTML file: the figures of models beside each other, and the pairs on which they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facerec_cli.compare.run import ModelComparison
from facerec_cli.files import write_file
from facerec_cli.metrics.paired import PairedFigure, PairedModels
from facerec_cli.report.pages import Cell, Row, Table, percentage, render
from facerec_cli.verify.report import thumbnail
from facerec_cli.wording import one_in

SHOWN = 24  # pairs on which two models differ


def write_report(result: ModelComparison, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, page(result).encode(), what="report")


def page(result: ModelComparison) -> str:
    """The report as HTML."""
    return render(
        "compare.html",
        title="Models compared" + (f" on {Path(result.source).name}" if result.source else ""),
        lead=f"{int(result.used.sum()):,} of {len(result.used):,} pairs, which all models can score",
        confidence=percentage(result.paired.confidence),
        rounds=result.paired.rounds,
        couples=[_couple(result, couple) for couple in result.paired.pairs],
    )


def figure_name(figure: PairedFigure) -> str:
    """What a figure is called."""
    return figure.figure if figure.far is None else f"{figure.figure} at FAR {one_in(figure.far)}"


def points(value: float | None) -> str:
    """A difference of rates in percentage points, with its sign."""
    return "–" if value is None else f"{100 * value:+.2f}"


def verdict_words(result: ModelComparison, couple: PairedModels) -> str:
    """The verdict as a sentence."""
    first, second = (result.models[number].name for number in (couple.first, couple.second))
    if couple.primary is None:
        return f"{second} against {first}: not measurable, the list has too few different pairs or people"
    what = f"at FAR {one_in(couple.primary.far or 0)}"
    if couple.verdict == "not measurable":
        return f"{second} against {first}: {couple.primary.reason}"
    words = {
        "second is better": f"{second} is better than {first} {what} on these people",
        "first is better": f"{first} is better than {second} {what} on these people",
        "no difference shown": f"these pairs show no difference between {first} and {second} {what}",
    }
    return words[couple.verdict]


def _couple(result: ModelComparison, couple: PairedModels) -> dict[str, Any]:
    first, second = (result.models[number] for number in (couple.first, couple.second))
    rows = [
        Row(
            [
                figure_name(figure),
                percentage(figure.first),
                percentage(figure.second),
                Cell(points(figure.difference), bold=figure == couple.primary),
                "–" if figure.low is None else f"{points(figure.low)} to {points(figure.high)}",
            ]
        )
        for figure in couple.figures
    ]
    head = ["figure", first.name, second.name, "difference, points", "its interval over people"]
    pairs = []
    for row, is_first in result.disagreements(couple, SHOWN):
        photos = [int(side[row]) for side in (first.first, first.second)]
        pairs.append(
            {
                "same": bool(first.same[row]),
                "right": (first if is_first else second).name,
                "scores": (float(first.scores[row]), float(second.scores[row])),
                "names": " · ".join(Path(first.names[i]).name for i in photos),
                "pictures": [(first.names[i], thumbnail(first.images[i])) for i in photos]
                if first.images
                else [],
            }
        )
    return {
        "verdict": verdict_words(result, couple),
        "table": Table(head, rows, f"{first.name} and {second.name}"),
        "mcnemar": couple.mcnemar,
        "names": (first.name, second.name),
        "pairs": pairs,
    }
