"""One of two processes on the pretended device: every loss through the trainer, and plants. Prints JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.distributed as dist

from facerec_cli.losses.distributed import gather_rows
from facerec_cli.registry import LOSSES
from facerec_cli.training.devices import World, join_world
from pretended_cuda import pretend, undeclared
from pretended_cuda.collectives import nccl
from pretended_cuda.trainer import prepared, recipe, steps, tiny_backbone

SAMPLED = {"loss.sample_rate": 0.3, "run.precision": "fp32"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{loss: (loss, {"run.precision": "fp32"}) for loss in LOSSES},
    **{f"{loss}, sampled": (loss, SAMPLED) for loss in ("uniface", "curricularface", "npt", "epl")},
    "arcface, fp16, ema, accumulated": (
        "arcface",
        {"run.precision": "fp16", "optimizer.ema": 0.9, "optimizer.accumulate": 2},
    ),
    "ddl on epl": ("ddl", {"loss.host": "epl"}),
}


def planted(world: World) -> dict[str, str]:
    """What becomes of exchanges that NCCL refuses or waits for."""
    rows = torch.ones(2 + world.rank, 3, device="cuda")
    plants = {
        "a CPU tensor": lambda: dist.all_reduce(torch.ones(2)),
        "a CPU tensor among others": lambda: dist.all_gather([torch.ones(2), torch.ones(2)], torch.ones(2)),
        "a CPU tensor for one process": lambda: dist.reduce(torch.ones(2), 0, dist.ReduceOp.SUM, world.group),
        "a CPU tensor for each": lambda: dist.all_to_all_single(torch.empty(2), torch.ones(2)),
        "labels on the CPU": lambda: gather_rows(torch.arange(3), world.group),
        "unequal rows": lambda: gather_rows(rows, world.group),
    }
    said = {}
    for name, plant in plants.items():
        try:
            plant()
            said[name] = "nothing"
        except RuntimeError as fault:
            said[name] = str(fault)
    return said


def main(folder: Path, weights: str) -> None:
    torch.set_num_threads(1)
    seen: dict[str, Any] = {}
    with tiny_backbone(), pretend() as ledger, nccl() as exchanged, join_world("cuda") as world:
        for case, (loss, settings) in CASES.items():
            run = prepared(
                recipe(folder, loss, init=Path(weights) if loss == "distill" else None, **settings), world
            )
            before = len(exchanged)
            done = steps(run, ledger)
            backbone = torch.cat([p.inner.detach().flatten() for p in run.model.backbone.parameters()])
            seen[case] = {
                "waits": undeclared(done.waits, ()),
                "collectives": len(exchanged) - before,
                "backbone": float(backbone.double().abs().sum()),
            }
        before_barrier = ledger.snapshot()
        world.barrier()
        seen["barrier"] = [str(note) for note in ledger.since(before_barrier).waits]
        with mock.patch.object(ledger, "waits", ledger.waits.copy()):
            seen["planted"] = planted(world)
    print(json.dumps(seen))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]), sys.argv[2])
