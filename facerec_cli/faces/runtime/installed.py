"""The ONNX Runtime that is installed: whether it is whole, and how many cores it may use."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from facerec_cli.errors import ModelError
from facerec_cli.privacy import silence
from facerec_cli.resources import resource_error

_PACKAGES = {
    "onnxruntime": "the CPU",
    "onnxruntime-gpu": "CUDA and TensorRT",
    "onnxruntime-openvino": "OpenVINO",
    "onnxruntime-directml": "DirectML",
}


def wheel_conflict() -> str | None:
    """What to type where two packages wrote into the same ``onnxruntime`` folder; None where all is well.

    All builds of ONNX Runtime are one Python package under different names. pip does not know that they
    exclude each other: the one unpacked last wins, and removing either breaks the other.
    """
    found = [name for name in _PACKAGES if _version(name)]
    if len(found) < 2:
        return None
    wanted = found[-1]
    if wanted == "onnxruntime-gpu" and not _nvidia():
        wanted = found[-2]
    extra = "'onnxruntime-gpu[cuda,cudnn]'" if wanted == "onnxruntime-gpu" else wanted
    return (
        f"{' and '.join(found)} are installed together; they overwrite each other's files. "
        f"Keep one, e.g. for {_PACKAGES[wanted]}: "
        f"pip uninstall -y {' '.join(found)} && pip install --force-reinstall {extra}"
    )


def _nvidia() -> bool:
    """Whether this machine has a driver for GPUs of NVIDIA."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def import_onnxruntime() -> Any:
    """The onnxruntime module.

    Raises:
        ModelError: It is missing or broken; the message says what to type.
        ResourceError: There is no memory to load it.
    """
    try:
        import onnxruntime

        onnxruntime.InferenceSession  # noqa: B018 - a folder left behind by an uninstall imports, but is empty
    except (ImportError, AttributeError) as fault:
        if (short := resource_error(fault)) is not None:
            raise short from fault
        advice = wheel_conflict() or "Run: pip install --force-reinstall onnxruntime"
        raise ModelError(f"ONNX Runtime cannot be used: {fault}.", hint=advice) from fault
    silence(onnxruntime)
    return onnxruntime


def default_threads() -> int:
    """CPU cores that this process may use: its affinity and, in a container, the quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no container, or "max": no limit
        return cores
