"""From what each search returned to an :class:`IdentificationEvaluation`."""

from __future__ import annotations

import numpy as np

from facerec_cli.metrics.identification_bootstrap import bootstrap_tpir
from facerec_cli.metrics.identification_counting import (
    accepted_scores,
    det_points,
    miss_points,
    rank_points,
    search_points,
)
from facerec_cli.metrics.identification_curve import curve_over_people
from facerec_cli.metrics.identification_figures import (
    RULES,
    THRESHOLD_RULE,
    Asked,
    IdentificationEvaluation,
)
from facerec_cli.metrics.labeled_searches import LabeledSearches
from facerec_cli.metrics.searches import SearchOutcomes


def summarize(
    searches: LabeledSearches, outcomes: SearchOutcomes, asked: Asked, *, rule: str = ""
) -> IdentificationEvaluation:
    """All figures.

    Args:
        searches: What was searched for.
        outcomes: What each search returned; of the same length.
        asked: Rates, ranks, rounds.
        rule: How the rank is defined where it is not as ``RULES`` has it for the template.
    """
    counts, mated = searches.counts, outcomes.mated
    points = search_points(outcomes, counts, asked.fpirs)
    tied = outcomes.ties[mated] > 0
    measured = [point.fpir for point in points if point.measurable]
    bootstrap = bootstrap_tpir(
        accepted_scores(outcomes),
        outcomes.best[~mated],
        (searches.identity[mated], searches.identity[~mated]),
        fpirs=measured if asked.rounds else (),
        rounds=asked.rounds,
        seed=asked.seed,
    )
    precision = outcomes.precision[mated] if asked.template == "images" else np.zeros(0)
    found = float(precision @ searches.found_faces[mated]) if precision.size else 0.0
    return IdentificationEvaluation(
        rule=f"{rule or RULES[asked.template]}; {THRESHOLD_RULE}",
        template=asked.template,
        counts=counts,
        tied=int(tied.sum()),
        tied_first=int((tied & (outcomes.rank - outcomes.ties == 1)[mated]).sum()),
        cmc=rank_points(outcomes, counts, asked.ranks),
        tpir_at_fpir=points,
        fnir=miss_points(outcomes, counts, points, asked.ranks),
        mean_average_precision=float(precision.mean()) if precision.size else None,
        mean_average_precision_with_failures=found / counts.mated if precision.size else None,
        det=det_points(outcomes),
        curve=curve_over_people(outcomes, counts.people, points),
        bootstrap=bootstrap,
        outcomes=outcomes,
        searches=searches,
    )
