"""Verification statistics at scale, beside scikit-learn and the way of the usual IJB script.

    python benchmarks/verify.py              # 15.7 million scores, all pairs of 13,233 vectors
    python benchmarks/verify.py --n 100000   # all pairs of so many vectors instead

Every figure comes from this run: the times are medians, the peers run beside ours on the same scores, and
the answers are compared before any time is printed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import auc, roc_curve

from facerec_cli.verify.allpairs import evaluate_all_pairs
from facerec_cli.verify.statistics import DEFAULT_FARS, evaluate

PAIRS, GENUINE = 15_658_489, 19_557  # IJB-C


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=13_233, help="vectors of the all-pairs part")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("ijb", "all-pairs"), help="one part instead of both")
    arguments = parser.parse_args()
    if arguments.only != "ijb":
        all_pairs(arguments.n, arguments.repeat)
    if arguments.only != "all-pairs":
        ijb_size(arguments.repeat)


def ijb_size(repeat: int) -> None:
    """All figures on as many scores as IJB-C has pairs."""
    random = np.random.default_rng(0)
    same = np.zeros(PAIRS, bool)
    same[random.choice(PAIRS, GENUINE, replace=False)] = True
    scores = random.normal(0, 0.07, PAIRS).astype(np.float32)
    scores[same] = random.normal(0.6, 0.16, GENUINE)

    ours = evaluate(scores, same)
    fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
    for point in ours.tar_at_far:
        assert point.tar == tpr[fpr <= point.far].max(), "ours differs from scikit-learn"
    assert ours.auc is not None
    assert abs(ours.auc - auc(fpr, tpr)) < 1e-9

    rows = [
        ("facerec: TAR at 6 FARs, EER, AUC, d'", median(lambda: evaluate(scores, same), repeat)),
        ("scikit-learn roc_curve", median(lambda: roc_curve(same, scores), repeat)),
        ("IJB script's way (roc_curve, nearest point)", median(lambda: ijb_script(scores, same), repeat)),
        ("sort everything in NumPy", median(lambda: sort_everything(scores, same), repeat)),
    ]
    print(f"\n{PAIRS:,} scores, {GENUINE:,} of same pairs")
    for name, seconds in rows:
        print(f"  {name:45s} {seconds:8.2f} s {seconds / rows[0][1]:7.1f} x ours")


def ijb_script(scores: np.ndarray, same: np.ndarray) -> list[float]:
    """What insightface's IJB evaluation does: the ROC point nearest to each FAR, which may exceed it."""
    fpr, tpr, _ = roc_curve(same, scores)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)
    return [float(tpr[np.argmin(np.abs(fpr - far))]) for far in DEFAULT_FARS]


def sort_everything(scores: np.ndarray, same: np.ndarray) -> list[float]:
    """TAR at the FARs alone, by sorting both classes."""
    genuine, impostor = np.sort(scores[same]), np.sort(scores[~same])
    cuts = [impostor[impostor.size - 1 - int(far * impostor.size)] for far in DEFAULT_FARS]
    return [1 - np.searchsorted(genuine, cut, side="right") / genuine.size for cut in cuts]


def all_pairs(n: int, repeat: int) -> None:
    """Exact statistics of all pairs of ``n`` vectors of 128 numbers, about 2.3 a person as in LFW."""
    random = np.random.default_rng(1)
    people = random.integers(0, int(n / 2.3), n)
    vectors = random.normal(size=(people.max() + 1, 128))[people] + 1.1 * random.normal(size=(n, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    seconds = median(lambda: evaluate_all_pairs(vectors, people), repeat if n < 50_000 else 1)
    result = evaluate_all_pairs(vectors, people).evaluation if n < 50_000 else None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = n * (n - 1) // 2
    print(f"all pairs of {n:,} vectors of 128: {count:,} pairs")
    print(f"  {seconds:.1f} s, {count / seconds / 1e6:.0f} million pairs/s, peak memory {peak:.0f} MB")
    if result is not None:
        rates = ", ".join(f"{p.far:g}: {p.tar:.4f}" for p in result.tar_at_far if p.tar is not None)
        print(f"  TAR at FAR {rates}; AUC within {result.auc_error:.1e}")


def median(work: Callable[[], object], repeat: int) -> float:
    """Median seconds of ``repeat`` calls."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
