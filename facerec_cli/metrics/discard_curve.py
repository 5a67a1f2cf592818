"""What is left of the errors when pairs of the worst quality are discarded; ``discard.py`` measures it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SHARES = tuple(step / 100 for step in range(31))
"""The shares of the same pairs that are discarded: up to 30 %."""


@dataclass(frozen=True, slots=True)
class DiscardPoint:
    """What is left when a share of the same pairs is discarded.

    Attributes:
        discarded: The share, 0..1.
        fnmr: False non-match rate of the same pairs that are left.
        limit: For ``--min-quality``: midway between the best quality of which all pairs are discarded and the
            next; None where there is none.
        fmr: False match rate of the different pairs whose photos both keep to the limit; None where none is.
        different_left: The share of the different pairs that do.
    """

    discarded: float
    fnmr: float
    limit: float | None
    fmr: float | None
    different_left: float


@dataclass(frozen=True, slots=True)
class DiscardCurve:
    """What discarding by one measure does.

    Attributes:
        measure: One of ``MEASURES``.
        same_pairs: Pairs of one person of which it is known.
        unknown: Others, which are left out.
        false_rejects: Of ``same_pairs``.
        people: How many they show.
        points: One for each of ``SHARES``.
        gain: By what part the mean FNMR over the curve is below that of discarding at random: 0 for a measure
            that knows nothing, negative for one that is wrong.
        low: Lower end of the interval of ``gain`` over people.
        high: Upper end.
        predicts: Whether the interval lies above 0.
        reason: Why there is no curve, else "".
    """

    measure: str
    same_pairs: int
    unknown: int
    false_rejects: int
    people: int
    points: tuple[DiscardPoint, ...] = ()
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    predicts: bool = False
    reason: str = ""

    def at(self, share: float) -> DiscardPoint:
        """The point at one of ``SHARES``."""
        return next(point for point in self.points if abs(point.discarded - share) < 1e-9)


@dataclass(frozen=True, slots=True)
class DiscardReport:
    """The curves of all measures at one threshold.

    Attributes:
        threshold: A pair is accepted when its score is at least this.
        far: The false accept rate that it stands for on all pairs.
        confidence: That all intervals hold together: that of each is 1 - (1 - confidence) / measures.
        rounds: Of the bootstrap.
        curves: In the order of the measures.
    """

    threshold: float
    far: float
    confidence: float
    rounds: int
    curves: tuple[DiscardCurve, ...]

    @property
    def predicting(self) -> tuple[DiscardCurve, ...]:
        """Measures that foretell false rejects here, the best first."""
        found = [curve for curve in self.curves if curve.predicts]
        return tuple(sorted(found, key=lambda curve: -(curve.gain or 0)))

    def sentence(self) -> str:
        """What the curves say, for a person."""
        best = self.predicting
        if not any(curve.points for curve in self.curves):
            return f"which quality foretells errors is not measurable: {self.curves[0].reason}"
        if not best:
            return "no measure of quality foretells false rejects here"
        first = best[0]
        more = f" (also {', '.join(curve.measure for curve in best[1:])})" if len(best) > 1 else ""
        return (
            f"{first.measure} foretells false rejects here{more}: without the worst 10% of the same pairs "
            f"the false non-match rate at FAR {self.far:g} is {first.at(0.1).fnmr:.2%} instead of "
            f"{first.at(0).fnmr:.2%}"
        )

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)
