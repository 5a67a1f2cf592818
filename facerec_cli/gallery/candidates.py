"""What a search of vectors gives: the nearest people of each, and by a threshold at most one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, UsageError
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.threshold import Threshold


@dataclass(frozen=True, slots=True, eq=False)
class CandidatePeople:
    """The k nearest people of M probes, the nearest first.

    Attributes:
        names: What the N people are called.
        people: (M, k) int64, numbers of ``names``; -1 where the gallery has fewer than k people.
        scores: (M, k) float32, cosines, -1 to 1; -inf there.
        threshold: Gives the threshold of an FPIR at N people, for :meth:`decide`.
    """

    names: tuple[str, ...]
    people: NDArray[np.int64]
    scores: NDArray[np.float32]
    threshold: Callable[[float], SearchThreshold]

    @property
    def margins(self) -> NDArray[np.float32]:
        """(M,) float32: how much higher the first person scores than the second; inf where there is none."""
        if self.scores.shape[1] < 2:
            return np.full(len(self.scores), np.inf, np.float32)
        with np.errstate(invalid="ignore"):
            margins = self.scores[:, 0] - self.scores[:, 1]
        return np.where(np.isfinite(margins), margins, np.inf).astype(np.float32)

    def named(self, row: int) -> list[tuple[str, float]]:
        """The candidates of a probe as (name, score)."""
        pairs = zip(self.people[row].tolist(), self.scores[row].tolist(), strict=True)
        return [(self.names[person], score) for person, score in pairs if person >= 0]

    def decide(
        self, *, fpir: float | None = None, threshold: float | SearchThreshold | None = None
    ) -> list[str | None]:
        """For each probe the name of the first candidate if its score reaches the threshold, else None.

        Args:
            fpir: The share of searches for strangers that may give a name, above 0 and below 1.
            threshold: A score, or what was calibrated, instead of ``fpir``.

        Raises:
            UsageError: Not exactly one is given, or it is out of range or a threshold for two photos.
            InputError: Nothing supports a threshold at this rate.
        """
        if (fpir is None) == (threshold is None):
            raise UsageError("A decision takes either fpir or threshold.")
        if isinstance(threshold, Threshold):
            raise UsageError(
                f"The threshold {threshold.value:g} is one for two photos, and in a search it gives names to "
                f"strangers: each is compared with all {len(self.names):,} people.",
                hint="Give fpir, the share of strangers who may get a name.",
            )
        least = threshold if fpir is None else self.threshold(fpir)
        least = _value(least) if isinstance(least, SearchThreshold) else least
        assert least is not None, "one of them is given"
        first, scores = self.people[:, 0].tolist(), self.scores[:, 0].tolist()
        return [
            self.names[one] if one >= 0 and score >= least else None
            for one, score in zip(first, scores, strict=True)
        ]


def _value(found: SearchThreshold) -> float:
    if found.value is None:
        raise InputError(
            f"No threshold can be found: {found.reason}.",
            hint="Give threshold, a cosine that you trust, or a larger fpir.",
        )
    return found.value
