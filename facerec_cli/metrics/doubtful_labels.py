"""Pairs that a list calls two people, though they look like one: named before an error rate is stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facerec_cli.metrics.doubtful import DoubtfulPair
from facerec_cli.metrics.impostor_tail import score_at
from facerec_cli.metrics.lookalikes import BY_CHANCE, SIGMAS, bound_by_chance
from facerec_cli.metrics.scores import Distribution
from facerec_cli.threshold import ImpostorTail
from facerec_cli.wording import counted

MOST = 1000
"""Pairs of people that are named at most, the most alike."""

_FEWEST = 100  # pairs of two people, of whom fewer do not tell what is usual among them
_SAME_PHOTO = 0.99  # what two photos hardly reach, of one person either


@dataclass(frozen=True, slots=True)
class DoubtfulLabels:
    """Pairs of two people, by their labels, that score higher than chance has it.

    Attributes:
        bound: The score from which on they are named.
        pairs: The most alike first, each two people once, at most :data:`MOST`; often none.
        names: What ``rows`` of the pairs are called, two for each.
    """

    bound: float
    pairs: tuple[DoubtfulPair, ...]
    names: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """How many there are, and what that means for the rates."""
        many = "or more " if len(self.pairs) == MOST else ""
        look, are = ("looks", "it is") if len(self.pairs) == 1 else ("look", "they are")
        return (
            f"{counted(len(self.pairs), 'pair')} {many}of different labels {look} like one person (score "
            f"{self.bound:.4f} or more; chance has {BY_CHANCE:g} such pairs in lists like this): if {are}, "
            "the FARs here are too high, and the thresholds of small FARs with them"
        )

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "bound": self.bound,
            "by_chance": BY_CHANCE,
            "count": len(self.pairs),
            "pairs": [
                {"first": first, "second": second, "score": pair.score}
                for pair, (first, second) in zip(self.pairs, self.names, strict=True)
            ],
        }


def doubtful_bound(
    impostor: Distribution, *, tail: ImpostorTail | None = None, threshold: float | None = None
) -> float | None:
    """The score from which on a pair of two people is rather one person.

    So high that 0.05 of so many pairs are expected to reach it, both by the normal distribution that goes on
    from the middle of their own scores, and by the model's impostor tail; and no lower than the model's
    threshold. Photos that are harder than the tail's are judged by their own scores, a few wrong labels among
    them do not move the middle; 0.99 is enough in any case.

    Args:
        impostor: The scores of the pairs of two people.
        tail: Of the model, where it has one.
        threshold: Of the model, where it has one.

    Returns:
        A cosine; None where there are fewer than 100 such pairs.
    """
    if impostor.size < _FEWEST:
        return None
    low, middle, high = (impostor.quantile(share) for share in SIGMAS)
    bounds = [bound_by_chance(low, middle, high, impostor.size)]
    if tail is not None:
        bounds.append(score_at(tail, BY_CHANCE / impostor.size))
    if threshold is not None:
        bounds.append(threshold)
    return min(max(bounds), _SAME_PHOTO)
