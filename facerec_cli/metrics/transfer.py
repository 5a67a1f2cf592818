"""Whether the threshold of a model stands for its false accept rate on other pairs than it was chosen on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.people_interval import SharedPairs
from facerec_cli.metrics.roc import pairs_needed, wilson_interval
from facerec_cli.threshold import Threshold, data_name
from facerec_cli.wording import counted

_CHANCE = 0.025  # as the upper end of a 95 % interval has it


@dataclass(frozen=True, slots=True)
class ThresholdTransfer:
    """The rates of some pairs at the threshold that a model comes with.

    Attributes:
        value: The model's threshold; accept when score >= value.
        far: The false accept rate that it is documented to stand for, above 0 and below 1.
        data: The pairs that it was chosen on.
        measured_far: The share of accepted impostor pairs here; None without one.
        far_low: Lower end of its 95 % interval, over people where it is known who is on the pairs.
        far_high: Upper end.
        tar: The share of accepted genuine pairs here; None without one.
        tar_low: Lower end of its interval, likewise.
        tar_high: Upper end.
        holds: Whether the interval of the FAR has ``far`` in it or lies below; None where too few pairs tell.
        sentence: All this for a person.
    """

    value: float
    far: float
    data: str
    measured_far: float | None
    far_low: float | None
    far_high: float | None
    tar: float | None
    tar_low: float | None
    tar_high: float | None
    holds: bool | None
    sentence: str


def transfer(
    threshold: Threshold, evaluation: Evaluation, people: tuple[SharedPairs, SharedPairs] | None = None
) -> ThresholdTransfer | None:
    """Hold a model's threshold against pairs.

    Fewer impostor pairs than 3 / FAR (rule of three) cannot show that the threshold holds. That it does not,
    they can: where so many are accepted as chance would have in less than one of 40 such lists, and the
    interval lies above the rate.

    Args:
        threshold: Of the model.
        evaluation: Of the pairs, made with ``threshold.value`` among its ``thresholds``.
        people: How pairs of one person and of two, and those that are accepted, lie among people; without it
            pairs are taken as independent, which is too sure where they share people.

    Returns:
        The rates; None where nobody knows which rate the threshold stands for.
    """
    if threshold.far is None:
        return None
    wrong, accepted = (kind.accepted(threshold.value) for kind in (evaluation.impostor, evaluation.genuine))
    genuine, impostor = people or (None, None)
    far = _rate(wrong, evaluation.impostor.size, impostor)
    tar = _rate(accepted, evaluation.genuine.size, genuine)
    pairs = evaluation.impostor.size
    holds: bool | None = None
    is_above = far[1] is not None and far[1] > threshold.far
    if pairs >= pairs_needed(threshold.far):
        holds = not is_above
    elif is_above and _by_chance(wrong, pairs * threshold.far) < _CHANCE:
        holds = False
    return ThresholdTransfer(
        threshold.value,
        threshold.far,
        threshold.data,
        *far,
        *tar,
        holds,
        _sentence(threshold.value, threshold.far, threshold.data, far, tar, holds, pairs),
    )


_Rate = tuple[float | None, float | None, float | None]


def _rate(accepted: int, pairs: int, people: SharedPairs | None) -> _Rate:
    """A share with its interval; nothing of no pairs."""
    if not pairs:
        return None, None, None
    return accepted / pairs, *(wilson_interval(accepted, pairs) if people is None else people.interval())


def _by_chance(count: int, expected: float) -> float:
    """How likely ``count`` or more are where ``expected`` are, up to 3 (Poisson)."""
    below = sum(math.exp(-expected) * expected**i / math.factorial(i) for i in range(min(count, 50)))
    return 1 - below


def _sentence(
    value: float, far: float, data: str, measured: _Rate, tar: _Rate, holds: bool | None, pairs: int
) -> str:
    on = data_name(data)
    text = f"the model's threshold {value:.4f} stands for FAR {far:g}" + (f" ({on})" if on else "")
    found = []
    if measured[0] is not None:
        found.append("FAR {:.3g} ({:.3g} to {:.3g})".format(*measured))
    if tar[0] is not None:
        found.append("TAR {:.2%} ({:.2%} to {:.2%})".format(*tar))
    text += f"; on these pairs it has {' and '.join(found)}"
    if holds is None:
        seen = counted(pairs, "different pair")
        return f"{text}: whether it holds here cannot be seen with {seen}, it takes {pairs_needed(far):,}"
    return f"{text}: {'it holds here' if holds else 'it does not hold here'}"
