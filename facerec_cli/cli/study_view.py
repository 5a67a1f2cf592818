"""What a study found, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console

if TYPE_CHECKING:
    from facerec_cli.study.study import StudyResult


def show(done: StudyResult) -> None:
    """The answer in sentences, the first tables, and what was written."""
    from facerec_cli.study.finding import finding
    from facerec_cli.study.tables import tables

    for sentence in finding(done.results):
        console.result(sentence)
    for table in tables(done.results)[: 1 + len(done.results.differences)]:
        for part in table.turned(console.width()):
            console.result_table(part.rows, columns=part.head, title=part.title)
        console.note(part.note)
    for path in done.files:
        console.note(f"written: {path}")
