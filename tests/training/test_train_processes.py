"""Whole programs: two processes, a kill -9, another number of processes, all against one quiet run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from facerec_cli.settings import to_tables
from facerec_cli.training import checkpoint
from facerec_cli.training.train import train

pytestmark = pytest.mark.slow

# Without batch statistics two halves of a batch are the batch.
SETTINGS = {"backbone__freeze_bn": True, "run__log_every": 1, "schedule__steps": 3, "optimizer__lr": 0.02}

# One process of a run, as torchrun starts it, in float64: in float32 one and two processes sum in another
# order, and within five steps a difference of 1e-7 in the fresh weights becomes one of 1e-3 in the loss.
EXACT = """
import json, os, sys
import torch
from facerec_cli.backbones import encoder
from facerec_cli.training import advice, train
from facerec_cli.training.compose import parse_recipe

torch.set_default_dtype(torch.float64)
advice._activations = lambda backbone: 0
train.to_input = lambda *given, **more: encoder.to_input(*given, **more).double()
for port, document in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = str(port)
    train.train(parse_recipe(document, "test"))
"""


def arguments(recipe):
    document = to_tables(recipe)
    return [
        "train",
        *(f"--set={t}.{k}={json.dumps(v)}" for t, keys in document.items() for k, v in keys.items()),
    ]


def start(*arguments, **environment):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-m", "facerec_cli", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def records(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_two_processes_learn_exactly_what_one_does(small, tmp_path):
    """Every way to make batches and every way to split a loss, in float64, each step to 1e-9."""
    kinds = {
        "npt": {},
        "epl": {"loss__start_epoch": 0},
        "otface": {"loss__weight": 0.0, "data__identity_share": 1.0},  # mines within a process
        "ddl": {"data__path": "synthetic:12:6"},
    }
    whole, halves = [], []
    for loss, settings in kinds.items():
        settings = {**SETTINGS, "loss__name": loss, **settings}
        whole.append((0, to_tables(small(tmp_path / "one" / loss, **settings))))
        halves.append((free_port(), to_tables(small(tmp_path / "two" / loss, **settings))))
    program = [sys.executable, "-c", EXACT]
    shared = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    environments = [
        {"OMP_NUM_THREADS": "1"},
        *({**shared, "RANK": str(r), "LOCAL_RANK": str(r)} for r in (0, 1)),
    ]
    running = [
        subprocess.Popen(
            [*program, json.dumps(runs)], env={**os.environ, **own}, stderr=subprocess.PIPE, text=True
        )
        for runs, own in zip((whole, halves, halves), environments, strict=True)
    ]
    for process in running:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    for loss in kinds:
        one, two = (records(tmp_path / name / loss) for name in ("one", "two"))
        assert len(one) == 3
        for key in ("loss", "grad_norm", "target_cosine"):
            assert [r[key] for r in two] == pytest.approx([r[key] for r in one], rel=1e-9), (loss, key)
        assert abs(one[-1]["loss"] - one[0]["loss"]) > 1e-3  # something was learnt


def test_a_run_of_two_processes_goes_on_with_one(small, tmp_path):
    settings = {**SETTINGS, "loss__name": "npt", "optimizer__lr": 0.002}
    done = start(*arguments(small(tmp_path / "two", **settings)), "--processes", "2")
    train(small(tmp_path / "one", **settings))
    _, said = done.communicate(timeout=240)
    assert done.returncode == 0, said
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    np.testing.assert_allclose([r["loss"] for r in two], [r["loss"] for r in one], rtol=2e-4)
    _goes_on_alone(small, tmp_path, settings)


def _goes_on_alone(small, tmp_path, settings):
    document = checkpoint.read(tmp_path / "two" / "last.pt")
    pieces = [checkpoint.read(tmp_path / "two" / name)["loss"] for name in document["ranks"]]
    (name,) = pieces[0]
    assert sum(len(piece[name]) for piece in pieces) == 12
    one = checkpoint.read(tmp_path / "one" / "last.pt")
    joined = np.concatenate([piece[name].numpy() for piece in pieces])
    np.testing.assert_allclose(joined, one["ranks"][0]["loss"][name].numpy(), atol=2e-5)
    from facerec_cli.training.devices import join_world
    from facerec_cli.training.setup import prepare
    from facerec_cli.training.state import restore

    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "two", **settings), world)
        assert restore(run).step == 3
        assert np.array_equal(run.model.loss.state_dict()[name].numpy(), joined)


def test_a_killed_run_ends_with_the_metrics_of_a_quiet_one(small, tmp_path):
    settings = {"loss__name": "epl", "loss__start_epoch": 1, "run__log_every": 1, "run__checkpoint_every": 3,
                "schedule__steps": 24, "data__workers": 1}  # fmt: skip
    running = start(*arguments(small(tmp_path / "killed", **settings)))
    last = tmp_path / "killed" / "last.pt"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.02)
    time.sleep(0.1)  # somewhere in the middle of a step
    assert running.poll() is None, "it ended before it could be killed"
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert checkpoint.read(last)["progress"]["step"] < 24
    settings["data__workers"] = 0  # who decodes changes nothing
    train(small(tmp_path / "killed", **settings), resume=True)
    train(small(tmp_path / "quiet", **settings))
    killed, quiet = (tmp_path / name / "metrics.jsonl" for name in ("killed", "quiet"))
    assert killed.read_bytes() == quiet.read_bytes()
    assert len(records(tmp_path / "quiet")) == 24


def test_sigterm_saves_and_ends_with_130(small, tmp_path):
    running = start(*arguments(small(tmp_path / "run", schedule__steps=500, run__log_every=1)))
    while not (tmp_path / "run" / "metrics.jsonl").exists() and running.poll() is None:
        time.sleep(0.05)
    time.sleep(0.3)
    running.terminate()
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert "--resume" in said
    step = checkpoint.read(tmp_path / "run" / "last.pt")["progress"]["step"]
    assert 0 < step < 500
    assert records(tmp_path / "run")[-1]["step"] == step


def test_sigterm_of_the_parent_saves_in_all_processes(small, tmp_path):
    settings = {"loss__name": "npt", "schedule__steps": 2000, "run__log_every": 1}
    running = start(*arguments(small(tmp_path / "run", **settings)), "--processes", "2")
    while not (tmp_path / "run" / "metrics.jsonl").exists() and running.poll() is None:
        time.sleep(0.05)
    time.sleep(0.3)
    running.terminate()
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert said.count("go on with: facerec train --resume") == 1
    document = checkpoint.read(tmp_path / "run" / "last.pt")
    assert 0 < document["progress"]["step"] < 2000
    assert len(document["ranks"]) == 2
    assert all((tmp_path / "run" / name).is_file() for name in document["ranks"])
