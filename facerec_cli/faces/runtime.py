"""ONNX Runtime sessions: providers that are what they say, threads, and clear reasons where one fails.

On a CPU a network runs on one thread per call and several calls run side by side (:class:`Network`). For the
light networks of face recognition that is faster than one call on all cores: the activations of one or two
photos stay in a core's cache, and there is nothing to wait for between layers. ``benchmarks/runtime.py``
measures it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError, UsageError

log = logging.getLogger("facerec")

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
DEVICES = ("auto", *PROVIDERS)
_AUTO = ("cuda", "cpu")  # the others build engines or round differently: only when asked for
_CPU_ROWS = 2  # rows of one call on a CPU thread; see benchmarks/runtime.py
_MAX_REWRITTEN = 1 << 30  # bytes; a protobuf message ends at 2 GiB

# Sessions are made, and their threads started, by a thread of their own: ONNX Runtime makes whoever creates
# the first session of a process flush denormal numbers, and threads inherit that from their parent. The
# caller's arithmetic is not ours to change; the networks' threads are.
_starter = ThreadPoolExecutor(1, "facerec-starter")


def _restart_starter() -> None:
    global _starter
    _starter = ThreadPoolExecutor(1, "facerec-starter")


if hasattr(os, "register_at_fork"):  # a forked child has no threads
    os.register_at_fork(after_in_child=_restart_starter)

_PACKAGES = {
    "onnxruntime": "the CPU",
    "onnxruntime-gpu": "CUDA and TensorRT",
    "onnxruntime-openvino": "OpenVINO",
    "onnxruntime-directml": "DirectML",
}
_WHERE = {
    "cuda": "pip uninstall -y onnxruntime && pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]'",
    "openvino": "pip uninstall -y onnxruntime && pip install --force-reinstall onnxruntime-openvino",
}
_WHERE["tensorrt"] = f"{_WHERE['cuda']} && pip install tensorrt"


def wheel_conflict() -> str | None:
    """What to type where two packages wrote into the same ``onnxruntime`` folder; None where all is well.

    All builds of ONNX Runtime are one Python package under different names. pip does not know that they
    exclude each other: the one unpacked last wins, and removing either breaks the other.
    """
    found = [name for name in _PACKAGES if _version(name)]
    if len(found) < 2:
        return None
    wanted = found[-1]
    extra = "'onnxruntime-gpu[cuda,cudnn]'" if wanted == "onnxruntime-gpu" else wanted
    return (
        f"{' and '.join(found)} are installed together; they overwrite each other's files. "
        f"Keep one, e.g. for {_PACKAGES[wanted]}: "
        f"pip uninstall -y {' '.join(found)} && pip install --force-reinstall {extra}"
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def import_onnxruntime() -> Any:
    """The onnxruntime module.

    Raises:
        ModelError: It is missing or broken; the message says what to type.
    """
    try:
        import onnxruntime

        onnxruntime.InferenceSession  # noqa: B018 - a folder left behind by an uninstall imports, but is empty
    except (ImportError, AttributeError) as fault:
        advice = wheel_conflict() or "Run: pip install --force-reinstall onnxruntime"
        raise ModelError(f"ONNX Runtime cannot be used: {fault}.", hint=advice) from fault
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


class Network:
    """One ONNX file on one device. :meth:`run` may be called from several threads.

    Args:
        path: The ONNX file.
        device: One of ``DEVICES``.
        threads: CPU threads; None takes :func:`default_threads`.

    Attributes:
        device: What it really runs on, a key of ``PROVIDERS``.
        input_shape: None where a dimension is not fixed.
        outputs: Names of the outputs.
        ranks: Number of dimensions of each output; 0 where the file does not say.

    Raises:
        UsageError: Unknown device, or fewer than one thread.
        ModelError: The file or the device cannot be used.
    """

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}.")
        self.path = path
        self.threads = threads or default_threads()
        self._session, self.device, self._pool = _starter.submit(_start, path, device, self.threads).result()
        ports = self._session.get_inputs()
        if len(ports) != 1:
            raise ModelError(f"{path} takes {len(ports)} inputs; a face network takes one.")
        self._input = ports[0].name
        shape = ports[0].shape
        self.input_shape = tuple(n if isinstance(n, int) and n > 0 else None for n in shape)
        self.outputs = [port.name for port in self._session.get_outputs()]
        self.ranks = [len(port.shape or ()) for port in self._session.get_outputs()]
        self.rows = self._rows_of_a_call()

    def _rows_of_a_call(self) -> int | None:
        fixed = self.input_shape[0] if self.input_shape else None
        if fixed and fixed > 1:
            raise ModelError(f"{self.path} takes exactly {fixed} photos at a time; export it with batch 'N'.")
        if fixed == 1:
            return 1
        return _CPU_ROWS if self.device == "cpu" else None

    def run(
        self,
        count: int,
        make: Callable[[slice], NDArray[Any]],
        *,
        batch_size: int = 16,
        one_by_one: bool = False,
    ) -> list[tuple[slice, list[NDArray[np.float32]]]]:
        """Run the network over ``count`` rows, in as many calls as the device likes.

        Args:
            count: Rows in all.
            make: Gives the input for a range of rows; called on the thread that runs it.
            batch_size: Most rows of one call.
            one_by_one: Whether the outputs have no batch axis.

        Returns:
            For every call, in order, its rows and the outputs.

        Raises:
            ModelError: ONNX Runtime refuses the input or fails.
        """
        rows = 1 if one_by_one else max(1, min(batch_size, self.rows or batch_size))
        spans = [slice(start, min(start + rows, count)) for start in range(0, count, rows)]

        def call(span: slice) -> tuple[slice, list[NDArray[np.float32]]]:
            return span, self._call(make(span))

        if self._pool is None:
            return [call(span) for span in spans]
        return list(self._pool.map(call, spans))

    def _call(self, batch: NDArray[Any]) -> list[NDArray[np.float32]]:
        runtime = import_onnxruntime()
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        except _faults(runtime) as fault:
            raise ModelError(
                f"{self.path} failed on an input of {batch.shape}: {_first_line(fault)}",
                hint="Lower the batch size if memory ran out." if self.device != "cpu" else "",
            ) from fault
        return outputs


def _start(path: Path, device: str, threads: int) -> tuple[Any, str, ThreadPoolExecutor | None]:
    """A session, the device that it runs on and, on a CPU, the threads that call it."""
    session, device = _open(path, device, threads)
    if device != "cpu":
        return session, device, None
    pool = ThreadPoolExecutor(threads, "facerec-network")
    started = threading.Barrier(threads)
    list(pool.map(lambda _: started.wait(), range(threads)))  # all of them now, by this thread
    return session, device, pool


def _open(path: Path, device: str, threads: int) -> tuple[Any, str]:
    """A session and the device that it runs on."""
    if device not in DEVICES:
        raise UsageError(f"There is no device {device!r}.", hint=f"Known: {', '.join(DEVICES)}")
    runtime = import_onnxruntime()
    available = runtime.get_available_providers()
    wanted = [name for name in _AUTO if PROVIDERS[name] in available] if device == "auto" else [device]
    if device == "auto" and wanted == ["cpu"] and (advice := wheel_conflict()):
        log.warning("Running on the CPU: %s", advice)
    for name in wanted:
        if PROVIDERS[name] not in available:
            raise ModelError(f"This ONNX Runtime has no {name} support.", hint=_advice(name))
        session = _session(runtime, path, name, threads)
        if session.get_providers()[0] == PROVIDERS[name]:
            return session, name
        if device != "auto":
            raise ModelError(f"{name} could not be started on this machine.", hint=_advice(name))
        log.warning("%s could not be started on this machine; running on the CPU. %s", name, _advice(name))
    raise ModelError("ONNX Runtime offers no execution provider.", hint=wheel_conflict() or "")


def _advice(device: str) -> str:
    if device in _WHERE:
        return wheel_conflict() or f"Check the driver, or run: {_WHERE[device]}"
    return "CoreML comes with onnxruntime on macOS only." if device == "coreml" else ""


def _session(runtime: Any, path: Path, device: str, threads: int) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # faults are raised; warnings about graphs are of no use to a user
    options.intra_op_num_threads = 1 if device == "cpu" else threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    if device in ("cuda", "tensorrt") and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()  # CUDA and cuDNN from pip's own packages
    providers = [PROVIDERS[device]]
    if device == "tensorrt" and PROVIDERS["cuda"] in runtime.get_available_providers():
        providers.append(PROVIDERS["cuda"])
    try:
        return runtime.InferenceSession(_content(path, device), options, providers=providers)
    except _faults(runtime) as fault:
        raise ModelError(f"{path} cannot be run: {_first_line(fault)}") from fault


def _content(path: Path, device: str) -> bytes | str:
    """What ONNX Runtime gets: the file's name, or its content where the graph is better rewritten."""
    try:
        size = path.stat().st_size
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}.") from fault
    if device != "cpu" or size > _MAX_REWRITTEN or not _blocked_layout():
        return str(path)
    import onnx
    from google.protobuf.message import DecodeError

    from facerec_cli.faces.graph import rewrite_prelu

    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as fault:
        raise ModelError(f"{path} is not an ONNX file, or it is cut short.") from fault
    if any(entry.data_location == onnx.TensorProto.EXTERNAL for entry in model.graph.initializer):
        return str(path)  # its weights lie beside it and are found by its name
    rewritten = rewrite_prelu(model)
    return str(path) if rewritten is model else bytes(rewritten.SerializeToString())


def _blocked_layout() -> bool:
    """Whether ONNX Runtime has the blocked convolution layout that the rewrite is for."""
    import platform

    return platform.machine().lower() in ("x86_64", "amd64")


def _faults(runtime: Any) -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a file or an input that it cannot use."""
    state = runtime.capi.onnxruntime_pybind11_state
    names = (
        "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile",
        "NotImplemented", "RuntimeException", "EPFail",
    )  # fmt: skip
    return (*(getattr(state, name) for name in names if hasattr(state, name)), RuntimeError, ValueError)


def _first_line(fault: BaseException) -> str:
    text = str(fault).strip() or type(fault).__name__
    return text.splitlines()[0][:300]


def describe_devices() -> Sequence[str]:
    """Devices that this ONNX Runtime was built for, for ``facerec doctor``."""
    available = import_onnxruntime().get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in available]
