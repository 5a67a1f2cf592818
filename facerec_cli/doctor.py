"""What this machine has and lacks for facerec, each finding with what to type to mend it.

ONNX Runtime is looked at from other processes: a broken build may crash the one that imports it, and a
provider counts only if it starts and computes the right number there.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from facerec_cli._version import __version__
from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.files import dangling
from facerec_cli.privacy import SWITCHES, device_id, reporting
from facerec_cli.runtime import (
    GPU_PACKAGE,
    RUNTIME_WHEELS,
    install_command,
    installed_versions,
    wheel_conflict,
)

Status = Literal["ok", "note", "broken"]

_OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_VARIABLES = (
    "FACEREC_HOME", "FACEREC_MIRROR", "FACEREC_OFFLINE", "INSIGHTFACE_HOME", "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NO_COLOR",
)  # fmt: skip
_TIMEOUT = 120  # seconds; the first start of a GPU provider is slow


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        status: "ok"; "note" for what may surprise but does no harm; "broken" for what has to be mended.
        detail: What was found.
        mend: What to type or do; empty where nothing is needed.
    """

    subject: str
    status: Status
    detail: str
    mend: str = ""


def examine() -> list[Finding]:
    """Look at everything; takes a few seconds, as every provider is started."""
    findings = [
        Finding("facerec", "ok", __version__),
        Finding("python", "ok", f"{platform.python_version()}, {platform.platform(terse=True)}"),
        _opencv(),
    ]
    runtime = _runtime()
    findings += runtime
    findings += _gpu()
    findings += _torch()
    findings += _models(run=healthy(runtime))
    findings += _hidden()
    findings += _home()
    findings += _telemetry(os.environ)
    findings += _environment(os.environ.items())
    return findings


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing has to be mended."""
    return all(finding.status != "broken" for finding in findings)


def _opencv() -> Finding:
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


def _runtime() -> list[Finding]:
    """ONNX Runtime: which packages are installed, which of them is imported, and what it can start."""
    from facerec_cli.registry import PROVIDERS

    wheels = installed_versions(RUNTIME_WHEELS)
    shown = ", ".join(f"{name} {version}" for name, version in wheels.items())
    findings = []
    conflict = wheel_conflict()
    reinstall = f"pip install --force-reinstall {next(iter(wheels), 'onnxruntime')}"
    mend = conflict.partition(": ")[2] if conflict else reinstall
    done = _python(_INVENTORY)
    if done.returncode:
        if not wheels:
            return [Finding("onnxruntime", "broken", "not installed", "pip install onnxruntime")]
        detail = f"{shown} cannot be imported: {_last_line(done.stderr)}"
        return [Finding("onnxruntime", "broken", detail, mend)]
    found = json.loads(done.stdout.splitlines()[-1])
    build = f"the build that is imported is {found['package']} {found['version']}"
    if conflict:
        findings.append(Finding("onnxruntime", "broken", f"{shown} are installed together; {build}", mend))
    elif found["version"] != wheels.get(found["package"], found["version"]):
        findings.append(Finding("onnxruntime", "broken", f"pip says {shown}, but {build}", mend))
    else:
        cuda = f", for CUDA {found['cuda']}" if found["cuda"] else ""
        named = shown or f"{found['package']} {found['version']}, not installed by pip"
        findings.append(Finding("onnxruntime", "ok", named + cuda))
    devices = [name for name, provider in PROVIDERS.items() if provider in found["providers"]]
    return findings + [_provider(device) for device in devices]


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
    done = _python(f"from facerec_cli.doctor import probe; probe({device!r})")
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
            found = np.concatenate([outputs[0] for _, outputs in calls])
            if not np.allclose(found.reshape(2, 4, 4), image.sum(axis=1), rtol=1e-2):
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


def _gpu() -> list[Finding]:
    """The driver, and CUDA and cuDNN where ONNX Runtime would look for them."""
    driver = _driver()
    gpu_wheel = "onnxruntime-gpu" in installed_versions(RUNTIME_WHEELS)
    if not driver and not gpu_wheel:
        return [Finding("gpu", "ok", "none found; the CPU is used")]
    findings = [Finding("gpu", "ok", driver)]
    if not driver:
        return [Finding("gpu", "note", "no NVIDIA driver found: onnxruntime-gpu computes on the CPU here")]
    if not gpu_wheel:
        return [
            *findings,
            Finding("cuda", "note", "this ONNX Runtime is built for the CPU only", install_command("cuda")),
        ]
    for library in ("cudart", "cublas", "cudnn"):
        place = _library(library)
        if place:
            findings.append(Finding(library, "ok", place))
        else:
            mend = f"pip install {GPU_PACKAGE}"
            findings.append(Finding(library, "broken", "not found", mend))
    return findings


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
        found = sorted(packages.glob(pattern))
        if found:
            return str(found[0])
    return ctypes.util.find_library(name) or ""


def _torch() -> list[Finding]:
    version = installed_versions(("torch",)).get("torch")
    return [Finding("torch", "ok", f"{version}, for train and export")] if version else []


def _models(*, run: bool = True) -> list[Finding]:
    """Every model, run where ONNX Runtime is known to work: a broken one would only be told of again."""
    from facerec_cli.packs.store import check

    findings = []
    for found in check(run=run):
        subject = f"model {found.name}"
        if found.status == "broken":
            message, _, mend = found.detail.partition("Get it again: ")
            findings.append(Finding(subject, "broken", message.strip(), mend or _mend_model(found)))
        elif found.status == "differs":
            findings.append(Finding(subject, "note", found.detail))
        else:
            findings.append(Finding(subject, "ok", f"{found.origin}, identity {found.pack_hash[:12]}"))
    return findings


def _hidden() -> list[Finding]:
    """Packs that another user of the same folder has kept to himself."""
    from facerec_cli.packs.folders import hidden_packs, open_to_all

    return [
        Finding(
            "models",
            "broken",
            f"you may not read {place}, which belongs to {owner}: its models are missing here",
            f"as {owner}: {open_to_all(place)}",
        )
        for place, owner in hidden_packs().items()
    ]


def _mend_model(found: Any) -> str:
    if found.origin == "registered":
        return f"facerec models remove {found.name}"
    return "pip install --force-reinstall facerec-cli" if found.origin == "embedded" else ""


def _home() -> list[Finding]:
    """Whether packs, caches and licences can be written, and what interrupted programs left."""
    from facerec_cli.home import home
    from facerec_cli.packs.folders import readable, user_packs

    place = home()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as stream:
            stream.write(b"x")
    except OSError as fault:
        if link := dangling(place):
            return [Finding("home", "broken", link, "Make that folder, or set FACEREC_HOME to another one")]
        if place.is_dir() and readable(user_packs()):
            detail = f"{place} may be read but not written: its models can be used, none added"
            return [
                Finding("home", "note", detail, "To add models, set FACEREC_HOME to a folder of your own")
            ]
        detail = f"{place} cannot be written: {fault.strerror}"
        return [Finding("home", "broken", detail, "Set FACEREC_HOME to a folder that you may write to")]
    free = shutil.disk_usage(place).free
    findings = [Finding("home", "ok", f"{place}, {free / 1e9:,.1f} GB free")]
    parts = sorted((place / "downloads").glob("*.part"))
    if parts:
        size = sum(path.stat().st_size for path in parts)
        detail = f"{len(parts)} unfinished, {size / 1e6:,.1f} MB; `facerec models pull` goes on with them"
        findings.append(Finding("downloads", "note", detail))
    return [*findings, *_cache()]


def _cache() -> list[Finding]:
    """Where embeddings of earlier verifications lie: biometric data that somebody may want to delete."""
    from facerec_cli.embeddings.cache import cache_path

    place = cache_path()
    try:
        size = place.stat().st_size
    except OSError:  # none is kept
        return []
    return [Finding("cache", "ok", f"{place}, {size / 1e6:,.1f} MB of embeddings; it may be deleted")]


def _telemetry(environment: Mapping[str, str]) -> list[Finding]:
    """Whether anything here reports to others, which happens only where the user has asked for it."""
    findings = [
        Finding(
            "telemetry",
            "note",
            f"{switch.variable}={environment[switch.variable]} is set here: {switch.otherwise}",
            f"unset {switch.variable}",
        )
        for switch in reporting(environment)
    ]
    if not findings:
        told = ", ".join(f"{switch.variable}={environment.get(switch.variable)}" for switch in SWITCHES)
        findings.append(Finding("telemetry", "ok", f"off ({told})"))
    left = device_id(environment)
    if left:
        detail = f"{left} was written by an ONNX Runtime whose telemetry was on"
        findings.append(Finding("device id", "note", detail, f"rm -r {shlex.quote(str(left.parent))}"))
    return findings


def _environment(variables: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Variables that change what facerec does."""
    for name, value in sorted(variables):
        if name.upper() in _VARIABLES and value:
            yield Finding(name, "ok", _without_password(value))


def _without_password(value: str) -> str:
    """The address of a proxy without the name and password that it may carry."""
    netloc = urlsplit(value).netloc
    return value.replace(netloc, f"***@{netloc.rpartition('@')[2]}") if "@" in netloc else value


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
