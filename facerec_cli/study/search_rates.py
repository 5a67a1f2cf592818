"""TPIR of arms over their seeds, and how arms differ in it, as ``intervals.py`` has it of TAR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facerec_cli.study.comparison import Difference, MeanOverSeeds
from facerec_cli.study.intervals import Rates, Rows, difference, drawn, mean_over_seeds, percentiles
from facerec_cli.study.searches import SEARCH_FPIR

RunSearches = Mapping[str, tuple[float, Rows]]
"""Of one run: subset -> TPIR, and (R, 1) TPIR in each round of the bootstrap over people."""


def mean_tpir(arm: str, runs: Sequence[RunSearches], name: str, *, intervals: bool) -> MeanOverSeeds | None:
    """TPIR of an arm on a subset; None where nobody was searched for."""
    if name not in runs[0]:
        return None
    rates = _rates(arm, runs, name)
    [ends] = percentiles(drawn(rates)) if intervals else [None]
    return mean_over_seeds(rates.tar[:, 0].tolist(), ends)


def tpir_differences(
    arm: str, runs: Sequence[RunSearches], reference: str, others: Sequence[RunSearches], *, intervals: bool
) -> dict[str, Difference]:
    """How an arm differs from a reference, by subset."""
    return {
        name: difference(_rates(arm, runs, name), _rates(reference, others, name), intervals=intervals)[
            f"{SEARCH_FPIR:g}"
        ]
        for name in runs[0]
    }


def _rates(arm: str, runs: Sequence[RunSearches], name: str) -> Rates:
    rates = np.array([[one[name][0]] for one in runs])
    return Rates(arm, (SEARCH_FPIR,), rates, np.array([one[name][1] for one in runs]))
