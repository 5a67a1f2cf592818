"""Memory and step time of the class weights, from a hundred thousand people to ten million.

    python benchmarks/partial_fc.py
    python benchmarks/partial_fc.py --classes 1000000 --sample-rates 0.1 --limit 12

A step is the loss's forward and backward, clipping and the optimizer's step, with the trainer's own parts and
no network. Each size is measured in a fresh process, as the peak of its resident memory over what it held
before the loss was made. What needs more than ``--limit`` GB is only computed, by :func:`expected`. "dry run"
is what ``facerec train --dry-run`` says of the same run: class weights and logits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from history import record
from measuring import forget_peak, memory, peak_memory
from torch import nn

from facerec_cli.backbones import Backbone
from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.training.advice import estimate_memory
from facerec_cli.training.compose import compose
from facerec_cli.training.devices import World
from facerec_cli.training.optimizer import build_optimizer, clip_gradients, named_parameters, set_rate

Row = dict[str, Any]


def expected(classes: int, size: int, batch: int, sample_rate: float, processes: int = 1) -> float:
    """Peak bytes of the class weights in one process, under SGD with momentum in float32.

    c = max(r C / P, min(B, C / P)) classes take part; B counts the rows of all processes. Weights, gradient
    and momentum take 12 C D / P. With all classes the cosines, 4 B c, are alive while the gradient is made.
    With a sample they are gone by then, but its own gradient, 4 c D, which is added into the whole one, is
    there; or else the peak is a moment before, with its rows, their gradient and the cosines, but without the
    whole one.
    """
    own = classes / processes
    part = min(own, max(sample_rate * own, batch))
    if part == own:
        return 12 * own * size + 4 * batch * own
    return max(12 * own * size + 4 * part * size, 8 * own * size + 8 * part * size + 4 * batch * part)


def dry_run(loss: ArcFace, size: int, batch: int, sample_rate: float) -> int:
    """Bytes that ``--dry-run`` states for the class weights and the logits of this loss."""
    flags = {"loss.sample_rate": sample_rate, "run.batch_size": batch}
    world = World(0, 1, torch.device("cpu"), None, False)
    network = _NoNetwork(size)
    stated = estimate_memory(compose(flags=flags), network, loss, world, torch.float32)
    return stated["classes"] + stated["logits"]


class _NoNetwork(Backbone):
    """A network without weights, so that only the loss is counted."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> Any:
        """Nothing of it is looked at."""
        return self.scale


def measure(classes: int, size: int, batch: int, sample_rate: float, steps: int) -> Row:
    """Peak memory in MB and median seconds of a step, in this process."""
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(batch, size, generator=generator)
    labels = torch.randint(0, classes, (batch,), generator=generator)
    _warm_up()
    forget_peak()
    before = memory()
    loss = ArcFace(classes, size, sample_rate=sample_rate)
    parameters = named_parameters(nn.Identity(), loss)
    optimizer = build_optimizer(compose().optimizer, parameters)
    set_rate(optimizer, 0.1)
    world = World(0, 1, torch.device("cpu"), None, False)
    times = []
    for step in range(steps + 1):
        start = time.perf_counter()
        leaf = embeddings.clone().requires_grad_()
        loss(LossInput(leaf, labels, step=step))[0].backward()
        clip_gradients(parameters, frozenset(parameters), 5.0, world)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - start)
    return {
        "memory": peak_memory() - before,
        "seconds": statistics.median(times[1:]),
        "dry_run": dry_run(loss, size, batch, sample_rate) / 1e6,
    }


def _warm_up() -> None:
    """What PyTorch allocates once, whatever the size."""
    loss = ArcFace(1000, 64, sample_rate=0.5)
    leaf = torch.randn(8, 64, requires_grad=True)
    loss(LossInput(leaf, torch.arange(8)))[0].backward()
    optimizer = build_optimizer(compose().optimizer, named_parameters(nn.Identity(), loss))
    optimizer.step()


def main() -> None:
    """Measure what fits, compute the rest, print both side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--sample-rates", type=float, nargs="+", default=[1.0, 0.1])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--limit", type=float, default=12.0, help="GB that a measurement may take")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in a process of its own
    wanted = parser.parse_args()
    if wanted.one:
        (classes,), (rate,) = wanted.classes, wanted.sample_rates
        print(json.dumps(measure(classes, wanted.size, wanted.batch, rate, wanted.steps)))
        return
    print(f"ArcFace, {wanted.size} numbers a class, {wanted.batch} photos, SGD with momentum, float32, CPU\n")
    print("| classes | sample rate | formula, MB | measured, MB | dry run, MB | step, s | photos/s |")
    print("|---|---|---|---|---|---|---|")
    rows: list[Row] = []
    for classes in wanted.classes:
        for rate in wanted.sample_rates:
            computed = expected(classes, wanted.size, wanted.batch, rate) / 1e6
            name = f"{classes:,} classes, sample rate {rate:g}"
            rows.append({"name": f"{name}: formula", "value": computed, "unit": "MB"})
            if computed > 1000 * wanted.limit:
                print(f"| {classes:,} | {rate:g} | {computed:,.0f} | | | | |")
                continue
            command = [
                sys.executable,
                __file__,
                "--one",
                "--classes",
                str(classes),
                "--sample-rates",
                str(rate),
            ]
            command += [f"--{key}={getattr(wanted, key)}" for key in ("size", "batch", "steps")]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            seconds = found["seconds"]
            megabytes = f"{computed:,.0f} | {found['memory']:,.0f} | {found['dry_run']:,.0f}"
            speed = f"{seconds:.2f} | {wanted.batch / seconds:.0f}"
            print(f"| {classes:,} | {rate:g} | {megabytes} | {speed} |", flush=True)
            rows += [
                {"name": f"{name}: measured", "value": found["memory"], "unit": "MB"},
                {"name": f"{name}: dry run", "value": found["dry_run"], "unit": "MB"},
                {"name": f"{name}: step", "value": seconds, "unit": "s"},
            ]
    if wanted.json:
        about = {key: getattr(wanted, key) for key in ("size", "batch", "steps", "limit")}
        record("partial_fc", rows, about, wanted.json)


if __name__ == "__main__":
    main()
