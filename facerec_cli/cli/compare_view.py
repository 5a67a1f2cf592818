"""What a comparison of models looks like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console
from facerec_cli.wording import percent

if TYPE_CHECKING:
    from facerec_cli.compare.run import ModelComparison
    from facerec_cli.compare.searched import SearchComparison
    from facerec_cli.metrics.paired import PairedModels


def show(done: ModelComparison) -> None:
    """The verdict of each two models on pairs, and their figures."""
    left_out = len(done.used) - int(done.used.sum())
    console.result(
        f"{int(done.used.sum()):,} pairs"
        + (f"; without a score of every model: {left_out:,}" if left_out else "")
    )
    for couple in done.paired.pairs:
        names = done.models[couple.first].name, done.models[couple.second].name
        _show_couple(couple, names, done.paired.confidence)


def show_searches(done: SearchComparison) -> None:
    """The same on searches."""
    mated, non_mated = done.searches
    trials = len(done.protocol.trials)
    console.result(
        f"{mated:,} mated and {non_mated:,} non-mated searches"
        + (f" in {trials} trials" if trials > 1 else "")
        + (f"; without an embedding of every model: {done.left_out:,}" if done.left_out else "")
    )
    for couple in done.paired.pairs:
        names = done.models[couple.first].name, done.models[couple.second].name
        _show_couple(couple, names, done.paired.confidence)


def _show_couple(couple: PairedModels, names: tuple[str, str], confidence: float) -> None:
    from facerec_cli.compare.report import figure_name, mcnemar_words, points, verdict_words

    console.result(verdict_words(couple, names))
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
    columns = ["figure", *names, "difference", f"{percent(confidence)} interval, points"]
    console.result_table(rows, columns=columns, right=columns[1:])
    if couple.mcnemar is not None:
        console.result(mcnemar_words(couple, names))
