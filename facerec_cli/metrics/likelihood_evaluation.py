"""How good the likelihood ratios of labeled scores are on pairs that they were not fitted on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.counted_scores import CountedScores, Floats, Labels, Numbers, checked, score_levels
from facerec_cli.metrics.likelihood import LikelihoodModel, cllr, least_cost, line_of, stairs_of
from facerec_cli.metrics.likelihood_curves import ReliabilityPoint, reliability

#: Into so many groups people are cut where a list has no folds.
GROUPS = 5


@dataclass(frozen=True, slots=True)
class LikelihoodEvaluation:
    """A calibration of all labeled scores, and what it is worth on pairs that were left out.

    ``cllr`` and ``reliability`` are of ratios as they would be stated, within bounds, each from a calibration
    on other pairs: those of the other folds where the list has folds; else people are cut into five groups in
    the order of their first pair, and a pair is judged by what was fitted on pairs without anybody of the
    groups of its two people.

    Attributes:
        model: Fitted on all scores.
        same_pairs: Pairs of one person with a score.
        different_pairs: Pairs of two people.
        people: How many people the former show.
        person_pairs: How many pairs of two people the latter show.
        held_out: What is left out together: ``folds`` of the list, or ``people``.
        cllr: In bits, of logistic regression.
        isotonic_cllr: In bits, of isotonic regression.
        min_cllr: In bits, the lowest that any monotone function of the scores could have here.
        reliability: Stated and observed ratios.
        llr: (P,) what was stated of each pair, natural logarithms.
        same: (P,) bool.
    """

    model: LikelihoodModel
    same_pairs: int
    different_pairs: int
    people: int
    person_pairs: int
    held_out: str
    cllr: float
    isotonic_cllr: float
    min_cllr: float
    reliability: tuple[ReliabilityPoint, ...] = field(repr=False)
    llr: Floats = field(repr=False, compare=False)
    same: Labels = field(repr=False, compare=False)

    @property
    def calibration_loss(self) -> float:
        """What the calibration costs, in bits: ``cllr`` less ``min_cllr``."""
        return self.cllr - self.min_cllr

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "method": "logistic",
            **asdict(self.model),
            "lowest_ratio": math.exp(self.model.low),
            "highest_ratio": math.exp(self.model.high),
            "same_pairs": self.same_pairs,
            "different_pairs": self.different_pairs,
            "people": self.people,
            "person_pairs": self.person_pairs,
            "held_out": self.held_out,
            "cllr": self.cllr,
            "min_cllr": self.min_cllr,
            "calibration_loss": self.calibration_loss,
            "isotonic_cllr": self.isotonic_cllr,
            "reliability": [asdict(point) for point in self.reliability],
        }


def evaluate_likelihood(
    scores: ArrayLike,
    same: ArrayLike,
    people: tuple[Numbers, Numbers],
    *,
    folds: Numbers | None = None,
) -> LikelihoodEvaluation | str:
    """Calibrate, and measure the calibration on pairs that are left out.

    Args:
        scores: (P,) of pairs with a score.
        same: (P,) bool.
        people: (P,) int64 for each side, who it is.
        folds: (P,) int64 of the list; None cuts people into groups.

    Returns:
        The evaluation, or why there is none.
    """
    try:
        s, label = checked(scores, same)
        unit = _units(people, label)
        counts = _count(unit, label, np.ones(s.size, bool))
        if counts[0] < MIN_PEOPLE:
            return f"not measurable over {counts[0]} people with a same pair; it takes {MIN_PEOPLE}"
        values, index = score_levels(s)
        counted = CountedScores.at(values, index, label)
        model = line_of(counted, people=counts[0], person_pairs=counts[1])
        if model.low == model.high:
            return "the data carry no likelihood ratio but 1"
        stated, stairs = np.empty(s.size), np.empty(s.size)
        for inside, others in _parts(s.size, people, folds):
            units = dict(zip(("people", "person_pairs"), _count(unit, label, others), strict=True))
            known = CountedScores.at(values, index[others], label[others])
            if not all(known.sizes):
                raise InputError("Without a part of the people one kind of pairs has no score.")
            stated[inside] = line_of(known, **units).llr(values)[index[inside]]
            stairs[inside] = stairs_of(known, **units).llr(values)[index[inside]]
        return LikelihoodEvaluation(
            model=model,
            same_pairs=counted.sizes[0],
            different_pairs=counted.sizes[1],
            people=counts[0],
            person_pairs=counts[1],
            held_out="people" if folds is None else "folds",
            cllr=cllr(stated, label),
            isotonic_cllr=cllr(stairs, label),
            min_cllr=least_cost(counted),
            reliability=reliability(stated, label),
            llr=stated,
            same=label,
        )
    except InputError as error:
        return error.message[0].lower() + error.message[1:].rstrip(".")


def _parts(
    pairs: int, people: tuple[Numbers, Numbers], folds: Numbers | None
) -> Iterator[tuple[Labels, Labels]]:
    """Pairs that are judged together, and those on which is fitted what they are judged by, as masks (P,)."""
    if folds is not None:
        for fold in np.unique(folds):
            yield folds == fold, folds != fold
        return
    both = np.stack(people, axis=1).reshape(-1)  # in the order of the list
    _, first, person = np.unique(both, return_index=True, return_inverse=True)
    order = np.empty(first.size, np.int64)
    order[np.argsort(first)] = np.arange(first.size)
    group = (order * GROUPS // first.size).astype(np.uint8)[person].reshape(pairs, 2)
    low, high = np.minimum(group[:, 0], group[:, 1]), np.maximum(group[:, 0], group[:, 1])
    for a in range(GROUPS):
        for b in range(a, GROUPS):
            inside = (low == a) & (high == b)
            if inside.any():
                yield inside, (low != a) & (low != b) & (high != a) & (high != b)


def _units(people: tuple[Numbers, Numbers], same: Labels) -> Numbers:
    """(P,) the person that a genuine pair shows, or the two people of an impostor pair, as numbers from 0."""
    first, second = people
    pair = np.minimum(first, second) * (int(max(first.max(), second.max())) + 1) + np.maximum(first, second)
    units = np.empty(same.size, np.int64)
    for part, who in ((same, first), (~same, pair)):
        units[part] = np.unique(who[part], return_inverse=True)[1]
    return units


def _count(units: Numbers, same: Labels, of: Labels) -> tuple[int, int]:
    """How many people the genuine pairs of a mask show, and how many pairs of two people the others."""
    genuine, impostor = (np.count_nonzero(np.bincount(units[of & part])) for part in (same, ~same))
    return int(genuine), int(impostor)
