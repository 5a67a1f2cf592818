"""Verification statistics at scale, beside scikit-learn and the way of the usual IJB script.

    python benchmarks/verify.py                         # 15.7 million scores, all pairs of 13,233 vectors
    python benchmarks/verify.py --only all-pairs --n 100000 --size 512
    python benchmarks/verify.py --only sort             # all figures beside sorting all scores, CPU time
    python benchmarks/verify.py --json FILE             # and append the figures to a history

Every figure comes from this run: the times are medians of interleaved rounds, the peers run beside ours on
the same scores, and the answers are compared before any time is printed. Peak memory is that of our part
alone, with what it was given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from history import record
from measuring import forget_peak, medians, memory, peak_memory
from sklearn.metrics import auc, roc_curve

from facerec_cli.metrics.all_pairs import evaluate_all_pairs
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.threshold import DEFAULT_FARS

PAIRS, GENUINE = 15_658_489, 19_557  # IJB-C
PEER_UP_TO = 20_000  # vectors whose whole matrix fits an ordinary machine's memory

Rows = list[dict[str, Any]]


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=13_233, help="vectors of the all-pairs part")
    parser.add_argument("--size", type=int, default=128, help="numbers in each of them")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=("ijb", "all-pairs", "sort"), help="one part instead of both")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    arguments = parser.parse_args()
    parts: dict[str, tuple[Callable[[], Rows], dict[str, Any]]] = {
        "all-pairs": (
            lambda: all_pairs(arguments.n, arguments.size, arguments.repeat),
            {"vectors": arguments.n, "size": arguments.size},
        ),
        "sort": (lambda: beside_sorting(arguments.repeat), {"same": "1 in 800", "clock": "CPU time"}),
        "ijb": (lambda: ijb_size(arguments.repeat), {"scores": PAIRS, "same": GENUINE}),
    }
    for name, (part, about) in parts.items():
        if arguments.only in (None, name):
            rows = part()
            if arguments.json:
                about |= {"repeat": arguments.repeat, "scikit-learn": sklearn.__version__}
                record(f"verify {name}", rows, about, arguments.json)


def beside_sorting(repeat: int) -> Rows:
    """CPU seconds, which a busy machine changes less, of all figures and of sorting for TAR at FAR alone."""
    rows: Rows = []
    for pairs in (1_000_001, 4_000_000, PAIRS):
        random = np.random.default_rng(0)
        same = np.zeros(pairs, bool)
        same[random.choice(pairs, pairs // 800, replace=False)] = True
        scores = random.normal(0, 0.07, pairs).astype(np.float32)
        scores[same] = random.normal(0.6, 0.16, pairs // 800)
        ours, sorting = f"all figures of {pairs:,} scores", f"{pairs:,} scores sorted in NumPy"
        times = medians(
            {
                ours: lambda scores=scores, same=same: evaluate(scores, same),
                sorting: lambda scores=scores, same=same: sort_everything(scores[same], scores[~same]),
            },
            repeat,
            time.process_time,
        )
        for way, seconds in times.items():
            print(f"  {way:45s} {1e3 * seconds:8.1f} ms of CPU")
            rows.append({"name": way, "value": seconds, "unit": "s"})
        rows[-2]["peer"] = sorting
    return rows


def ijb_size(repeat: int) -> Rows:
    """All figures on as many scores as IJB-C has pairs."""
    random = np.random.default_rng(0)
    same = np.zeros(PAIRS, bool)
    same[random.choice(PAIRS, GENUINE, replace=False)] = True
    scores = random.normal(0, 0.07, PAIRS).astype(np.float32)
    scores[same] = random.normal(0.6, 0.16, GENUINE)

    forget_peak()
    before = memory()
    ours = evaluate(scores, same)
    peak = peak_memory()
    fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
    for point in ours.tar_at_far:
        assert point.tar == tpr[fpr <= point.far].max(), "ours differs from scikit-learn"
    assert ours.auc is not None
    assert abs(ours.auc - auc(fpr, tpr)) < 1e-9

    name, peer = "facerec: TAR at 6 FARs, EER, AUC, d'", "scikit-learn roc_curve"
    times = medians(
        {
            name: lambda: evaluate(scores, same),
            peer: lambda: roc_curve(same, scores),
            "IJB script's way (roc_curve, nearest point)": lambda: ijb_script(scores, same),
            "sort everything in NumPy": lambda: sort_everything(scores[same], scores[~same]),
        },
        repeat,
    )
    print(f"\n{PAIRS:,} scores, {GENUINE:,} of same pairs; median of {repeat} interleaved rounds")
    for way, seconds in times.items():
        print(f"  {way:45s} {seconds:8.2f} s {seconds / times[name]:7.1f} x ours")
    print(f"  peak memory of ours {peak:,.0f} MB, {before:,.0f} MB before it began")
    rows: Rows = [{"name": way, "value": seconds, "unit": "s"} for way, seconds in times.items()]
    rows[0]["peer"] = peer
    return [*rows, {"name": "peak memory", "value": peak, "unit": "MB"}]


def ijb_script(scores: np.ndarray, same: np.ndarray) -> list[float]:
    """What insightface's IJB evaluation does: the ROC point nearest to each FAR, which may exceed it."""
    fpr, tpr, _ = roc_curve(same, scores)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)
    return [float(tpr[np.argmin(np.abs(fpr - far))]) for far in DEFAULT_FARS]


