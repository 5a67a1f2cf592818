"""The error rates of groups of people on a list: at its own threshold, and at the model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import people_in
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.group_ratios import with_ratios
from facerec_cli.metrics.group_report import GroupReport
from facerec_cli.metrics.groups import group_rates, read_groups
from facerec_cli.metrics.thresholds import choose, chosen_point
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import Threshold
from facerec_cli.verify.settings import Steps


def measure_groups(
    table: Path,
    evaluation: Evaluation,
    far: float | None,
    pairs: PairList,
    scores: NDArray[np.float32],
    failed: NDArray[np.bool_],
    *,
    model: Threshold | None,
    steps: Steps,
) -> GroupReport:
    """Rates of each group and their ratios.

    Args:
        table: The groups of photos or people.
        evaluation: Of the list.
        far: The false accept rate of its threshold; None is the smallest that is measurable.
        pairs: The list.
        scores: (P,) similarity.
        failed: (P,) bool, pairs without a score.
        model: The model's threshold.
        steps: Watches the work.

    Raises:
        InputError: The table cannot be read or fits no photo, or the list gives no threshold.
    """
    own = chosen_point(evaluation, far)
    if own is None or own.threshold is None:
        reason = choose(evaluation, far)
        raise InputError(f"Groups need a threshold: {reason}.", hint="Choose a larger --far.")
    group_of, names = read_groups(table, pairs.names)
    people = people_in(pairs)
    sides = group_of[pairs.first], group_of[pairs.second]
    whose = people[pairs.first], people[pairs.second]
    unknown = int((group_of < 0).sum())

    def at(threshold: float, far: float) -> GroupReport:
        report = group_rates(
            scores, pairs.same, failed, sides, names, threshold=threshold, far=far, unknown=unknown
        )
        with steps("Groups", "rounds") as progress:
            return with_ratios(report, scores, pairs.same, failed, sides, whose, progress=progress)

    report = at(own.threshold, own.far)
    if model is None or model.far is None:
        return report
    return replace(report, at_model_threshold=at(model.value, model.far))
