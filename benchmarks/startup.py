"""How long ``facerec --help`` takes against importing typer and rich alone.

Runs the two in turn, so that a drift of the machine's speed hits both, and prints medians and their ratio.
The promise is a ratio of at most 2.

    python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from history import record

PEER = [sys.executable, "-c", "import typer, rich"]
OURS = [sys.executable, "-m", "facerec_cli", "--help"]


def seconds(command: list[str]) -> float:
    """Wall-clock seconds of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    wanted = parser.parse_args()
    runs = wanted.runs
    seconds(PEER), seconds(OURS)  # warm the file cache
    pairs = [(seconds(PEER), seconds(OURS)) for _ in range(runs)]
    peer, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"import typer, rich   {peer * 1000:7.0f} ms (median of {runs})")
    print(f"facerec --help       {ours * 1000:7.0f} ms (median of {runs})")
    print(f"ratio                {ratio:7.2f}   (median of the ratios, pair by pair)")
    if wanted.json:
        rows = [
            {"name": "facerec --help", "value": 1e3 * ours, "unit": "ms", "peer": "import typer, rich"},
            {"name": "import typer, rich", "value": 1e3 * peer, "unit": "ms"},
        ]
        record("startup", rows, {"runs": runs}, wanted.json)


if __name__ == "__main__":
    main()
