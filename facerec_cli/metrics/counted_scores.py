"""Labeled scores counted at their distinct values, on which calibrations are fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.scores import Distribution

#: Up to this many scores each value counts for itself; more are rounded to 65,536 values from the lowest to
#: the highest score, 0.00003 apart for cosines.
EXACT_SCORES = 1 << 17

_LEVELS = 1 << 16

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CountedScores:
    """How many scores, or log likelihood ratios, of each class there are at each value.

    Attributes:
        values: (V,) ascending.
        genuine: (V,) int64, pairs of one person.
        impostor: (V,) int64, pairs of two people; a value has at least one of both kinds.
    """

    values: Floats
    genuine: Numbers
    impostor: Numbers

    @classmethod
    def at(cls, values: Floats, index: NDArray[np.intp], same: Labels) -> CountedScores:
        """Count pairs whose scores are ``values[index]``."""
        genuine, impostor = (np.bincount(index[part], minlength=values.size) for part in (same, ~same))
        used = (genuine > 0) | (impostor > 0)
        return cls(values[used], genuine[used], impostor[used])

    @property
    def sizes(self) -> tuple[int, int]:
        """How many pairs of one person and of two."""
        return int(self.genuine.sum()), int(self.impostor.sum())

    def pooled(self) -> tuple[Floats, Numbers, Numbers]:
        """Values pooled until the share of genuine pairs rises from one to the next.

        Adjacent violators are pooled (Ayer et al. 1955), and so are neighbors of one share. Shares are
        compared as whole numbers, so the result is exact.

        Returns:
            The lowest score of each step, and how many pairs of each class it has.
        """
        kind = np.where(self.genuine == 0, -1, np.where(self.impostor == 0, 1, 0))
        # Neighbors of one class only are pooled first: this leaves few of a million values to walk through.
        first = np.flatnonzero(np.concatenate(([True], (kind[1:] != kind[:-1]) | (kind[1:] == 0))))
        columns = (first, np.add.reduceat(self.genuine, first), np.add.reduceat(self.impostor, first))
        steps: list[tuple[int, int, int]] = []
        for start, g, i in zip(*(column.tolist() for column in columns), strict=True):
            while steps and steps[-1][1] * i >= g * steps[-1][2]:  # no lower a share than this one's
                before = steps.pop()
                start, g, i = before[0], g + before[1], i + before[2]
            steps.append((start, g, i))
        at, genuine, impostor = (np.array(column, np.int64) for column in zip(*steps, strict=True))
        return self.values[at], genuine, impostor


def checked(scores: ArrayLike, same: ArrayLike, *, infinite: bool = False) -> tuple[Floats, Labels]:
    """Scores and labels as arrays of one length with both classes.

    Raises:
        InputError: They are none.
    """
    s, label = np.asarray(scores, np.float64), np.asarray(same, bool)
    if s.ndim != 1 or s.shape != label.shape:
        raise InputError("Scores and labels must be one-dimensional and of one length.")
    bad = np.isnan(s) if infinite else ~np.isfinite(s)
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {s.size} scores are NaN{'' if infinite else ' or infinite'}, the first at "
            f"position {int(np.argmax(bad))}.",
            hint="Leave out pairs that could not be scored.",
        )
    for missing, there in (("one person", label), ("two people", ~label)):
        if not there.any():
            raise InputError(f"A likelihood ratio takes pairs of both kinds; there is none of {missing}.")
    return s, label


def score_levels(scores: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """The values of scores, ascending, and the index of each score's own; see ``EXACT_SCORES``."""
    if scores.size <= EXACT_SCORES:
        values, index = np.unique(scores, return_inverse=True)
        return np.asarray(values, np.float64), index
    low, high = float(scores.min()), float(scores.max())
    step = (high - low) / (_LEVELS - 1) or 1.0
    return np.asarray(low + step * np.arange(_LEVELS), np.float64), np.rint((scores - low) / step).astype(
        np.intp
    )


def count_scores(scores: Floats, same: Labels) -> CountedScores:
    """Count (P,) finite scores with their (P,) labels."""
    return CountedScores.at(*score_levels(scores), same)


def of_distributions(genuine: Distribution, impostor: Distribution) -> CountedScores:
    """Scores of which only the fine bins are known, at the middle of each bin."""
    binning = genuine.binning
    values = binning.low + (np.arange(binning.bins) + 0.5) * (binning.high - binning.low) / (binning.bins - 1)
    used = (genuine.histogram > 0) | (impostor.histogram > 0)
    return CountedScores(values[used], genuine.histogram[used], impostor.histogram[used])
