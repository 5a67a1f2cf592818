"""Feeding a GPU: inputs in page-locked memory, bound to the session instead of handed to it.

A GPU fetches memory that the system may move or swap out only by way of a copy that the driver makes. A batch
that is written to page-locked memory in the first place goes to the device directly.
"""

from __future__ import annotations

import ctypes
import logging
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

log = logging.getLogger("facerec")

_CUDART = ("libcudart.so.13", "libcudart.so.12", "cudart64_13.dll", "cudart64_12.dll")
_PORTABLE = 1  # cudaHostRegisterPortable: page-locked for every CUDA context of the process
_GRANULE = 1 << 20


class Binding:
    """One thread's way into a session. Not to be shared: a binding holds the inputs of one call.

    The input buffer grows to the largest batch seen and serves every shape, so memory is bounded by that and
    nothing is allocated once it is reached. Outputs are small; ONNX Runtime allocates them.

    Args:
        session: An ``onnxruntime.InferenceSession``.
        page_locked: Whether the input buffer is page-locked; without CUDA's library it silently is not.
        outputs: Names of the outputs that are wanted; None takes all.
    """

    def __init__(self, session: Any, *, page_locked: bool, outputs: list[str] | None = None) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._input = session.get_inputs()[0].name
        self._outputs = outputs or [port.name for port in session.get_outputs()]
        self._page_locked = page_locked
        self._buffer = np.empty(0, np.uint8)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array to write the next input to; it is the same memory as the one before."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > self._buffer.size:
            self._buffer = np.empty(-(-size // _GRANULE) * _GRANULE, np.uint8)
            if self._page_locked:
                self._page_locked = page_lock(self._buffer)
        return self._buffer[:size].view(dtype).reshape(shape)

    def run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the session on an input.

        Args:
            batch: What :meth:`empty` gave, filled; any other array is copied there first.

        Returns:
            The outputs, in memory of their own.
        """
        if batch.ctypes.data != self._buffer.ctypes.data or not batch.flags.c_contiguous:
            copy = self.empty(batch.shape, batch.dtype)
            np.copyto(copy, batch)
            batch = copy
        self._binding.bind_cpu_input(self._input, batch)
        for name in self._outputs:  # anew for each run: an output that is bound already keeps its last shape
            self._binding.bind_output(name)
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        return [np.asarray(value) for value in self._binding.get_outputs()]


def page_lock(buffer: NDArray[np.uint8]) -> bool:
    """Page-lock an array for as long as it lives; False where CUDA's library is missing or refuses."""
    library = _cudart()
    if library is None:
        return False
    address = ctypes.c_void_p(buffer.ctypes.data)
    code = library.cudaHostRegister(address, ctypes.c_size_t(buffer.nbytes), ctypes.c_uint(_PORTABLE))
    if code:
        log.debug("cudaHostRegister of %d bytes gave %d; copies to the GPU are slower", buffer.nbytes, code)
        library.cudaGetLastError()  # or the next call of somebody else would report it
        return False
    weakref.finalize(buffer, library.cudaHostUnregister, address).atexit = False  # CUDA may be gone by then
    return True


def _cudart() -> Any | None:
    """CUDA's runtime library, which ONNX Runtime has loaded when a session runs on CUDA."""
    for name in _CUDART:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
