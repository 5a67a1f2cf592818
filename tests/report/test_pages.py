"""The pages that people see: escaped, complete in themselves, fit for a phone, readable in light and dark."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.report import pages
from facerec_cli.report.pages import Cell, Row, Table
from facerec_cli.report.svg import linear_axis, log_axis, plot
from facerec_cli.study.figures import style_of

TEMPLATES = Path(pages.__file__).parent / "templates"
CSS = (TEMPLATES / "style.css").read_text("utf-8")
PAGE = """{% extends "page.html" %}
{% from "parts.html" import cards, figure, key, pictures, table %}
{% block body %}
{{ cards([(name, name, name)]) }}
{{ table(it) }}
{{ figure(picture, name) }}
{{ key("genuine", name) }}
{{ pictures([(name, none), (name, "data:image/png;base64,")]) }}
{% endblock %}"""
PHONE = 390
NAMES = ['"><script>alert(1)</script>', 'a & b\'s "c"', "Zoë 😀.jpg", "<b>", "\udcfc.jpg", "\ud800"]


class Outline(HTMLParser):
    """The tags of a page, its text, and whether every element is closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(markup)

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name not in ("meta", "img", "br"):
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def render(monkeypatch, tmp_path):
    """Fills a template that is not one of the package's."""
    from jinja2 import ChoiceLoader, DictLoader

    environment = pages.environment().overlay()
    environment.loader = ChoiceLoader(
        [DictLoader({"test.html": PAGE, "table.html": "{% from 'parts.html' import table %}{{ table(it) }}"}),
         environment.loader]
    )  # fmt: skip
    monkeypatch.setattr(pages, "environment", lambda: environment)
    return pages.render


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_markup(name, render):
    rate = linear_axis("y", 0, 1, str)
    whole = render(
        "test.html",
        title=name,
        name=name,
        it=Table([name], [Row([name]), Row([Cell(name, name, bold=True)])], name),
        picture=plot(
            name, log_axis(name, 0.01), rate, rules=[(0.1, name)], marks=[("genuine", 0.1, 0.1, name)]
        ),
    )
    whole.encode()  # no lone surrogate is left
    found = Outline(whole)
    assert not found.open
    assert {tag for tag, _ in found.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "section", "div", "strong", "span"),
        *("small", "p", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "footer"),
        *("svg", "line", "text", "path", "circle", "b", "i", "img"),
    }
    if name.isprintable() and not any("\ud800" <= letter <= "\udfff" for letter in name):
        image = next(attributes for tag, attributes in found.tags if tag == "img")
        assert image["alt"] == name
        assert sum(words.strip() == name for words in found.words) >= 14


def test_a_byte_of_a_path_is_shown_by_its_number(render):
    assert r">\xfc.jpg<" in render("table.html", it=Table(["x"], [Row(["\udcfc.jpg"])], ""))


def test_a_template_that_lacks_a_value_is_a_fault(render):
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render("test.html", title="x")


def test_a_page_begins_as_the_rule_for_outputs_expects_and_loads_nothing(render):
    whole = render("page.html", title="x")
    assert whole.startswith("<!doctype html>") and "facerec" in whole
    for path in TEMPLATES.iterdir():
        text = path.read_text("utf-8")
        assert not re.search(r"https?:|@import|url\(", text), path.name
        if path.name == "review.html":  # the one page that works; its scripts are inside it
            assert not re.search(r"<script[^>]*\bsrc\b|<link(?! rel=\"icon\" href=\"data:,\">)", text)
        else:
            assert not re.search(r"<script|<link", text), path.name


def test_only_plots_and_styles_of_ours_are_not_escaped():
    """Whatever is marked ``safe`` comes from another template or constants; of review, JSON without ``<``."""
    marked = [
        found
        for path in TEMPLATES.glob("*.html")
        if path.name != "review.html"
        for found in re.findall(r"{{ *([^}]*)\|safe", path.read_text())
    ]
    assert sorted(marked) == ["plot", "style"]
    review = re.findall(r"{{ *([^}]*)\|safe", (TEMPLATES / "review.html").read_text())
    assert sorted(review) == [
        "data",
        "part",
        "script",
        "style",
    ]  # tests/review/test_review_page.py reads them


