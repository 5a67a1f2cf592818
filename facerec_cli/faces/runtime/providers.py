"""Devices and ONNX Runtime's providers: sessions that run where they say, and reasons where one cannot."""

from __future__ import annotations

import contextlib
import io
import logging
import platform
from pathlib import Path
from typing import Any

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces.runtime.explain import explained
from facerec_cli.files import sha256_of
from facerec_cli.home import home
from facerec_cli.packs.foreign import not_onnx, reading
from facerec_cli.registry import DEVICES
from facerec_cli.runtime import import_onnxruntime, install_command, wheel_conflict
from facerec_cli.suggest import guess_or_list

log = logging.getLogger("facerec")

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_AUTO = ("cuda", "cpu")  # the others build engines or round differently: only when asked for
_MAX_REWRITTEN = 1 << 30  # bytes; a protobuf message ends at 2 GiB


def open_sessions(path: Path, device: str, threads: int, gpu: int = 0) -> tuple[list[Any], str]:
    """A network's ``onnxruntime.InferenceSession`` and the device that it really runs on.

    On a CPU there may be two: the network without its last layer, and that layer (see ``head``).

    Args:
        path: The ONNX file.
        device: One of ``DEVICES``.
        threads: CPU threads of one call where the device is not the CPU; there a call has one.
        gpu: Number of the GPU, where the device is one.

    Raises:
        UsageError: Unknown device.
        ModelError: The file or the device cannot be used.
    """
    if device not in DEVICES:
        raise UsageError(f"There is no device {device!r}.", hint=guess_or_list(device, DEVICES))
    runtime = import_onnxruntime()
    available = runtime.get_available_providers()
    devices = [name for name in _AUTO if PROVIDERS[name] in available] if device == "auto" else [device]
    if device == "auto" and devices == ["cpu"] and (advice := wheel_conflict()):
        log.warning("Running on the CPU: %s", advice)
    for name in devices:
        if PROVIDERS[name] not in available:
            raise ModelError(f"This ONNX Runtime has no {name} support.", hint=_advice(name))
        sessions = _sessions(runtime, path, name, threads, gpu)
        if sessions[0].get_providers()[0] == PROVIDERS[name]:
            return sessions, name
        if device != "auto":
            raise ModelError(f"{name} could not be started on this machine.", hint=_advice(name))
        log.warning("%s could not be started on this machine; running on the CPU. %s", name, _advice(name))
    raise ModelError("ONNX Runtime offers no execution provider.", hint=wheel_conflict() or "")


def provider_options(device: str, path: Path, gpu: int = 0) -> dict[str, str]:
    """What a provider is told about a network: see the comments. All else is ONNX Runtime's default."""
    if device == "cuda":
        return {
            "device_id": str(gpu),
            # Trying all algorithms takes seconds for each new shape, and photos come in many.
            "cudnn_conv_algo_search": "HEURISTIC",
            # By default the arena doubles whenever it grows, and most of it would stay empty.
            "arena_extend_strategy": "kSameAsRequested",
            # float32 throughout, so that thresholds and parity hold on every device.
            "use_tf32": "0",
        }
    if device == "tensorrt":
        # Engines take minutes to build. ONNX Runtime tells them apart by the graph, not by its weights, so
        # that each file needs a folder of its own, or a fine-tuned network would run the old one's engine.
        engines = home() / "engines" / sha256_of(path)[:16]
        try:
            engines.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            log.warning("TensorRT's engines will be built again next time: %s: %s", engines, fault.strerror)
            return {"device_id": str(gpu), "trt_fp16_enable": "False"}
        return {
            "device_id": str(gpu),
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(engines),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(engines),
            "trt_fp16_enable": "False",
        }
    return {}


def _advice(device: str) -> str:
    if command := install_command(device):
        return wheel_conflict() or f"Check the driver, or run: {command}"
    return "CoreML comes with onnxruntime on macOS only." if device == "coreml" else ""


def _sessions(runtime: Any, path: Path, device: str, threads: int, gpu: int) -> list[Any]:
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # faults are raised; warnings about graphs are of no use to a user
    options.intra_op_num_threads = 1 if device == "cpu" else threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    if device in ("cuda", "tensorrt") and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()  # CUDA and cuDNN from pip's own packages
    contents = _contents(path, device)
    devices = [device]
    if device == "tensorrt" and PROVIDERS["cuda"] in runtime.get_available_providers():
        devices.append("cuda")  # for what TensorRT does not cover
    providers = [(PROVIDERS[name], provider_options(name, path, gpu)) for name in devices]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its Python part prints there what it then raises
            return [runtime.InferenceSession(content, options, providers=providers) for content in contents]
    except faults(runtime) as fault:
        raise explained(path, fault) from fault


def _contents(path: Path, device: str) -> list[bytes] | list[str]:
    """What ONNX Runtime gets: the file's name, or graphs where its own is better rewritten."""
    try:
        size = path.stat().st_size
    except OSError as fault:
        raise ModelError(
            f"{path} cannot be read: {fault.strerror}.", hint="Make the file readable, or get it again."
        ) from fault
    if device != "cpu" or size > _MAX_REWRITTEN or not _blocked_layout():
        return [str(path)]
    import onnx
    from google.protobuf.message import DecodeError

    from facerec_cli.faces.runtime.last_layer import split_head
    from facerec_cli.faces.runtime.rewrites import rewrite_prelu

    with reading(path, "an ONNX file"):
        try:
            model = onnx.load(str(path), load_external_data=False)
        except DecodeError as fault:
            raise not_onnx(path) from fault
        if any(entry.data_location == onnx.TensorProto.EXTERNAL for entry in model.graph.initializer):
            return [str(path)]  # its weights lie beside it and are found by its name
        rewritten = rewrite_prelu(model)
        parts = split_head(rewritten)
        if parts is None and rewritten is model:
            return [str(path)]
        return [bytes(part.SerializeToString()) for part in parts or [rewritten]]


def _blocked_layout() -> bool:
    """Whether ONNX Runtime has the blocked convolution layout that the rewrite is for."""
    return platform.machine().lower() in ("x86_64", "amd64")


def faults(runtime: Any) -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a file or an input that it cannot use."""
    state = runtime.capi.onnxruntime_pybind11_state
    raised = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*raised, RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError)
