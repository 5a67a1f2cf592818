"""What a comparison of models looks like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console
from facerec_cli.wording import counted, percent

if TYPE_CHECKING:
    from facerec_cli.compare.run import ModelComparison


def show(done: ModelComparison) -> None:
    """The verdict of each two models, and their figures."""
    from facerec_cli.compare.report import figure_name, points, verdict_words

    left_out = len(done.used) - int(done.used.sum())
    console.result(
        f"{int(done.used.sum()):,} pairs"
        + (f"; without a score of every model: {left_out:,}" if left_out else "")
    )
    for couple in done.paired.pairs:
        first, second = (done.models[number].name for number in (couple.first, couple.second))
        console.result(verdict_words(done, couple))
        rows = [
            (
                figure_name(figure),
                f"{figure.first:.2%}",
                f"{figure.second:.2%}",
                points(figure.difference),
                "–" if figure.low is None else f"{points(figure.low)} to {points(figure.high)}",
            )
            for figure in couple.figures
        ]
        columns = [
            "figure",
            first,
            second,
            "difference",
            f"{percent(done.paired.confidence)} interval, points",
        ]
        console.result_table(rows, columns=columns, right=columns[1:])
        if couple.mcnemar is not None:
            one = couple.mcnemar
            console.result(
                f"McNemar at this FAR: {counted(one.only_first, 'same pair')} accepted by {first} alone, "
                f"{one.only_second:,} by {second} alone; p {one.p:.2g} as if pairs were independent"
            )
