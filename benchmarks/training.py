"""Where a training step's time goes, loss by loss, and arcface_torch's step beside ours.

    python benchmarks/training.py                                   # mobilefacenet, iresnet18, iresnet50
    python benchmarks/training.py --networks iresnet50 --batch 128 --device cuda
    python benchmarks/training.py --arcface-torch CHECKOUT/recognition/arcface_torch
    python benchmarks/training.py --processes 2

The step is the trainer's own, on batches that its own loader makes from made-up photos; it is timed by hooks
of network, loss and optimizer. With several processes (gloo on a CPU) every second step leaves out the
exchange of gradients; what is then missing is its cost. Each loss has processes of its own, so that the
loaders and networks of the others are gone. All times are medians. Reading and decoding is measured by
``data.py``.

arcface_torch runs in the same processes as ours, its steps between ours, on the same batch, twice: as its
``train_v2.py`` trains (planes of channels, PyTorch's PReLU), and with the network as ours is trained
(channels last, our PReLU), which leaves the difference of head and optimizer. Its ratios are medians over
neighboring steps; one is taken of the clock, one of the CPU time, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from history import record
from measuring import medians
from torch import nn

from facerec_cli.backbones.encoder import to_input
from facerec_cli.backbones.prelu import PReLU
from facerec_cli.data.loading.batches import Batch
from facerec_cli.registry import LOSSES
from facerec_cli.training.compose import compose
from facerec_cli.training.devices import World, join_world
from facerec_cli.training.run import Run
from facerec_cli.training.setup import prepare
from facerec_cli.training.start import train_mode
from facerec_cli.training.state import TrainingState
from facerec_cli.training.train import _step

PHASES = (
    "data", "input", "forward", "loss forward", "loss backward", "backward", "clip", "optimizer", "other",
)  # fmt: skip
BATCHES = {"mobilefacenet": 16, "iresnet18": 16, "iresnet50": 8}  # over all processes
WARM_UP = 2
_PEER = "beside arcface_torch"  # stands for a loss where the peer is measured

Row = dict[str, Any]


class Stopwatch:
    """Seconds of each phase of one step after the other."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self.start()

    def start(self) -> None:
        """Begin a step."""
        self.laps = dict.fromkeys(PHASES, 0.0)
        self._last = self._now()

    def lap(self, phase: str) -> None:
        """What ends here was ``phase``."""
        now = self._now()
        self.laps[phase] += now - self._last
        self._last = now

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


class _TimedScaler:
    """The trainer's gradient scaler; being asked to unscale is the end of the way back."""

    def __init__(self, scaler: Any, watch: Stopwatch) -> None:
        self._scaler, self._watch = scaler, watch

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        self._watch.lap("backward")
        self._scaler.unscale_(optimizer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scaler, name)


class _TimedBatches:
    """The loader's batches; the wait for one is ``data``."""

    def __init__(self, batches: Iterator[Batch], watch: Stopwatch) -> None:
        self._batches, self._watch = batches, watch

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self._watch.lap("other")
        batch = next(self._batches)
        self._watch.lap("data")
        return batch


class Steps:
    """The trainer's steps, one at a time, with the seconds of their phases."""

    def __init__(self, run: Run, batches: Iterator[Batch]) -> None:
        self.run, self._state = run, TrainingState()
        self._watch = watch = Stopwatch(run.world.device)
        self._batches = _TimedBatches(batches, watch)
        run.model.network.register_forward_pre_hook(lambda *_: watch.lap("input"))
        run.model.network.register_forward_hook(self._embedded)
        run.model.loss.register_forward_pre_hook(lambda *_: watch.lap("other"))
        run.model.loss.register_forward_hook(lambda *_: watch.lap("loss forward"))
        run.optimization.optimizer.register_step_pre_hook(lambda *_: watch.lap("clip"))
        run.optimization.optimizer.register_step_post_hook(lambda *_: watch.lap("optimizer"))
        run.optimization.scaler = _TimedScaler(run.optimization.scaler, watch)
        train_mode(run.model.backbone, run.recipe)

    def _embedded(self, module: nn.Module, given: Any, output: Any) -> None:
        self._watch.lap("forward")
        # The gradient of the embeddings is known when the loss, class weights and all, has been gone through.
        output.embeddings.register_hook(lambda gradient: self._watch.lap("loss backward"))

    def __call__(self) -> dict[str, float]:
        """Make one step."""
        self._watch.start()
        rate = self.run.recipe.optimizer.lr or 0.0
        _step(self.run, self._state, self._batches, 0, rate)
        self._state.step += 1
        self._watch.lap("other")
        return self._watch.laps


