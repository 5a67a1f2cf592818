"""A study's report: Markdown to paste, and one HTML file with finding, tables, curves and hardest pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from facerec_cli.files import write_file
from facerec_cli.report.html import Markup, Row, data_address, figure, join, page, table, tag
from facerec_cli.study.figures import det, measured_subsets, roc, similarities, style_of
from facerec_cli.study.finding import finding
from facerec_cli.study.tables import Table, arm_words, facts, markdown, subset_words, tables
from facerec_cli.wording import one_in

_BOLD = re.compile(r"\*\*(.+?)\*\*")
_FAR = re.compile(r"FAR (0\.\d+|\d[\d.]*e-\d+)")  # as the titles of tables have it, which name them
_INTERVAL = re.compile(r"(.+?) (\(.+\)|± .+)")


def write_reports(results: Mapping[str, Any], out: Path, crops: Path) -> tuple[Path, ...]:
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


def render(results: Mapping[str, Any], crops: Path) -> str:
    """The report as HTML; it loads nothing else."""
    name, arms = results["protocol"]["study"]["name"], list(results["arms"])
    deciding, others = _parted(tables(results), 1 + len(results["differences"]))
    keys = [tag("span", tag("i", class_=f"key a{i}"), arm_words(arm), " ") for i, arm in enumerate(arms)]
    body = [
        tag("h1", name),
        tag("section", [tag("p", sentence) for sentence in finding(results)], class_="answer"),
        *(tag("p", sentence, class_="lead") for sentence in facts(results)),
        *map(_table, deciding),
        tag("h2", "ROC of each subset"),
        tag("p", keys, class_="keys"),
        tag("section", list(_curves(results, roc)), class_="plots"),
        _folded("DET of each subset", tag("p", keys, class_="keys"), list(_curves(results, det))),
        *_similarities(results),
        _hardest(results, crops),
        *map(_table, others),
    ]
    return page(name, body, style=style_of(arms), note="All figures are in results.json.")


def _parted(every: list[Table], first: int) -> tuple[list[Table], list[Table]]:
    return every[:first], every[first:]


def _table(one: Table) -> Markup:
    rows = [Row([row[0], *map(_cell, row[1:])]) for row in one.rows]
    note = tag("p", one.note, class_="note") if one.note else ""
    title = _FAR.sub(lambda found: f"FAR {one_in(float(found[1]))}", one.title)
    return join(tag("h2", title), table(one.head, rows, title), note)


def _cell(words: str) -> Markup:
    """A figure, with its interval below it."""
    found = _INTERVAL.fullmatch(words)
    value, interval = found.groups() if found else (words, "")
    bold = _BOLD.fullmatch(value)
    shown = tag("b", bold.group(1)) if bold else join(value)
    return join(shown, tag("small", interval.strip("()")) if interval else "")


def _curves(results: Mapping[str, Any], draw: Any) -> Iterator[Markup]:
    for subset in measured_subsets(results):
        picture = draw(results, subset)
        if picture:
            yield figure(Markup(picture), subset_words(subset))


def _folded(title: str, *inside: Any) -> Markup:
    """Something to open by a click: it would be screens long."""
    *before, figures = inside
    return tag("details", tag("summary", title), before, tag("section", figures, class_="plots"))


def _similarities(results: Mapping[str, Any]) -> Iterator[Markup]:
    """For each subset a panel of each arm."""
    yield tag("h2", "Similarities")
    yield tag(
        "p",
        tag("i", class_="key genuine"),
        "same person",
        tag("i", class_="key impostor"),
        "different people; each fills its own 100 %, all on one scale.",
        class_="note",
    )
    for subset in measured_subsets(results):
        panels = similarities(results, subset)
        figures = [figure(Markup(picture), arm_words(arm)) for arm, picture in panels.items()]
        yield _folded(subset_words(subset).capitalize(), figures)


def _hardest(results: Mapping[str, Any], crops: Path) -> Markup:
    figures = []
    for pair in results["hardest"]:
        pictures = [_picture(crops / photo, photo) for photo in pair["photos"]]
        scores = " · ".join(f"{arm_words(arm)} {score:.2f}" for arm, score in pair["scores"].items())
        figures.append(tag("figure", tag("div", pictures), tag("figcaption", scores), class_="pair"))
    first = arm_words(next(iter(results["arms"])))
    return join(
        tag("h2", f"Same person, least alike to {first}"),
        tag("p", "The numbers are cosine similarities, the mean over the seeds.", class_="note"),
        tag("section", figures, class_="pairs"),
    )


def _picture(path: Path, name: str) -> Markup:
    kind = {".png": "png", ".webp": "webp", ".bmp": "bmp"}.get(path.suffix.lower(), "jpeg")
    try:
        address = data_address(path.read_bytes(), kind)
    except OSError:
        return tag("span", "no picture", class_="gone")
    return tag("img", alt=name, src=address, loading="lazy")
