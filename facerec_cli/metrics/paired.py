"""Is model B better than model A? Both score the same pairs, so what the pairs have in common drops out.

The verdict rests on one figure, TAR at one FAR, and on a bootstrap over people: each round draws people with
replacement, the same ones for all models, finds each model's threshold anew and takes the difference. Models
differ where the interval of that difference does not hold 0. With more than two models the intervals of all
their pairs hold at once (Bonferroni), since somebody who looks often enough finds a difference by chance. The
other figures have intervals too, but no verdict.

McNemar's test is told beside it because papers do. It takes pairs as independent, which pairs that share a
person are not, so it calls models different too easily.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.evaluate import Evaluation, evaluate
from facerec_cli.metrics.paired_rounds import FigureKey, Figures, draw_figures
from facerec_cli.metrics.scores import Scores
from facerec_cli.progress import Progress, silent
from facerec_cli.threshold import DEFAULT_FARS

_ACCEPTED = 30
"""Impostors that the rate of a verdict accepts at least where it is chosen: a threshold that rests on a few
of them moves so much with the people drawn that no difference is ever seen."""


@dataclass(frozen=True, slots=True)
class PairedFigure:
    """One figure of two models on the same pairs.

    Attributes:
        figure: ``TAR``, ``EER`` or ``accuracy``; of searches ``TPIR`` or ``rank 1``.
        far: Of a TAR the FAR, of a TPIR the FPIR; None of others.
        first: The first model's, 0..1.
        second: The second model's.
        difference: ``second - first``.
        low: Lower end of the interval of the difference over people; None with the reason.
        high: Upper end.
        reason: Why there is no interval, else "".
    """

    figure: str
    far: float | None
    first: float
    second: float
    difference: float
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class McNemar:
    """Genuine pairs that one model accepts and the other rejects, each at its own threshold at one FAR.

    Attributes:
        far: The rate; of mated searches the FPIR, or None where the mate need only be first.
        only_first: Accepted by the first alone.
        only_second: Accepted by the second alone.
        p: Two-sided, exact (binomial), 0..1.
    """

    far: float | None
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, slots=True)
class PairedModels:
    """Two models compared.

    Attributes:
        first: Number of the first model.
        second: Number of the second.
        verdict: ``second is better``, ``first is better``, ``no difference shown`` or ``not measurable``.
        primary: The figure that the verdict rests on; None where no FAR is measurable.
        figures: All figures, the primary among them.
        mcnemar: At the same FAR; None where no FAR is measurable.
    """

    first: int
    second: int
    verdict: str
    primary: PairedFigure | None
    figures: tuple[PairedFigure, ...]
    mcnemar: McNemar | None


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Models on the same pairs, two by two.

    Attributes:
        evaluations: Of each model, on the pairs that all of them can score.
        pairs: Each two of the models.
        confidence: Of each interval, 0..1: 0.95 for two models, more for several.
        rounds: Of the bootstrap.
        far: Of the verdicts; None where none is measurable.
    """

    evaluations: tuple[Evaluation, ...]
    pairs: tuple[PairedModels, ...]
    confidence: float
    rounds: int
    far: float | None

    def document(self) -> dict[str, Any]:
        """The comparisons as plain values for JSON; the evaluations have documents of their own."""
        return {
            "far": self.far,
            "confidence": self.confidence,
            "rounds": self.rounds,
            "comparisons": [asdict(pair) for pair in self.pairs],
        }


