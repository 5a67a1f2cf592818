"""The builds of OpenCV, ONNX Runtime and torch that are installed, and what they can start.

ONNX Runtime is looked at from other processes: a broken build may crash the one that imports it, and a
provider counts only if it starts and computes the right number there.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facerec_cli.doctor.finding import Finding
from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.runtime import (
    GPU_PACKAGE,
    RUNTIME_WHEELS,
    install_command,
    installed_versions,
    wheel_conflict,
)

_OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_TIMEOUT = 120  # seconds; the first start of a GPU provider is slow


def opencv() -> Finding:
    """OpenCV, whose packages overwrite each other's files too."""
    wheels = installed_versions(_OPENCV_WHEELS)
    shown = ", ".join(f"{name} {version}" for name, version in wheels.items())
    done = _python("import cv2; print(cv2.__version__)")
    if done.returncode:
        reason = _last_line(done.stderr)
        if not wheels:
            return Finding("opencv", "broken", "not installed", "pip install opencv-python")
        mend = f"pip uninstall -y {' '.join(wheels)} && pip install opencv-python-headless"
        return Finding("opencv", "broken", f"{shown} cannot be imported: {reason}", mend)
    if len(wheels) > 1:
        keep = "opencv-python-headless" if "opencv-python-headless" in wheels else "opencv-python"
        mend = f"pip uninstall -y {' '.join(wheels)} && pip install {keep}"
        return Finding("opencv", "note", f"{shown} overwrite each other's files", mend)
    return Finding("opencv", "ok", shown or done.stdout.strip())


def onnxruntime() -> Iterator[Finding]:
    """ONNX Runtime: which packages are installed, which of them is imported, and what it can start."""
    from facerec_cli.faces.runtime.providers import PROVIDERS

    wheels = installed_versions(RUNTIME_WHEELS)
    shown = ", ".join(f"{name} {version}" for name, version in wheels.items())
    conflict = wheel_conflict()
    reinstall = f"pip install --force-reinstall {next(iter(wheels), 'onnxruntime')}"
    mend = conflict.partition(": ")[2] if conflict else reinstall
    done = _python(_INVENTORY)
    if done.returncode:
        if wheels:
            detail = f"{shown} cannot be imported: {_last_line(done.stderr)}"
            yield Finding("onnxruntime", "broken", detail, mend)
        else:
            yield Finding("onnxruntime", "broken", "not installed", "pip install onnxruntime")
        return
    inventory = json.loads(done.stdout.splitlines()[-1])
    build = f"the build that is imported is {inventory['package']} {inventory['version']}"
    if conflict:
        yield Finding("onnxruntime", "broken", f"{shown} are installed together; {build}", mend)
    elif inventory["version"] != wheels.get(inventory["package"], inventory["version"]):
        yield Finding("onnxruntime", "broken", f"pip says {shown}, but {build}", mend)
    else:
        cuda = f", for CUDA {inventory['cuda']}" if inventory["cuda"] else ""
        named = shown or f"{inventory['package']} {inventory['version']}, not installed by pip"
        yield Finding("onnxruntime", "ok", named + cuda)
    for device, provider in PROVIDERS.items():
        if provider in inventory["providers"]:
            yield _provider(device)


# `package_name` is what the imported files call themselves, whichever wheel pip believes in.
_INVENTORY = """
import json, onnxruntime
from onnxruntime.capi import build_and_package_info as build
print(json.dumps({
    "package": getattr(build, "package_name", "onnxruntime"),
    "version": onnxruntime.__version__,
    "cuda": getattr(build, "cuda_version", ""),
    "providers": onnxruntime.get_available_providers(),
}))
"""


