"""The versions that matter in a bug report, without importing the packages themselves."""

from __future__ import annotations

import platform
from importlib import metadata

from facerec_cli._version import __version__

_PACKAGES = (
    "onnxruntime", "onnxruntime-gpu", "onnx", "opencv-python", "numpy", "torch", "torchvision", "insightface",
)  # fmt: skip


def version_report() -> str:
    """One line for facerec and one for each package that decides what it can do."""
    lines = [
        f"facerec {__version__}",
        f"python {platform.python_version()} ({platform.system()} {platform.machine()})",
    ]
    for package in _PACKAGES:
        try:
            lines.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package} not installed")
    return "\n".join(lines)