def test_nothing_in_the_style_is_wider_than_a_phone():
    """But for max-width, under which things shrink, and the windows that media rules ask for."""
    rules = re.sub(r"@media \([^)]*\)", "", CSS)
    fixed = [
        (name, int(size))
        for name, size in re.findall(r"(?<!max-)\b((?:min-)?width|flex-basis): (\d+)px", rules)
        if int(size) > PHONE
    ]
    assert not fixed
    for columns in re.findall(r"minmax\(([^)]*\)?[^)]*)\)", rules):
        assert columns.startswith("min("), f"{columns} keeps its width where there is less room"


def test_the_letters_of_a_plot_are_not_shrunk_on_a_phone():
    drawn = plot("x", log_axis("FAR", 1e-6), linear_axis("y", 0, 1, lambda v: f"{v:.0%}"))
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawn).group(1))
    assert width <= PHONE
    size = float(re.search(r"svg text \{[^}]*font-size: (\d+)px", CSS).group(1))
    assert size * (PHONE - 2 * 16 - 2 * 11) / width >= 11


@pytest.mark.parametrize("lowest", [1.0, 0.1, 1e-3, 1e-6, 1e-9])  # 1: a list with one different pair
def test_ticks_do_not_touch_and_rates_have_one_notation(lowest):
    drawn = plot("x", log_axis("FAR", lowest), linear_axis("y", 0, 1, lambda v: f"{v:.0%}"))
    ticks = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]*)</text>', drawn)
    assert all(re.fullmatch(r"[\d.]+ %", words) for _, words in ticks) and ticks[-1][1] == "100 %"
    places = [(float(x) - 3.3 * len(words), float(x) + 3.3 * len(words)) for x, words in ticks]
    assert all(one[1] < other[0] for one, other in pairwise(places))
    assert places[-1][1] <= 360


def test_the_words_of_a_rule_stay_in_the_plot():
    for value in (0.02, 0.5, 0.98):
        drawn = plot(
            "x", linear_axis("x", 0, 1, str), linear_axis("y", 0, 1, str), rules=[(value, "threshold 0.345")]
        )
        x, anchor = re.search(r'class="note" x="([\d.]+)" y="\d+" text-anchor="(\w+)"', drawn).groups()
        line = float(re.search(r'class="rule" x1="([\d.]+)"', drawn).group(1))
        start = float(x) if anchor == "start" else float(x) - 6.6 * 15
        assert start >= 60 and start + 6.6 * 15 <= 360
        assert start > line + 3 or start + 6.6 * 15 < line - 3


def test_a_table_that_does_not_fit_says_so_and_can_be_scrolled_by_keyboard(render):
    wide = render(
        "table.html", it=Table([f"column {i}" for i in range(9)], [Row(["x" * 18] * 9)], "rates of all")
    )
    attributes = next(a for tag, a in Outline(wide).tags if a.get("class") == "scroll")
    assert attributes["tabindex"] == "0" and attributes["role"] == "region"
    assert attributes["aria-label"] == "rates of all"
    assert "9 columns: scroll sideways" in wide and "below-1160" in wide
    small = render("table.html", it=Table(["a", "b"], [Row(["1", "2"])], "small"))
    assert "scroll sideways" not in small
    assert '<th scope="row">x' in wide and "position: sticky" in CSS


def _luminance(color: str) -> float:
    digits = color.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    values = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _colors() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{ ([^}]*) \}", CSS)[:2]
    return {
        name: dict(re.findall(r"--([\w-]+): (#\w+)", block))
        for name, block in (("light", light), ("dark", dark))
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(scheme):
    """4.5 to 1, as the Web Content Accessibility Guidelines ask of text (level AA)."""
    own = _colors()[scheme]
    for ink in ("ink", "soft", "wrong", "doubt", "good"):
        for paper in ("page", "card"):
            assert _contrast(own[ink], own[paper]) >= 4.5, (ink, paper)
    for line in ("genuine", "impostor"):
        assert _contrast(own[line], own["card"]) >= 3


def test_the_lines_of_a_study_stand_out_in_both_schemes():
    light, dark = style_of([f"arm{i}" for i in range(9)]).split("@media")
    for scheme, rules in (("light", light), ("dark", dark)):
        colors = re.findall(r"\.line\.a\d+ \{ stroke: (#\w+)", rules)
        assert len(colors) == 9
        assert all(_contrast(color, _colors()[scheme]["card"]) >= 3 for color in colors)
    assert ".line.a8 { stroke-dasharray" in light