def _provider(device: str) -> Finding:
    """Start one provider and let it compute."""
    subject = f"device {device}"
    done = _python(f"from facerec_cli.doctor.builds import probe; probe({device!r})")
    if done.returncode == 0:
        return Finding(subject, "ok", "starts and computes")
    if done.returncode < 0:
        detail = f"crashed with signal {-done.returncode}"
        return Finding(subject, "broken", detail, install_command(device))
    try:
        fault = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        fault = {"message": _last_line(done.stderr), "hint": ""}
    # A wheel may bring a provider that this machine has no device for: the CPU serves, and whoever asks for
    # that device by name is told.
    broken = device == "cpu" or (device == "cuda" and _driver())
    if device in ("cuda", "tensorrt") and not _driver():  # nothing that pip installs would help
        return Finding(subject, "note", f"no NVIDIA driver here. {fault['message']}")
    return Finding(subject, "broken" if broken else "note", fault["message"], fault["hint"])


def probe(device: str) -> None:
    """Run a small convolution on ``device`` and end the process with 0 if the numbers are right."""
    import numpy as np

    from facerec_cli.faces.runtime.session import Network

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.onnx"
        _write_probe(path)
        try:
            network = Network(path, device=device)
            image = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
            calls = network.run(2, lambda rows, _: image[rows])
            sums = np.concatenate([outputs[0] for _, outputs in calls])
            if not np.allclose(sums.reshape(2, 4, 4), image.sum(axis=1), rtol=1e-2):
                raise ModelError(
                    f"{device} computes wrong numbers.",
                    hint="Use --device cpu, and install another version of ONNX Runtime.",
                )
        except FacerecError as fault:
            print(json.dumps({"message": fault.message, "hint": fault.hint}))  # noqa: T201 - read by our parent
            sys.exit(4)


def _write_probe(path: Path) -> None:
    """A 1 x 1 convolution that adds up the three channels; on a GPU it needs cuDNN."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "ones"], ["sum"])],
        "probe",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "ones")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def gpu() -> Iterator[Finding]:
    """The driver, and CUDA and cuDNN where ONNX Runtime would look for them."""
    driver = _driver()
    gpu_wheel = "onnxruntime-gpu" in installed_versions(RUNTIME_WHEELS)
    if not driver and not gpu_wheel:
        yield Finding("gpu", "ok", "none found; the CPU is used")
    elif not driver:
        yield Finding("gpu", "note", "no NVIDIA driver found: onnxruntime-gpu computes on the CPU here")
    else:
        yield Finding("gpu", "ok", driver)
        if not gpu_wheel:
            detail = "this ONNX Runtime is built for the CPU only"
            yield Finding("cuda", "note", detail, install_command("cuda"))
    for library in ("cudart", "cublas", "cudnn") if driver and gpu_wheel else ():
        if place := _library(library):
            yield Finding(library, "ok", place)
        else:
            yield Finding(library, "broken", "not found", f"pip install {GPU_PACKAGE}")


def _driver() -> str:
    """The GPUs and the driver's version, as nvidia-smi tells them; empty without."""
    program = shutil.which("nvidia-smi")
    if not program:
        return ""
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(done.stdout.strip().splitlines()) if done.returncode == 0 else ""


def _library(name: str) -> str:
    """Where pip's own packages or the system have a CUDA library."""
    packages = Path(sysconfig.get_path("purelib")) / "nvidia"
    for pattern in (f"*/lib/lib{name}.so*", f"*/*/lib/lib{name}.so*", f"*/bin/{name}64*.dll"):
        places = sorted(packages.glob(pattern))
        if places:
            return str(places[0])
    return ctypes.util.find_library(name) or ""


def torch() -> Iterator[Finding]:
    """PyTorch, where it is installed."""
    for name, version in installed_versions(("torch",)).items():
        yield Finding(name, "ok", f"{version}, for train and export")


def _python(code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a Python of its own that finds the same packages; a hang counts as a failure."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = [sys.executable, "-c", code]
    try:
        return subprocess.run(
            words, capture_output=True, text=True, timeout=_TIMEOUT, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no answer within {_TIMEOUT} seconds")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "no message"
