"""``facerec compare``: is one model better than another on these pairs, or is it chance?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from facerec_cli.cli import compare_view, console
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.compare.settings import CompareSettings
from facerec_cli.faces.settings import RESULTS
from facerec_cli.option import Option
from facerec_cli.registry import PAIR_FORMATS, PROTOCOL_FORMATS
from facerec_cli.verify.settings import PAIRS

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL MODEL ... LIST",
        help="Two or more models and a list of labeled pairs; or two or more files of `facerec "
        "verify --scores`; or, with --search, models alone (or files of `facerec embed`).",
        show_default=False,
    ),
]


@command
def compare(
    inputs: Inputs,
    *,
    format: Annotated[
        str | None,
        Option(
            "{choices} (default: told by the content).",
            panel=PAIRS,
            offers=(*PAIR_FORMATS, *(one for one in PROTOCOL_FORMATS if one not in PAIR_FORMATS)),
        ),
    ] = None,
    root: Annotated[
        Path | None, Option("Folder that the list's paths start from (default: guessed).", panel=PAIRS)
    ] = None,
    settings: CompareSettings,
    report: Annotated[
        Path | None,
        Option("Write the figures and the pairs on which models differ to one HTML file.", panel=RESULTS),
    ] = None,
    overwrite: Annotated[Overwrite, Shown("Replace a report that is not facerec's.", panel=RESULTS)] = False,
    json_output: Annotated[Json, Shown("Print the results as JSON.", panel=RESULTS)] = False,
) -> None:
    """Compare models on the same labeled pairs or searches, with an interval of their difference over people.

    Exit code 0 means that the comparison was made, whatever it found.
    """
    from facerec_cli.images import quiet_decoders
    from facerec_cli.outputs import check_writable, refuse_foreign

    if report is not None:
        check_writable("--report", report, report.parent)
        refuse_foreign("report", report, flag="--report", overwrite=overwrite)
    run, show, write_report = _on_pairs() if settings.search is None else _on_searches()
    with quiet_decoders():
        done = run(inputs, settings, format=format, root=root, steps=console.progress_bar)
        if not json_output:
            show(done)
        if report is not None:
            write_report(done, report)
    if json_output:
        console.result_json(done.document())
    if report is not None:
        console.note(f"written: {report}")


def _on_pairs() -> tuple[Callable[..., Any], Callable[[Any], None], Callable[[Any, Path], None]]:
    """What compares on pairs, shows what it found, and writes the report."""
    from facerec_cli.compare.report import write_report
    from facerec_cli.compare.run import compare

    return compare, compare_view.show, write_report


def _on_searches() -> tuple[Callable[..., Any], Callable[[Any], None], Callable[[Any, Path], None]]:
    """The same for searches."""
    from facerec_cli.compare.search_report import write_search_report
    from facerec_cli.compare.searched import compare_on_searches

    return compare_on_searches, compare_view.show_searches, write_search_report
