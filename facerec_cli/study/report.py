"""A study's report: Markdown to paste, and one HTML file with finding, tables, curves and hardest pairs."""

from __future__ import annotations

import re
from pathlib import Path

from facerec_cli.files import write_file
from facerec_cli.report import pages
from facerec_cli.report.pictures import data_address
from facerec_cli.study.comparison import Comparison
from facerec_cli.study.figures import det, roc, similarities, style_of
from facerec_cli.study.finding import finding
from facerec_cli.study.tables import ResultTable, arm_words, facts, markdown, subset_words, tables
from facerec_cli.wording import one_in

_BOLD = re.compile(r"\*\*(.+?)\*\*")
_FAR = re.compile(r"FAR (0\.\d+|\d[\d.]*e-\d+)")  # as the titles of tables have it, which name them
_INTERVAL = re.compile(r"(.+?) (\(.+\)|± .+)")


def write_reports(results: Comparison, out: Path, crops: Path) -> tuple[Path, ...]:
    """Write ``report.md`` and ``report.html``; returns their paths.

    Args:
        results: From ``compare.compare``.
        out: Folder.
        crops: Folder of the crops, for the pictures of the hardest pairs.

    Raises:
        OutputError: They cannot be written.
    """
    files = {"report.md": markdown(results), "report.html": render(results, crops)}
    for name, words in files.items():
        write_file(out / name, words.encode("utf-8", "surrogateescape"), what="report")
    return tuple(out / name for name in files)


def render(results: Comparison, crops: Path) -> str:
    """The report as HTML; it loads nothing else."""
    every, first = [_table(one) for one in tables(results)], 1 + len(results.differences)
    subsets = results.measured
    dets = {subset_words(subset): det(results, subset) for subset in subsets}
    return pages.render(
        "study.html",
        title=results.protocol.study.name,
        style=style_of(list(results.arms)),
        arms=[arm_words(arm) for arm in results.arms],
        finding=finding(results),
        facts=facts(results),
        deciding=every[:first],
        others=every[first:],
        roc={subset_words(subset): roc(results, subset) for subset in subsets},
        det={subset: plot for subset, plot in dets.items() if plot},
        similarities={
            subset_words(subset).capitalize(): {
                arm_words(arm): plot for arm, plot in similarities(results, subset).items()
            }
            for subset in subsets
        },
        hardest=[
            (
                [(photo, _picture(crops / photo)) for photo in pair.photos],
                " · ".join(f"{arm_words(arm)} {score:.2f}" for arm, score in pair.scores.items()),
            )
            for pair in results.hardest or ()
        ],
    )


def _table(one: ResultTable) -> tuple[pages.Table, str]:
    """A table and its note, for the template."""
    title = _FAR.sub(lambda found: f"FAR {one_in(float(found[1]))}", one.title)
    rows = [pages.Row([row[0], *map(_cell, row[1:])]) for row in one.rows]
    return pages.Table(one.head, rows, title), one.note


def _cell(words: str) -> pages.Cell:
    """A figure, with its interval below it."""
    found = _INTERVAL.fullmatch(words)
    value, interval = found.groups() if found else (words, "")
    bold = _BOLD.fullmatch(value)
    return pages.Cell(bold[1] if bold else value, interval.strip("()"), bold=bold is not None)


def _picture(path: Path) -> str | None:
    """The crop as an address; None where it is gone."""
    kind = {".png": "png", ".webp": "webp", ".bmp": "bmp"}.get(path.suffix.lower(), "jpeg")
    try:
        return data_address(path.read_bytes(), kind)
    except OSError:
        return None
