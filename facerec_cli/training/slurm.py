"""``srun facerec train ...``: processes that Slurm has started find each other as those of torchrun do.

srun tells each task its number and how many there are; what PyTorch asks for is made of that. The variables
are those of srun's job steps: a shell of salloc, or a script of sbatch that was not started by srun, is one
process, however many tasks its allocation has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping

from facerec_cli.errors import UsageError

STARTED = "FACEREC_SRUN"
"""Is set where this process is one of several of srun's."""

_SHELL_STEPS = ("4294967290", "4294967291")  # the interactive step of salloc, the batch step of sbatch
_FIRST_PORT, _PORTS = 12_000, 20_000  # below those that systems give out by themselves
_STEPS = 16  # of one job that get ports of their own


def adopt(environment: MutableMapping[str, str] = os.environ) -> None:
    """Say in PyTorch's variables what srun says in its own.

    Sets ``RANK``, ``WORLD_SIZE`` and ``LOCAL_RANK``, and ``MASTER_ADDR`` and ``MASTER_PORT`` where they are
    not set. Does nothing where another launcher has set them, and where there is one process.

    Raises:
        UsageError: A variable is missing, is not a number, or they contradict each other.
    """
    if "WORLD_SIZE" in environment or not _is_step(environment):
        return
    size = _number(
        environment, "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"
    )
    if size <= 1:
        return
    rank, local = _number(environment, "SLURM_PROCID"), _number(environment, "SLURM_LOCALID")
    if rank >= size or local > rank:
        raise UsageError(
            f"Slurm's variables contradict each other: task {rank} of {size}, number {local} of its machine.",
            hint=f"Start it with srun itself. {_ALONE}",
        )
    found = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(local), STARTED: "1"}
    found["MASTER_ADDR"] = environment.get("MASTER_ADDR") or _first_host(environment)
    found["MASTER_PORT"] = environment.get("MASTER_PORT") or str(_port(environment))
    environment.update(found)


def requeued(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether Slurm has started this job again, and this process is one of several of srun's."""
    return STARTED in environment and environment.get("SLURM_RESTART_COUNT", "0") not in ("", "0")


_ALONE = "For one process set WORLD_SIZE=1."


def _is_step(environment: Mapping[str, str]) -> bool:
    """Whether srun has started this process, and not for a person who types."""
    step = environment.get("SLURM_STEP_ID") or environment.get("SLURM_STEPID")
    if step in _SHELL_STEPS or "SLURM_PTY_PORT" in environment:
        return False
    return step is not None or "SLURM_STEP_NODELIST" in environment or "SLURM_STEP_NUM_TASKS" in environment


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None:
        raise UsageError(
            f"Slurm has started this process as one of several, but {name} is not set.",
            hint=f"Start it with srun --export=ALL, which passes its variables on. {_ALONE}",
        )
    if not text.isdecimal():
        raise UsageError(f"{name}={text!r} is not a number.", hint=f"Start it with srun itself. {_ALONE}")
    return int(text)


def _first_host(environment: Mapping[str, str]) -> str:
    """The first machine of the step: ``gpu[003-005,7],login`` is gpu003."""
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    if first is None:
        raise UsageError(
            "Slurm does not say on which machines this run is: SLURM_STEP_NODELIST is not set.",
            hint="Set MASTER_ADDR to the machine of task 0, the same for all.",
        )
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first[0])


def _port(environment: Mapping[str, str]) -> int:
    """A port that all tasks of this step come to, and few other steps do."""
    job = environment.get("SLURM_JOB_ID") or environment.get("SLURM_JOBID")
    if job is None or not job.isdecimal():
        raise UsageError(
            "Slurm does not say which job this is: SLURM_JOB_ID is not set.",
            hint="Set MASTER_PORT to a free port of the first machine, the same for all.",
        )
    step = environment.get("SLURM_STEP_ID") or "0"
    return _FIRST_PORT + (int(job) * _STEPS + (int(step) if step.isdecimal() else 0) % _STEPS) % _PORTS
