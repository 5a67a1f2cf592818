"""What low-rank adapters on our vision transformers would save: against full fine-tuning and frozen blocks.

    python benchmarks/adapters.py
    python benchmarks/adapters.py --networks vit_s vit_b --batch 32

An adapter (Hu et al., "LoRA", 2106.09685) adds to each linear layer W the product of two thin matrices,
x A' B' alpha / rank, and trains these alone; W stays. It lives here and not in the trainer: docs/train.md
says why, with the figures of this program. The step is the trainer's own, and each way is measured in a fresh
process: the peak of its memory over what it held before the network was made, and the median CPU seconds of
a step. What is learned is not looked at.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from history import record
from measuring import forget_peak, memory, peak_memory
from torch import Tensor, nn

from facerec_cli.backbones import Backbone
from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import join_world
from facerec_cli.training.setup import _build_optimization, prepare
from facerec_cli.training.start import train_mode
from facerec_cli.training.train import _step, begin

WAYS = ("full", "adapters 4", "adapters 16", "last 3 blocks")
Row = dict[str, Any]


class LowRank(nn.Module):
    """A linear layer that stays, and the product of two thin matrices that is trained beside it."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        self.factor = alpha / rank

    @property
    def weight(self) -> Tensor:
        """The layer's, which the network asks for its dtype."""
        return self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        """The layer, and the way beside it."""
        return self.layer(x) + (x @ self.down.T) @ self.up.T * self.factor  # type: ignore[no-any-return]


def set_up(backbone: Backbone, way: str) -> None:
    """Leave trainable what ``way`` trains; norms and the last BN are small and trained in each."""
    if way == "full":
        return
    backbone.requires_grad_(False)
    if way.startswith("adapters"):
        rank = int(way.split()[1])
        for parent in list(backbone.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear) and not isinstance(parent, LowRank):
                    setattr(parent, name, LowRank(child, rank, alpha=2 * rank))
    else:
        backbone.blocks[-3:].requires_grad_(True)  # type: ignore[index]
        backbone.fc.requires_grad_(True)
    backbone.norm.requires_grad_(True)
    backbone.features.requires_grad_(True)


def cost(network: str, way: str, batch: int, steps: int) -> Row:
    """Trained parameters of the network, peak MB and median CPU seconds of a step, in this process."""
    torch.set_num_threads(1)
    nn.Linear(64, 64)(torch.randn(8, 64)).sum().backward()  # what PyTorch allocates once
    forget_peak()
    before = memory()
    with tempfile.TemporaryDirectory() as folder, join_world("cpu") as world:
        recipe = Recipe()
        settings = {"data.path": "synthetic:1000:2", "data.workers": 0, "backbone.name": network,
                    "run.batch_size": batch, "run.device": "cpu", "run.precision": "fp32",
                    "run.out": folder, "schedule.steps": steps + 1}  # fmt: skip
        for key, value in settings.items():
            recipe = changed(recipe, key, value)
        run = prepare(recipe, world)
        set_up(run.model.backbone, way)
        length = _build_optimization(run.recipe, run.model, run.data.loader.steps, world)
        run = replace(run, optimization=length)
        state = begin(run)
        train_mode(run.model.backbone, run.recipe)
        times = []
        with closing(run.data.loader.epoch(0)) as batches:  # type: ignore[type-var]
            for _ in range(steps + 1):
                start = time.process_time()
                _step(run, state, batches, 0, run.learning_rate(state.step))
                state.step += 1
                times.append(time.process_time() - start)
        trained = sum(p.numel() for p in run.model.backbone.parameters() if p.requires_grad)
    return {"trained": trained, "memory": peak_memory() - before, "seconds": statistics.median(times[1:])}


def main() -> None:
    """Measure and print each way of each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["vit_t", "vit_s"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    wanted = parser.parse_args()
    if wanted.one:
        print(json.dumps(cost(*wanted.one, wanted.batch, wanted.steps)))
        return
    print(f"{wanted.batch} photos, 1,000 people, float32, CPU\n")
    print("| network | way | trained | peak, MB | step, CPU s |\n|---|---|---|---|---|")
    rows: list[Row] = []
    for network in wanted.networks:
        for way in wanted.ways:
            command = [sys.executable, __file__, "--one", network, way]
            command += [f"--{key}={getattr(wanted, key)}" for key in ("batch", "steps")]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            megabytes, seconds = f"{found['memory']:,.0f}", f"{found['seconds']:.2f}"
            print(f"| {network} | {way} | {found['trained']:,} | {megabytes} | {seconds} |", flush=True)
            rows += [
                {"name": f"{network}, {way}: trained", "value": found["trained"], "unit": "parameters"},
                {"name": f"{network}, {way}: peak", "value": found["memory"], "unit": "MB"},
                {"name": f"{network}, {way}: step", "value": found["seconds"], "unit": "s"},
            ]
    if wanted.json:
        record("adapters", rows, {"batch": wanted.batch, "steps": wanted.steps}, wanted.json)


if __name__ == "__main__":
    main()
