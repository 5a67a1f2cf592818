"""How good the likelihood ratios of labeled scores are on pairs that they were not fitted on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.counted_scores import CountedScores, Labels, Numbers, checked, score_levels
from facerec_cli.metrics.likelihood import FITS, Calibration, Method, cllr, cost_of, least_cost, parameters
from facerec_cli.metrics.likelihood_curves import ReliabilityPoint, reliability

#: Into so many groups people are cut where a list has no folds.
GROUPS = 5


@dataclass(frozen=True, slots=True)
class LikelihoodEvaluation:
    """A calibration of all labeled scores, and what it is worth on pairs that were left out.

    ``cllr`` and ``reliability`` are of ratios as they would be stated, within bounds, each from a calibration
    on other pairs: those of the other folds where the list has folds; else people are cut into five groups in
    the order of their first pair, and a pair is judged by what was fitted on pairs without anybody of the
    groups of its two people. Of pairs that are only counted nothing can be left out.

    Attributes:
        model: Fitted on all scores.
        same_pairs: Pairs of one person with a score.
        different_pairs: Pairs of two people.
        people: How many people the former show.
        person_pairs: How many pairs of two people the latter show.
        held_out: What is left out together: ``folds`` of the list, ``people``, or ``nothing``.
        method: ``logistic`` or ``isotonic``, of the model, ``cllr`` and ``reliability``.
        cllr_of: Method -> Cllr in bits, both measured alike.
        min_cllr: In bits, the lowest that any monotone function of the scores could have here.
        reliability: Stated and observed ratios.
        stated: The ratios that were stated of all pairs, natural logarithms.
    """

    model: Calibration
    same_pairs: int
    different_pairs: int
    people: int
    person_pairs: int
    held_out: str
    method: Method
    cllr_of: Mapping[Method, float]
    min_cllr: float
    reliability: tuple[ReliabilityPoint, ...] = field(repr=False)
    stated: CountedScores = field(repr=False, compare=False)

    @property
    def cllr(self) -> float:
        """In bits, of the method."""
        return self.cllr_of[self.method]

    @property
    def calibration_loss(self) -> float:
        """What the calibration costs, in bits: ``cllr`` less ``min_cllr``."""
        return self.cllr - self.min_cllr

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "method": self.method,
            **parameters(self.model),
            "low": self.model.low,
            "high": self.model.high,
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
            "cllr_of": dict(self.cllr_of),
            "reliability": [asdict(point) for point in self.reliability],
        }


def evaluate_likelihood(
    scores: ArrayLike,
    same: ArrayLike,
    people: tuple[Numbers, Numbers],
    *,
    folds: Numbers | None = None,
    method: Method = "logistic",
) -> LikelihoodEvaluation | str:
    """Calibrate, and measure the calibration on pairs that are left out.

    Args:
        scores: (P,) of pairs with a score.
        same: (P,) bool.
        people: (P,) int64 for each side, who it is.
        folds: (P,) int64 of the list; None cuts people into groups.
        method: ``logistic`` or ``isotonic``.

    Returns:
        The evaluation, or why there is none.
    """
    try:
        s, label = checked(scores, same)
    except InputError as error:
        return _reason(error)
    unit, (values, index) = _units(people, label), score_levels(s)

    def part(mask: Labels) -> tuple[CountedScores, int, int]:
        return CountedScores.at(values, index[mask], label[mask]), *_count(unit, label, mask)

    whole = evaluate_counted(*part(np.ones(s.size, bool)), method)
    if isinstance(whole, str):
        return whole
    stated = {name: np.empty(s.size) for name in FITS}
    for inside, others in _parts(s.size, people, folds):
        known = part(others)
        if not all(known[0].sizes):
            return "what is left without one of its folds, or some people, has pairs of one kind only"
        for name, fit in FITS.items():
            try:
                stated[name][inside] = fit(*known).llr(values)[index[inside]]
            except InputError as error:
                return _reason(error)
    return replace(
        whole,
        held_out="people" if folds is None else "folds",
        cllr_of={name: cllr(ratios, label) for name, ratios in stated.items()},
        **_as_stated(CountedScores.at(*np.unique(stated[method], return_inverse=True), label)),
    )


def evaluate_counted(
    counted: CountedScores, people: int, person_pairs: int, method: Method = "logistic"
) -> LikelihoodEvaluation | str:
    """Calibrate scores that are counted, and measure the calibration on the same scores.

    Args:
        counted: The scores.
        people: How many people the genuine pairs show.
        person_pairs: How many pairs of two people the impostor pairs show.
        method: ``logistic`` or ``isotonic``.

    Returns:
        The evaluation, or why there is none.
    """
    if people < MIN_PEOPLE:
        return f"not measurable over {people} people with a same pair; it takes {MIN_PEOPLE}"
    if not counted.impostor.any():
        return "there is no different pair with a score"
    try:
        models = {name: fit(counted, people, person_pairs) for name, fit in FITS.items()}
    except InputError as error:
        return _reason(error)
    model = models[method]
    if model.low == model.high:
        return "the data carry no likelihood ratio but 1"
    stated = {name: replace(counted, values=one.llr(counted.values)) for name, one in models.items()}
    return LikelihoodEvaluation(
        model=model,
        same_pairs=counted.sizes[0],
        different_pairs=counted.sizes[1],
        people=people,
        person_pairs=person_pairs,
        held_out="nothing",
        method=method,
        cllr_of={name: cost_of(ratios) for name, ratios in stated.items()},
        min_cllr=least_cost(counted),
        **_as_stated(stated[method]),
    )


def _as_stated(stated: CountedScores) -> dict[str, Any]:
    return {"reliability": reliability(stated), "stated": stated}


def _reason(error: InputError) -> str:
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
