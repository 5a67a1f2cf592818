"""A whole study: prepare, estimate, run what is not there yet, compare, report."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec_cli.errors import FacerecError, InputError, TrainingError, UsageError
from facerec_cli.files import write_file
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import unknown_name
from facerec_cli.study.comparison import Comparison
from facerec_cli.study.estimate import Estimate, estimate, in_words
from facerec_cli.study.folder import mark, open_folder, refuse_other_materials, scratch
from facerec_cli.study.judged import check_rates
from facerec_cli.study.prepare import Prepared, prepare
from facerec_cli.study.protocol import BEFORE, Protocol
from facerec_cli.study.run import Job, make_jobs, perform, share_start
from facerec_cli.training.processes import leave_interrupts_to_parent
from facerec_cli.workshop import workshop

RESULTS = "results.json"
_told_to_stop: list[bool] = []

Tell = Callable[[str], None]
Steps = Callable[[str, str], AbstractContextManager[Progress]]


def _silent_steps(description: str, unit: str) -> AbstractContextManager[Progress]:
    return nullcontext(silent)


def _ignore(text: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class StudyResult:
    """How a study ended.

    Attributes:
        results: What was found; ``results.json`` holds it, too.
        files: What was written for the reader.
    """

    results: Comparison
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a dry run found.

    Attributes:
        parts: Part of the people -> what of it is used -> how many.
        runs: How many runs the study has, or those of ``--only``.
        finished: How many of them are finished.
        estimate: What the others take; None where all are finished.
    """

    parts: Mapping[str, Mapping[str, int]]
    runs: int
    finished: int
    estimate: Estimate | None


def run_study(
    protocol: Protocol,
    out: Path,
    *,
    crops: Path | None = None,
    resume: bool = False,
    jobs: int = 1,
    only: Sequence[str] = (),
    dry_run: bool = False,
    tell: Tell = _ignore,
    steps: Steps = _silent_steps,
) -> StudyResult | StudyPlan:
    """Run a study, or go on with it.

    Args:
        protocol: What to do.
        out: Folder for everything.
        crops: Where aligned crops are kept; several studies may share it. None: in ``out``.
        resume: Go on in a folder that holds a study; finished runs are kept. Settings that a run depends on
            must be those of before; seeds, arms and rates may be added.
        jobs: Runs at the same time, each in a process with its part of the cores.
        only: Arms to train; others are compared as far as they are finished.
        dry_run: Stop after the estimate, and write nothing: its crops and lists are gone afterwards.
        tell: Is told what happens, in sentences.
        steps: Opens a progress bar for a description and a unit.

    Returns:
        The results; after a dry run the plan.

    Raises:
        FacerecError: The study cannot start, or a run failed; the finished ones are kept and compared.
        KeyboardInterrupt: It was told to stop.
    """
    _check(protocol, jobs, only)
    open_folder(protocol, out, resume=resume, dry_run=dry_run)
    crops = crops or out / "crops"
    with scratch(crops) if dry_run else nullcontext((out, crops)) as (work, crops):
        prepared = _prepare(protocol, work, crops, tell, steps)
        every = make_jobs(protocol, prepared.materials, out, threads=_threads(jobs))
        wanted = [job for job in every if not only or job.arm in (*only, BEFORE)]
        refuse_other_materials(prepared.materials, wanted, out)
        prepared.write()
        left = [job for job in wanted if job.record() is None]
        tell(f"{len(wanted) - len(left)} of {len(wanted)} runs are finished")
        expected = _estimate(left, jobs, work, tell, steps) if left else None
    if dry_run:
        return StudyPlan(prepared.counts, len(wanted), len(wanted) - len(left), expected)
    mark(protocol, prepared.materials, out)
    try:
        failure = _do_runs(left, out, jobs, tell, steps) if left else None
    except KeyboardInterrupt:
        done = sum(job.record() is not None for job in wanted)
        raise KeyboardInterrupt(
            f"interrupted; {done} of {len(wanted)} runs are finished and kept, what was trained is saved. "
            "Go on with the same command and --resume"
        ) from None
    result = _compare(protocol, prepared, every, out, failure, tell, steps)
    if failure:
        raise failure
    return result


