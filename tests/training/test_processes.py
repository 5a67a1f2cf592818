"""Whole programs: two processes, a kill -9, another number of processes, all against one quiet run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from facerec_cli.training import checkpoint
from facerec_cli.training.train import train

pytestmark = pytest.mark.slow

# Without batch statistics two halves of a batch are the batch.
SETTINGS = {"backbone__freeze_bn": True, "run__log_every": 1, "schedule__steps": 5, "optimizer__lr": 0.002}


def arguments(recipe):
    from facerec_cli.training.config import to_document

    document = to_document(recipe)
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


@pytest.mark.parametrize("loss", ["npt", "epl", "otface"])
def test_two_processes_learn_what_one_does(small, tmp_path, loss):
    settings = {**SETTINGS, "loss__name": loss}
    if loss == "epl":
        settings["loss__start_epoch"] = 0
    if loss == "otface":  # mines within a process, so only its softmax part is the same
        settings["loss__weight"] = 0.0
        settings["data__identity_share"] = 1.0
    done = start(*arguments(small(tmp_path / "two", **settings)), "--processes", "2")
    train(small(tmp_path / "one", **settings))
    _, said = done.communicate(timeout=240)
    assert done.returncode == 0, said
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    if loss != "otface":
        np.testing.assert_allclose([r["loss"] for r in two], [r["loss"] for r in one], rtol=2e-4)
    assert [r["step"] for r in two] == [r["step"] for r in one]
    if loss == "npt":  # and one process can go on where two stopped
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
        parts = prepare(small(tmp_path / "two", **settings), world)
        assert restore(parts, tmp_path / "two" / "last.pt", world).step == 5
        assert np.array_equal(parts.loss.state_dict()[name].numpy(), joined)


def test_a_killed_run_ends_with_the_metrics_of_a_quiet_one(small, tmp_path):
    settings = {"loss__name": "epl", "loss__start_epoch": 1, "run__log_every": 1, "run__checkpoint_every": 3,
                "schedule__steps": 40, "data__workers": 1}  # fmt: skip
    recipe = arguments(small(tmp_path / "killed", **settings))
    running = start(*recipe)
    last = tmp_path / "killed" / "last.pt"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)  # somewhere in the middle of a step
    assert running.poll() is None, "it ended before it could be killed"
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert checkpoint.read(last)["progress"]["step"] < 40
    again = start(*recipe, "--resume")
    train(small(tmp_path / "quiet", **settings))
    _, said = again.communicate(timeout=240)
    assert again.returncode == 0, said
    killed, quiet = (tmp_path / name / "metrics.jsonl" for name in ("killed", "quiet"))
    assert killed.read_bytes() == quiet.read_bytes()
    assert len(records(tmp_path / "quiet")) == 40


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
