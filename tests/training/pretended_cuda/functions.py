"""The calls of a program into torch, decided by the device that is pretended."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_any, tree_map

from pretended_cuda.rules import MixedDevicesError
from pretended_cuda.tensors import CPU, CUDA, PretendedTensor, Pretense, is_pretended, lift, move

_FROM_NUMBERS = frozenset({"tensor", "as_tensor", "asarray", "new_tensor"})
_ON_THE_CPU = frozenset({"__getitem__", "__setitem__"})


class Calls(TorchFunctionMode):
    """Takes ``.to``, ``.cpu``, ``.numpy`` and whatever has ``device=`` to the pretended device."""

    def __init__(self, pretense: Pretense) -> None:
        super().__init__()
        self.pretense = pretense

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return func(*args, **kwargs)
        if name == "__set__":
            return self._set(func, *args)
        if args and isinstance(args[0], Tensor):
            handler = getattr(self, f"_{name}", None)
            if handler is not None:
                return handler(func, *args, **kwargs)
        wanted = _device(kwargs.get("device"))
        if name in _FROM_NUMBERS:  # a list of numbers that are on the GPU becomes a tensor on the CPU
            on_gpu = bool(args) and is_pretended(args[0])
            if args and not on_gpu and tree_any(is_pretended, args[1:] if name == "new_tensor" else args):
                self.pretense.ledger.wait("values read")
                args = tree_map(lambda a: a.inner if is_pretended(a) else a, args)
        else:
            on_gpu = tree_any(is_pretended, (args, kwargs))
        if wanted is not None:
            kwargs["device"] = CPU
        pinned = bool(kwargs.pop("pin_memory", False))
        if kwargs.get("generator") is not None:
            self._same_generator(kwargs["generator"], on_gpu or wanted == "cuda")
        # The C++ code behind x[...] makes indices and values of numbers on the CPU.
        there = wanted == "cuda" or (on_gpu and wanted is None and name not in _ON_THE_CPU)
        self.pretense.stack.append(there)
        try:
            made = func(*args, **kwargs)
        finally:
            self.pretense.stack.pop()
        if name in _FROM_NUMBERS and there and isinstance(made, Tensor):
            if not (args and is_pretended(args[0]) and name != "new_tensor"):
                self.pretense.ledger.wait("H2D copy")
            return lift(made)
        if wanted == "cuda" and isinstance(made, Tensor):
            return lift(made)
        if wanted == "cpu" and is_pretended(made):
            # as_tensor(x, device="cpu") copies, zeros_like(x, device="cpu") does not
            return move(made.detach(), False) if name in _FROM_NUMBERS else made.inner.detach()
        return self.pretense.pin(made) if pinned else made

    def _set(self, func: Any, tensor: Tensor, value: Any) -> Any:
        """An attribute; ``data`` and ``grad`` must stay where the tensor is."""
        if isinstance(value, Tensor) and is_pretended(tensor) != is_pretended(value):
            raise MixedDevicesError(
                f"attribute of a {tensor.device} tensor: expected all tensors on the same device"
            )
        made = func(tensor, value)
        if func.__self__ is Tensor.data and isinstance(tensor, PretendedTensor):
            tensor.inner = value.inner.detach()
        return made

    def _same_generator(self, generator: Any, on_gpu: bool) -> None:
        if (id(generator) in self.pretense.generators) != on_gpu:
            raise RuntimeError(
                f"Expected a {'cuda' if on_gpu else 'cpu'} device type for generator, but got the other one"
            )

    def _to(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype, nonblocking, copy = _parse(args, kwargs)
        if device not in (None, "cuda", "cpu"):
            return func(tensor, *args, **kwargs)
        to_gpu = is_pretended(tensor) if device is None else device == "cuda"
        if to_gpu == is_pretended(tensor):
            asked = {"copy": copy} if copy else {}
            layout = kwargs.get("memory_format")
            if layout is not None:
                asked["memory_format"] = layout
            return func(tensor, dtype or tensor.dtype, **asked)
        moved = move(tensor, to_gpu, nonblocking, dtype)
        layout = kwargs.get("memory_format")
        return moved if layout is None else moved.contiguous(memory_format=layout)

    def _cuda(
        self, func: Any, tensor: Tensor, device: Any = None, non_blocking: bool = False, **_: Any
    ) -> Tensor:
        return move(tensor, True, non_blocking)

    def _cpu(self, func: Any, tensor: Tensor, **_: Any) -> Tensor:
        return move(tensor, False)

    def _type_as(self, func: Any, tensor: Tensor, other: Tensor) -> Tensor:
        return move(tensor, is_pretended(other), False, other.dtype)

    def _numpy(self, func: Any, tensor: Tensor, **kwargs: Any) -> Any:
        if not is_pretended(tensor):
            return func(tensor, **kwargs)
        if kwargs.get("force"):
            return move(tensor.detach(), False).numpy()
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def ___array__(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if is_pretended(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return func(tensor, *args, **kwargs)

    def _tolist(self, func: Any, tensor: Tensor) -> Any:
        if not is_pretended(tensor):
            return func(tensor)
        self.pretense.ledger.wait("values read")
        return tensor.inner.tolist()  # type: ignore[attr-defined]

    def _pin_memory(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if is_pretended(tensor):
            raise RuntimeError("cannot pin a tensor that is on the GPU, only dense CPU tensors can be pinned")
        return tensor if self.pretense.is_pinned(tensor) else self.pretense.pin(tensor.clone())

    def _is_pinned(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> bool:
        return not is_pretended(tensor) and self.pretense.is_pinned(tensor)

    def _backward(self, func: Any, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        return func(tensor, *args, **kwargs)  # the engine is entered through `device.Engine`


def _device(given: Any) -> str | None:
    """ "cuda" or "cpu"; None where no device is named."""
    if given is None:
        return None
    if isinstance(given, int):
        return "cuda"
    kind = torch.device(given).type
    return "cuda" if kind == CUDA.type else kind


def _parse(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str | None, torch.dtype | None, bool, bool]:
    """Device, dtype, non_blocking and copy of a call of ``Tensor.to``."""
    device, dtype = _device(kwargs.get("device")), kwargs.get("dtype")
    flags = []
    for value in args:
        if isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, Tensor):
            device, dtype = ("cuda" if is_pretended(value) else "cpu"), value.dtype
        elif isinstance(value, bool):
            flags.append(value)
        elif isinstance(value, torch.device | str | int):
            device = _device(value)
    if isinstance(kwargs.get("other"), Tensor):
        other = kwargs["other"]
        device, dtype = ("cuda" if is_pretended(other) else "cpu"), other.dtype
    nonblocking = flags[0] if flags else kwargs.get("non_blocking", False)
    copy = flags[1] if len(flags) > 1 else kwargs.get("copy", False)
    return device, dtype, bool(nonblocking), bool(copy)
