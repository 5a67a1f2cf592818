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


def test_studies_of_one_seed_and_shares_have_the_same_people():
    people: dict[tuple[int, int], Any] = {}
    for path in SPLITS:
        split = read(path)
        known = split["seed"], len(split["people"]["train"])
        assert people.setdefault(known, split["people"]) == split["people"]


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


def schedules(folder: Path) -> dict[str, Any]:
    """Results of three schedules and of another loss, with the logs of their trainings."""
    tar = {"arcface": (0.5, 0.54), "half": (0.4, 0.42), "double": (0.53, 0.55), "npt": (0.1, 0.2)}
    steps = {"arcface": 200, "half": 100, "double": 400, "npt": 200}
    runs = []
    for arm, count in steps.items():
        for seed in (0, 1):
            own = folder / "runs" / f"{arm}-{seed}"
            own.mkdir(parents=True)
            losses = ((count // 2, 9.0), (count - 2, 2.0 + seed), (count, 4.0 + seed))
            lines = [json.dumps({"step": step, "loss": loss}) for step, loss in losses]
            (own / "metrics.jsonl").write_text("\n".join(lines) + "\n")
            recipe = {
                "loss": {"name": "npt" if arm == "npt" else "arcface"},
                "schedule": {"steps": count, "epochs": count // 10, "warmup": count / 100},
                "run": {"batch_size": 5, "seed": seed},
            }
            runs.append({"arm": arm, "seed": seed, "steps": count, "recipe": recipe})
    arms = {
        arm: {
            "subsets": {
                name: {"tar": {"0.1": {"mean": sum(seeds) / 2, "half": 0.03, "seeds": list(seeds)}}}
                for name in ("hard", "clean clean")
            }
        }
        for arm, seeds in tar.items()
    }
    protocol = {"test": {"far": 0.1}, "study": {"baseline": "arcface", "judge": "validation"}}
    parts = {"train": {"photos": 50}, "validation": {"photos": 40, "people_compared": 9}}
    return {"protocol": protocol, "parts": parts, "runs": runs, "arms": arms}


def test_schedules_of_one_loss_are_compared_by_their_length(tmp_path):
    results = schedules(tmp_path)
    program = runpy.run_path(str(DOCS / "study.py"))
    results["schedule"] = program["_lengths"](results, tmp_path)
    assert [one["arm"] for one in results["schedule"]] == ["half", "arcface", "double"]
    assert [one["epochs"] for one in results["schedule"]] == [10, 20, 40]
    assert results["schedule"][0]["loss"] == {"mean": 3.5, "seeds": [3.0, 4.0]}
    rows = program["_schedule"](results).splitlines()
    assert rows[2] == "| 100 | 10 | 2 | 3.50 | 41.0 ± 3.0 | 41.0 ± 3.0 | +11.0 |"
    assert rows[3] == "| 200 | 20 | 2 | 3.50 | 52.0 ± 3.0 | 52.0 ± 3.0 | **+2.0** |"
    assert rows[4] == "| 400 | 40 | 2 | 3.50 | 54.0 ± 3.0 | 54.0 ± 3.0 | – |"
    assert "of 40 photos of 9 validation people" in rows[-1]
    panels = program["_schedule_panels"](results["schedule"])
    assert [figure.count("<circle") for figure in panels.values()] == [12, 6]
    assert 'class="line' not in "".join(panels.values())  # two seeds make no mean worth a line
    del results["runs"][2:]
    assert program["_lengths"](results, tmp_path) == []
