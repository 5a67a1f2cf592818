"""What an error of PyTorch's that ends a run means: memory, a GPU or another process that is gone."""

from __future__ import annotations

import torch
import torch.distributed as dist

from facerec_cli.data.loading.loader import lost_reader
from facerec_cli.errors import TrainingError
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World
from facerec_cli.training.run import Run

_ACCELERATOR_ERROR: type[RuntimeError] | tuple[()] = getattr(torch, "AcceleratorError", ())
_OF_A_GPU = ("CUDA error", "CUDA driver error", "HIP error", "cuDNN error", "CUDNN_STATUS_", "CUBLAS_STATUS_")
_OF_A_PROCESS = (
    "closed by peer",
    "reset by peer",
    "Broken pipe",
    "Connection refused",
    "remote process",
    "NCCL communicator was aborted",
    "ncclRemoteError",
    "ncclSystemError",
)
_TOO_LATE = ("imed out", "timeout after", "operation timeout", "Timeout(ms)", "Watchdog caught")


def explain(fault: Exception, recipe: Recipe, run: Run | None, world: World) -> TrainingError | None:
    """The error that tells the user what ``fault`` means; None where that is not known.

    Nothing is saved then: what a GPU that has failed holds cannot be read, and processes that are gone do not
    answer. The last checkpoint is as it was, and named.

    Args:
        fault: What stopped a run.
        recipe: What the user set.
        run: The run, as far as it was prepared.
        world: The processes.
    """
    text = str(fault)
    kept = _kept(run)
    if _is_out_of_memory(fault):
        decided, classes = (recipe, 0) if run is None else (run.recipe, run.data.dataset.num_classes)
        return _out_of_memory(decided, classes, fault, kept)
    if world.group is not None and (lost := _lost_process(fault, kept)):
        return lost
    if lost := lost_reader(fault):
        return lost
    if not isinstance(fault, _ACCELERATOR_ERROR) and not any(sign in text for sign in _OF_A_GPU):
        return None
    said = _first_line(fault)
    if "device-side assert" in text:
        return TrainingError(
            f"A computation on the GPU failed a check of its own ({said}).",
            hint="Run it again with CUDA_LAUNCH_BLOCKING=1, which names the line, and report that with the "
            f"run's recipe.toml. {kept}",
        )
    return TrainingError(
        f"The GPU failed in the middle of the run ({said}).",
        hint=f"See whether nvidia-smi still lists it, and what the system's log says of it (Xid). {kept}",
    )


def _lost_process(fault: Exception, kept: str) -> TrainingError | None:
    """The error for a run whose processes do not reach each other any more."""
    text = str(fault)
    if "Duplicate GPU" in text:
        return TrainingError(
            "Two processes of this run were given the same GPU.",
            hint="Start one process for each GPU, and no more of them than there are GPUs.",
        )
    if any(sign in text for sign in _TOO_LATE):
        return TrainingError(
            "Another process of this run did not answer in time, so this one cannot go on.",
            hint=f"It hangs or is lost, or its machine cannot be reached; its own message says more. {kept}",
        )
    if isinstance(fault, dist.DistError) or any(sign in text for sign in _OF_A_PROCESS):
        return TrainingError(
            "Another process of this run has ended, so this one cannot go on.",
            hint=f"Its own message says why. {kept}",
        )
    return None


def _out_of_memory(recipe: Recipe, classes: int, fault: Exception, kept: str) -> TrainingError:
    """The error for a run that does not fit, with the settings that make it smaller."""
    hints = [f"--batch-size {max((recipe.run.batch_size or 2) // 2, 2)} --set optimizer.accumulate=2"]
    if classes > 50_000:
        hints.append("--sample-rate 0.1 (part of the classes at each step)")
    if recipe.run.precision == "fp32" and recipe.run.device != "cpu":
        hints.append("--precision bf16")
    hints.append("a smaller --backbone")
    return TrainingError(f"Memory ran out ({_first_line(fault)}).", hint=f"Use {', or '.join(hints)}. {kept}")


def _kept(run: Run | None) -> str:
    """What is left of the run, and how to go on."""
    if run is None or not run.folder.last.exists():
        return "There is no checkpoint yet."
    return f"The last checkpoint is kept in {run.folder.last}; --resume goes on from it."


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:120].rstrip(".")


def _is_out_of_memory(fault: BaseException) -> bool:
    """Whether ``fault`` says that the GPU's or the machine's memory is used up."""
    text = str(fault)
    return isinstance(fault, torch.OutOfMemoryError | MemoryError) or (
        isinstance(fault, RuntimeError) and ("DefaultCPUAllocator" in text or "out of memory" in text)
    )
