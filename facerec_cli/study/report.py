"""A study's report: Markdown to paste, and one HTML file with curves and the hardest pairs."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from facerec_cli import __version__
from facerec_cli.files import write_file
from facerec_cli.study.figures import colours_of, det, roc, similarities, style_of
from facerec_cli.study.tables import Table, arm_words, facts, markdown, subset_words, tables

_STYLE = (Path(__file__).parents[1] / "verify" / "report.css").read_text("utf-8")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{style}</style></head><body><main>{body}</main></body></html>
"""


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
    for name, text in files.items():
        write_file(out / name, text.encode("utf-8", "surrogateescape"), what="report")
    return tuple(out / name for name in files)


def render(results: Mapping[str, Any], crops: Path) -> str:
    """The report as HTML; it loads nothing else."""
    name = escape(results["protocol"]["study"]["name"])
    arms = list(results["arms"])
    colours = colours_of(arms)
    body = [f"<h1>{name}</h1>", *(f'<p class="lead">{escape(text)}</p>' for text in facts(results))]
    shown = tables(results)
    body += [_table(table) for table in shown[: 1 + len(results["differences"])]]
    key = "".join(f'<i class="key" style="background:{colours[arm]}"></i>{escape(arm)} ' for arm in arms)
    body += [f"<h2>Curves</h2><p>{key}</p>", '<section class="plots">']
    for subset in results["subsets"]:
        drawn = {"ROC": roc(results, subset), "DET": det(results, subset)}
        body += [
            _figure(figure, f"{kind}: {subset_words(subset)}") for kind, figure in drawn.items() if figure
        ]
    body += ["</section>", "<h2>Similarities</h2>", '<section class="plots">']
    body += [
        _figure(
            similarities(results, subset),
            f"{subset_words(subset)}: different people on the left, same person on the right",
        )
        for subset in results["subsets"]
    ]
    body += ["</section>", _hardest(results, crops)]
    body += [_table(table) for table in shown[1 + len(results["differences"]) :]]
    body.append(f"<footer>facerec {__version__}. All figures are in results.json.</footer>")
    return _PAGE.format(name=name, style=_STYLE + style_of(arms), body="".join(body))


def _table(table: Table) -> str:
    def cell(text: str) -> str:
        return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text))

    head = "".join(f"<th>{escape(title)}</th>" for title in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{cell(c)}</td>" for c in row) + "</tr>" for row in table.rows)
    note = f"<p><small>{escape(table.note)}</small></p>" if table.note else ""
    return (
        f'<h2>{escape(table.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _hardest(results: Mapping[str, Any], crops: Path) -> str:
    figures = []
    for pair in results["hardest"]:
        pictures = "".join(_picture(crops / photo) for photo in pair["photos"])
        scores = " · ".join(f"{escape(arm)} {score:.2f}" for arm, score in pair["scores"].items())
        figures.append(
            f'<figure class="pair"><div>{pictures}</div><figcaption>{scores}</figcaption></figure>'
        )
    first = arm_words(next(iter(results["arms"])))
    return f'<h2>Same person, least alike to {first}</h2><section class="pairs">{"".join(figures)}</section>'


def _picture(path: Path) -> str:
    kind = {".png": "png", ".webp": "webp", ".bmp": "bmp"}.get(path.suffix.lower(), "jpeg")
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return '<span class="gone">no picture</span>'
    return f'<img alt="" src="data:image/{kind};base64,{data}">'
