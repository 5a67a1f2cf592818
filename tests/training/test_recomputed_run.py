"""Whole runs with blocks computed twice: metrics and weights of the plain run, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from facerec_cli.settings import to_tables
from facerec_cli.training import checkpoint
from facerec_cli.training.train import train

EVERYTHING = {
    "backbone__freeze": ["body.0"],
    "optimizer__ema": 0.9,
    "optimizer__accumulate": 2,
    "schedule__steps": 4,
    "run__precision": "bf16",
    "loss__name": "otface",
}


def weights(out: Path) -> dict[str, Any]:
    document = checkpoint.read(out / "best.pt")
    return {
        **document["backbone"]["state"],
        **{f"ema {k}": v for k, v in (document.get("ema") or {}).items()},
    }


def require_equal(one: Path, other: Path) -> None:
    assert (one / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_with_ema_frozen_modules_accumulation_and_bfloat16(small: Any, tmp_path: Path) -> None:
    for name, recompute in (("once", False), ("twice", True)):
        train(small(tmp_path / name, **EVERYTHING, run__recompute=recompute))
    require_equal(tmp_path / "once", tmp_path / "twice")


def test_a_run_may_go_on_with_it(small: Any, tmp_path: Path, stop_at: Any) -> None:
    train(small(tmp_path / "plain"))
    with pytest.raises(KeyboardInterrupt):
        train(small(tmp_path / "run"), observer=stop_at(4))
    train(small(tmp_path / "run", run__recompute=True), resume=True)
    require_equal(tmp_path / "plain", tmp_path / "run")


@pytest.mark.slow
def test_on_two_processes(small: Any, tmp_path: Path) -> None:
    for name, recompute in (("once", False), ("twice", True)):
        document = to_tables(small(tmp_path / name, run__recompute=recompute, schedule__steps=4))
        settings = [f"--set={t}.{k}={json.dumps(v)}" for t, keys in document.items() for k, v in keys.items()]
        command = [sys.executable, "-m", "facerec_cli", "train", *settings, "--processes", "2"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
    require_equal(tmp_path / "once", tmp_path / "twice")
