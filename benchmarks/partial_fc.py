"""Memory and step time of the class weights, from a hundred thousand people to ten million.

    python benchmarks/partial_fc.py
    python benchmarks/partial_fc.py --classes 1000000 --sample-rates 1 0.1 0.01 --arcface-torch PATH

A step is the loss's forward and backward, clipping and the optimizer's step, with the trainer's own parts and
no network. Ways: ``rows`` updates the rows of the sample only (``optimizer.class_update = "lazy"``, what the
trainer does), ``dense`` walks all rows, ``arcface_torch`` is insightface's PartialFC_V2 with its margin loss
and PyTorch's SGD, as its ``train_v2.py`` has them, from a checkout of its folder. Each measurement is a fresh
process: the median of its steps after the first, the peak of its resident memory over what it held before
the loss was made. The ways take turns, ``--rounds`` times; the medians over the rounds are given: seconds,
and seconds of the CPU, which count less of what else the machine does. What needs more than ``--limit`` GB is
only computed, by :func:`expected`. "dry run" is what ``facerec train --dry-run`` says of the same run: class
weights and logits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from arcface_torch import their_head
from history import record
from measuring import forget_peak, memory, peak_memory
from torch import Tensor, nn

from facerec_cli.backbones import Backbone
from facerec_cli.losses import LossInput, classifier
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.training.advice import estimate_memory
from facerec_cli.training.class_rows import keep_rows
from facerec_cli.training.compose import compose
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World
from facerec_cli.training.optimizer import (
    build_optimizer,
    clip_gradients,
    named_parameters,
    set_rate,
    sharded_parameters,
)

Row = dict[str, Any]
Step = Callable[[Tensor, Tensor, int], None]

ALONE = World(0, 1, torch.device("cpu"), None, False)
UPDATE = {"rows": "lazy", "dense": "dense"}
KINDS = ("memory", "dry_run", "seconds", "busy")  # what a measurement says
# Key -> what it is called, its unit, how it is printed.
CELLS = {
    "formula": ("formula", "MB", ",.0f"),
    "memory": ("measured", "MB", ",.0f"),
    "dry_run": ("dry run", "MB", ",.0f"),
    "seconds": ("step", "s", ".3g"),
    "busy": ("step, CPU", "s", ".3g"),
}


def expected(
    classes: int, size: int, batch: int, sample_rate: float, processes: int = 1, *, rows: bool = True
) -> float:
    """Peak bytes of the class weights in one process, under SGD with momentum in float32.

    c = max(r C / P, min(B, C / P)) classes take part; B counts the rows of all processes. Weights and
    momentum take 8 C D / P. With all classes the gradient takes 4 C D / P more, and the cosines, 4 B c, are
    alive while it is made. With a sample and ``rows``, what is more are the sample's rows and their gradient,
    8 c D, and the cosines. With a sample and a gradient of all rows it is 12 C D / P and the sample's own
    gradient, 4 c D, which is added into that; or else the peak is a moment before, as with ``rows``.
    """
    own = classes / processes
    part = min(own, max(sample_rate * own, batch))
    if part == own:
        return 12 * own * size + 4 * batch * own
    sampled = 8 * own * size + 8 * part * size + 4 * batch * part
    return sampled if rows else max(12 * own * size + 4 * part * size, sampled)


def recipe(way: str, batch: int, sample_rate: float) -> Recipe:
    """Settings of a run, all but these left as they are."""
    return compose(
        flags={"loss.sample_rate": sample_rate, "run.batch_size": batch},
        assignments=[f"optimizer.class_update={UPDATE[way]}"],
    )


def dry_run(loss: ArcFace, size: int, wanted: Recipe) -> int:
    """Bytes that ``--dry-run`` states for the class weights and the logits of this loss."""
    stated = estimate_memory(wanted, _NoNetwork(size), loss, ALONE, torch.float32)
    return stated["classes"] + stated["logits"]


class _NoNetwork(Backbone):
    """A network without weights, so that only the loss is counted."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> Any:
        """Nothing of it is looked at."""
        return self.scale


def measure(
    way: str, classes: int, size: int, batch: int, sample_rate: float, steps: int, checkout: Path | None
) -> Row:
    """Peak memory in MB and median seconds of a step, of the wall clock and of the CPU, in this process."""
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(batch, size, generator=generator)
    labels = torch.randint(0, classes, (batch,), generator=generator)
    build = _theirs(checkout) if checkout is not None and way not in UPDATE else _ours
    _run(build(way, 1000, 64, 8, 0.5)[0], torch.randn(8, 64), torch.arange(8), 2)  # allocated once
    forget_peak()
    before = memory()
    with mock.patch.object(classifier, "initial_rows", _cheap_rows):  # drawing takes longer than some steps
        step, stated = build(way, classes, size, batch, sample_rate)
    seconds, busy = _run(step, embeddings, labels, steps + 1)
    return {"memory": peak_memory() - before, "seconds": seconds, "busy": busy, "dry_run": stated / 1e6}


