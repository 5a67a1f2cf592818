"""Processes that share the pretended device: groups of NCCL, carried out by gloo.

NCCL takes tensors on GPUs only, and all of one shape; what it does is queued and not waited for, but a
barrier and whatever exchanges Python objects. Groups that are asked to be gloo's are left alone.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pretended_cuda.tensors import PretendedTensor, active, is_pretended

_real: dict[str, Callable[..., Any]] = {
    name: getattr(dist, name)
    for name in (
        "init_process_group",
        "new_group",
        "get_backend",
        "all_reduce",
        "all_gather",
        "all_gather_into_tensor",
        "all_to_all_single",
        "reduce",
        "reduce_scatter_tensor",
        "broadcast",
        "gather",
        "scatter",
        "send",
        "recv",
        "isend",
        "irecv",
        "barrier",
        "all_gather_object",
        "broadcast_object_list",
        "gather_object",
        "scatter_object_list",
    )
}
_ALIKE = (
    *("all_reduce", "all_gather", "all_gather_into_tensor", "all_to_all_single", "reduce"),
    *("reduce_scatter_tensor", "broadcast"),
)
_TENSORS = (*_ALIKE, "gather", "scatter", "send", "recv", "isend", "irecv")
_OBJECTS = ("barrier", "all_gather_object", "broadcast_object_list", "gather_object", "scatter_object_list")


@contextlib.contextmanager
def nccl() -> Iterator[list[str]]:
    """Groups of NCCL for pretended tensors, until the block ends; inside :func:`pretended_cuda.pretend`.

    Yields:
        What was exchanged over them.
    """
    exchanged: list[str] = []
    hosts: list[Any] = []  # groups that were asked to be gloo's

    def on_gpus(group: Any) -> bool:
        return not any(group is host for host in hosts)

    def collective(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            group = _group(name, args, kwargs)
            tensors = [t for a in (*args, *kwargs.values()) for t in (a if isinstance(a, list) else [a])]
            tensors = [t for t in tensors if isinstance(t, Tensor)]
            if not on_gpus(group):
                return _real[name](*args, **kwargs)
            for tensor in tensors:
                if not is_pretended(tensor):
                    raise RuntimeError(f"{name}: No backend type associated with device type cpu (NCCL)")
            with _on_the_cpu():
                if name in _ALIKE:
                    _agree(name, tensors, group)
                exchanged.append(f"{name} {tuple(tensors[-1].shape)}")
                return _real[name](*map(_inner, args), **{k: _inner(v) for k, v in kwargs.items()})

        return call

    def waiting(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if on_gpus(_group(name, args, kwargs)):
                active[-1].ledger.wait(name)
            kwargs.pop("device_ids", None)
            with _on_the_cpu():
                return _real[name](*args, **kwargs)

        return call

    def init_process_group(backend: str | None = None, **kwargs: Any) -> None:
        kwargs.pop("device_id", None)
        _real["init_process_group"]("gloo", **kwargs)
        if backend == "gloo":
            hosts.append(dist.group.WORLD)

    def new_group(ranks: Any = None, *args: Any, backend: str | None = None, **kwargs: Any) -> Any:
        kwargs.pop("device_id", None)
        group = _real["new_group"](ranks, *args, backend="gloo", **kwargs)
        if backend == "gloo":
            hosts.append(group)
        return group

    def get_backend(group: Any = None) -> str:
        return "nccl" if on_gpus(group or dist.group.WORLD) else "gloo"

    places: dict[str, Any] = {
        **{name: collective(name) for name in _TENSORS},
        **{name: waiting(name) for name in _OBJECTS},
        "init_process_group": init_process_group,
        "new_group": new_group,
        "get_backend": get_backend,
    }
    with contextlib.ExitStack() as stack:
        for name, value in places.items():
            stack.enter_context(mock.patch.object(dist, name, value))
        stack.enter_context(mock.patch.object(nn.parallel, "DistributedDataParallel", Averaging))
        yield exchanged


class Averaging(nn.Module):
    """What DistributedDataParallel does, without its C++ reducer: gradients averaged as they are made."""

    def __init__(self, module: nn.Module, device_ids: Any = None, **_: Any) -> None:
        super().__init__()
        self.module = module
        self.averages = True
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._average)

    def forward(self, *args: Any) -> Any:
        return self.module(*args)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        self.averages = False
        yield
        self.averages = True

    def _average(self, parameter: Tensor) -> None:
        if self.averages and parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


@contextlib.contextmanager
def _on_the_cpu() -> Iterator[None]:
    """What is made meanwhile is a CPU tensor."""
    active[-1].stack.append(False)
    try:
        with torch._C.DisableTorchFunction():
            yield
    finally:
        active[-1].stack.pop()


def _group(name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """The group of a call, by place or by name."""
    return inspect.signature(_real[name]).bind(*args, **kwargs).arguments.get("group")


def _inner(value: Any) -> Any:
    if isinstance(value, list):
        return [_inner(v) for v in value]
    return value.inner if isinstance(value, PretendedTensor) else value


def _agree(name: str, tensors: list[Tensor], group: Any) -> None:
    """All processes ask for the same: NCCL would wait forever, or mix up rows, where they do not."""
    asked = f"{name} {[(tuple(t.shape), t.dtype) for t in tensors]}"
    mine = torch.tensor([crc32(asked.encode())])
    size = dist.get_world_size(group)
    every = [torch.empty_like(mine) for _ in range(size)]
    _real["all_gather"](every, mine, group=group)
    if len({int(one) for one in every}) > 1:
        raise RuntimeError(f"NCCL: the processes ask for different things; this one for {asked}")
