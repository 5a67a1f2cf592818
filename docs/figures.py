"""Fills the measured tables of the pages from the raw results that are committed beside them.

    python docs/figures.py            # rewrite the tables; python docs/figures.py --check only compares

A table stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``; NAME is one of ``TABLES`` below, which
says what the table is read from. ``docs/study.py`` does the same for the study, ``benchmarks/scaling.py`` for
the page on scaling, ``benchmarks/history.py`` for that of all runs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from facerec_cli.metrics.search_threshold import from_tail
from facerec_cli.packs.resolve import open_pack

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n)(.*?)(<!-- end -->)", re.S)


def read(path: Path) -> Any:
    """A file of results."""
    return json.loads(path.read_text(encoding="utf-8"))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], ""])


def paired_null(name: str, rate: str) -> str:
    """How often equal models, and models that differ, were called different."""
    rows = []
    for row in read(RESULTS / f"{name}.json"):
        called, count = row["verdicts"], row["simulations"]
        first, second = row["noise"]
        different = called["first is better"] + called["second is better"]
        rows.append(
            [
                "none: rank 1" if row[rate] is None else f"{row[rate]:g}",
                f"{first} and {second}",
                f"{different} of {count}",
                "–" if first == second else called["second is better"],
                f"{row['mcnemar_p_below_0.05']} of {count}",
            ]
        )
    head = [
        rate.upper(),
        "noise of the two",
        "called different",
        "the noisier one called better",
        "McNemar p < 0.05",
    ]
    return table(head, rows)


def blufr() -> str:
    """BLUFR's ten trials, by ``facerec identify blufr/ --evaluate --json`` without its trials."""
    wanted = {
        ("cmc", 1): "CMC, rank 1",
        ("tpir", 0.1): "DIR at rank 1, FAR 10 %",
        ("tpir", 0.01): "DIR at rank 1, FAR 1 %",
        ("tpir", 0.001): "DIR at rank 1, FAR 0.1 %",
        ("tar", 0.001): "VR at FAR 0.1 % (1:1)",
    }
    measured = {
        (one["figure"], one["at"]): one for one in read(DOCS / "search" / "blufr.json")["over_trials"]
    }
    rows = [
        [name, *(f"{100 * measured[key][part]:.2f} %" for part in ("mean", "sd", "mean_less_sd"))]
        for key, name in wanted.items()
    ]
    return table(["figure", "mean", "sd", "mean - sd"], rows)


def search_intervals_held() -> str:
    """How often the stated interval of a search held what strangers met."""
    shown = [
        *(
            (100, 1, source, rate)
            for rate in (0.1, 0.01, 0.003)
            for source in ("impostor tail", "own searches")
        ),
        (100, 10, "impostor tail", 0.01),
        *((1000, 1, source, rate) for rate in (0.1, 0.01) for source in ("impostor tail", "own searches")),
        (1000, 1, "impostor tail", 0.003),
        (1000, 10, "own searches", 0.01),
        (1000, 10, "impostor tail", 0.003),
        *((4000, 1, "own searches", rate) for rate in (0.1, 0.01, 0.003)),
        (4000, 10, "own searches", 0.01),
    ]
    measured = {
        (one["people"], one["faces"], one["source"], one["wished"]): one
        for one in read(RESULTS / "search_thresholds.json")["results"]
        if not one["doubtful"]
    }
    rows = []
    for key in shown:
        if key not in measured:
            continue
        people, faces, source, wished = key
        one = measured[key]
        met = f"{100 * one['met']:.2f} ± {100 * one['spread']:.2f}"
        stated = f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"
        held = f"{one['covered']} of {one['stated']}"
        rows.append([f"{people:,}", faces, source, f"{100 * wished:g}", met, stated, held])
    return table(["N", "photos", "T from", "wished FPIR, %", "met, %", "stated, %", "held"], rows)