def compare_scores(
    scores: Sequence[Scores],
    same: NDArray[np.bool_],
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    folds: NDArray[np.int64] | None = None,
    far: float | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    rounds: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> PairedComparison:
    """Compare models by their scores of the same pairs.

    Args:
        scores: For each of two or more models (P,) scores, the higher the more alike; finite.
        same: (P,) bool.
        people: (P,) int64 for each side, who is on it.
        folds: (P,) int64 for the accuracy; None makes them as ``evaluate`` does.
        far: Of the verdict; None takes the smallest that accepts 30 impostors, or else that is measurable.
        fars: The rates at which TAR is told.
        rounds: Of the bootstrap.
        seed: The same seed gives the same intervals.
        progress: Told the rounds done.

    Raises:
        InputError: Fewer than two models, or scores of another length than ``same``.
    """
    if len(scores) < 2:
        raise InputError("A comparison takes two models at least.")
    if any(len(one) != len(same) for one in scores):
        raise InputError("The models have scores of different pairs, so they cannot be compared.")
    rates = tuple(sorted({*fars, *(() if far is None else (far,))}))
    evaluations = tuple(evaluate(one, same, folds=folds, fars=rates) for one in scores)
    measured = [point.far for point in evaluations[0].measured_points]
    impostors = evaluations[0].impostor.size
    steady = [rate for rate in measured if rate * impostors >= _ACCEPTED * (1 - 1e-9)]
    chosen = far if far is not None else min(steady or measured, default=None)
    if chosen is not None and chosen not in measured:
        chosen = None
    couples = list(combinations(range(len(scores)), 2))
    confidence = 1 - 0.05 / len(couples)
    enough = len(np.unique(people[0][same])) >= MIN_PEOPLE
    draws: list[Figures] = []
    for number, (one, evaluation) in enumerate(zip(scores, evaluations, strict=True)):
        if not enough:
            break

        def told(done: int, total: int | None = None, number: int = number) -> None:
            progress(number * rounds + done, len(scores) * rounds)

        draws.append(draw_figures(one, same, people, evaluation, measured, folds, rounds, seed, told))
    compared = []
    for first, second in couples:
        figures = tuple(
            _figure(key, values, (draws[first], draws[second]) if enough else None, confidence)
            for key, values in _values(evaluations[first], evaluations[second], measured).items()
        )
        primary = (
            next((f for f in figures if f.figure == "TAR" and f.far == chosen), None) if chosen else None
        )
        mcnemar = None
        if chosen is not None:
            mcnemar = _mcnemar(
                chosen, scores[first], scores[second], evaluations[first], evaluations[second], same
            )
        compared.append(PairedModels(first, second, verdict_of(primary), primary, figures, mcnemar))
    return PairedComparison(evaluations, tuple(compared), confidence, rounds, chosen)


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p that two models which are equally good differ so much (exact binomial; McNemar 1947)."""
    total, least = only_first + only_second, min(only_first, only_second)
    if not total:
        return 1.0
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(least + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(log - total * math.log(2)) for log in logs))


def _values(
    first: Evaluation, second: Evaluation, measured: Sequence[float]
) -> dict[FigureKey, tuple[float, float]]:
    """The figures that both models have."""
    values: dict[FigureKey, tuple[float, float]] = {}
    for far in measured:
        one, other = first.point(far), second.point(far)
        assert one is not None and other is not None
        assert one.tar is not None and other.tar is not None
        values["TAR", far] = one.tar, other.tar
    if first.eer is not None and second.eer is not None:
        values["EER", None] = first.eer, second.eer
    if first.accuracy is not None and second.accuracy is not None:
        values["accuracy", None] = first.accuracy.mean, second.accuracy.mean
    return values


def _figure(
    key: FigureKey,
    values: tuple[float, float],
    draws: tuple[Figures, ...] | None,
    confidence: float,
) -> PairedFigure:
    figure, far = key
    plain = PairedFigure(figure, far, *values, values[1] - values[0])
    if draws is None:
        reason = f"not measurable over fewer than {MIN_PEOPLE} people with a same pair"
        return PairedFigure(figure, far, *values, plain.difference, reason=reason)
    differences = draws[1][key] - draws[0][key]
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(differences, [tail, 100 - tail])
    return PairedFigure(figure, far, *values, plain.difference, float(low), float(high))


def verdict_of(primary: PairedFigure | None) -> str:
    """The verdict that the interval of one figure carries."""
    if primary is None or primary.low is None or primary.high is None:
        return "not measurable"
    if primary.low > 0:
        return "second is better"
    return "first is better" if primary.high < 0 else "no difference shown"


def _mcnemar(
    far: float, one: Scores, other: Scores, first: Evaluation, second: Evaluation, same: NDArray[np.bool_]
) -> McNemar:
    thresholds = [point.threshold for evaluation in (first, second) if (point := evaluation.point(far))]
    accepted = [
        s[same] >= threshold
        for s, threshold in zip((one, other), thresholds, strict=True)
        if threshold is not None
    ]
    only_first, only_second = (int((a & ~b).sum()) for a, b in (accepted, accepted[::-1]))
    return McNemar(far, only_first, only_second, exact_mcnemar(only_first, only_second))
