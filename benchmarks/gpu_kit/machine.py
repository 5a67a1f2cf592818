"""What decides the figures: the GPU, its driver, the versions; no name, number or folder of this machine."""

from __future__ import annotations

import subprocess

import torch
from history import machine

from facerec_cli.runtime import import_onnxruntime
from gpu_kit.report import Kit, Report


def describe(kit: Kit, report: Report) -> None:
    """One fact a row.

    Raises:
        RuntimeError: The GPU that is to be judged cannot be used.
    """
    for name, value in (machine() | {"torch": torch.__version__}).items():  # with the CUDA it was built for
        report.machine(name, value)
    report.machine("ONNX Runtime's providers", import_onnxruntime().get_available_providers())
    if not kit.on_gpu:
        return
    if not torch.cuda.is_available():
        raise RuntimeError(
            "PyTorch finds no CUDA GPU here: look at nvidia-smi, and install a torch that is built for CUDA"
        )
    index = torch.device(kit.device).index or 0
    gpu = torch.cuda.get_device_properties(index)
    report.machine("GPU", gpu.name)
    report.machine("GPUs", torch.cuda.device_count())
    report.machine("compute capability", f"{gpu.major}.{gpu.minor}")
    report.machine("GPU memory, MB", gpu.total_memory // 10**6)
    report.machine("multiprocessors", gpu.multi_processor_count)
    report.machine("bfloat16", torch.cuda.is_bf16_supported(including_emulation=False))
    report.machine("CUDA", torch.version.cuda)
    report.machine("cuDNN", torch.backends.cudnn.version())
    asked = "driver_version,power.limit,clocks.max.sm,clocks.max.memory"
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader", f"--id={index}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        facts = list(zip(asked.split(","), said.split(","), strict=True))
    except (OSError, subprocess.SubprocessError, ValueError):
        report.left_out("driver and clocks", "nvidia-smi does not say")
        return
    for name, value in facts:
        report.machine(name, value.strip())