def open_run(network: str, loss: str, batch: int, world: World, wanted: argparse.Namespace) -> Run:
    """Network, loss and optimizer as a run with the default settings has them."""
    flags = {
        "data.path": f"synthetic:{wanted.classes}:4",
        "backbone.name": network,
        "loss.name": loss,
        "loss.sample_rate": wanted.sample_rate,
        "run.batch_size": batch,
        "run.device": wanted.device,
    }
    return prepare(compose(flags=flags), world)


def endless(run: Run) -> Generator[Batch]:
    """Epoch after epoch; closing it ends the loader's processes."""
    for epoch in itertools.count():
        with contextlib.closing(run.data.loader.epoch(epoch)) as batches:  # type: ignore[type-var]
            yield from batches


def breakdown(network: str, loss: str, batch: int, world: World, wanted: argparse.Namespace) -> list[Row]:
    """The median of each phase in ms; with several processes also without the exchange of gradients."""
    run = open_run(network, loss, batch, world, wanted)
    batches = endless(run)
    steps = Steps(run, batches)
    taken: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    exchanges = (True, False) if world.group is not None else (True,)
    for turn in range(WARM_UP + wanted.rounds):
        for exchanged in exchanges:
            alone: Any = run.model.network
            with contextlib.nullcontext() if exchanged else alone.no_sync():
                laps = steps()
            if turn >= WARM_UP:
                taken[exchanged].append(laps)
    batches.close()
    times = {phase: 1e3 * statistics.median(laps[phase] for laps in taken[True]) for phase in PHASES}
    times["step"] = 1e3 * statistics.median(sum(laps.values()) for laps in taken[True])
    if len(exchanges) > 1:
        without = 1e3 * statistics.median(laps["backward"] for laps in taken[False])
        times["of backward, all-reduce"] = times["backward"] - without
    name = f"{network}, {loss}, {batch} photos, {world.size} process{'es' if world.size > 1 else ''}"
    return [{"name": f"{name}: {phase}", "value": value, "unit": "ms"} for phase, value in times.items()]


def beside_arcface_torch(network: str, batch: int, world: World, wanted: argparse.Namespace) -> list[Row]:
    """Photos a second of both on one batch that is always the same, arcface, data and all left out."""
    from arcface_torch import their_step

    warnings.simplefilter("ignore")  # theirs: deprecated ways to say the same

    if not dist.is_initialized():
        store = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    run = open_run(network, "arcface", batch, world, wanted)
    one = next(run.data.loader.epoch(0))
    images = one.images.to(world.device)
    labels = one.labels.to(world.device)
    ways: dict[str, Callable[[], object]] = {"facerec": Steps(run, itertools.repeat(one))}
    for name, as_ours in (("arcface_torch", False), ("arcface_torch, our network", True)):
        copy = open_run(network, "arcface", batch, world, wanted).model.backbone
        if not as_ours:
            as_theirs(copy)
        given = to_input(images, copy.preprocessing, channels_last=as_ours)
        ways[name] = their_step(
            wanted.arcface_torch, copy, network, wanted.classes, given, labels, sample_rate=wanted.sample_rate
        )
    medians(ways, WARM_UP)
    seconds, ratios = paired(ways, wanted.rounds)
    about = f"{network}, arcface, {world.size} process{'es' if world.size > 1 else ''}"
    rows = [
        {"name": f"{way}: {about}", "value": batch / each, "unit": "photos/s"}
        for way, each in seconds.items()
    ]
    return [rows[0] | {"peer": rows[1]["name"]}, *rows[1:]] + [
        {"name": f"facerec beside {way}: {about}", "value": ratio, "unit": "times its speed"}
        for way, ratio in ratios.items()
    ]


