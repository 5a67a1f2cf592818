"""One HTML file: the figures of models beside each other, and the pairs on which they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facerec_cli.compare.run import ModelComparison
from facerec_cli.files import write_file
from facerec_cli.metrics.paired import PairedFigure, PairedModels
from facerec_cli.report.pages import Cell, Row, Table, percentage, render
from facerec_cli.verify.report import thumbnail
from facerec_cli.wording import counted, one_in

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
        what="Pairs",
        couples=[_couple(result, couple) for couple in result.paired.pairs],
    )


def figure_name(figure: PairedFigure) -> str:
    """What a figure is called."""
    rate = "FPIR" if figure.figure == "TPIR" else "FAR"
    return figure.figure if figure.far is None else f"{figure.figure} at {rate} {one_in(figure.far)}"


def points(value: float | None) -> str:
    """A difference of rates in percentage points, with its sign."""
    return "–" if value is None else f"{100 * value:+.2f}"


def verdict_words(couple: PairedModels, names: tuple[str, str]) -> str:
    """The verdict as a sentence."""
    first, second = names
    primary = couple.primary
    if primary is None:
        return (
            f"{second} against {first}: not measurable; it takes 3 / FAR pairs of two people (of searches "
            "3 / FPIR strangers) that both models have, and people with several photos"
        )
    if couple.verdict == "not measurable":
        return f"{second} against {first}: {primary.reason}"
    rate = "FPIR" if primary.figure == "TPIR" else "FAR"
    at = "at rank 1" if primary.far is None else f"at {rate} {one_in(primary.far)}"
    seen = "pairs" if primary.figure == "TAR" else "searches"
    words = {
        "second is better": f"{second} is better than {first} {at} on these people",
        "first is better": f"{first} is better than {second} {at} on these people",
        "no difference shown": f"these {seen} show no difference between {first} and {second} {at}",
    }
    return words[couple.verdict]


def _couple(result: ModelComparison, couple: PairedModels) -> dict[str, Any]:
    first, second = (result.models[number] for number in (couple.first, couple.second))
    pairs = []
    for row, is_first in result.disagreements(couple, SHOWN):
        photos = [int(side[row]) for side in (first.first, first.second)]
        pairs.append(
            {
                "what": "same person" if first.same[row] else "different people",
                "right": (first if is_first else second).name,
                "told": f"{first.scores[row]:.3f} and {second.scores[row]:.3f}",
                "names": " · ".join(Path(first.names[i]).name for i in photos),
                "pictures": [(first.names[i], thumbnail(first.images[i])) for i in photos]
                if first.images
                else [],
            }
        )
    return {
        "verdict": verdict_words(couple, (first.name, second.name)),
        "table": figures_table(couple, (first.name, second.name)),
        "mcnemar": mcnemar_words(couple, (first.name, second.name)),
        "pairs": pairs,
    }


def figures_table(couple: PairedModels, names: tuple[str, str]) -> Table:
    """The figures of two models beside each other, that of the verdict in bold."""
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
    head = ["figure", *names, "difference, points", "its interval over people"]
    return Table(head, rows, " and ".join(names))


def mcnemar_words(couple: PairedModels, names: tuple[str, str]) -> str:
    """What McNemar's test says of two models; "" where there is none."""
    test = couple.mcnemar
    if test is None:
        return ""
    if couple.primary is not None and couple.primary.figure != "TAR":
        at = "at rank 1" if test.far is None else "at this FPIR"
        done, what = "right with", counted(test.only_first, "mated search", "mated searches")
    else:
        at, done, what = "at this FAR", "accepted by", counted(test.only_first, "same pair")
    kind = "pairs" if done == "accepted by" else "searches"
    return (
        f"McNemar {at}: {what} {done} {names[0]} alone, {test.only_second:,} {done.split()[-1]} {names[1]} "
        f"alone; p {test.p:.2g} as if {kind} were independent"
    )