def _threads(jobs: int) -> int:
    """The CPU threads of each of ``jobs`` runs at the same time."""
    import torch

    return max(1, torch.get_num_threads() // jobs)


def _prepare(protocol: Protocol, work: Path, crops: Path, tell: Tell, steps: Steps) -> Prepared:
    with steps("crops", "photos") as progress:
        prepared = prepare(protocol, work, crops=crops, progress=progress)
    for part, count in prepared.counts.items():
        numbers = (f"{number:,} {what.replace('_', ' ')}" for what, number in count.items())
        tell(f"{part}: {', '.join(numbers)}")
    check_rates(protocol, prepared.materials)
    return prepared


def _estimate(left: Sequence[Job], jobs: int, work: Path, tell: Tell, steps: Steps) -> Estimate:
    trying = steps("trying a few steps, to say how long it takes", "steps")
    with trying, workshop(work / "trial", ()) as trial:  # what a killed study left of it is cleared
        expected = estimate(left, trial, jobs)
    for sentence in expected.sentences():
        tell(sentence)
    return expected


def _do_runs(left: Sequence[Job], out: Path, jobs: int, tell: Tell, steps: Steps) -> TrainingError | None:
    with steps("judging the network before training", "photos"):
        left = share_start(left, out)
    with steps("runs", "runs") as progress:
        return _perform_all(left, jobs, tell, progress)


def _compare(
    protocol: Protocol,
    prepared: Prepared,
    every: Sequence[Job],
    out: Path,
    failure: TrainingError | None,
    tell: Tell,
    steps: Steps,
) -> StudyResult:
    """Compare what is finished, and write results and reports."""
    from facerec_cli.study.compare import compare
    from facerec_cli.study.report import write_reports

    finished = [job for job in every if job.record() is not None]
    missing = [name for name in protocol.arms if name not in {job.arm for job in finished}]
    if protocol.study.baseline in missing:
        raise failure or InputError(
            f"The baseline {protocol.study.baseline} has no finished run to compare with.",
            hint="Run it with --resume --only, or set study.baseline.",
        )
    for name in missing:
        tell(f"{name} has no finished run and is left out")
    with steps("comparing", "runs") as progress:
        results = compare(protocol, prepared, finished, progress)
    text = json.dumps(results.document(), indent=1, ensure_ascii=False, allow_nan=False)
    write_file(out / RESULTS, text.encode("utf-8", "surrogateescape"))
    reports = write_reports(results, out, prepared.materials.crops)
    return StudyResult(results, (out / RESULTS, out / "split.json", *reports))


def _perform_all(left: Sequence[Job], jobs: int, tell: Tell, progress: Progress) -> TrainingError | None:
    """Do all jobs; a failing one does not keep the others from being done. Returns what failed."""
    failed: list[tuple[Job, FacerecError]] = []
    began = time.monotonic()
    for done, (job, outcome) in enumerate(_in_turn(left, tell) if jobs == 1 else _at_once(left, jobs), 1):
        if isinstance(outcome, FacerecError):
            failed.append((job, outcome))
            tell(f"{job.arm}, seed {job.seed} failed: {outcome}")
        else:
            share = outcome.get("interpolate", 1.0)
            went = "" if share == 1.0 else f", taken {share:g} of the way"
            minutes = in_words((time.monotonic() - began) / done * (len(left) - done))
            tell(f"{job.arm}, seed {job.seed}: {outcome['seconds']:.0f} s{went}; {minutes} to go")
        progress(done, len(left))
    if not failed:
        return None
    job, fault = failed[0]
    first = f"{job.arm} with seed {job.seed}"
    return TrainingError(
        f"{len(failed)} of {len(left)} runs failed, {first} first: {fault.message}",
        hint=f"{fault.hint} The others are finished and kept, and the report compares them; go on with "
        "--resume.".strip(),
    )


def _in_turn(left: Sequence[Job], tell: Tell) -> Iterator[tuple[Job, dict[str, Any] | FacerecError]]:
    def told_to_stop() -> None:  # from a signal's handler, which may have come in the middle of a printing
        words = ("told to stop: what is under way is finished and saved first",)
        threading.Thread(target=tell, args=words).start()

    for job in left:
        try:
            yield job, perform(job, told_to_stop)
        except FacerecError as fault:
            yield job, fault


def _at_once(left: Sequence[Job], jobs: int) -> Iterator[tuple[Job, dict[str, Any] | FacerecError]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, leave_interrupts_to_parent) as pool:
        futures = {pool.submit(_outcome, job): job for job in left}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as fault:
            raise TrainingError(
                "A process of the study ended without a word.",
                hint="Most often memory ran out: use fewer --jobs, then go on with --resume.",
            ) from fault
        except BaseException:
            for child in multiprocessing.active_children():  # a training saves and stops
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def _outcome(job: Job) -> dict[str, Any] | FacerecError:
    """What a run gives, in a process of the pool, which is told to stop by SIGTERM."""
    stopped = TrainingError("The run was told to stop.", hint="Go on with --resume.")
    if _told_to_stop:  # the pool hands out jobs ahead, and takes none of those back
        return stopped
    try:
        return perform(job)
    except FacerecError as fault:  # returned, as a hint is lost where an exception is sent by its arguments
        return TrainingError(fault.message, hint=fault.hint)
    except KeyboardInterrupt:
        _told_to_stop.append(True)
        return stopped


def _check(protocol: Protocol, jobs: int, only: Sequence[str]) -> None:
    """Refuse impossible arguments and a loss's unknown setting before anything is done."""
    from facerec_cli.training.loss_settings import loss_class, loss_settings

    if jobs < 1:
        raise UsageError(f"--jobs {jobs} is not possible.", hint="It must be at least 1.")
    for name in only:
        if name not in protocol.arms:
            raise unknown_name(name, protocol.arms, "arm in this study called")
    for name, recipe in protocol.arms.items():
        try:
            loss_settings(loss_class(recipe.loss.name), recipe)
        except UsageError as fault:
            raise InputError(f"[arms.{name}]: {fault.message}", hint=fault.hint) from fault
