"""The figures of a model when people are drawn with replacement, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.bootstrap import resampled_tar
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.folds import BALANCED, stratified_folds
from facerec_cli.metrics.scores import Scores
from facerec_cli.progress import Progress

Weights = NDArray[np.float64]
FigureKey = tuple[str, float | None]
"""``TAR`` with its FAR; ``EER`` and ``accuracy`` with None."""
Figures = dict[FigureKey, Weights]


def draw_figures(
    scores: Scores,
    same: NDArray[np.bool_],
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    evaluation: Evaluation,
    measured: Sequence[float],
    folds: NDArray[np.int64] | None,
    rounds: int,
    seed: int,
    progress: Progress,
) -> Figures:
    """Every figure of a model in each round; who is drawn depends on the seed alone."""
    tar = resampled_tar(scores, same, people, fars=measured, rounds=rounds, seed=seed)
    drawn: Figures = {("TAR", far): tar[:, i] for i, far in enumerate(measured)}
    others: dict[FigureKey, Callable[[Weights], float]] = {}
    if evaluation.eer is not None:
        others["EER", None] = _weighted_eer(scores, same)
    if evaluation.accuracy is not None:
        others["accuracy", None] = _weighted_accuracy(scores, same, evaluation, folds)
    for key in others:
        drawn[key] = np.full(rounds, np.nan)
    random = np.random.default_rng(seed)  # the same draws as of resampled_tar
    count = 1 + int(max(side.max() for side in people))
    for r in range(rounds):
        times = np.bincount(random.integers(0, count, count), minlength=count)
        weights = np.where(same, times[people[0]], times[people[0]] * times[people[1]]).astype(np.float64)
        if weights[same].any() and weights[~same].any():
            for key, measure in others.items():
                drawn[key][r] = measure(weights)
        progress(r + 1, rounds)
    return drawn


def _weighted_eer(scores: Scores, same: NDArray[np.bool_]) -> Callable[[Weights], float]:
    """The equal error rate of weighted pairs, as ``roc.equal_error_rate`` has it of plain ones."""
    order = np.argsort(-scores, kind="stable")
    genuine = same[order]
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of equal scores the last

    def measure(weights: Weights) -> float:
        w = weights[order]
        accepted = np.cumsum(np.where(genuine, 0, w))[ends]
        rejected = np.cumsum(np.where(genuine, w, 0))[ends]
        far = np.append(0, accepted / accepted[-1])
        frr = np.append(1, 1 - rejected / rejected[-1])
        at = int(np.argmax(far >= frr))
        before = frr[at - 1] - far[at - 1]
        share = before / (before + far[at] - frr[at])
        return float(far[at - 1] + share * (far[at] - far[at - 1]))

    return measure


def _weighted_accuracy(
    scores: Scores, same: NDArray[np.bool_], evaluation: Evaluation, folds: NDArray[np.int64] | None
) -> Callable[[Weights], float]:
    """The share of weighted pairs that the folds' thresholds get right; the thresholds stay as they are."""
    accuracy = evaluation.accuracy
    assert accuracy is not None
    fold = stratified_folds(same) if folds is None else folds
    assert fold is not None
    right = np.zeros(len(same), bool)
    for one in accuracy.folds:
        members = fold == one.fold
        right[members] = (scores[members] >= one.threshold) == same[members]

    def measure(weights: Weights) -> float:
        if accuracy.kind == BALANCED:
            shares = [float(weights[c] @ right[c] / weights[c].sum()) for c in (same, ~same)]
            return sum(shares) / 2
        return float(weights @ right / weights.sum())

    return measure
