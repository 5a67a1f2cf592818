"""How long the runs of a study will take, from a few steps of each arm and a few embeddings."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from facerec_cli.errors import FacerecError, InputError
from facerec_cli.study.embeddings import embed_speed
from facerec_cli.study.first_weights import starts_at_means
from facerec_cli.study.protocol import BEFORE
from facerec_cli.study.run import Job
from facerec_cli.study.subsets import conditions_of
from facerec_cli.training.compose import changed
from facerec_cli.training.defaults import PHOTOS_OF_EACH

_STEPS = 3  # the first of them is not counted: it is slower than the others


def estimate(left: Sequence[Job], probe: Path, jobs: int) -> list[str]:
    """Measure with the threads that a run will have, and say it in words; then what an arm's plan warns of.

    Args:
        left: The runs to come.
        probe: A folder for trials; it is gone afterwards.
        jobs: Runs at the same time.

    Raises:
        InputError: An arm's first steps fail; the message names it.
    """
    import torch

    from facerec_cli.training.train import plan

    before = torch.get_num_threads()
    torch.set_num_threads(left[0].threads or before)
    try:
        speed = embed_speed(left[0].recipe, left[0].materials)
        judging = _photos_judged(left[0]) / speed
        arms = {job.arm: job for job in left if job.arm != BEFORE}
        if not arms:
            return [f"one network is left to judge, about {in_words(judging)}"]
        plans, step = {}, {}
        for arm, job in arms.items():
            try:
                plans[arm] = plan(job.full_recipe())
                step[arm] = _seconds_a_step(job, probe)
            except FacerecError as fault:
                raise InputError(
                    f"[arms.{arm}] cannot be trained: {fault.message}", hint=fault.hint
                ) from fault
    finally:
        torch.set_num_threads(before)
        shutil.rmtree(probe, ignore_errors=True)
    runs = [plans[job.arm].steps * step[job.arm] for job in left if job.arm != BEFORE]
    rounds = -(-len(left) // jobs)  # the last ones may leave cores idle
    seconds = rounds * (sum(runs) / len(left) + judging)
    if any(starts_at_means(job.recipe) for job in arms.values()):
        most = max(plans.values(), key=lambda one: one.images)
        seconds += min(most.images, PHOTOS_OF_EACH * most.classes) / speed
    counts = [one.steps for one in plans.values()]
    text = (
        f"{len(left)} runs are left, {min(counts)} to {max(counts)} steps of about "
        f"{min(step.values()):.2f} to {max(step.values()):.2f} s and {in_words(judging)} of judging each: "
        f"about {in_words(seconds)} with {jobs} at a time"
    )
    return [text, *(f"{arm}: {warning}" for arm, one in plans.items() for warning in one.warnings)]


def in_words(seconds: float) -> str:
    """Seconds or minutes, such as "3 min"."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _photos_judged(job: Job) -> int:
    """How many embeddings a run's verdict and interpolation take."""
    materials, settings = job.materials, job.settings
    photos = len(materials.judged.paths) * len(conditions_of(materials.subsets))
    photos += len(set(materials.pairs) - set(materials.judged.paths))
    if job.recipe.backbone.init and settings.interpolate != (1.0,):
        own = len(materials.validation.paths) * len(conditions_of(settings.subsets))
        photos += own * len(settings.interpolate)
    return photos


def _seconds_a_step(job: Job, probe: Path) -> float:
    from facerec_cli.training.report import Event, Logged, Stopping
    from facerec_cli.training.train import train

    recipe = job.full_recipe()
    for key, value in (
        ("run.out", str(probe)),
        ("run.log_every", 1),
        ("schedule.steps", _STEPS),
        ("loss.class_weights", "random"),  # the means are made once, not here
    ):
        recipe = changed(recipe, key, value)
    clock: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Logged):
            clock.append(event.seconds)
        elif isinstance(event, Stopping):
            raise KeyboardInterrupt  # at once: a trial has nothing to save

    train(recipe, force=True, observer=note)
    return (clock[-1] - clock[0]) / (len(clock) - 1)
