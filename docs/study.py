"""Fill the tables of docs/study.md from the results in docs/study/.

    python docs/study.py                                  # fill the tables; a test asks for it
    python docs/study.py take runs/lfw_finetune finetune  # first copy a finished study here, draw its curves

A table stands in the page between ``<!-- finetune: its title -->`` and ``<!-- end -->``; ``facts`` stands for
the sentences above a report's tables, ``settings`` for how the arms' recipes differ, and ``again finetune``
for a study of another split beside that one; ``schedule`` for what longer schedules of the baseline gained,
which stands in ``*_schedule.svg``, too. ``heldout`` is what models/build_sface_degraded.py
measured, ``photos`` what models/judge_degraded.py did: the title is its file in docs/study/photos.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.report.svg import HEIGHT, WIDTH, Axis, linear_axis, plot
from facerec_cli.study.comparison import MIN_SEEDS, Comparison
from facerec_cli.study.figures import colors_of, det, roc, similarities, style_of
from facerec_cli.study.tables import ResultTable, arm_words, facts, subset_words, tables

PAGE = Path(__file__).with_name("study.md")
DATA = Path(__file__).with_name("study")
BLOCK = re.compile(r"(<!-- (\w+): (.+?) -->\n)(.*?)(<!-- end -->)", re.S)
_SHOWN = ("clean clean", "clean px16")  # in the figures: an easy and a hard subset
_COLORED = ("-", "mean of the hard ones", "clean", "loss")  # lines of the schedule's figure, by their colors
_STYLE = (
    "text { fill: #6b7685; font: 12px system-ui, sans-serif; } .grid { stroke: #8884; } "
    ".line { fill: none; stroke-width: 2; } .area { fill-opacity: .4; stroke-width: 1.4; } "
    ".mark { fill-opacity: .4; } .b0 { fill: #0b6bcb; } .b1 { fill: #c2410c; } .b2 { fill: #15803d; } "
    ".area.genuine { fill: #2b7fd6; stroke: #2b7fd6; } .area.impostor { fill: #d9622b; stroke: #d9622b; }"
)


def take(folder: Path, name: str) -> None:
    """Copy the results of the study in ``folder``, without what its figures show; draw those of the page."""
    page = PAGE.read_text("utf-8")
    results = json.loads((folder / "results.json").read_text("utf-8"))
    drawn = Comparison.from_document(results)
    split = json.loads((folder / "split.json").read_text("utf-8"))
    DATA.mkdir(exist_ok=True)
    results["split"] = f"{name}_split.json"
    for known in sorted(DATA.glob("*_split.json")):  # studies of the same photos share it
        if known.name != results["split"] and json.loads(known.read_text("utf-8")) == split:
            results["split"] = known.name
            (DATA / f"{name}_split.json").unlink(missing_ok=True)
            break
    else:
        (DATA / results["split"]).write_text(_line(split) + "\n", "utf-8")
    for subset in _SHOWN:
        figures = {"roc": {"": roc(drawn, subset)}, "det": {"": det(drawn, subset)}}
        figures["pairs"] = similarities(drawn, subset)
        for kind, panels in figures.items():
            file = DATA / f"{name}_{kind}_{subset.replace(' ', '_')}.svg"
            if all(panels.values()) and file.name in page:
                file.write_text(_alone(panels, list(results["arms"])), "utf-8")
    for part in ("curves", "similarities", "hardest"):
        del results[part]
    if lengths := _lengths(results, folder):
        results["schedule"] = lengths
        file = DATA / f"{name}_schedule.svg"
        if file.name in page:
            file.write_text(_alone(_schedule_panels(lengths), list(_COLORED)), "utf-8")
    (DATA / f"{name}.json").write_text(_text(results), "utf-8")


def render(page: str) -> str:
    """The page with every table as the results have it."""
    known: dict[str, Any] = {}

    def filled(match: re.Match[str]) -> str:
        head, name, title, _, end = match.groups()
        if name == "heldout":
            return f"{head}{_heldout()}\n{end}"
        if name == "photos":
            return f"{head}{_photos(title)}\n{end}"
        words = title.split(" ") if title.startswith("again ") else []
        for needed in (name, *words[1:]):
            if needed not in known:
                if not (DATA / f"{needed}.json").is_file():
                    return f"{head}Not run yet.\n{end}"
                known[needed] = json.loads((DATA / f"{needed}.json").read_text("utf-8"))
        if words:
            return f"{head}{_again(known[name], known[words[1]])}\n{end}"
        return f"{head}{_block(known[name], title)}\n{end}"

    return BLOCK.sub(filled, page)


def _block(results: dict[str, Any], title: str) -> str:
    comparison = Comparison.from_document(results)
    if title == "facts":
        return "\n".join(facts(comparison))
    if title == "schedule":
        return _schedule(results)
    if title == "settings":
        return "\n".join(_settings(results))
    for table in tables(comparison):
        if table.title == title:
            return table.markdown() + (f"\n\n{table.note}" if table.note else "")
    raise SystemExit(f"There is no table {title!r}; known: {', '.join(t.title for t in tables(comparison))}.")


def _again(results: dict[str, Any], first: dict[str, Any]) -> str:
    """What a study of another split has, and where it differs from the first one by more than chance."""
    far = f"{first['protocol']['test']['far']:g}"
    ours, theirs = (one["differences"]["before"] for one in (results, first))
    names = [name for name, by in next(iter(ours.values())).items() if far in by]
    rows, alike, overlap = [], 0, 0
    for arm, own in ours.items():
        cells = [arm]
        for name in names:
            gain, before = own[name][far], theirs[arm][name][far]
            overlap += gain["low"] <= before["high"] and before["low"] <= gain["high"]
            both = math.hypot(*((one["high"] - one["low"]) / 2 for one in (gain, before)))
            fits = abs(gain["mean"] - before["mean"]) <= both
            alike += fits
            cells.append(f"{100 * gain['mean']:+.1f}" if fits else f"**{100 * gain['mean']:+.1f}**")
        rows.append(tuple(cells))
    table = ResultTable("", ("", *map(subset_words, names)), tuple(rows))
    total = len(ours) * len(names)
    return (
        f"{table.markdown()}\n\nTAR at FAR {far}, points more than the network before training, of the "
        f"other split. Its interval and the first split's overlap in {overlap} of {total} cells; {alike} "
        "differ by no more than both intervals together explain (the root of the sum of their squared "
        f"halves); bold: the others. {_known_to_search(results)}"
    )


def _known_to_search(results: dict[str, Any]) -> str:
    """How many of the people of another split had a say in the settings."""
    split, search = (
        json.loads((DATA / name).read_text("utf-8")) for name in (results["split"], "search_split.json")
    )
    tested = {name.split("/")[0] for name in split["photos"]["test"]}
    asked = {name.split("/")[0] for name in search["photos"]["validation"]}
    return (
        f"{len(tested & asked)} of the {len(tested)} people compared are validation people of the first "
        "split, by whom the settings were chosen."
    )


def _heldout() -> str:
    """Accuracy and TAR of both packs on the lists of clean pairs."""
    rows, head = [], ["", "list", "same pairs", "different pairs", "accuracy, %", "TAR at FAR 0.001, %"]
    for file in sorted((DATA / "heldout").glob("*.json"), key=lambda p: p.stem.split("_")[::-1]):
        found = json.loads(file.read_text("utf-8"))
        model, _, name = file.stem.partition("_")
        tar = next((point["tar"] for point in found["tar_at_far"] if point["far"] == 0.001), None)
        counts = (f"{found['same_pairs']:,}", f"{found['different_pairs']:,}")
        shown = "not measurable" if tar is None else f"{100 * tar:.2f}"
        rows.append((model, name, *counts, f"{100 * found['accuracy']['mean']:.2f}", shown))
    return ResultTable("", tuple(head), tuple(rows)).markdown() if rows else "Not run yet."


def _photos(name: str) -> str:
    """What models/judge_degraded.py found: of validation people what each network does, or of test people."""
    path = DATA / "photos" / f"{name}.json"
    if not path.is_file():
        return "Not run yet."
    found = json.loads(path.read_text("utf-8"))
    if "tried" in found:
        head = ("", *(name for name in next(iter(found["tried"].values()))))
        rows = [
            (network, *(f"{100 * value:.1f}" for value in by.values()))
            for network, by in found["tried"].items()
        ]
        return ResultTable("", head, tuple(rows)).markdown()
    rows = []
    for title, one in found["lists"].items():
        cells = [f"{100 * one['tar'][0]:.1f}"]
        for tar, other in zip(one["tar"][1:], one["against_first"], strict=True):
            span = [f"{100 * other[end]:+.1f}" for end in ("difference", "low", "high")]
            sure = other["low"] > 0 or other["high"] < 0
            difference = f"**{span[0]}**" if sure else span[0]
            cells.append(f"{100 * tar:.1f}, {difference} ({span[1]} to {span[2]})")
        rows.append((title, f"{one['same']:,}", *cells))
    return ResultTable("", ("", "same pairs", *found["models"]), tuple(rows)).markdown()


def _settings(results: dict[str, Any]) -> Iterator[str]:
    """A table of the settings that differ between the arms."""
    recipes: dict[str, dict[str, Any]] = {}
    for run in results["runs"]:
        if "recipe" in run:
            recipe = run["recipe"]
            flat = {f"{table}.{key}": value for table in recipe for key, value in recipe[table].items()}
            recipes.setdefault(run["arm"], flat).pop("run.seed", None)
    keys = dict.fromkeys(key for recipe in recipes.values() for key in recipe)
    differ = [key for key in keys if len({json.dumps(recipe.get(key)) for recipe in recipes.values()}) > 1]
    yield "| | settings that are not the same for all arms |"
    yield "| --- | --- |"
    for arm, recipe in recipes.items():
        own = [f"`{key} = {json.dumps(recipe[key])}`" for key in differ if key in recipe]
        yield f"| {arm} | {', '.join(own) or '–'} |"


def _lengths(results: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The arms that differ from the baseline in their steps only, shortest first; none where it is alone."""
    far, baseline = f"{results['protocol']['test']['far']:g}", results["protocol"]["study"]["baseline"]
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in results["runs"]:
        runs.setdefault(run["arm"], []).append(run)
    found: list[dict[str, Any]] = []
    for arm, own in runs.items():
        losses = [_last_loss(folder / "runs" / f"{arm}-{run['seed']}" / "metrics.jsonl", run) for run in own]
        if _but_length(own[0]) == _but_length(runs[baseline][0]) and None not in losses:
            tar = {
                name: results["arms"][arm]["subsets"][name]["tar"][far] for name in ("hard", "clean clean")
            }
            rows = own[0]["steps"] * own[0]["recipe"]["run"]["batch_size"]
            found.append(
                {
                    "arm": arm,
                    "steps": own[0]["steps"],
                    "epochs": rows / results["parts"]["train"]["photos"],
                    "seeds": [run["seed"] for run in own],
                    "loss": {"mean": float(np.mean(losses)), "seeds": losses},
                    **tar,
                }
            )
    found.sort(key=lambda one: one["steps"])
    for one, longer in pairwise(found):
        rates = [dict(zip(each["seeds"], each["hard"]["seeds"], strict=True)) for each in (one, longer)]
        both = [rates[1][seed] - rates[0][seed] for seed in rates[0] if seed in rates[1]]
        one["gain"] = float(np.mean(both))
    return found if len(found) > 1 else []


