"""Memory and time of a training step with blocks computed twice (run.recompute), beside the plain step.

    python benchmarks/recompute.py                                  # iresnet50 and vit_s on a CPU
    python benchmarks/recompute.py --networks iresnet100 --batch 128 --device cuda

The step is the trainer's own. Each network and way is measured in a fresh process: the peak of its memory
over what it held before the network was made, and the median time of a step: CPU seconds of the process on a
CPU, which other programs change less, and seconds of the clock on a GPU. "dry run" is what
``facerec train --dry-run`` says of the network and its activations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from history import record
from measuring import forget_peak, memory, peak_memory
from torch import nn

from facerec_cli.training.advice import estimate_memory
from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import join_world
from facerec_cli.training.setup import prepare
from facerec_cli.training.start import train_mode
from facerec_cli.training.train import _step, begin

Row = dict[str, Any]


def measure(network: str, recompute: bool, batch: int, steps: int, device: str) -> Row:
    """Peak MB, MB of the dry run, and median seconds of a step, in this process."""
    torch.set_num_threads(1)
    nn.Conv2d(3, 8, 3)(torch.randn(2, 3, 16, 16)).sum().backward()  # what PyTorch allocates once
    forget_peak()
    before = memory()
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    with tempfile.TemporaryDirectory() as folder, join_world(device) as world:
        recipe = Recipe()
        settings = {"data.path": "synthetic:1000:2", "data.workers": 0, "backbone.name": network,
                    "run.batch_size": batch, "run.device": device, "run.precision": "fp32",
                    "run.out": folder, "run.recompute": recompute, "schedule.steps": steps + 1}  # fmt: skip
        for key, value in settings.items():
            recipe = changed(recipe, key, value)
        run = prepare(recipe, world)
        state = begin(run)
        train_mode(run.model.backbone, run.recipe)
        times = []
        with closing(run.data.loader.epoch(0)) as batches:  # type: ignore[type-var]
            for _ in range(steps + 1):
                start = clock()
                _step(run, state, batches, 0, run.learning_rate(state.step))
                if world.device.type == "cuda":
                    torch.cuda.synchronize()
                state.step += 1
                times.append(clock() - start)
        if world.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated() / 1e6
        else:
            peak = peak_memory() - before
        stated = estimate_memory(run.recipe, run.model.backbone, run.model.loss, world, run.model.dtype)
    return {"memory": peak, "seconds": statistics.median(times[1:]), "dry_run": sum(stated.values()) / 1e6}


def main() -> None:
    """Measure and print both ways of each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["iresnet50", "vit_s"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    wanted = parser.parse_args()
    if wanted.one:
        network, way = wanted.one
        print(json.dumps(measure(network, way == "twice", wanted.batch, wanted.steps, wanted.device)))
        return
    print(f"{wanted.batch} photos, 1,000 people, float32, {wanted.device}\n")
    print("| network | blocks | peak, MB | dry run, MB | step, s |\n|---|---|---|---|---|")
    rows: list[Row] = []
    for network in wanted.networks:
        for way in ("once", "twice"):
            command = [sys.executable, __file__, "--one", network, way]
            command += [f"--{key}={getattr(wanted, key)}" for key in ("batch", "steps", "device")]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"| {network} | {way} | {found['memory']:,.0f} | {found['dry_run']:,.0f} "
                f"| {found['seconds']:.2f} |",
                flush=True,
            )
            peer = {"peer": f"{network}, once: peak"} if way == "twice" else {}
            rows += [
                {"name": f"{network}, {way}: peak", "value": found["memory"], "unit": "MB", **peer},
                {"name": f"{network}, {way}: dry run", "value": found["dry_run"], "unit": "MB"},
                {"name": f"{network}, {way}: step", "value": found["seconds"], "unit": "s"},
            ]
    if wanted.json:
        about = {key: getattr(wanted, key) for key in ("batch", "steps", "device")}
        record("recompute", rows, about, wanted.json)


if __name__ == "__main__":
    main()
