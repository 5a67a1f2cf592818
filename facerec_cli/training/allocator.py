"""How the C library hands out memory while a CPU trains."""

from __future__ import annotations

import ctypes
import platform

# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 1 << 30  # bytes; a larger block is still given back at once
_NEVER = -1  # as an unsigned number the largest there is


def keep_freed_memory() -> bool:
    """Let glibc keep what a step frees, for the next step; it holds for the whole process.

    By default glibc gives large blocks back to the system when they are freed, and each step of a training
    takes them again: hundreds of activations of the same sizes, whose pages the system has to find and to
    clear every time. What the process holds does not fall between steps then. CUDA has a cache of its own.

    Returns:
        Whether it could be set: False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