def _but_length(run: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a run without its seed and its length."""
    recipe: dict[str, Any] = json.loads(json.dumps(run.get("recipe", {})))
    length = {"run": ("seed",), "schedule": ("steps", "epochs", "warmup")}
    return {
        table: {key: value for key, value in own.items() if key not in length.get(table, ())}
        for table, own in recipe.items()
    }


def _last_loss(log: Path, run: dict[str, Any]) -> float | None:
    """Mean training loss of the last twentieth of a run; None where its log is gone."""
    if not log.is_file():
        return None
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    last = [line["loss"] for line in lines if "loss" in line and line["step"] > 0.95 * run["steps"]]
    return float(np.mean(last)) if last else None


def _schedule(results: dict[str, Any]) -> str:
    """A row a schedule: what it reached, what the next longer one gained, and the spread over the seeds."""
    rows = []
    for one in results["schedule"]:
        hard, clean = one["hard"], one["clean clean"]
        gain = "–"
        if "gain" in one:
            gain = f"{100 * one['gain']:+.1f}"
            gain = f"**{gain}**" if hard["half"] is not None and one["gain"] < hard["half"] else gain
        cells = [
            f"{100 * tar['mean']:.1f}" + ("" if tar.get("half") is None else f" ± {100 * tar['half']:.1f}")
            for tar in (hard, clean)
        ]
        rows.append(
            (
                f"{one['steps']:,}",
                f"{one['epochs']:.0f}",
                str(len(hard["seeds"])),
                f"{one['loss']['mean']:.2f}",
                *cells,
                gain,
            )
        )
    head = (
        "steps",
        "epochs",
        "seeds",
        "training loss at the end",
        "TAR, mean of the hard ones",
        "TAR, clean",
    )
    table = ResultTable("", (*head, "gain of the next longer one"), tuple(rows))
    far = f"{results['protocol']['test']['far']:g}"
    return (
        f"{table.markdown()}\n\nTAR at FAR {far}, %, of {_people(results)}. ± is half of Student's 95 % "
        "interval over the seeds; the gain is that in the mean of the hard subsets, in points, over seeds "
        "that both have; bold: it is smaller than the ± of its row."
    )


def _people(results: dict[str, Any]) -> str:
    part = results["protocol"]["study"]["judge"]
    count = results["parts"][part]
    return f"{count['photos']:,} photos of {count['people_compared']:,} {part} people"


def _schedule_panels(lengths: list[dict[str, Any]]) -> dict[str, str]:
    """TAR and training loss over the steps: means of three seeds or more as lines, a mark a seed."""
    many = np.array([len(one["seeds"]) >= MIN_SEEDS for one in lengths])
    steps = np.array([one["steps"] for one in lengths], np.float64)
    across = Axis(
        "steps of the schedule, twice as many each",
        steps[0] / 1.2,
        1.2 * steps[-1],
        [(step, f"{step:,.0f}") for step in steps],
        log=True,
    )
    tar = {name: [one[name]["seeds"] for one in lengths] for name in ("hard", "clean clean")}
    values = [value for seeds in tar.values() for one in seeds for value in one]
    low, high = 0.05 * np.floor(min(values) / 0.05), 0.05 * np.ceil(max(values) / 0.05)
    rates = linear_axis("true accept rate (TAR)", float(low), float(high), lambda v: f"{100 * v:.0f} %")
    loss = [one["loss"]["seeds"] for one in lengths]
    top = float(np.ceil(max(max(one) for one in loss)))
    nats = linear_axis("training loss at the end", 0.0, top, lambda v: f"{v:.0f}")
    return {
        "TAR on validation people: hard (blue), clean (orange)": plot(
            "TAR of schedules of different length",
            across,
            rates,
            lines=[
                (f"a{1 + i}", steps[many], np.array([np.mean(one) for one in seeds])[many])
                for i, seeds in enumerate(tar.values())
                if many.any()
            ],
            marks=[
                (f"b{i}", float(step), value, f"{100 * value:.1f} %")
                for i, seeds in enumerate(tar.values())
                for step, one in zip(steps, seeds, strict=True)
                for value in one
            ],
        ),
        "Training loss": plot(
            "Training loss of schedules of different length",
            across,
            nats,
            lines=[("a3", steps[many], np.array([np.mean(one) for one in loss])[many])] if many.any() else [],
            marks=[
                ("b2", float(step), value, f"{value:.2f}")
                for step, one in zip(steps, loss, strict=True)
                for value in one
            ],
        ),
    }


def _alone(panels: dict[str, str], arms: list[str]) -> str:
    """A file of its own with its style: a figure with the arms' names above it, or a panel of each arm."""
    columns = min(len(panels), 3)
    width, height = columns * WIDTH, -(-len(panels) // columns) * (HEIGHT + 22)
    parts, at = [], 66.0
    for number, (arm, figure) in enumerate(panels.items()):
        x, y = number % columns * WIDTH, number // columns * (HEIGHT + 22)
        parts.append(
            figure.replace("<svg ", f'<svg x="{x}" y="{y + 22}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        )
        if arm:
            parts.append(f'<text x="{x + 66}" y="{y + 16}">{escape(arm_words(arm))}</text>')
    if "" in panels:
        for arm, color in colors_of(arms).items():
            parts.append(f'<text x="{at:.0f}" y="16" style="fill: {color}">{escape(arm)}</text>')
            at += 7.5 * len(arm) + 14
    width = max(width, round(at))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f"<style>{_STYLE} {style_of(arms)}</style>{''.join(parts)}</svg>\n"
    )


def _text(results: dict[str, Any]) -> str:
    """JSON with a line for each run and each arm, so that changes can be read."""
    parts = []
    for key, value in results.items():
        if isinstance(value, dict):
            inner = [f"  {json.dumps(k)}: {_line(v)}" for k, v in value.items()]
            parts.append(f" {json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n }")
        elif not isinstance(value, list):
            parts.append(f" {json.dumps(key)}: {_line(value)}")
        else:
            parts.append(f" {json.dumps(key)}: [\n" + ",\n".join(f"  {_line(v)}" for v in value) + "\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["take"] and len(sys.argv) == 4:
        take(Path(sys.argv[2]), sys.argv[3])
    elif len(sys.argv) > 1:
        raise SystemExit(__doc__)
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
