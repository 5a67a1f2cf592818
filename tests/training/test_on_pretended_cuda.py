"""Steps of every loss through the trainer on a CUDA device that is pretended: nothing mixed, no waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pretended_cuda import Allowed, Ledger, pretend, two_processes_on_cuda, undeclared
from pretended_cuda.trainer import (
    BACKBONES,
    OF_ONE_LOSS,
    OTHER_SETTINGS,
    VARIANTS,
    prepared,
    recipe,
    steps,
    tiny_backbone,
)

from facerec_cli.registry import LOSSES
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import join_world
from facerec_cli.training.processes import MEETING
from facerec_cli.training.report import Plan
from facerec_cli.training.train import train

#: Waits within a step that are meant, by variant; in the others there is none.
IN_A_STEP = {
    "sampled, fp16": (
        Allowed(
            "training/train.py",
            "optimization.scaler.step(",
            1,
            "with a sample of the classes the scaler reads whether there was an overflow and leaves the step "
            "out, since rows are not updated by a fused optimizer, which would do that on the GPU",
        ),
    ),
}

#: Waits of a whole run of four steps with two logs and two checkpoints, beside those of its start.
IN_A_RUN = (
    Allowed("backbones/encoder.py", "torch.tensor(value, device=device)", 2, "mean and std, once in a run"),
    Allowed("training/state.py", "totals = torch.stack(", 2, "one a log: what is logged is read"),
    Allowed(
        "training/state.py", "return bool(torch.stack(finite).all())", 2, "one a checkpoint: is it finite"
    ),
    Allowed(
        "training/checkpoint.py", "torch.save(", 1000, "a checkpoint is on the disk when it is said to be"
    ),
)

#: Copies to the GPU that a batch may need, all of them without a wait: photos, clean photos, labels twice
#: (for the classes and for what compares them), branch, pair, what EPL counts.
COPIES = 6


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbone():
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights to start a distillation from."""
    out = tmp_path_factory.mktemp("weights") / "run"
    settings = {"run.device": "cpu", "schedule.steps": 1}
    return train(recipe(out, "softmax", **settings)).checkpoint


@pytest.mark.parametrize(
    ("loss", "variant"),
    [*((loss, variant) for loss in LOSSES for variant in VARIANTS), *(("arcface", v) for v in OF_ONE_LOSS)],
)
def test_a_step_mixes_nothing_and_waits_for_nothing(
    tmp_path: Path, weights: Path, loss: str, variant: str
) -> None:
    made = recipe(
        tmp_path, loss, init=weights if loss == "distill" else None, **(VARIANTS | OF_ONE_LOSS)[variant]
    )
    looked_at(made, IN_A_STEP.get(variant, ()))


@pytest.mark.parametrize("case", OTHER_SETTINGS)
def test_neither_does_a_loss_in_other_settings(tmp_path: Path, weights: Path, case: str) -> None:
    loss, settings = OTHER_SETTINGS[case]
    init = weights if "loss.distill" in settings else None
    looked_at(recipe(tmp_path, loss, init=init, **settings), IN_A_STEP.get(case, ()))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_neither_does_a_backbone(tmp_path: Path, backbone: str) -> None:
    settings = {"backbone.name": backbone, "run.batch_size": 4, **BACKBONES[backbone]}
    looked_at(recipe(tmp_path, "softmax", **settings), ())


def looked_at(made: Recipe, allowed: Sequence[Allowed]) -> None:
    """A step of the trainer, which mixes nothing, and waits where that is allowed."""
    with pretend() as ledger, join_world("cuda") as world:
        run = prepared(made, world)
        seen = steps(run, ledger)
        assert all(p.is_cuda for p in run.optimization.parameters.values())
    assert seen.operations > 100
    assert undeclared(seen.waits, allowed) == []
    assert sum(seen.copies.values()) <= COPIES * made.optimizer.accumulate
    assert all(torch.isfinite(p.inner).all() for p in run.optimization.parameters.values())


def test_a_whole_run_waits_only_where_it_says(tmp_path: Path) -> None:
    """From its plan to its last checkpoint; and it goes on from there."""
    settings = {"optimizer.ema": 0.9, "schedule.steps": 4, "run.log_every": 2, "run.checkpoint_every": 2}
    begun: list[Ledger] = []
    with pretend() as ledger:

        def observe(event: object) -> None:
            if isinstance(event, Plan):
                begun.append(ledger.snapshot())

        assert train(recipe(tmp_path / "run", "epl", **settings), observer=observe).steps == 4
        assert undeclared(ledger.since(begun[0]).waits, IN_A_RUN) == []
        assert train(recipe(tmp_path / "run", "epl", **settings), resume=True).steps == 4


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    shared[MEETING] = str(folder / "meeting")
    program = [sys.executable, two_processes_on_cuda.__file__]
    processes = [
        subprocess.Popen(
            [*program, str(folder / str(rank)), str(weights)],
            env={**shared, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(error for _, error in said)
    return [json.loads(output.splitlines()[-1]) for output, _ in said]


@pytest.mark.parametrize("case", two_processes_on_cuda.CASES)
def test_two_processes_exchange_on_their_gpus_and_wait_for_nothing(
    ranks: list[dict[str, Any]], case: str
) -> None:
    first, second = (seen[case] for seen in ranks)
    assert first["waits"] == second["waits"] == []
    assert first["collectives"] == second["collectives"] > 5
    assert first["backbone"] == second["backbone"] > 0


def test_what_nccl_refuses_is_refused(ranks: list[dict[str, Any]]) -> None:
    for seen in ranks:
        assert all("NCCL" in fault for fault in seen["planted"].values()), seen["planted"]
        assert len(seen["planted"]) == 6
        assert [note.split(" at ")[0] for note in seen["barrier"]] == ["barrier"]
