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


TABLES: dict[str, Callable[[], str]] = {
    "paired-null": lambda: paired_null("paired_null", "far"),
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
