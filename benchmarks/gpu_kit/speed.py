"""How many images a second the trainer learns from, where a step's time goes, and arcface_torch beside it."""

from __future__ import annotations

import contextlib
import gc
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
import torch.distributed as dist

from facerec_cli.backbones.encoder import to_input
from facerec_cli.data.loading.batches import Batch
from facerec_cli.training.devices import join_world
from facerec_cli.training.run import Run
from facerec_cli.training.setup import prepare
from facerec_cli.training.start import train_mode
from facerec_cli.training.state import TrainingState
from facerec_cli.training.train import _step
from gpu_kit.photos import make_rec
from gpu_kit.recipes import make_recipe
from gpu_kit.report import Kit, Report

WARM_UP, ROUNDS = 5, 3
TINY_CLASSES = 300


class FreeSteps:
    """The trainer's steps one after the other, without a wait for the device in between.

    Args:
        run: A run that was prepared.
        batches: What it learns from.
    """

    def __init__(self, run: Run, batches: Iterator[Batch]) -> None:
        self.run, self._batches, self._state = run, batches, TrainingState()
        train_mode(run.model.backbone, run.recipe)

    def __call__(self) -> None:
        """Make one step."""
        _step(self.run, self._state, self._batches, 0, 1e-3)
        self._state.step += 1


@contextlib.contextmanager
def opened(kit: Kit, *, batch: int, classes: int, precision: str, **settings: Any) -> Iterator[Run]:
    """A run of iresnet50 with ArcFace, prepared, on a device that holds nothing of the run before."""
    gc.collect()  # hooks hold on to networks
    if kit.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    chosen = {
        "data.path": f"synthetic:{classes}:1",
        "data.workers": 0,
        "backbone.name": "iresnet50",
        "run.batch_size": batch,
        "run.precision": precision,
        **{key.replace("__", "."): value for key, value in settings.items()},
    }
    with join_world(kit.device) as world:
        yield prepare(make_recipe(kit, chosen), world)


def seconds_of(ways: dict[str, Callable[[], object]], steps: int, kit: Kit) -> dict[str, float]:
    """Median seconds of a step of each way; the ways take turns of ``steps`` steps that end with a wait."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + ROUNDS):
        for name, step in ways.items():
            count = steps if turn else kit.size(WARM_UP, 1)
            start = time.perf_counter()
            for _ in range(count):
                step()
            kit.synchronize()
            if turn:
                taken[name].append((time.perf_counter() - start) / count)
    return {name: statistics.median(values) for name, values in taken.items()}


def formats(kit: Kit) -> tuple[str, ...]:
    """Number formats of training that this device has."""
    if not kit.on_gpu:
        return ("fp32",)
    bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return ("bf16", "fp16") if bfloat16 else ("fp16",)


def measure_speed(kit: Kit, report: Report) -> None:
    """iresnet50, 100,000 classes: a batch again and again beside arcface_torch, and from a ``.rec``."""
    if kit.arcface_torch is None:
        report.left_out("arcface_torch's step", "no --arcface-torch CHECKOUT was given")
    classes = kit.size(100_000, TINY_CLASSES)
    for batch in kit.size((256, 128, 512), (8,)):
        for precision in formats(kit):
            about = f"{batch} photos, {precision}"
            if report.has_time(about, kit.size(12, 2)):
                with report.attempt(about):
                    _one_batch(kit, report, batch, classes, precision)
        if batch == kit.size(256, 8) and report.has_time("from a .rec", kit.size(20, 2)):
            with report.attempt("from a .rec"):
                _from_rec(kit, report, batch, classes)
    if dist.is_initialized():
        dist.destroy_process_group()


def _one_batch(kit: Kit, report: Report, batch: int, classes: int, precision: str) -> None:
    """The trainer's step with the copy of a ready batch to the device; theirs has its batch there already."""
    with opened(kit, batch=batch, classes=classes, precision=precision) as run:
        ready = next(run.data.loader.epoch(0))
        if kit.on_gpu:
            ready = ready._replace(images=ready.images.pin_memory(), labels=ready.labels.pin_memory())
        ways: dict[str, Callable[[], object]] = {"facerec": FreeSteps(run, itertools.repeat(ready))}
        if kit.arcface_torch is not None:
            ways["arcface_torch"] = _theirs(kit, run, ready, classes, half=precision != "fp32")
        about = f"{batch} photos, {classes:,} classes"
        peer = f"arcface_torch {'fp16' if precision != 'fp32' else 'fp32'}, beside {precision}, {about}"
        for way, seconds in seconds_of(ways, kit.size(6, 1), kit).items():
            name = peer if way != "facerec" else f"facerec {precision}, {about}"
            against = peer if way == "facerec" and len(ways) > 1 else ""
            report.figure(name, batch / seconds, "images/s", against)


def _theirs(kit: Kit, run: Run, ready: Batch, classes: int, *, half: bool) -> Callable[[], object]:
    """arcface_torch's step; with cudnn's search for the fastest algorithms, which its program turns on."""
    from arcface_torch import their_step

    warnings.simplefilter("ignore")  # theirs: deprecated ways to say the same
    if not dist.is_initialized():
        store = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group("nccl" if kit.on_gpu else "gloo", store=store, rank=0, world_size=1)
    device = run.world.device
    images = to_input(ready.images.to(device), run.model.backbone.preprocessing, channels_last=False)
    assert kit.arcface_torch is not None
    name = run.recipe.backbone.name or ""
    step = their_step(
        kit.arcface_torch,
        run.model.backbone,
        name,
        classes,
        images,
        ready.labels.to(device),
        fp16=half and kit.on_gpu,
    )
    return partial(_searching, step)