def search_kinds() -> str:
    """What the threshold met on FG-NET and UMIST."""
    names = {
        "fgnet": "FG-NET (ages 0 to 69, family photos), {} people",
        "umist": "UMIST (profile to frontal, grey), {} people",
    }
    met: dict[tuple[str, float], dict[str, str]] = {}
    for one in read(RESULTS / "search_kinds.json"):
        place = met.setdefault((names[one["set"]].format(one["people"]), one["wished"]), {})
        place[one["threshold"]] = f"{100 * one['met']:.1f} %"
    head = [
        "gallery, strangers of the same set",
        "wished FPIR",
        "by the tail alone, met",
        "with the check, met",
    ]
    return table(head, [[who, f"{100 * rate:g} %", *how.values()] for (who, rate), how in met.items()])


def template_scores() -> str:
    """What templates of several photos score with strangers."""
    rows = [
        [one["photos"], f"{one['mean']:.4f}", f"{one['deviation']:.4f}", f"{1e3 * one['reached']:.2f}"]
        for one in read(RESULTS / "template_scores.json")
    ]
    return table(["photos", "mean score", "deviation", "of 1,000 strangers reach 0.3563"], rows)


def tails() -> str:
    """The impostor tails in the manifests of the packs."""
    rows = []
    for name in ("sface", "sface-degraded"):
        for tail in open_pack(name).impostor_tails:
            kept = dict(zip(tail.rates, tail.scores, strict=True))
            scores = [f"{kept[rate]:.4f}" for rate in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)]
            title = f"{name}, flip" if tail.flip else name
            rows.append(
                [
                    title,
                    f"{tail.people:,}",
                    f"{tail.pairs:,}",
                    f"{tail.mean:.4f}",
                    f"{tail.deviation:.4f}",
                    *scores,
                ]
            )
    head = [
        "pack",
        "people",
        "pairs of people",
        "mean",
        "deviation",
        "score at 1e-2",
        "1e-3",
        "1e-4",
        "1e-5",
        "1e-6",
    ]
    return table(head, rows)


def thresholds_of_searches() -> str:
    """The threshold for N people by the tail of ``sface``; * where it is extrapolated."""
    tail = next(tail for tail in open_pack("sface").impostor_tails if not tail.flip)
    rows = []
    for people in (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000):
        found = [from_tail(tail, people, fpir) for fpir in (0.1, 0.01, 0.003, 0.001)]
        rows.append([f"{people:,}", *(f"{one.value:.3f}{'' if one.measurable else '*'}" for one in found)])
    return table(["people", "FPIR 10 %", "1 %", "0.3 %", "0.1 %"], rows)


def beside_sorting() -> str:
    """All figures of a list beside the sorting of its scores, in CPU time."""
    lines = (RESULTS / "verify.jsonl").read_text(encoding="utf-8").splitlines()
    run = [json.loads(line) for line in lines if json.loads(line)["benchmark"] == "verify sort"][-1]
    value = {row["name"]: row["value"] for row in run["rows"]}
    rows = [
        [row["name"].split()[3], f"{1e3 * row['value']:.0f} ms", f"{1e3 * value[row['peer']]:.0f} ms"]
        for row in run["rows"]
        if "peer" in row
    ]
    return table(["scores", "facerec: all figures", "both classes sorted in NumPy, TAR only"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "paired-null": lambda: paired_null("paired_null", "far"),
    "blufr": blufr,
    "search-intervals": search_intervals_held,
    "search-kinds": search_kinds,
    "template-scores": template_scores,
    "tails": tails,
    "search-thresholds": thresholds_of_searches,
    "beside-sorting": beside_sorting,
    "paired-null-searches": lambda: paired_null("paired_null_searches", "fpir"),
}


def filled(page: str) -> str:
    """The text of a page with its tables made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[4]}", page)


def pages() -> list[Path]:
    """Every page that has such a table."""
    written = [DOCS.parent / "README.md", *DOCS.glob("*.md"), *(DOCS.parent / "examples").glob("*.md")]
    return [page for page in sorted(written) if BLOCK.search(page.read_text(encoding="utf-8"))]


def main() -> int:
    """Rewrite the pages, or say which of them is not as its results are."""
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(filled(text), encoding="utf-8")
    print(", ".join(stale) or "nothing", "not as its results" if "--check" in sys.argv else "rewritten")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