def as_theirs(backbone: nn.Module) -> None:
    """Give a network of ours the layout and the PReLU that arcface_torch trains with."""
    backbone.to(memory_format=torch.contiguous_format)
    for module in backbone.modules():
        if isinstance(module, PReLU):
            module.__class__ = nn.PReLU


def paired(
    ways: Mapping[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of each way, and the median ratio of its steps to the first way's, by both clocks."""
    first, *others = ways
    clocks = {"": time.perf_counter, ", CPU time": time.process_time}
    times: dict[tuple[str, str], list[float]] = {(way, clock): [] for way in ways for clock in clocks}
    for _ in range(rounds):
        for way, step in ways.items():
            before = {name: clock() for name, clock in clocks.items()}
            step()
            for name, clock in clocks.items():
                times[way, name].append(clock() - before[name])
    seconds = {way: statistics.median(times[way, ""]) for way in ways}
    ratios = {
        way + name: statistics.median(
            other / own for own, other in zip(times[first, name], times[way, name], strict=True)
        )
        for way in others
        for name in clocks
    }
    return seconds, ratios


def in_processes(arguments: list[str], count: int, threads: int) -> list[Row]:
    """Run this program again in ``count`` processes that know each other; the rows of the first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    shared |= {"WORLD_SIZE": str(count), "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "rows.json")
        children = [
            subprocess.Popen(
                [sys.executable, __file__, *arguments, "--rows", str(out)],
                env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(count)
        ]
        codes = [child.wait() for child in children]
        if any(codes):
            raise SystemExit(f"A process ended with {codes}.")
        rows: list[Row] = json.loads(out.read_text(encoding="utf-8"))
        return rows


def child(wanted: argparse.Namespace) -> None:
    """One network with one loss, or beside arcface_torch, in the processes that this is one of."""
    (network,), (loss,) = wanted.networks, wanted.losses
    batch = wanted.batch or BATCHES.get(network, 16)
    with join_world(wanted.device) as world:
        if loss == _PEER:
            rows = beside_arcface_torch(network, batch, world, wanted)
        else:
            rows = breakdown(network, loss, batch, world, wanted)
        if world.first:
            wanted.rows.write_text(json.dumps(rows), encoding="utf-8")


def show(rows: list[Row]) -> None:
    """One line a loss, its phases side by side; then the peers."""
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["unit"] == "ms":
            name, _, phase = row["name"].rpartition(": ")
            table.setdefault(name, {})[phase] = row["value"]
    columns = list(dict.fromkeys(phase for times in table.values() for phase in times))
    print("\n| ms | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name, times in table.items():
        print(f"| {name} | " + " | ".join(f"{times[phase]:.1f}" for phase in columns) + " |")
    for row in rows:
        if row["unit"] != "ms":
            print(f"{row['name']:70} {row['value']:8.2f} {row['unit']}")


def main() -> None:
    """Parse and run."""
    trained = [name for name in LOSSES if name != "distill"]  # that one has no classes and needs weights
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(BATCHES))
    parser.add_argument("--losses", nargs="+", default=trained)
    parser.add_argument("--batch", type=int, help="photos of a step, over all processes")
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--sample-rate", type=float, default=1.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, help="of each process; by default its part of the cores")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arcface-torch", type=Path, help="recognition/arcface_torch of insightface")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)  # this is one of several processes
    wanted = parser.parse_args()
    if wanted.rows:
        child(wanted)
        return
    wanted.threads = wanted.threads or max((os.cpu_count() or 1) // wanted.processes, 1)
    for network in wanted.networks:
        rows: list[Row] = []
        for loss in [*wanted.losses, *([_PEER] if wanted.arcface_torch else [])]:
            arguments = [*sys.argv[1:], "--networks", network, "--losses", loss]
            rows += in_processes(arguments, wanted.processes, wanted.threads)
        show(rows)
        if wanted.json:
            about = {
                key: getattr(wanted, key)
                for key in ("classes", "sample_rate", "device", "processes", "threads", "rounds")
            }
            record(f"training {network}", rows, about, wanted.json)


if __name__ == "__main__":
    main()
