"""What it means when the machine has run out of something: no fault of the program, and none of an input."""

from __future__ import annotations

import errno
import re

from facerec_cli.errors import ResourceError

# What libraries say for MemoryError: OpenCV, ONNX Runtime, torch, Arrow, the loader of shared libraries.
_NO_MEMORY = re.compile(
    r"insufficient memory|bad[_ ]alloc|failed to allocate|can'?t allocate memory|cannot allocate memory"
    r"|out of memory|malloc of size|failed to map segment",
    re.I,
)
_HINT = "Take fewer threads (--threads 1) or workers, smaller batches (--batch-size), or smaller photos"


def resource_error(fault: BaseException) -> ResourceError | None:
    """The error for a fault of a machine without memory, threads or file handles; None for others.

    Args:
        fault: What Python or a library raised.
    """
    text = str(fault)
    if isinstance(fault, MemoryError) or getattr(fault, "errno", None) == errno.ENOMEM:
        return _no_memory(text)
    if isinstance(fault, RuntimeError) and "can't start new thread" in text:
        return ResourceError(
            "No further thread can be started here.",
            hint=f"{_HINT}; `ulimit -u` and `ulimit -v` show what a program may have.",
        )
    if isinstance(fault, OSError) and fault.errno in (errno.EMFILE, errno.ENFILE):
        return ResourceError(
            "Too many files are open for this program.", hint="Raise the limit: ulimit -n 4096"
        )
    if _is_of_a_library(fault) and _NO_MEMORY.search(text):
        return _no_memory(text)
    return None


def _is_of_a_library(fault: BaseException) -> bool:
    if isinstance(fault, RuntimeError | ImportError | OSError):
        return True
    return type(fault).__module__.partition(".")[0] in ("cv2", "onnxruntime", "pyarrow", "torch")


def _no_memory(text: str) -> ResourceError:
    lines = text.strip().splitlines()
    told = f": {lines[0][:200].rstrip('.')}" if lines else ""
    return ResourceError(
        f"There is not enough memory{told}.",
        hint=f"{_HINT}; `ulimit -v` shows whether this shell allows less than the machine has.",
    )
