"""The history of the benchmarks: each run appends a line of JSON, and this program draws what they say.

    python benchmarks/history.py     # benchmarks/results -> docs/images/benchmarks.png, docs/benchmarks.md

A benchmark that is given ``--json FILE`` calls :func:`record`. A row that names its ``peer``, another row of
the same run, is a comparison: the picture shows how many times better than the peer it was, run by run. The
machine is described by its processor and versions; its name and its folders are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
INK = "#6e7781"  # nothing is painted behind the picture: read on a white page and on a dark one
PICTURE = REPOSITORY / "docs" / "images" / "benchmarks.png"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
PACKAGES = ("numpy", "onnxruntime", "torch", "opencv-python")
LESS_IS_BETTER = ("s", "ms", "us", "ns", "MB", "MiB", "GB", "GiB", "bytes")

Row = Mapping[str, Any]


def record(benchmark: str, rows: Sequence[Row], settings: Mapping[str, Any], path: Path | str) -> None:
    """Append one run to a file of JSON lines.

    Args:
        benchmark: Name of the program, "verify".
        rows: ``{"name", "value", "unit"}``, and ``"peer"``: the name of the row that this one is compared
            with, where there is one. A comparison needs a unit of time or memory (less is better) or one that
            ends in "/s" (more is better).
        settings: What was measured: sizes, repeats, threads, versions of peers.
        path: The file, ``benchmarks/results/NAME.jsonl``.

    Raises:
        ValueError: A row has no name, number or unit, or its peer is not there.
    """
    units = {row["name"]: row["unit"] for row in rows}
    if len(units) != len(rows):
        raise ValueError("Two rows have the same name.")
    for row in rows:
        if not math.isfinite(row["value"]):
            raise ValueError(f"{row['name']}: {row['value']} is not a measurement.")
        if "peer" in row and (units.get(row["peer"]) != row["unit"] or better(row["unit"]) == 0):
            raise ValueError(f"{row['name']} cannot be compared with {row['peer']!r}.")
    line = {
        "benchmark": benchmark,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "rows": [dict(row) for row in rows],
        "settings": {key: _without_folders(value) for key, value in settings.items()},
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def better(unit: str) -> int:
    """1 where more is better, -1 where less is, 0 where the unit does not say."""
    return 1 if unit.endswith("/s") else -1 if unit in LESS_IS_BETTER else 0


def machine() -> dict[str, Any]:
    """What decides a speed, without a name or a folder of this machine."""
    found: dict[str, Any] = {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }
    for package in (*PACKAGES, "facerec-cli"):
        try:
            found[package.removesuffix("-python").removesuffix("-cli")] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | {"commit": _commit()}


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit, with a + where the package or the benchmarks have changed since; None outside of git."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git(
            "status", "--porcelain", "--untracked-files=no", "--", "facerec_cli", "benchmarks/*.py"
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _without_folders(value: Any) -> Any:
    if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute()):
        return Path(value).name
    if isinstance(value, Mapping):
        return {key: _without_folders(inner) for key, inner in value.items()}
    return [_without_folders(inner) for inner in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row against its peer, over all runs that had both.

    Attributes:
        benchmark: Name of the program.
        name: Our row.
        peer: The other row.
        when: Time of each run, the oldest first.
        ratios: How many times better than the peer.
    """

    benchmark: str
    name: str
    peer: str
    when: list[datetime]
    ratios: list[float]


