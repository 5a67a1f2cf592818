"""torchrun replaces a killed worker, and the run goes on from its last checkpoint as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facerec_cli.settings import to_tables
from facerec_cli.training import checkpoint

STEPS = 30

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in Linux's /proc"),
]


def start(recipe):
    """A run of two processes under torchrun, which may restart them once."""
    tables = to_tables(recipe).items()
    settings = [f"--set={t}.{k}={json.dumps(v)}" for t, keys in tables for k, v in keys.items()]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    command = [sys.executable, "-m", *torchrun, "-m", "facerec_cli", "train", *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def workers(torchrun):
    """The processes that torchrun has started, by rank."""
    found = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    ranks = {}
    for pid in map(int, found):
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        rank = next((v for v in variables if v.startswith(b"RANK=")), None)
        if rank is not None:
            ranks[int(rank[5:])] = pid
    return ranks


def test_a_killed_worker_is_replaced_and_the_run_goes_on(small, tmp_path):
    settings = {"loss__name": "epl", "loss__start_epoch": 1, "run__log_every": 1, "run__checkpoint_every": 4,
                "schedule__steps": STEPS}  # fmt: skip
    quiet = start(small(tmp_path / "quiet", **settings))
    killed = start(small(tmp_path / "killed", **settings))
    last = tmp_path / "killed" / "last.pt"
    deadline = time.monotonic() + 240
    while not last.exists() and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.02)
    before = workers(killed)
    os.kill(before[0], signal.SIGKILL)  # the one that writes the checkpoints
    assert checkpoint.read(last)["progress"]["step"] < STEPS, "it ended before it could be killed"
    while workers(killed).keys() != {0, 1} or set(workers(killed).values()) & set(before.values()):
        assert time.monotonic() < deadline and killed.poll() is None, "no worker was started again"
        time.sleep(0.05)
    for run in (killed, quiet):
        _, said = run.communicate(timeout=240)
        assert run.returncode == 0, said
    assert checkpoint.read(last)["progress"]["step"] == STEPS
    one, two = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("quiet", "killed"))
    assert one == two and len(one.splitlines()) == STEPS
