"""One HTML file: models on the same searches, and the searches that one of them alone gets right."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from facerec_cli.compare.report import SHOWN, figures_table, mcnemar_words, verdict_words
from facerec_cli.compare.searched import SearchComparison
from facerec_cli.files import write_file
from facerec_cli.metrics.paired import PairedModels
from facerec_cli.report.pages import percentage, render
from facerec_cli.verify.report import thumbnail


def write_search_report(result: SearchComparison, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, search_page(result).encode(), what="report")


def search_page(result: SearchComparison) -> str:
    """The report as HTML."""
    mated, non_mated = result.searches
    return render(
        "compare.html",
        title=f"Models compared on {Path(result.source).name}",
        lead=f"{mated:,} mated and {non_mated:,} non-mated searches, which all models can make",
        confidence=percentage(result.paired.confidence),
        rounds=result.paired.rounds,
        what="Searches",
        couples=[_couple(result, couple) for couple in result.paired.pairs],
    )


def _couple(result: SearchComparison, couple: PairedModels) -> dict[str, Any]:
    names = result.models[couple.first].name, result.models[couple.second].name
    protocol, shown = result.protocol, []
    for row in islice(result.disagreements(couple), SHOWN):
        ranks = " and ".join(map(str, row.ranks))
        pictures = [] if protocol.templates is not None else row.pictures
        shown.append(
            {
                "what": f"{row.person}, {row.trial}",
                "right": result.models[row.right].name,
                "told": f"{row.scores[0]:.3f} and {row.scores[1]:.3f}, rank {ranks}",
                "names": row.probe,
                "pictures": [(protocol.names[i], thumbnail(protocol.images[i])) for i in pictures],
            }
        )
    return {
        "verdict": verdict_words(couple, names),
        "table": figures_table(couple, names),
        "mcnemar": mcnemar_words(couple, names),
        "pairs": shown,
    }
