"""How long the runs of a study will take, from a few steps of each arm and a few embeddings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is left to do and how long it will take.

    Attributes:
        runs: How many are left.
        jobs: How many of them at the same time.
        steps: Arm -> steps of its training.
        seconds_a_step: Arm -> how long one of them takes.
        seconds_judging: How long judging one network takes.
        seconds: How long everything takes.
        warnings: What the arms' plans warn of.
    """

    runs: int
    jobs: int
    steps: Mapping[str, int]
    seconds_a_step: Mapping[str, float]
    seconds_judging: float
    seconds: float
    warnings: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The same in words."""
        judging = in_words(self.seconds_judging)
        if not self.steps:
            return [f"one network is left to judge, about {judging}"]
        steps, step = self.steps.values(), self.seconds_a_step.values()
        text = (
            f"{self.runs} runs are left, {min(steps)} to {max(steps)} steps of about "
            f"{min(step):.2f} to {max(step):.2f} s and {judging} of judging each: "
            f"about {in_words(self.seconds)} with {self.jobs} at a time"
        )
        return [text, *self.warnings]


def estimate(left: Sequence[Job], probe: Path, jobs: int) -> Estimate:
    """Measure a few steps and embeddings with the threads that a run will have.

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
            return Estimate(len(left), jobs, {}, {}, judging, judging)
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
    return Estimate(
        runs=len(left),
        jobs=jobs,
        steps={arm: one.steps for arm, one in plans.items()},
        seconds_a_step=step,
        seconds_judging=judging,
        seconds=seconds,
        warnings=tuple(f"{arm}: {warning}" for arm, one in plans.items() for warning in one.warnings),
    )


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
