"""One network on one device, called from many threads.

On a CPU a network runs on one thread per call and several calls run side by side. For the light networks of
face recognition that is faster than one call on all cores: the activations of one or two photos stay in a
core's cache, and there is nothing to wait for between layers. ``benchmarks/runtime.py`` measures it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces.runtime.explain import explained
from facerec_cli.faces.runtime.pinned import Binding
from facerec_cli.faces.runtime.providers import faults, open_sessions
from facerec_cli.packs.foreign import reading
from facerec_cli.runtime import import_onnxruntime, usable_cores

_ROWS = {"cpu": 2}  # most rows of one call, where fewer are faster; see benchmarks/runtime.py
_BOUND = ("cuda", "tensorrt")  # devices whose inputs are bound in page-locked memory

# Sessions are made, and their threads started, by a thread of their own: ONNX Runtime makes whoever creates
# the first session of a process flush denormal numbers, and threads inherit that from their parent. The
# caller's arithmetic is not ours to change; the networks' threads are.
_starter = ThreadPoolExecutor(1, "facerec-starter")


def _restart_starter() -> None:
    global _starter
    _starter = ThreadPoolExecutor(1, "facerec-starter")


if hasattr(os, "register_at_fork"):  # a forked child has no threads
    os.register_at_fork(after_in_child=_restart_starter)


# Makes an array to write an input to: numpy.empty, or memory that the device reads directly.
Empty = Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]


class Network:
    """One ONNX file on one device. :meth:`run` may be called from several threads.

    Args:
        path: The ONNX file.
        device: One of ``registry.DEVICES``.
        threads: CPU threads; None takes :func:`usable_cores`.
        bind: Whether inputs are bound (:class:`Binding`) instead of handed over; None does so on GPUs.
        only: Name of the one output that is wanted; None takes all.
        gpu: Number of the GPU, where the device is one.

    Attributes:
        device: What it really runs on, a key of ``providers.PROVIDERS``.
        input_shape: None where a dimension is not fixed.
        rows: Most rows of one call; None leaves it to the batch size.
        outputs: Names of the outputs.
        ranks: Number of dimensions of each output; 0 where the file does not say.

    Raises:
        UsageError: Unknown device, or fewer than one thread.
        ModelError: The file or the device cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        bind: bool | None = None,
        only: str | None = None,
        gpu: int = 0,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}.")
        self.path = path
        self.threads = threads or usable_cores()
        sessions, self.device, self._pool = _starter.submit(_start, path, device, self.threads, gpu).result()
        self._session = sessions[0]
        self._head: Any = sessions[1] if len(sessions) > 1 else None
        with reading(path, "an ONNX file"):  # names may be no text
            ports = self._session.get_inputs()
            if len(ports) != 1:
                raise ModelError(f"{path} takes {len(ports)} inputs; a face network takes one.")
            self._input = ports[0].name
            shape = ports[0].shape
            self.input_shape = tuple(n if isinstance(n, int) and n > 0 else None for n in shape)
            made = [port for port in sessions[-1].get_outputs() if only in (None, port.name)]
            self.outputs = [port.name for port in made]
            self.ranks = [len(port.shape or ()) for port in made]
        self.rows = self._rows_of_a_call()
        self._bind = self.device in _BOUND if bind is None else bind
        self._bindings = threading.local()

    def _rows_of_a_call(self) -> int | None:
        self._fixed = self.input_shape[0] if self.input_shape else None
        return self._fixed or _ROWS.get(self.device)

    def run(
        self,
        count: int,
        make: Callable[[slice, Empty], NDArray[Any]],
        *,
        batch_size: int = 16,
        one_by_one: bool = False,
    ) -> list[tuple[slice, list[NDArray[np.float32]]]]:
        """Run the network over ``count`` rows, in as many calls as the device likes.

        Args:
            count: Rows in all.
            make: Gives the input for a range of rows; called on the thread that runs it. The array that its
                second argument makes is the cheapest to pass on, but any will do.
            batch_size: Most rows of one call.
            one_by_one: Whether the outputs have no batch axis.

        A network with a fixed batch gets exactly that many: the last call is filled up, and what comes of the
        filling is left out.

        Returns:
            For every call, in order, its rows and the outputs.

        Raises:
            ModelError: ONNX Runtime refuses the input or fails.
        """
        rows = 1 if one_by_one else self._fixed or max(1, min(batch_size, self.rows or batch_size))
        spans = _spans(count, rows)
        fixed = self._fixed or 1
        if one_by_one and fixed > 1:
            raise ModelError(
                f"{self.path} takes {fixed} photos at a time, but its outputs do not tell them apart.",
                hint="Export it again for one photo at a time.",
            )

        def call(span: slice) -> tuple[slice, list[NDArray[np.float32]]]:
            count = span.stop - span.start
            if not self._bind:
                outputs = self._call(_filled(make(span, np.empty), fixed), self._plain)
            else:
                binding = self._binding()
                outputs = self._call(_filled(make(span, binding.empty), fixed), binding.run)
            return span, outputs if count >= fixed else [
                out[:count] if out.shape[:1] == (fixed,) else out for out in outputs
            ]

        if self._pool is None:
            return [call(span) for span in spans]
        calls = list(self._pool.map(call, spans))
        if self._head is None:
            return calls

        def finish(part: slice) -> tuple[slice, list[NDArray[np.float32]]]:
            features = np.concatenate([out for _, (out,) in calls[part]])
            return slice(calls[part][0][0].start, calls[part][-1][0].stop), self._call(features, self._finish)

        return list(self._pool.map(finish, _spans(len(calls), max(1, batch_size // rows))))

    def _binding(self) -> Binding:
        """The binding of this thread."""
        if not hasattr(self._bindings, "own"):
            names = None if self._head is not None else self.outputs
            self._bindings.own = Binding(self._session, page_locked=self.device in _BOUND, outputs=names)
        own: Binding = self._bindings.own
        return own

    def _plain(self, batch: NDArray[Any]) -> list[NDArray[np.float32]]:
        names = None if self._head is not None else self.outputs
        outputs: list[NDArray[np.float32]] = self._session.run(names, {self._input: batch})
        return outputs

    def _finish(self, features: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self._head.run(None, {self._head.get_inputs()[0].name: features})
        return outputs

    def _call(
        self, batch: NDArray[Any], run: Callable[[NDArray[Any]], list[NDArray[np.float32]]]
    ) -> list[NDArray[np.float32]]:
        try:
            return run(batch)
        except faults(import_onnxruntime()) as fault:
            raise explained(self.path, fault, shape=batch.shape, device=self.device) from fault


def _filled(batch: NDArray[Any], rows: int) -> NDArray[Any]:
    """``batch`` with its last row repeated until there are ``rows``."""
    lacking = rows - len(batch)
    return batch if lacking <= 0 else np.concatenate([batch, np.repeat(batch[-1:], lacking, axis=0)])


def _spans(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _start(
    path: Path, device: str, threads: int, gpu: int
) -> tuple[list[Any], str, ThreadPoolExecutor | None]:
    """The sessions of a network, the device that they run on and, on a CPU, the threads that call them."""
    sessions, device = open_sessions(path, device, threads, gpu)
    if device != "cpu":
        return sessions, device, None
    pool = ThreadPoolExecutor(threads, "facerec-network")
    started = threading.Barrier(threads)
    list(pool.map(lambda _: started.wait(), range(threads)))  # all of them now, by this thread
    return sessions, device, pool