def _cheap_rows(classes: range, width: int, seed: int, std: float) -> Tensor:
    """A few random rows again and again; what a step takes does not depend on them."""
    few = torch.randn(min(4096, len(classes)), width).mul_(std)
    return few.repeat(-(-len(classes) // len(few)), 1)[: len(classes)]


def _run(step: Step, x: Tensor, y: Tensor, steps: int) -> tuple[float, float]:
    """Median seconds of the steps after the first, of the wall clock and of the CPU."""
    times = []
    for number in range(steps):
        start = time.perf_counter(), time.process_time()
        step(x.clone().requires_grad_(), y, number)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    seconds, busy = (statistics.median(values) for values in zip(*times[1:], strict=True))
    return seconds, busy


def _ours(way: str, classes: int, size: int, batch: int, sample_rate: float) -> tuple[Step, int]:
    wanted = recipe(way, batch, sample_rate)
    loss = ArcFace(classes, size, sample_rate=sample_rate)
    keep_rows(loss, wanted.optimizer)
    parameters = named_parameters(nn.Identity(), loss)
    optimizer = build_optimizer(wanted.optimizer, parameters, loss)
    set_rate(optimizer, 0.1)

    def step(embeddings: Tensor, labels: Tensor, number: int) -> None:
        loss(LossInput(embeddings, labels, step=number))[0].backward()
        clip_gradients(parameters, sharded_parameters(loss), 5.0, ALONE)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not number:  # Linux gives memory when it is first written to; later all rows have been
            for state in optimizer.state.values():
                state["momentum_buffer"].add_(0)

    return step, dry_run(loss, size, wanted)


def _theirs(checkout: Path) -> Callable[..., tuple[Step, int]]:
    meeting = Path(tempfile.mkdtemp()) / "meet"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=1)

    def build(way: str, classes: int, size: int, batch: int, sample_rate: float) -> tuple[Step, int]:
        head = their_head(checkout, size, classes, sample_rate)
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

        def step(embeddings: Tensor, labels: Tensor, number: int) -> None:
            head(embeddings, labels.clone()).backward()
            optimizer.step()
            optimizer.zero_grad()

        return step, 0

    return build


def main() -> None:
    """Measure what fits, compute the rest, print both side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--sample-rates", type=float, nargs="+", default=[1.0, 0.1, 0.01])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="turns that the ways take")
    parser.add_argument("--limit", type=float, default=12.0, help="GB that a measurement may take")
    parser.add_argument("--arcface-torch", type=Path, help="folder of its checkout, to measure it too")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a way, in a process of its own
    wanted = parser.parse_args()
    if wanted.one:
        (classes,), (rate,) = wanted.classes, wanted.sample_rates
        found = measure(
            wanted.one, classes, wanted.size, wanted.batch, rate, wanted.steps, wanted.arcface_torch
        )
        print(json.dumps(found))
        return
    print(f"ArcFace, {wanted.size} numbers a class, {wanted.batch} photos, SGD with momentum, float32, CPU\n")
    print("| classes | sample rate | update | formula, MB | measured, MB | dry run, MB | step, s | CPU, s |")
    print("|---|---|---|---|---|---|---|---|")
    rows: list[Row] = []
    for classes in wanted.classes:
        for rate in wanted.sample_rates:
            rows += _compare(wanted, classes, rate)
    if wanted.json:
        about = {
            key: getattr(wanted, key)
            for key in ("classes", "sample_rates", "size", "batch", "steps", "rounds")
        }
        record("partial_fc", rows, about, wanted.json)


def _compare(wanted: argparse.Namespace, classes: int, rate: float) -> list[Row]:
    """All ways at one size in turn; their lines are printed."""
    title = f"{classes:,} classes, sample rate {rate:g}"
    computed = {
        way: expected(classes, wanted.size, wanted.batch, rate, rows=way == "rows") / 1e6
        for way in (["rows", "dense"] if rate < 1 else ["dense"])
    }
    ways = [way for way, need in computed.items() if need <= 1000 * wanted.limit]
    if wanted.arcface_torch and ways:
        ways.append("arcface_torch")
    found: dict[str, list[Row]] = {way: [] for way in ways}
    for _ in range(wanted.rounds):
        for way in ways:
            found[way].append(measure_alone(wanted, way, classes, rate))
    rows: list[Row] = []
    for way in dict.fromkeys([*computed, *ways]):
        value = {key: statistics.median(run[key] for run in found[way]) for key in KINDS if way in ways}
        if way in computed:
            value["formula"] = computed[way]
        else:
            del value["dry_run"]
        cells = " | ".join(
            f"{value[key]:{form}}" if key in value else "" for key, (_, _, form) in CELLS.items()
        )
        print(f"| {classes:,} | {rate:g} | {way} | {cells} |", flush=True)
        for key, (what, unit, _) in CELLS.items():
            if key in value:
                rows.append({"name": f"{title}, {way}: {what}", "value": value[key], "unit": unit})
    if len(ways) > 1:  # our memory and time of the CPU against the last way's
        for row in rows:
            owner, _, what = row["name"].rpartition(": ")
            if owner == f"{title}, {ways[0]}" and what in ("measured", "step, CPU"):
                row["peer"] = f"{title}, {ways[-1]}: {what}"
    return rows


def measure_alone(wanted: argparse.Namespace, way: str, classes: int, rate: float) -> Row:
    """As :func:`measure`, in a process of its own, which has kept no memory of anything else."""
    command = [sys.executable, __file__, "--one", way, "--classes", str(classes), "--sample-rates", str(rate)]
    command += [f"--{key}={getattr(wanted, key)}" for key in ("size", "batch", "steps")]
    if way not in UPDATE:
        command.append(f"--arcface-torch={wanted.arcface_torch}")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: Row = json.loads(said.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
