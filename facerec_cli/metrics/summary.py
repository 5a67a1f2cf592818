"""Which figures of an evaluation there are, and why others are missing: one rule for terminal and page."""

from __future__ import annotations

from facerec_cli.metrics.statistics import Evaluation, OperatingPoint
from facerec_cli.wording import counted, one_in

_NAMES = {"accuracy": "accuracy", "eer": "EER", "auc": "AUC", "d_prime": "d′"}


def measured_points(evaluation: Evaluation) -> tuple[OperatingPoint, ...]:
    """The points of ``tar_at_far`` that have a TAR, in their order."""
    return tuple(point for point in evaluation.tar_at_far if point.tar is not None)


def not_measured(evaluation: Evaluation) -> tuple[str, ...]:
    """A sentence for each reason why figures are missing; nothing where all are there.

    What has one reason is one sentence: six rates that a short list cannot tell are one line, not six.
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in evaluation.not_measurable.items():
        reasons.setdefault(reason, []).append(_NAMES.get(name, name))
    missing = [point for point in evaluation.tar_at_far if point.tar is None]
    few = [point.far for point in missing if not _enough(evaluation, point.far)]
    for point in missing:
        if point.far not in few:
            reasons.setdefault(point.reason, []).append(f"TAR at FAR {one_in(point.far)}")
    sentences = [f"{', '.join(names)}: not measurable: {reason}." for reason, names in reasons.items()]
    if few:
        pairs = counted(evaluation.pairs.different - evaluation.pairs.failed_different, "different pair")
        lower = f" and {counted(len(few) - 1, 'lower rate')}" if len(few) > 1 else ""
        sentences.append(
            f"TAR at FAR {one_in(max(few))}{lower}: not measurable with {pairs}; "
            f"it takes 3 / FAR of them, here {_needed(max(few)):,}."
        )
    return tuple(sentences)


def _enough(evaluation: Evaluation, far: float) -> bool:
    """Whether there are different pairs enough for ``far``."""
    return evaluation.pairs.different - evaluation.pairs.failed_different >= _needed(far)


def _needed(far: float) -> int:
    return int(-(-(3 - 1e-9) // far)) if far else 0
