"""What facerec runs on: cores, versions of packages, and which build of ONNX Runtime is installed."""

from __future__ import annotations

import os
import platform
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.errors import ModelError
from facerec_cli.privacy import silence
from facerec_cli.resources import resource_error

_REPORTED = (
    "onnxruntime", "onnxruntime-gpu", "onnx", "opencv-python", "numpy", "torch", "torchvision", "insightface",
)  # fmt: skip

RUNTIME_WHEELS = {
    "onnxruntime": "the CPU",
    "onnxruntime-gpu": "CUDA and TensorRT",
    "onnxruntime-openvino": "OpenVINO",
    "onnxruntime-directml": "DirectML",
}
"""The builds of ONNX Runtime, which exclude each other, and what each is for."""

_blas_lock = threading.Lock()
_blas_users = 0
_blas_limits: Any = None

GPU_PACKAGE = "'onnxruntime-gpu[cuda,cudnn]'"
"""What pip installs for NVIDIA's GPUs, with CUDA and cuDNN."""


def usable_cores() -> int:
    """CPU cores that this process may use: its affinity and, in a container, the quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no container, or "max": no limit
        return cores


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Matrix products of NumPy run on the thread that asks for them: the caller has threads of its own.

    The setting is the process's; it is put back when the last of several callers is through.

    Yields:
        False where it could not be had: without ``threadpoolctl``, BLAS goes on with threads of its own.
    """
    global _blas_users, _blas_limits
    blas = _blas()
    if blas is None:
        yield False
        return
    with _blas_lock:
        if _blas_users == 0:
            _blas_limits = blas.limit(limits=1, user_api="blas")
        _blas_users += 1
    try:
        yield True
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limits.restore_original_limits()


@cache
def _blas() -> Any:
    """What can be told how many threads a matrix product takes, or None."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Those of ``packages`` that are installed, with their versions; none of them is imported."""
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def version_report() -> str:
    """The versions that matter in a report of a fault: a line for facerec, Python and each package."""
    lines = [
        f"facerec {__version__}",
        f"python {platform.python_version()} ({platform.system()} {platform.machine()})",
    ]
    versions = installed_versions(_REPORTED)
    return "\n".join([*lines, *(f"{name} {versions.get(name, 'not installed')}" for name in _REPORTED)])


def install_command(device: str) -> str:
    """What to type for a build of ONNX Runtime that runs on ``device``; empty where no wheel does."""
    package = {"cuda": GPU_PACKAGE, "tensorrt": GPU_PACKAGE, "openvino": "onnxruntime-openvino"}.get(device)
    if package is None:
        return ""
    command = f"pip uninstall -y onnxruntime && pip install --force-reinstall {package}"
    return f"{command} && pip install tensorrt" if device == "tensorrt" else command


def wheel_conflict() -> str | None:
    """What to type where two packages wrote into the same ``onnxruntime`` folder; None where all is well.

    All builds of ONNX Runtime are one Python package under different names. pip does not know that they
    exclude each other: the one unpacked last wins, and removing either breaks the other.
    """
    wheels = list(installed_versions(RUNTIME_WHEELS))
    if len(wheels) < 2:
        return None
    keep = wheels[-1]
    if keep == "onnxruntime-gpu" and not has_nvidia_driver():
        keep = wheels[-2]
    package = GPU_PACKAGE if keep == "onnxruntime-gpu" else keep
    return (
        f"{' and '.join(wheels)} are installed together; they overwrite each other's files. "
        f"Keep one, e.g. for {RUNTIME_WHEELS[keep]}: "
        f"pip uninstall -y {' '.join(wheels)} && pip install --force-reinstall {package}"
    )


def has_nvidia_driver() -> bool:
    """Whether this machine has a driver for GPUs of NVIDIA."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


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
