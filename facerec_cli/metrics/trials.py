"""Figures over several galleries: their mean, and how much one gallery differs from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facerec_cli.metrics.identification_figures import IdentificationEvaluation


@dataclass(frozen=True, slots=True)
class TrialsFigure:
    """One figure over T trials.

    Attributes:
        figure: ``cmc`` or ``tpir``.
        at: The rank, or the FPIR.
        trials: T.
        mean: Over the trials; None where it is not measurable in each.
        sd: Standard deviation of a sample (T - 1); None of one trial.
        mean_less_sd: The mean less one standard deviation, which BLUFR reports.
    """

    figure: str
    at: float
    trials: int
    mean: float | None
    sd: float | None
    mean_less_sd: float | None


def over_trials(evaluations: Sequence[IdentificationEvaluation]) -> tuple[TrialsFigure, ...]:
    """CMC and TPIR at FPIR over trials that were asked for the same ranks and rates.

    FPIR is that of one gallery, and no interval over its searches knows of other galleries; the spread over
    trials does.
    """
    if not evaluations:
        return ()

    cmc = zip(*(evaluation.cmc for evaluation in evaluations), strict=True)
    tpir = zip(*(evaluation.tpir_at_fpir for evaluation in evaluations), strict=True)
    return (
        *(mean_and_sd("cmc", points[0].rank, [point.rate for point in points]) for points in cmc),
        *(mean_and_sd("tpir", points[0].fpir, [point.tpir for point in points]) for points in tpir),
    )


def mean_and_sd(figure: str, at: float, values: Sequence[float | None]) -> TrialsFigure:
    """One figure of one or more trials."""
    there = [value for value in values if value is not None]
    if len(there) < len(values):
        return TrialsFigure(figure, at, len(values), None, None, None)
    mean = float(np.mean(there))
    if len(there) == 1:
        return TrialsFigure(figure, at, 1, mean, None, None)
    sd = float(np.std(there, ddof=1))
    return TrialsFigure(figure, at, len(there), mean, sd, mean - sd)
