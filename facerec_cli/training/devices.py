"""Where a run computes: the device, the processes that share it, and the number format."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.suggest import guess
from facerec_cli.training import slurm
from facerec_cli.training.allocator import keep_freed_memory
from facerec_cli.training.processes import MEETING, is_restarted, restarts

_TENSOR_CORES = (7, 0)  # compute capability from which float16 is faster than float32


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run.

    Attributes:
        rank: This process, 0-based over all machines.
        size: All processes.
        device: What this process computes on.
        group: The processes, or None where there is one and ``torch.distributed`` is not used.
        restarted: Whether torchrun has started this process again after a failure.
    """

    rank: int
    size: int
    device: torch.device
    group: dist.ProcessGroup | None
    restarted: bool

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process; a collective."""
        if self.group is None:
            return flag
        shared = torch.full((), float(flag), device=self.device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return bool(shared.item())

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.group is not None:
            dist.barrier()


@contextmanager
def join_world(device: str, *, deterministic: bool = False) -> Iterator[World]:
    """Join the processes that torchrun, srun or ``--gpus`` has started; alone, nothing is set up.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        deterministic: Whether a GPU is to give the same numbers each time.

    Raises:
        ModelError: There is no such device here.
        UsageError: It is not a device, several processes are to share one, or Slurm's variables do not fit.
    """
    slurm.adopt()
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if deterministic:  # cuBLAS looks at it once, when CUDA starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    place = choose_device(device, local, several=size > 1)
    if place.type == "cuda":
        torch.cuda.set_device(place)
        torch.backends.cudnn.benchmark = not deterministic  # all batches have one shape
    elif place.type == "cpu":
        keep_freed_memory()
    torch.set_flush_denormal(True)  # a CPU computes with denormal numbers a hundred times slower
    if size == 1:
        yield World(0, 1, place, None, is_restarted())
        return
    _meet(place, rank, size)
    try:
        yield World(rank, size, place, dist.group.WORLD, is_restarted())
    except BaseException:
        _leave(place)
        raise
    dist.destroy_process_group()


def _leave(place: torch.device) -> None:
    """Leave the processes after a failure, without a wait for those that may never answer.

    On GPUs ``destroy_process_group`` finishes what was queued first, which on a GPU that is lost, or where
    another process is gone, takes until the timeout.
    """
    abort = getattr(dist.distributed_c10d, "_abort_process_group", None)
    if place.type == "cuda" and abort is not None:
        with suppress(RuntimeError):  # what it is left for is raised; what leaving says is no news
            abort()
    else:
        dist.destroy_process_group()


def _meet(place: torch.device, rank: int, size: int) -> None:
    """Let the processes find each other.

    torchrun's store outlives the processes that it restarts. Under the same keys the new ones would find the
    addresses of those that are gone, and fail if they look before they are overwritten.
    """
    timeout = timedelta(minutes=30)
    store: Any
    meeting = os.environ.get(MEETING)
    if meeting:
        store = dist.FileStore(meeting, size)  # type: ignore[attr-defined]
    else:
        store, _, _ = next(rendezvous("env://", rank, size, timeout=timeout))
    store = dist.PrefixStore(f"start-{restarts()}", store)  # type: ignore[attr-defined]
    if place.type == "cuda":
        # With its device NCCL connects now, and tells now what is wrong, and a barrier knows where to wait.
        dist.init_process_group(
            "nccl", store=store, rank=rank, world_size=size, timeout=timeout, device_id=place
        )
    else:
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timeout)


def choose_device(name: str, local_rank: int = 0, *, several: bool = False) -> torch.device:
    """The device that ``name`` stands for, in the process number ``local_rank`` of this machine."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as fault:
        raise UsageError(
            f"{name!r} is not a device.",
            hint=guess(name, ("cuda", "mps", "cpu", "auto")) + "Use auto, cpu, cuda, cuda:1 or mps.",
        ) from fault
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ModelError(
                f"--device {name}: no CUDA GPU can be used here.",
                hint="Check nvidia-smi and that torch was installed with CUDA, or use --device cpu.",
            )
        if several and device.index is not None:
            raise UsageError(
                "Several processes cannot share one GPU.", hint="Use --device cuda without a number."
            )
        if slurm.STARTED in os.environ and torch.cuda.device_count() == 1:
            local_rank = 0  # Slurm shows each task its own GPU only (--gpus-per-task)
        device = torch.device("cuda", local_rank if device.index is None else device.index)
        if device.index >= torch.cuda.device_count():
            raise ModelError(
                f"GPU {device.index} was asked for, but there are {torch.cuda.device_count()}.",
                hint="Lower --gpus (or torchrun's --nproc-per-node) or choose another --device.",
            )
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("--device mps: there is no Apple GPU here.", hint="Use --device cpu.")
    elif device.type not in ("cpu", "mps"):
        raise UsageError(f"{name!r} is not a device facerec trains on.", hint="Use auto, cpu, cuda or mps.")
    return device


def number_format(precision: str, device: torch.device) -> torch.dtype:
    """What autocast computes in.

    "auto" is bfloat16 on a GPU that has it, float16 on one that has tensor cores for that alone (V100, T4),
    and float32 elsewhere. A CPU never gets bfloat16 unasked: also with instructions for it (AVX512-BF16) a
    step of each network that was measured was slower (docs/performance.md).

    Args:
        precision: "auto", "fp32", "bf16" or "fp16".
        device: Where it is computed.

    Raises:
        UsageError: fp16 on a CPU.
    """
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16
        return torch.float16 if torch.cuda.get_device_capability(device) >= _TENSOR_CORES else torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("fp16 needs a GPU.", hint="Use --precision fp32 (or bf16) on a CPU.")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def slow_format(dtype: torch.dtype, device: torch.device) -> str:
    """A sentence for the plan where ``dtype`` makes a run slower than float32, else ""."""
    if device.type != "cpu" or dtype != torch.bfloat16:
        return ""
    asked = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    if platform.machine() in ("x86_64", "AMD64") and not any(ask() for ask in asked if ask is not None):
        return "this processor has no instructions for bfloat16, which makes it slower; use --precision fp32"
    return "bfloat16 was slower than float32 on the CPUs that were measured; compare with --precision fp32"
