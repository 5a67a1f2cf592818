"""Exact 1:N search beside faiss's flat index: CPU time, clock time and memory, on made-up unit vectors.

    python benchmarks/search.py [--rows 1000000] [--dimensions 128] [--probes 1000] [--json FILE]

The gallery is a memory-mapped file, faiss has a copy of its own. Both answer the same probes in turns, so
that a busy moment hits both, and their answers are compared before anything is printed, ours with a whole
product in float64 and a full sort. Memory is what our search holds beside the gallery at its peak.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from history import record
from measuring import memory

from facerec_cli.metrics.search import top_k
from facerec_cli.runtime import installed_versions, usable_cores

Answer = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def units(random: np.random.Generator, count: int, dimensions: int) -> np.ndarray[Any, Any]:
    """(count, dimensions) float32 vectors of unit length in random directions."""
    vectors = random.standard_normal((count, dimensions), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_gallery(path: Path, rows: int, dimensions: int) -> np.ndarray[Any, Any]:
    """A memory-mapped file of unit vectors."""
    random = np.random.default_rng(0)
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, dimensions))
    for start in range(0, rows, 50_000):
        table[start : start + 50_000] = units(random, len(table[start : start + 50_000]), dimensions)
    table.flush()
    return np.load(path, mmap_mode="r")


def in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """CPU and clock seconds of each call, after one that is not counted."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, work in ways.items():
            cpu, clock = time.process_time(), time.perf_counter()
            work()
            times[name].append((time.process_time() - cpu, time.perf_counter() - clock))
    return {name: taken[1:] for name, taken in times.items()}


def peak_beside(work: Callable[[], object]) -> float:
    """The most memory that a call adds, in MB; pages of a mapped file do not count."""
    before, seen, done = memory("RssAnon"), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(memory("RssAnon") - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(seen)


def check(ours: Answer, theirs: Answer, gallery: np.ndarray[Any, Any], probes: np.ndarray[Any, Any]) -> None:
    """Stop where the answers differ by more than rounding."""
    k = ours[0].shape[1]
    np.testing.assert_allclose(ours[1], theirs[1], rtol=0, atol=2e-6)
    wrong = ours[0] != theirs[0]  # two rows whose scores are closer than float32 tells may change places
    assert wrong.mean() < 1e-3, f"{wrong.sum()} of {wrong.size} rows differ from faiss"
    for probe in range(min(10, len(probes))):
        scores = np.concatenate([
            (gallery[start : start + 100_000].astype(np.float64) @ probes[probe].astype(np.float64))
            for start in range(0, len(gallery), 100_000)
        ]).astype(np.float32)  # fmt: skip
        rows = np.argsort(-scores, kind="stable")[:k]
        np.testing.assert_array_equal(ours[0][probe], rows)
        np.testing.assert_array_equal(ours[1][probe], scores[rows])


def figures(what: str, times: dict[str, list[tuple[float, float]]], probes: int) -> list[dict[str, Any]]:
    """Median milliseconds a probe, ours beside the peer's."""
    rows = []
    for which, clock in enumerate(("CPU", "clock")):
        for name, taken in times.items():
            value = 1e3 * statistics.median(pair[which] for pair in taken) / probes
            rows.append({"name": f"{name}, {what}, {clock}", "value": value, "unit": "ms"})
        rows[-2]["peer"] = rows[-1]["name"]
    return rows


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the gallery's file is made; a temporary folder")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    wanted = parser.parse_args()
    faiss.omp_set_num_threads(wanted.threads)
    with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
        gallery = make_gallery(Path(folder) / "gallery.npy", wanted.rows, wanted.dimensions)
        probes = units(np.random.default_rng(1), wanted.probes, wanted.dimensions)

        def ours() -> Answer:
            return top_k(gallery, probes, wanted.k, threads=wanted.threads)

        held = peak_beside(ours)
        index = faiss.IndexFlatIP(wanted.dimensions)
        index.add(np.asarray(gallery))

        def flat() -> Answer:
            scores, rows = index.search(probes, wanted.k)
            return rows, scores

        check(ours(), flat(), gallery, probes)
        times = in_turns({"facerec": ours, "faiss flat": flat}, wanted.rounds)
        one = probes[:1]
        single = in_turns({
            "facerec": lambda: top_k(gallery, one, wanted.k, threads=wanted.threads),
            "faiss flat": lambda: index.search(one, wanted.k),
        }, wanted.rounds)  # fmt: skip
    rows = [*figures("a probe", times, wanted.probes), *figures("one probe alone", single, 1)]
    rows.append({"name": "facerec, memory beside the gallery", "value": held, "unit": "MB"})
    for row in rows:
        ratio = next((row["value"] / peer["value"] for peer in rows if peer["name"] == row.get("peer")), None)
        print(f"{row['name']}: {row['value']:.2f} {row['unit']}" + (f", {ratio:.2f} x" if ratio else ""))
    if wanted.json:
        names = ("rows", "dimensions", "probes", "k", "threads", "rounds")
        settings = {name: getattr(wanted, name) for name in names}
        settings |= installed_versions(("faiss-cpu", "threadpoolctl"))
        record("search", rows, settings, wanted.json)


if __name__ == "__main__":
    main()