def _searching(step: Callable[[], object]) -> None:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        step()
    finally:
        torch.backends.cudnn.benchmark = before


def _from_rec(kit: Kit, report: Report, batch: int, classes: int) -> None:
    """The trainer's own loader and reading processes on JPEGs, all of them, as in a run."""
    # Batches beyond those that are timed, so that no epoch ends and no reader starts anew among them.
    path = make_rec(kit.folder, kit.size(96 * batch, 4 * batch), classes, kit.photos)
    report.figure("the .rec", path.stat().st_size / 1e6, "MB")
    for precision in formats(kit):
        about = f"from a .rec, {batch} photos, {precision}"
        if report.has_time(about, kit.size(10, 2)):
            with report.attempt(about):
                settings = {"data__path": str(path), "data__workers": None}
                with opened(kit, batch=batch, classes=classes, precision=precision, **settings) as run:
                    speed = batch / _seconds_of_a_step(kit, run)
                    readers = run.recipe.data.workers
                    report.figure(f"{about}: facerec, {readers} reading processes", speed, "images/s")
    reason = "its data set reads by mxnet" + ("" if find_spec("mxnet") else ", which is not installed")
    report.left_out("arcface_torch from a .rec", f"{reason}; time its train_v2.py on the same file")


def _seconds_of_a_step(kit: Kit, run: Run) -> float:
    """Of a step with its data, once the batches that readers had ready before the first step are used up."""
    epochs = (run.data.loader.epoch(number) for number in itertools.count())
    with contextlib.closing(_endless(epochs)) as batches:
        step = FreeSteps(run, batches)
        for _ in range(4 * (run.recipe.data.workers or 0) + kit.size(WARM_UP, 1)):
            step()
        kit.synchronize()
        start, count = time.perf_counter(), kit.size(20, 2)
        for _ in range(count):
            step()
        kit.synchronize()
    return (time.perf_counter() - start) / count


def _endless(epochs: Iterator[Iterator[Batch]]) -> Generator[Batch]:
    for epoch in epochs:
        yield from epoch


def break_down(kit: Kit, report: Report) -> None:
    """Where the time of a step goes, with a wait after each part, and the most memory that it takes."""
    large = kit.size(1_000_000, 4 * TINY_CLASSES)
    for classes, rate in ((kit.size(100_000, TINY_CLASSES), 1.0), (large, 0.1), (large, 1.0)):
        about = f"{classes:,} classes, sample rate {rate:g}"
        if report.has_time(about, kit.size(12, 2)):
            with report.attempt(about):
                _break_down(kit, report, about, classes, rate)


def _break_down(kit: Kit, report: Report, about: str, classes: int, rate: float) -> None:
    from training import PHASES, Steps

    precision, batch = formats(kit)[0], kit.size(256, 8)
    with opened(kit, batch=batch, classes=classes, precision=precision, loss__sample_rate=rate) as run:
        ready = next(run.data.loader.epoch(0))
        step = FreeSteps(run, itertools.repeat(ready))
        for _ in range(kit.size(WARM_UP, 1)):
            step()
        if kit.on_gpu:  # cuDNN has tried its algorithms now, some of which take far more than its choice
            torch.cuda.reset_peak_memory_stats()
        free = seconds_of({"": step}, kit.size(10, 1), kit)[""]
        report.figure(f"{about}: step, free", 1e3 * free, "ms")
        if kit.on_gpu:
            report.figure(f"{about}: peak memory", torch.cuda.max_memory_allocated() / 1e6, "MB")
        steps = Steps(run, itertools.repeat(ready))
        for _ in range(kit.size(WARM_UP, 1)):
            steps()
        laps = [dict(steps()) for _ in range(kit.size(10, 1))]
        for phase in PHASES:
            report.figure(f"{about}: {phase}", 1e3 * statistics.median(lap[phase] for lap in laps), "ms")


def measure_compiled(kit: Kit, report: Report) -> None:
    """``run.compile``: the same first loss, the time until the first step is done, and the speed after it."""
    if kit.tiny:  # traced as ever, and run without a compiler's minute
        torch.compile = partial(torch.compile, backend="eager")  # type: ignore[assignment]
    precision, batch = formats(kit)[0], kit.size(128, 4)
    for name, seconds in (("iresnet18", 20), ("iresnet50", 40)):
        about = f"{name}, {precision}, {batch} photos"
        if not report.has_time(about, kit.size(seconds, 2)):
            continue
        with report.attempt(about):
            first: dict[bool, float] = {}
            for compiled, way in ((False, "plain"), (True, "compiled")):
                settings = {"backbone__name": name, "run__compile": compiled}
                with opened(kit, batch=batch, classes=TINY_CLASSES, precision=precision, **settings) as run:
                    first[compiled] = _first_and_rest(kit, report, run, f"{about}, {way}")
            if kit.plant == "compile":
                first[True] *= 1.1
            report.proof(
                f"{about}: compiled against plain",
                {"first loss": abs(first[True] / first[False] - 1)},
                {"": 0.02},
            )
        if kit.tiny:
            break


def _first_and_rest(kit: Kit, report: Report, run: Run, about: str) -> float:
    """The loss of the first step; its time and the speed of those that follow are figures."""
    ready = next(run.data.loader.epoch(0))
    state = TrainingState()
    train_mode(run.model.backbone, run.recipe)
    start = time.perf_counter()
    _step(run, state, itertools.repeat(ready), 0, 1e-3)
    loss = state.means()["loss"]  # which waits for the device
    report.figure(f"{about}: first step", time.perf_counter() - start, "s")
    seconds = seconds_of({"": FreeSteps(run, itertools.repeat(ready))}, kit.size(10, 1), kit)[""]
    report.figure(f"{about}: then", len(ready.labels) / seconds, "images/s")
    return loss