def sort_everything(genuine: np.ndarray, impostor: np.ndarray) -> list[float]:
    """TAR at the FARs alone, by sorting both classes."""
    genuine, impostor = np.sort(genuine), np.sort(impostor)
    cuts = [impostor[impostor.size - 1 - int(far * impostor.size)] for far in DEFAULT_FARS]
    return [1 - np.searchsorted(genuine, cut, side="right") / genuine.size for cut in cuts]


def all_pairs(n: int, size: int, repeat: int) -> Rows:
    """Exact statistics of all pairs of ``n`` vectors, about 2.3 a person as in LFW."""
    random = np.random.default_rng(1)
    people = random.integers(0, int(n / 2.3), n)
    centres = random.normal(size=(people.max() + 1, size)).astype(np.float32)
    vectors = random.normal(size=(n, size)).astype(np.float32)
    vectors *= 1.1
    vectors += centres[people]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = n * (n - 1) // 2
    forget_peak()
    before = memory()
    start = time.perf_counter()
    result = evaluate_all_pairs(vectors, people)
    times = {"facerec": time.perf_counter() - start}
    peak = peak_memory()
    if n <= PEER_UP_TO:
        theirs = whole_matrix(vectors, people)
        for point, tar in zip(result.tar_at_far, theirs, strict=True):
            assert point.tar == tar, "ours differs from the whole matrix sorted"
        times = medians(
            {
                "facerec": lambda: evaluate_all_pairs(vectors, people),
                "whole matrix in NumPy, sorted": lambda: whole_matrix(vectors, people),
            },
            repeat,
        )
    print(f"\nall pairs of {n:,} vectors of {size}: {count:,} pairs")
    rows: Rows = []
    for way, seconds in times.items():
        rate = count / seconds
        print(f"  {way:30s} {seconds:8.1f} s {rate / 1e6:8.0f} million pairs/s")
        rows.append({"name": way, "value": rate, "unit": "pairs/s"})
    if len(rows) > 1:
        rows[0]["peer"] = rows[1]["name"]
    print(f"  peak memory of ours {peak:,.0f} MB, {before:,.0f} MB before it began")
    rates = ", ".join(f"{p.far:g}: {p.tar:.4f}" for p in result.tar_at_far if p.tar is not None)
    print(f"  TAR at FAR {rates}; AUC within {result.auc_error:.1e}")
    return [*rows, {"name": "peak memory", "value": peak, "unit": "MB"}]


def whole_matrix(vectors: np.ndarray, people: np.ndarray) -> list[float]:
    """All scores at once, as one would write it first; the order of people is ours, for equal rounding."""
    order = np.argsort(people, kind="stable")
    x, who = vectors[order], people[order]
    upper = np.triu(np.ones((len(x), len(x)), bool), 1)
    scores = (x @ x.T)[upper]
    same = (who[:, None] == who)[upper]
    return sort_everything(scores[same], scores[~same])


if __name__ == "__main__":
    main()
