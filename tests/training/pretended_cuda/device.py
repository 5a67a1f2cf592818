"""The pretended device as a whole: torch's own functions that ask about CUDA, and the two modes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
import torch._dynamo
from torch import Tensor

from pretended_cuda import streams
from pretended_cuda.functions import Calls
from pretended_cuda.ledger import Ledger
from pretended_cuda.tensors import CUDA, Operations, Pretense, active, is_pretended


@contextlib.contextmanager
def pretend(*, bf16: bool = True) -> Iterator[Ledger]:
    """A machine with one CUDA GPU, until the block ends.

    Args:
        bf16: Whether the GPU has bfloat16.

    Yields:
        What happens on it.
    """
    pretense = Pretense()
    with contextlib.ExitStack() as stack:
        for target, name, value in _replaced(pretense, bf16):
            if hasattr(target, name):
                stack.enter_context(mock.patch.object(target, name, value))
        swapping = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swapping)
        active.append(pretense)
        stack.callback(active.pop)
        stack.enter_context(Operations())
        stack.enter_context(Calls(pretense))
        yield pretense.ledger


def _replaced(pretense: Pretense, bf16: bool) -> Iterator[tuple[Any, str, Any]]:
    """Places in torch, and what stands there meanwhile."""
    capability = (9, 0) if bf16 else (7, 0)
    cuda: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "device_count": lambda: 1,
        "set_device": lambda device: None,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "pretended CUDA",
        "get_device_capability": lambda device=None: capability,
        "get_device_properties": lambda device=None: streams.properties(capability),
        "mem_get_info": lambda device=None: (streams.MEMORY, streams.MEMORY),
        "is_bf16_supported": lambda including_emulation=True: bf16,
        "max_memory_allocated": lambda device=None: 0,
        "reset_peak_memory_stats": lambda device=None: None,
        "memory_allocated": lambda device=None: 0,
        "max_memory_reserved": lambda device=None: 0,
        "memory_reserved": lambda device=None: 0,
        "manual_seed_all": lambda seed: None,
        "manual_seed": lambda seed: None,
        "get_rng_state": lambda device="cuda": torch.get_rng_state(),
        "set_rng_state": lambda state, device="cuda": torch.set_rng_state(state),
    }
    for name, value in cuda.items():
        yield torch.cuda, name, value
    yield from streams.replaced(pretense.ledger)
    accelerator: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_accelerator": lambda check_available=False: torch.device("cuda"),
        "current_device_index": lambda: 0,
        "set_device_index": lambda device: None,
    }
    for name, value in accelerator.items():
        yield torch.accelerator, name, value
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        yield torch.optim.Optimizer, name, lambda self: None
    yield Tensor, "record_stream", lambda self, stream: None
    yield torch, "Generator", _generator(torch.Generator, pretense)
    yield torch, "autocast", _autocast(torch.autocast)
    yield torch.amp, "autocast", _autocast(torch.autocast)
    yield torch.autograd, "_engine_run_backward", _engine(torch.autograd._engine_run_backward, pretense)
    yield (
        torch._C,
        "_group_tensors_by_device_and_dtype",
        _grouping(torch._C._group_tensors_by_device_and_dtype),
    )


def _engine(real: Callable[..., Any], pretense: Pretense) -> Callable[..., Any]:
    """The engine of autograd: what its C++ code makes is on the device; Python code is looked at."""

    def run(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        there = any(is_pretended(t) for t in tensors)
        pretense.stack.append(there)
        try:
            with Calls(pretense):
                return real(tensors, *args, **kwargs)
        finally:
            pretense.stack.pop()

    return run


def _generator(real: Any, pretense: Pretense) -> Any:
    """``torch.Generator``: one for the GPU gives the CPU's numbers, and is known as the GPU's."""

    class Generator:
        def __new__(cls, device: Any = "cpu") -> Any:
            made = real("cpu")
            if torch.device(device).type == CUDA.type:
                pretense.generators[id(made)] = made
            return made

        def __class_getitem__(cls, key: Any) -> Any:
            return cls

    return Generator


def _autocast(real: Any) -> Any:
    """``torch.autocast``: what is asked for CUDA is done as the CPU does it, which has lists of its own."""

    class PretendedAutocast(real):  # type: ignore[misc]
        def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
            super().__init__("cpu" if device_type == CUDA.type else device_type, *args, **kwargs)

    return PretendedAutocast


def _grouping(real: Callable[..., Any]) -> Callable[..., Any]:
    """Tensors by device and type, as optimizers walk them: C++ takes all for CPU tensors."""

    def group(tensors: list[list[Any]], with_indices: bool = False) -> Any:
        grouped = real(tensors, with_indices)
        return {_true_device(key, lists): lists for key, lists in grouped.items()}

    def _true_device(key: Any, lists: Any) -> Any:
        first = next((t for column in lists[0] for t in column if isinstance(t, Tensor)), None)
        return (CUDA, key[1]) if is_pretended(first) else key

    return group
