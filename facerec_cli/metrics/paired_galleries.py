"""How much a difference between two models owes to the people who happen to be enrolled.

Drawing the people who are searched for says nothing of the gallery: each enrolled person may be taken for
many others, with one model and not with the other. The people of a gallery lie in a drawn order, and a search
has noted the highest score of another person in each n of them, one after the other (the galleries of the
curve over N). So what each search had returned without one such group is known, and how the difference
changes with the groups that are left out is the delete-a-group jackknife (Kott 2001).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.identification_counting import least_threshold
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.scores import Scores
from facerec_cli.metrics.searches import SearchOutcomes

_GROUPS = 4  # at least, or a variance of them says little


def gallery_variance(
    first: IdentificationEvaluation, second: IdentificationEvaluation, fpir: float | None
) -> float:
    """The variance of the difference of two models over the people of the gallery.

    Args:
        first: One model's searches.
        second: The other's, the same ones.
        fpir: Of the TPIR, whose threshold is found anew without each group; None for the rate at rank 1.

    Returns:
        0 where the gallery is too small for four groups, or each probe joins it in turn.
    """
    people = first.counts.people
    sizes = {n: scores.shape[1] for n, scores in first.outcomes.subsets.items() if scores.shape[1] >= _GROUPS}
    if not sizes:
        return 0.0
    n = max(sizes, key=lambda size: (size * sizes[size], -size))
    rates = [_without_groups(one.outcomes, n, fpir) for one in (first, second)]
    changes = rates[1] - rates[0]
    # Of N people whose shares of the difference add up, a group has n.
    return float(np.var(changes, ddof=1)) * people / n


def _without_groups(outcomes: SearchOutcomes, n: int, fpir: float | None) -> NDArray[np.float64]:
    """(groups,) the rate where each of the groups of n people is left out, except who is searched for."""
    groups, mated = outcomes.subsets[n], outcomes.mated
    mate, rates = outcomes.mate[mated], []
    for left_out in range(groups.shape[1]):
        others = np.delete(groups, left_out, axis=1).max(axis=1)
        best: Scores = np.where(groups[:, left_out] < outcomes.best, outcomes.best, others)
        found = mate > best[mated]
        if fpir is not None:
            found = found & (mate >= least_threshold(fpir, best[~mated], mate))
        rates.append(float(found.mean()))
    return np.array(rates)