def read(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """All runs, the oldest first."""
    lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    return sorted((json.loads(line) for line in lines if line.strip()), key=lambda run: str(run["when"]))


def ratio(run: Mapping[str, Any], row: Row) -> float:
    """How many times better than its peer a row of a run is."""
    peer = next(other for other in run["rows"] if other["name"] == row["peer"])
    quotient: float = row["value"] / peer["value"]
    return quotient if better(row["unit"]) > 0 else 1 / quotient


def comparisons(runs: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    """The comparisons of all runs, by benchmark, in the order in which they first appear."""
    found: dict[tuple[str, str, str], Comparison] = {}
    for run in runs:
        for row in run["rows"]:
            if "peer" in row:
                key = (run["benchmark"], row["name"], row["peer"])
                line = found.setdefault(key, Comparison(*key, [], []))
                line.when.append(datetime.fromisoformat(run["when"]))
                line.ratios.append(ratio(run, row))
    return sorted(found.values(), key=lambda line: line.benchmark)


def draw(lines: Sequence[Comparison], target: Path = PICTURE) -> None:
    """A row a comparison: where it stands today on the left, how it moved on the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    plt.rcParams.update(dict.fromkeys(inks, INK))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, 1.1 + 0.42 * len(lines)), dpi=110, sharey=True, width_ratios=[2.2, 1]
    )
    for y, line in enumerate(lines):
        last = line.ratios[-1]
        colour = "#1f8f68" if last >= 1 else "#d2583c"
        left.plot([1, last], [y, y], color=colour, linewidth=1.2, alpha=0.5)
        left.plot(last, y, "o", color=colour, markersize=6)
        left.annotate(f"{last:.3g}×", (last, y), (7 if last >= 1 else -7, 0), textcoords="offset points",
                      va="center", ha="left" if last >= 1 else "right", fontsize=8)  # fmt: skip
        moved = [y - 0.4 * max(-1.0, min(1.0, math.log2(value / line.ratios[0]))) for value in line.ratios]
        right.axhline(y, color="#88888866", linewidth=0.8, zorder=0)
        right.plot(line.when, moved, "o-", color=colour, markersize=3.5, linewidth=1)
    left.set_yticks(
        range(len(lines)),
        [f"{line.benchmark}: {line.name}\nagainst {line.peer}" for line in lines],
        fontsize=7,
    )
    left.set_xscale("log")
    left.xaxis.set_major_formatter("{x:g}×")
    left.margins(x=0.12)
    left.set_ylim(len(lines) - 0.4, -0.6)
    left.axvline(1, color=INK, linewidth=0.8)
    left.set_xlabel("times better than the peer in the last run", fontsize=9)
    times = sorted(time for line in lines for time in line.when)
    margin = max(0.05 * (times[-1] - times[0]), timedelta(hours=1))
    right.set_xlim(times[0] - margin, times[-1] + margin)
    ends = [times[0], times[-1]] if times[0].date() != times[-1].date() else [times[0]]
    right.set_xticks(ends, [f"{time:%Y-%m-%d}" for time in ends])
    right.set_xlabel("change since the first run (a full row: twice or half)", fontsize=9)
    for axes in (left, right):
        axes.tick_params(length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, bbox_inches="tight", transparent=True, metadata={"Software": None})
    plt.close(figure)


def page(runs: Sequence[Mapping[str, Any]]) -> str:
    """The last run of every benchmark with every set of settings, as Markdown."""
    return "\n".join(_page(runs)) + "\n"


def _page(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Written by `python benchmarks/history.py` from `benchmarks/results`: the last run of each program"
    yield 'with each set of settings. "Better": how many times better than the peer behind it, in one run.'
    place = "performance.md#from-photo-to-embedding-on-a-cpu"
    yield f"On another processor it is another number: [without AVX-512]({place})"
    yield "`embed` was 1.26 to 1.33 times as fast as OpenCV."
    yield ""
    yield "![How many times better than its peer each measurement is](images/benchmarks.png)"
    last = {(run["benchmark"], json.dumps(run["settings"], sort_keys=True)): run for run in runs}
    for name, _ in sorted(last):
        run = last[name, _]
        about = ", ".join(f"{key} {_text(value)}" for key, value in run["settings"].items())
        on = ", ".join(f"{key} {value}" for key, value in run["machine"].items() if value is not None)
        yield from ("", f"## {name}", "", f"{run['when'][:10]}. {about}", "", f"On {on}.", "")
        yield from ("| | | better |", "|---|---|---|")
        for row in run["rows"]:
            compared = f"{ratio(run, row):.3g}x {row['peer']}" if "peer" in row else ""
            yield f"| {row['name'].strip()} | {_text(row['value'])} {row['unit']} | {compared} |"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main() -> None:
    """Draw the picture and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    folder = parser.parse_args().results
    runs = read(folder)
    lines = comparisons(runs)
    if not lines:
        raise SystemExit(f"{folder} holds no run that compares; give a benchmark --json FILE.")
    draw(lines)
    PAGE.write_text(page(runs), encoding="utf-8")
    print(f"{len(runs)} runs, {len(lines)} comparisons: docs/images/benchmarks.png, docs/benchmarks.md")


if __name__ == "__main__":
    main()
