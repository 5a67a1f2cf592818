"""Runs every loss on two gloo processes and saves what each of them got; ``test_processes.py`` judges it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput

SPLIT = (5, 3)  # rows of each process, on purpose not equal
SIZE = 6

# name -> registry name, classes, settings
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    **{name: (name, 7, {}) for name in registry.LOSSES},
    **{f"{name}, 3 classes": (name, 3, {}) for name in registry.LOSSES},
    **{f"{name}, 1 class": (name, 1, {}) for name in ("arcface", "uniface", "npt", "epl")},
    **{
        f"{name}, sampled": (name, 40, {"sample_rate": 0.5})
        for name in (
            "arcface",
            "uniface",
            "curricularface",
            "npt",
            "epl",
            "sface",
            "elasticface",
            "subcenter_arcface",
        )
    },
    **{f"boundaryface mining, {n}": ("boundaryface", n, {"start_epoch": 0}) for n in (3, 7)},
    "boundaryface mining, sampled": ("boundaryface", 40, {"start_epoch": 0, "sample_rate": 0.5}),
    "elasticface plus": ("elasticface", 7, {"variant": "cos", "plus": True}),
    "epl on arcface": ("epl", 7, {"host": "arcface"}),
    "epl on uniface": ("epl", 7, {"host": "uniface"}),
    "npt, 4 nearest": ("npt", 7, {"k": 4}),
    "npt, more than there are": ("npt", 3, {"k": 6}),
    "otface group": ("otface", 7, {"variant": "group"}),
    "ddl on cosface": ("ddl", 7, {"host": "cosface", "branches": 2, "classify": "all"}),
}


def build(case: str, group: dist.ProcessGroup | None = None) -> Loss:
    name, classes, settings = CASES[case]
    loss: Loss = registry.load(registry.LOSSES, name, "loss")(classes, SIZE, group=group, **settings)
    return loss.double()


def batch(case: str) -> LossInput:
    """The global batch: labels that repeat, two branches, two pairs that each lie within one process."""
    generator = torch.Generator().manual_seed(len(case))
    n = sum(SPLIT)
    return LossInput(
        3 * torch.randn(n, SIZE, dtype=torch.float64, generator=generator),
        torch.tensor([0, 1, 0, 2, 1, 2, 6, 2]) % CASES[case][1],
        feature_map=torch.randn(n, 4, 3, 3, dtype=torch.float64, generator=generator),
        branch=torch.tensor([0, 0, 0, 1, 1, 1, 0, 1]),
        pair=torch.tensor([-1, 0, 0, -1, -1, 1, -1, 1]),
        target=torch.randn(n, SIZE, dtype=torch.float64, generator=generator),
        epoch=5,
        step=3,
    )


def rows(whole: LossInput, start: int, stop: int) -> LossInput:
    values = {k: v[start:stop] if isinstance(v, torch.Tensor) else v for k, v in vars(whole).items()}
    values["pair"] = values["pair"].clamp_max(0)  # each process numbers its own pairs from 0
    return LossInput(**values)


def step(loss: Loss, part: LossInput) -> dict[str, Any]:
    """Two steps, so that state which the first leaves behind counts; what the second gives."""
    for _ in range(2):
        loss.zero_grad(set_to_none=True)
        embeddings = part.embeddings.clone().requires_grad_()
        assert part.feature_map is not None
        maps = part.feature_map.clone().requires_grad_()
        value, terms = loss(LossInput(**{**vars(part), "embeddings": embeddings, "feature_map": maps}))
        value.backward()
    return {
        "loss": value.detach(),
        "terms": terms,
        "embeddings": embeddings.grad,
        "maps": maps.grad if maps.grad is not None else torch.zeros_like(maps),
        "gradients": {name: p.grad for name, p in loss.named_parameters()},
        "state": loss.state_dict(),
        "sharded": sorted(loss.sharded_names()),
    }


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(SPLIT))
    start = sum(SPLIT[:rank])
    results = {}
    for case in CASES:
        loss = build(case, dist.group.WORLD)
        part = rows(batch(case), start, start + SPLIT[rank])
        results[case] = step(loss, part)
        if "sampled" in case:
            classes = loss.classifier.classes(batch(case).labels, part.step)
            results[case]["index"] = classes.index + loss.classifier.shard.start
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
