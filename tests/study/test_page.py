"""docs/study.md says what the results beside it say, and nobody of their split is in two parts."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facerec_cli.data import open_stored
from facerec_cli.study.protocol import SplitSettings
from facerec_cli.study.split import split_people

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS = sorted(p for p in (DOCS / "study").glob("*.json") if not p.stem.endswith("split"))
SPLITS = sorted((DOCS / "study").glob("*_split.json"))
HELDOUT = sorted((DOCS / "study" / "heldout").glob("*.json"))
PHOTOS = sorted((DOCS / "study" / "photos").glob("*.json"))
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def numbers(value: Any) -> Iterator[float]:
    """Every number in a JSON document."""
    if isinstance(value, dict):
        for one in value.values():
            yield from numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def shown(value: float) -> set[str]:
    """The ways in which the page may write a number, without its sign."""
    value = abs(value)
    percents = {f"{100 * value:.{digits}f}" for digits in (0, 1, 2)}
    return {f"{value:g}", f"{value:,}", f"{value:.2f}", f"{value / 60:.1f}", *percents}


def written(page: str) -> Iterator[tuple[str, str]]:
    """(line, number) of the tables' numbers, and of all with a decimal point elsewhere; 16 px is a name."""
    page = re.sub(r"\b\d+ px\b", " ", page)
    page = re.sub(r"(?m)^    .*$|```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->|arXiv:?\s?\d+\.\d+", " ", page)
    for line in page.splitlines():
        for number in NUMBER.findall(line):
            plain = number.lstrip("+-").rstrip(",")
            if line.startswith("|") or "." in plain:
                yield line, plain


def strangers(page: str, documents: list[dict[str, Any]]) -> list[str]:
    """Numbers of the page that no document has."""
    known = {text for document in documents for value in numbers(document) for text in shown(value)}
    return [f"{number} in {line!r}" for line, number in written(page) if number not in known]


def test_the_tables_are_those_of_the_results():
    page = (DOCS / "study.md").read_text("utf-8")
    program = runpy.run_path(str(DOCS / "study.py"))
    assert page == program["render"](page), "run: python docs/study.py"


def test_each_number_of_the_page_is_in_the_results():
    assert not strangers(
        (DOCS / "study.md").read_text("utf-8"), [read(p) for p in (*RESULTS, *HELDOUT, *PHOTOS)]
    )


@pytest.mark.parametrize("path", SPLITS, ids=lambda p: p.stem)
def test_nobody_is_in_two_parts(path):
    split = read(path)
    everybody = [name for part in split["people"].values() for name in part]
    assert len(everybody) == len(set(everybody))
    for part, photos in split["photos"].items():
        assert photos and {photo.split("/")[0] for photo in photos} <= set(split["people"][part])


def test_studies_of_one_seed_have_the_same_people():
    people: dict[int, Any] = {}
    for path in SPLITS:
        split = read(path)
        assert people.setdefault(split["seed"], split["people"]) == split["people"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.stem)
def test_the_results_are_those_of_the_split(path):
    results = read(path)
    split = read(path.with_name(results["split"]))
    assert split["seed"] == results["protocol"]["split"]["seed"]
    for part, count in results["parts"].items():
        assert count["people"] == len(split["people"][part])
        assert count["photos"] <= len(split["photos"][part])


@pytest.mark.parametrize("path", SPLITS, ids=lambda p: p.stem)
def test_the_split_comes_out_again(path, shared):
    photos = shared / "lfw" / "images"
    if not photos.is_dir():
        pytest.skip("LFW is not beside the repository")
    split = read(path)
    settings = next(
        SplitSettings(**result["protocol"]["split"])
        for result in map(read, RESULTS)
        if result["split"] == path.name
    )
    again = split_people(open_stored(str(photos)), settings, dict.fromkeys(split["people"], (8, 2)))
    assert {part: list(names) for part, names in again.people.items()} == split["people"]


def test_a_finished_study_fills_a_page(finished, tmp_path):
    out, results, _ = finished
    shutil.copy(DOCS / "study.py", tmp_path)
    page = tmp_path / "study.md"
    blocks = ("facts", "settings", "TAR at FAR 0.1, %", "TAR at FAR 0.1, points more than arcface", "Runs")
    head = "# A page\n\n![ROC](study/drawn_roc_clean_px16.svg)\n"
    page.write_text(head + "".join(f"<!-- drawn: {b} -->\n<!-- end -->\n" for b in blocks))
    program = runpy.run_path(str(tmp_path / "study.py"))
    program["take"](out, "drawn")
    page.write_text(program["render"](page.read_text()))
    text = page.read_text()
    assert text == program["render"](text)
    kept = read(tmp_path / "study" / "drawn.json")
    assert kept.pop("split") == "drawn_split.json" and (tmp_path / "study" / "drawn_split.json").is_file()
    assert kept == {k: v for k, v in results.items() if k not in ("curves", "similarities", "hardest")}
    by_subset = results["arms"]["npt"]["subsets"]
    mean = by_subset["clean px16"]["tar"]["0.1"]["mean"]
    assert f"| npt | {100 * by_subset['hard']['tar']['0.1']['mean']:.1f} (" in text
    assert f"{100 * mean:.1f} (" in text and '| twice | `loss.name = "npt"`' in text.replace(
        "`, `loss.k = 2", ""
    )
    assert not strangers(text, [kept])
    assert len(strangers(text.replace(f"{100 * mean:.1f} (", "123.4 ("), [kept])) >= 1
    assert {p.name for p in (tmp_path / "study").glob("*.svg")} == {"drawn_roc_clean_px16.svg"}
