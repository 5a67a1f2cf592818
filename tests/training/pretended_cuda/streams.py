"""Streams and events of the pretended device: all is done at once, so only who waits for them matters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch

from pretended_cuda.ledger import Ledger

MEMORY = 80 << 30


class Device:
    """``torch.cuda.device``: a context that changes nothing, as there is one GPU."""

    def __init__(self, device: Any = None) -> None:
        self.device = device

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _kinds(ledger: Ledger) -> tuple[type, type]:
    """``torch.cuda.Stream`` and ``torch.cuda.Event``."""

    class Awaited:
        """Lets the CPU wait for it; that the GPU waits for it costs the CPU nothing."""

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def synchronize(self) -> None:
            ledger.wait("synchronize")

        def query(self) -> bool:
            return True

    class Stream(Awaited):
        device = torch.device("cuda", 0)

        def record_event(self, event: Any = None) -> Any:
            return event or Event()

        def wait_event(self, event: Any) -> None:
            pass

        def wait_stream(self, stream: Any) -> None:
            pass

    class Event(Awaited):
        def record(self, stream: Any = None) -> None:
            pass

        def wait(self, stream: Any = None) -> None:
            pass

        def elapsed_time(self, end: Any) -> float:
            return 1.0

    return Stream, Event


def replaced(ledger: Ledger) -> Iterator[tuple[Any, str, Any]]:
    """Places in torch, and what stands there meanwhile."""
    stream, event = _kinds(ledger)
    only = stream()

    def synchronize(device: Any = None) -> None:
        ledger.wait("synchronize")

    def current(device: Any = None) -> Any:
        return only

    for name, value in (("Stream", stream), ("Event", event), ("device", Device)):
        yield torch.cuda, name, value
    for place in (torch.cuda, torch.accelerator):
        yield place, "current_stream", current
        yield place, "synchronize", synchronize
    yield torch.cuda, "default_stream", current
    yield torch.cuda, "stream", lambda stream: contextlib.nullcontext()
    # Memory that is given back to the driver is freed, for which the GPU has to be done with all.
    yield torch.cuda, "empty_cache", lambda: ledger.wait("empty_cache")


def properties(capability: tuple[int, int]) -> Any:
    """``torch.cuda.get_device_properties``."""
    major, minor = capability
    return SimpleNamespace(
        name="pretended CUDA", major=major, minor=minor, total_memory=MEMORY, multi_processor_count=108
    )
