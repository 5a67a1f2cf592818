"""Curves and histograms of a run's scores, and their means over runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Scores
from facerec_cli.study.intervals import Rows

CURVE = np.logspace(-5, 0, 61)
"""FARs of the ROC curves."""
BINS = np.linspace(-0.5, 1.0, 61)
"""Edges of the histograms."""


def curve_of(scores: Scores, same: NDArray[np.bool_]) -> Rows:
    """TAR at each FAR of ``CURVE``; NaN below one impostor pair."""
    impostor = np.sort(scores[~same])[::-1]
    allowed = np.floor(CURVE * len(impostor) * (1 + 1e-12)).astype(int)
    genuine = scores[same]
    rates = [
        np.nan if k == 0 else 1.0 if k >= len(impostor) else float((genuine > impostor[k]).mean())
        for k in allowed
    ]
    return np.array(rates)


def shares_of(scores: Scores, same: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """Shares of the genuine and of the impostor pairs in each bin."""
    clipped = np.clip(scores, -0.5, 1.0)
    genuine, impostor = (np.histogram(clipped[kind], BINS)[0] / kind.sum() for kind in (same, ~same))
    return genuine, impostor


def mean_curve(rows: Sequence[Rows]) -> tuple[float | None, ...]:
    """The mean of some curves, rounded; None where it is not measured."""
    return tuple(None if np.isnan(one) else round(float(one), 6) for one in np.mean(rows, axis=0))
