"""A study's report: Markdown to paste, and one HTML file with curves and the hardest pairs."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli import __version__
from facerec_cli.datasets.evaluation import write_at_once
from facerec_cli.errors import InputError
from facerec_cli.study.tables import Table, facts, markdown, subset_words, tables
from facerec_cli.verify.plots import linear_axis, log_axis, plot

_STYLE = (Path(__file__).parents[1] / "verify" / "report.css").read_text("utf-8")
_COLOURS = ("#5b6675", "#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#b45309", "#be185d", "#0e7490")
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
        InputError: They cannot be written.
    """
    files = {"report.md": markdown(results), "report.html": render(results, crops)}
    for name, text in files.items():
        try:
            write_at_once(out / name, text.encode("utf-8", "surrogateescape"))
        except OSError as fault:
            raise InputError(f"{out / name} cannot be written: {fault.strerror}.") from fault
    return tuple(out / name for name in files)


def render(results: Mapping[str, Any], crops: Path) -> str:
    """The report as HTML; it loads nothing else."""
    name = escape(results["protocol"]["study"]["name"])
    arms = list(results["arms"])
    colours = {arm: _COLOURS[i % len(_COLOURS)] for i, arm in enumerate(arms)}
    style = "".join(
        f".line.a{i} {{ stroke: {colours[arm]}; }} .area.a{i} {{ fill: {colours[arm]}; fill-opacity: .08; "
        f"stroke: {colours[arm]}; }}"
        for i, arm in enumerate(arms)
    )
    body = [f"<h1>{name}</h1>", *(f'<p class="lead">{escape(text)}</p>' for text in facts(results))]
    shown = tables(results)
    body += [_table(table) for table in shown[: 1 + len(results["differences"])]]
    key = "".join(f'<i class="key" style="background:{colours[arm]}"></i>{escape(arm)} ' for arm in arms)
    body += [f"<h2>Curves</h2><p>{key}</p>", '<section class="plots">']
    for subset in results["subsets"]:
        body += _curves(results, subset, arms)
    body += ["</section>", "<h2>Similarities</h2>", '<section class="plots">']
    body += [_similarities(results, subset, arms) for subset in results["subsets"]]
    body += ["</section>", _hardest(results, crops)]
    body += [_table(table) for table in shown[1 + len(results["differences"]) :]]
    body.append(f"<footer>facerec {__version__}. All figures are in results.json.</footer>")
    return _PAGE.format(name=name, style=_STYLE + style, body="".join(body))


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


def _curves(results: Mapping[str, Any], subset: str, arms: list[str]) -> list[str]:
    """ROC and DET of one subset, a line for each arm (mean over the seeds)."""
    far = np.array(results["curves"]["far"])
    roc, det = [], []
    for i, arm in enumerate(arms):
        tar = np.array([np.nan if v is None else v for v in results["curves"]["tar"][subset][arm]])
        seen = np.isfinite(tar)
        roc.append((f"a{i}", far[seen], tar[seen]))
        wrong = seen & (tar < 1)
        if wrong.sum() > 1:
            det.append((f"a{i}", far[wrong], 1 - tar[wrong]))
    low = min((float(line[1][0]) for line in roc if len(line[1])), default=1e-3)
    floor = min((float(line[2].min()) for line in roc if len(line[2])), default=0.0)
    rates = log_axis("false accept rate (FAR)", min(low, 0.1))
    title = subset_words(subset)
    figures = [
        plot(
            f"ROC, {title}",
            rates,
            linear_axis("true accept rate (TAR)", min(floor, 0.95), 1.0, lambda v: f"{v:.0%}"),
            lines=roc,
        )
    ]
    if det:
        least = max(min(float(line[2].min()) for line in det), 1e-5)
        figures.append(
            plot(f"DET, {title}", rates, log_axis("false reject rate", min(least, 0.1)), lines=det)
        )
    kinds = ("ROC", "DET")
    return [
        f"<figure>{figure}<figcaption>{kind}: {escape(title)}</figcaption></figure>"
        for figure, kind in zip(figures, kinds, strict=False)
    ]


def _similarities(results: Mapping[str, Any], subset: str, arms: list[str]) -> str:
    """How alike same and different pairs are, an outline for each arm (the figure of DDL's paper)."""
    edges = np.array(results["similarities"]["edges"])
    shares = results["similarities"]["shares"][subset]
    stairs = np.repeat(edges, 2)[1:-1]
    areas, top = [], 0.0
    for i, arm in enumerate(arms):
        for kind in ("same", "different"):
            height = np.array(shares[arm][kind])
            top = max(top, float(height.max()))
            areas.append((f"a{i}", stairs, np.repeat(height, 2)))
    picture = plot(
        f"Similarity of same and different pairs, {subset_words(subset)}",
        linear_axis("cosine similarity", float(edges[0]), float(edges[-1]), lambda v: f"{v:.1f}"),
        linear_axis("share of the pairs", 0.0, top * 1.05, lambda v: f"{v:.0%}"),
        areas=areas,
    )
    text = f"{subset_words(subset)}: different people on the left, same person on the right"
    return f"<figure>{picture}<figcaption>{escape(text)}</figcaption></figure>"


def _hardest(results: Mapping[str, Any], crops: Path) -> str:
    figures = []
    for pair in results["hardest"]:
        pictures = "".join(_picture(crops / photo) for photo in pair["photos"])
        scores = " · ".join(f"{escape(arm)} {score:.2f}" for arm, score in pair["scores"].items())
        figures.append(
            f'<figure class="pair"><div>{pictures}</div><figcaption>{scores}</figcaption></figure>'
        )
    return f'<h2>Same person, least alike at first</h2><section class="pairs">{"".join(figures)}</section>'


def _picture(path: Path) -> str:
    kind = {".png": "png", ".webp": "webp", ".bmp": "bmp"}.get(path.suffix.lower(), "jpeg")
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return '<span class="gone">no picture</span>'
    return f'<img alt="" src="data:image/{kind};base64,{data}">'
