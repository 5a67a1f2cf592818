"""A GPU or a process that is lost in the middle of a run: a clear error, and the last checkpoint is kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from pretended_cuda.trainer import recipe, tiny_backbone

from facerec_cli.errors import TrainingError
from facerec_cli.training import checkpoint, devices, faults
from facerec_cli.training.devices import World, join_world
from facerec_cli.training.faults import explain
from facerec_cli.training.train import train

ACCELERATOR_ERROR = getattr(torch, "AcceleratorError", RuntimeError)
ALONE = World(0, 1, torch.device("cpu"), None, False)
TOGETHER = replace(ALONE, size=2, group=mock.sentinel.group)
ADDED = "\nCUDA kernel errors might be asynchronously reported at some other API call"

#: The error, as torch raises it; among several processes; what is said.
FAULTS = {
    "launch": (ACCELERATOR_ERROR("CUDA error: unspecified launch failure" + ADDED), False, "The GPU failed"),
    "older": (RuntimeError("CUDA error: unspecified launch failure" + ADDED), False, "The GPU failed"),
    "memory access": (RuntimeError("CUDA error: an illegal memory access"), False, "The GPU failed"),
    "ecc": (ACCELERATOR_ERROR("CUDA error: uncorrectable ECC error encountered"), False, "The GPU failed"),
    "gone": (RuntimeError("CUDA error: device(s) is/are busy or unavailable"), False, "The GPU failed"),
    "cudnn": (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, "The GPU failed"),
    "cublas": (
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        False,
        "The GPU failed",
    ),
    "assert": (
        ACCELERATOR_ERROR("CUDA error: device-side assert triggered" + ADDED),
        False,
        "CUDA_LAUNCH_BLOCKING=1",
    ),
    "memory": (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried"), False, "Memory ran out"),
    "memory, older": (ACCELERATOR_ERROR("CUDA error: out of memory" + ADDED), False, "Memory ran out"),
    "nccl": (
        dist.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:1, remote process exited"),
        True,
        "Another process of this run has ended",
    ),
    "nccl, a GPU": (
        dist.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:1, unhandled cuda error"),
        True,
        "Another process of this run has ended",
    ),
    "store": (dist.DistNetworkError("Connection was likely closed"), True, "run has ended"),
    "watchdog": (
        RuntimeError("[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7)"),
        True,
        "did not answer in time",
    ),
    "gloo": (RuntimeError("Timed out waiting 1800000ms for recv operation"), True, "did not answer in time"),
    "one GPU for two": (
        dist.DistBackendError("ncclInvalidUsage: Duplicate GPU detected : rank 1 and rank 0"),
        True,
        "the same GPU",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_of_the_device_says_what_happened_and_what_is_kept(small, tmp_path, name):
    fault, together, said = FAULTS[name]
    last = tmp_path / "last.pt"
    last.touch()
    made = small(tmp_path)
    run = SimpleNamespace(
        recipe=made,
        folder=SimpleNamespace(last=last),
        data=SimpleNamespace(dataset=SimpleNamespace(num_classes=12)),
    )
    error = explain(fault, made, run, TOGETHER if together else ALONE)
    assert error is not None and said in str(error)
    if "same GPU" not in said:
        assert error.hint.endswith(f"The last checkpoint is kept in {last}; --resume goes on from it.")


def test_a_gpu_lost_in_the_middle_ends_the_run_and_nothing_is_saved(tmp_path, monkeypatch):
    """In the fifth step, after a checkpoint at the fourth; the run goes on from there."""
    module = sys.modules["facerec_cli.training.train"]
    fault = ACCELERATOR_ERROR("CUDA error: unspecified launch failure" + ADDED)
    real, real_save, saved = module._step, module.save_last, []

    def step(run, state, *given):
        if state.step == 4:
            raise fault
        return real(run, state, *given)

    def save(run, state):
        saved.append(state.step)
        return real_save(run, state)

    settings = {"run.device": "cpu", "run.checkpoint_every": 2, "schedule.steps": 6}
    with tiny_backbone():
        monkeypatch.setattr(module, "save_last", save)
        with monkeypatch.context() as failing:
            failing.setattr(module, "_step", step)
            with pytest.raises(TrainingError, match="The GPU failed") as caught:
                train(recipe(tmp_path / "run", "arcface", **settings))
        last = tmp_path / "run" / "last.pt"
        assert f"kept in {last}; --resume" in caught.value.hint
        assert saved == [2, 4]
        assert checkpoint.read(last)["progress"]["step"] == 4
        assert train(recipe(tmp_path / "run", "arcface", **settings), resume=True).steps == 6


def test_without_a_checkpoint_none_is_promised(small, tmp_path):
    fault = RuntimeError("CUDA error: unspecified launch failure")
    error = explain(fault, small(tmp_path), None, ALONE)
    assert error is not None and error.hint.endswith("There is no checkpoint yet.")


@pytest.mark.parametrize("text", ["The size of tensor a (3) must match", "expected scalar type Half", ""])
def test_other_errors_stay_what_they_are(small, tmp_path, text):
    assert explain(RuntimeError(text), small(tmp_path), None, ALONE) is None
    assert explain(RuntimeError(text), small(tmp_path), None, TOGETHER) is None


def test_processes_are_left_without_a_wait_after_a_failure(monkeypatch):
    """On GPUs the group is aborted, since finishing what is queued would wait for whoever is gone."""
    left = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(devices, "choose_device", lambda *_, **__: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(devices, "_meet", lambda *_: None)
    monkeypatch.setattr(dist.distributed_c10d, "_abort_process_group", lambda: left.append("aborted"))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: left.append("destroyed"))
    with pytest.raises(TrainingError), join_world("cuda"):
        raise TrainingError("lost")
    with join_world("cuda"):
        pass
    assert left == ["aborted", "destroyed"]


def test_names_of_torch_that_are_asked_for_are_there():
    assert faults._ACCELERATOR_ERROR is getattr(torch, "AcceleratorError", ())
    assert issubclass(dist.DistBackendError, dist.DistError)
