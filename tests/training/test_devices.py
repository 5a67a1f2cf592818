"""Where a run computes: number formats, what is set before CUDA starts, the tasks of Slurm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from pretended_cuda import pretend

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.training import devices, slurm
from facerec_cli.training.devices import choose_device, join_world, number_format, slow_format
from facerec_cli.training.state import TrainingState, sum_type

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


@pytest.mark.parametrize(
    ("bf16", "capability", "expected"),
    [
        (True, (8, 0), torch.bfloat16),
        (True, (9, 0), torch.bfloat16),
        (False, (7, 0), torch.float16),  # V100
        (False, (7, 5), torch.float16),  # T4
        (False, (6, 1), torch.float32),  # no tensor cores
    ],
)
def test_auto_is_the_fastest_format_of_a_gpu(monkeypatch, bf16, capability, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert number_format("auto", CUDA) == expected


def test_auto_is_float32_elsewhere():
    assert number_format("auto", CPU) == number_format("auto", torch.device("mps")) == torch.float32
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        number_format("fp16", CPU)


@pytest.mark.parametrize(("machine", "has", "said"), [
    ("x86_64", False, "no instructions for bfloat16"),
    ("x86_64", True, "slower than float32 on the CPUs"),
    ("arm64", False, "slower than float32 on the CPUs"),
])  # fmt: skip
def test_the_plan_warns_of_bfloat16_on_a_cpu(monkeypatch, machine, has, said):
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda: has, raising=False)
    assert said in slow_format(torch.bfloat16, CPU)
    assert slow_format(torch.float32, CPU) == slow_format(torch.bfloat16, CUDA) == ""


@pytest.mark.parametrize("deterministic", [True, False])
def test_what_cublas_reads_is_set_before_cuda_starts(monkeypatch, deterministic):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", deterministic)
    started: list[str | None] = []
    with pretend():
        monkeypatch.setattr(
            torch.cuda, "set_device", lambda device: started.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        )
        with join_world("cuda", deterministic=deterministic):
            assert torch.backends.cudnn.benchmark is not deterministic
    assert started == [":4096:8" if deterministic else None]
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_sums_are_kept_in_what_the_device_has():
    assert sum_type(torch.device("mps")) == torch.float32
    assert sum_type(CUDA) == sum_type(CPU) == torch.float64
    state = TrainingState()
    for value in (1.0, 2.0):
        state.note({"loss": torch.tensor(value), "pairs": torch.tensor(int(value))})
    assert state.sums["pairs"].dtype == torch.float64
    assert state.means() == {"loss": 1.5, "pairs": 1.5}


TASK = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[003-005,17],login",
}


def adopted(**changes: str | None) -> dict[str, str]:
    environment = {k: v for k, v in {**TASK, **changes}.items() if v is not None}
    slurm.adopt(environment)
    return {key: value for key, value in environment.items() if not key.startswith("SLURM")}


def test_a_task_of_srun_is_a_process_of_the_run():
    assert adopted() == {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "gpu003",
        "MASTER_PORT": str(12_000 + (4711 * 16 + 2) % 20_000),
        slurm.STARTED: "1",
    }
    given = adopted(MASTER_ADDR="10.0.0.1", MASTER_PORT="29500", SLURM_STEP_NODELIST=None, SLURM_JOB_ID=None)
    assert (given["MASTER_ADDR"], given["MASTER_PORT"]) == ("10.0.0.1", "29500")
    assert adopted(SLURM_STEP_NUM_TASKS=None)["WORLD_SIZE"] == "8"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("node7,node8", "node7"),
        ("a[1-2]b[3-4],c", "a1b3"),
        ("gpu-a[01,03-05]", "gpu-a01"),
        ("gpu[12].cluster", "gpu12.cluster"),
        ("n[1-2],m[3-4]", "n1"),
    ],
)
def test_the_first_machine_of_a_list(nodes, first):
    assert adopted(SLURM_STEP_NODELIST=nodes)["MASTER_ADDR"] == first


@pytest.mark.parametrize(
    "changes",
    [
        {
            "SLURM_STEP_ID": None,
            "SLURM_STEP_NUM_TASKS": None,
            "SLURM_STEP_NODELIST": None,
        },  # a script of sbatch
        {"SLURM_STEP_ID": "4294967290"},  # the shell of salloc
        {"SLURM_PTY_PORT": "40123"},  # srun --pty bash
        {"SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_a_shell_in_an_allocation_is_one_process(changes):
    assert adopted(**changes) == {}


def test_another_launcher_in_a_task_comes_first():
    assert adopted(WORLD_SIZE="1") == {"WORLD_SIZE": "1"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SLURM_PROCID": None}, "SLURM_PROCID is not set"),
        ({"SLURM_LOCALID": None}, "SLURM_LOCALID is not set"),
        ({"SLURM_STEP_NUM_TASKS": None, "SLURM_NTASKS": None}, "SLURM_NTASKS is not set"),
        ({"SLURM_STEP_NODELIST": None}, "SLURM_STEP_NODELIST is not set"),
        ({"SLURM_JOB_ID": None}, "SLURM_JOB_ID is not set"),
        ({"SLURM_PROCID": "4"}, "task 4 of 4"),
        ({"SLURM_PROCID": "0"}, "task 0 of 4, number 1 of its machine"),
        ({"SLURM_PROCID": "-1"}, "'-1' is not a number"),
        ({"SLURM_STEP_NUM_TASKS": "2(x3)"}, "is not a number"),
    ],
)
def test_variables_that_lack_or_contradict_are_told(changes, said):
    with pytest.raises(UsageError) as caught:
        adopted(**changes)
    assert said in str(caught.value)


def test_a_job_that_slurm_starts_again_goes_on(monkeypatch):
    assert not slurm.requeued({**TASK, "SLURM_RESTART_COUNT": "1"})  # one process: as it is typed
    assert slurm.requeued({slurm.STARTED: "1", "SLURM_RESTART_COUNT": "1"})
    assert not slurm.requeued({slurm.STARTED: "1", "SLURM_RESTART_COUNT": "0"})


def test_a_task_that_sees_only_its_own_gpu_takes_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ModelError, match="GPU 3 was asked for"):
        choose_device("cuda", 3, several=True)
    monkeypatch.setenv(slurm.STARTED, "1")
    assert choose_device("cuda", 3, several=True) == torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert choose_device("cuda", 3, several=True) == torch.device("cuda", 3)


def test_two_tasks_of_srun_train_one_network(small, tmp_path):
    """Started by hand, with the variables that srun sets; the first task alone speaks."""
    out = tmp_path / "run"
    arguments = [
        "train", "--data", "synthetic:12:6", "--backbone", "mobilefacenet", "--set", "backbone.width=0.125",
        "--embedding-size", "16", "--steps", "2", "--batch-size", "12", "--workers", "0", "--device", "cpu",
        "--out", str(out),
    ]  # fmt: skip
    shared = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "MASTER"))},
        **TASK,
        "OMP_NUM_THREADS": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_JOB_ID": str(os.getpid()),
    }
    tasks = [
        subprocess.Popen(
            [sys.executable, "-m", "facerec_cli", *arguments],
            env={**shared, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said: list[Any] = [task.communicate(timeout=240) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert said[1] == ("", "")
    assert "12" in said[0][1] + said[0][0]
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == 2
    assert sorted(path.name.partition("rank")[2] for path in out.glob("last-*")) == ["-0.pt", "-1.pt"]
