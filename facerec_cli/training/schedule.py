"""The learning rate as a function of the step; nothing to save, nothing to restore."""

from __future__ import annotations

import math

from facerec_cli.training.config import ScheduleSettings


def factor(settings: ScheduleSettings, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """What the learning rates are multiplied with at ``step`` (0-based), 0..1.

    Warm-up is linear over ``warmup`` epochs and reaches 1 with its last step; the shape then runs over what
    is left. ``step`` multiplies with ``gamma`` at each milestone (in epochs); ``polynomial`` is
    ``(1 - t) ** power`` as in insightface's trainer; ``cosine`` goes to 0.
    """
    warmup = round((settings.warmup or 0.0) * steps_per_epoch)
    if step < warmup:
        return (step + 1) / warmup
    if settings.name == "step":
        passed = sum(step >= round(m * steps_per_epoch) for m in settings.milestones)
        return float(settings.gamma**passed)
    done = (step - warmup) / max(
        total_steps - warmup, 1
    )  # 0 at the end of the warm-up, 1 after the last step
    if settings.name == "polynomial":
        return float((1 - done) ** settings.power)
    if settings.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0
