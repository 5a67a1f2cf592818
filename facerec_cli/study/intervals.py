"""How sure a study's figures are: intervals over seeds, and over people and seeds, or none.

An interval never leaves what a rate can be, 0..1. Below ``MIN_SEEDS`` there is none over seeds: Student's t
for two of them is 12.7, so the interval of any two that differ by a few points would hold everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

#: Fewer seeds than this say nothing about what another seed would give.
MIN_SEEDS = 3
#: Fewer same pairs than this are no subset to judge by: one pair would be five points.
MIN_SAME_PAIRS = 20
# 97.5 % points of Student's t for 1 to 9 degrees of freedom; for more the last one, a little too wide.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_DRAWS = 16  # of Student's t for each draw of people: its tails are heavy


def interval_over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean with half of Student's 95 % interval; no interval below three seeds."""
    mean = float(np.mean(values))
    if len(values) < MIN_SEEDS:
        return {"mean": mean, "seeds": list(values)}
    half = _T[min(len(values) - 2, len(_T) - 1)] * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return {"mean": mean, "half": float(half), "seeds": list(values)}


def drawn(
    rounds: Mapping[tuple[str, int, str], Rows],
    runs: Sequence[Mapping[str, Any]],
    subset: str,
    fars: Sequence[float],
) -> Rows:
    """(R * draws, F) mean TAR of one arm's runs with other people and, from three seeds, other seeds; 0..1.

    The people of a row are the same for all arms; the seeds are not.
    """
    arm = runs[0]["arm"]
    people = np.tile(np.mean([rounds[arm, run["seed"], subset] for run in runs], axis=0), (_DRAWS, 1))
    if len(runs) < MIN_SEEDS:
        return people
    tar = [[run["subsets"][subset]["tar"][f"{far:g}"] for far in fars] for run in runs]
    error = np.std(tar, axis=0, ddof=1) / np.sqrt(len(runs))
    student = np.random.default_rng(crc32(arm.encode())).standard_t(len(runs) - 1, (len(people), 1))
    found: Rows = np.clip(people + student * error, 0.0, 1.0)
    return found


def percentiles(rows: Rows) -> list[tuple[float, float] | None]:
    """2.5 and 97.5 % points of each column; None where no draw could be measured."""
    found: list[tuple[float, float] | None] = []
    for column in rows.T:
        known = column[np.isfinite(column)]
        low, high = np.percentile(known, [2.5, 97.5]) if known.size else (0.0, 0.0)
        found.append((float(low), float(high)) if known.size else None)
    return found
