"""The tensors of the pretended device, and the operations on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map

from pretended_cuda import rules
from pretended_cuda.ledger import Ledger

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")


class Pretense:
    """What is true while the device is pretended: the ledger, and whose behalf C++ makes new tensors on.

    Attributes:
        ledger: Of what happens.
        stack: For each call into torch that is under way whether it is about tensors on the pretended device;
            new tensors that its C++ code makes are then on that device, as they follow the options of those.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.stack: list[bool] = [False]
        self.generators: dict[int, Any] = {}


active: list[Pretense] = []


class PretendedTensor(Tensor):
    """A CPU tensor, ``inner``, that says it is on ``cuda:0``."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor, requires_grad: bool = False) -> PretendedTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=CPU,
            requires_grad=requires_grad,
        )
        made.inner = inner
        return made

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def get_device(self) -> int:
        return CUDA.index

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        _note_wait("values read")
        return f"PretendedTensor({self.inner!r})"

    def __format__(self, how: str) -> str:
        _note_wait("values read")
        return format(self.inner.detach(), how)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        copied: Any = PretendedTensor(self.inner.detach().clone())
        if getattr(self, "_is_param", False):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        else:
            copied.requires_grad_(self.requires_grad)
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        _note_wait("D2H copy")
        return self.inner.detach().__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def is_pretended(value: Any) -> bool:
    """Whether ``value`` is a tensor on the pretended device."""
    return isinstance(value, PretendedTensor)


def lift(tensor: Tensor) -> Tensor:
    """A tensor that was just made, as one on the pretended device."""
    if is_pretended(tensor):
        return tensor
    return PretendedTensor(tensor.detach()).requires_grad_(tensor.requires_grad)


class Operations(TorchDispatchMode):
    """Puts tensors that are made on the pretended device there, also those that no tensor leads to."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if tree_any(is_pretended, (args, kwargs)):
            return run(func, args, kwargs)
        made = func(*args, **kwargs)
        from_nothing = not tree_any(lambda a: isinstance(a, Tensor), (args, kwargs))
        if active and active[-1].stack[-1] and from_nothing:
            return tree_map(lambda t: PretendedTensor(t) if isinstance(t, Tensor) else t, made)
        return made


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Carry ``func`` out on the CPU; its result is on the pretended device."""
    if active:
        pretense = active[-1]
        pretense.ledger.operations += 1
        rules.check(func, args, kwargs, PretendedTensor, pretense.ledger)
    name = func.overloadpacket.__name__
    known: dict[int, PretendedTensor] = {}

    def inner(value: Any) -> Any:
        if isinstance(value, PretendedTensor):
            known[id(value.inner)] = value
            return value.inner
        return CPU if isinstance(value, torch.device) and value.type == "cuda" else value

    if name == "copy_" and is_pretended(args[0]) != is_pretended(args[1]):
        nonblocking = bool(args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
        note_copy(to_gpu=is_pretended(args[0]), nonblocking=nonblocking)
    stays = name == "copy_" and not is_pretended(args[0])
    result = func(*tree_map(inner, args), **tree_map(inner, kwargs))

    def outer(value: Any) -> Any:
        if not isinstance(value, Tensor) or is_pretended(value):
            return value
        if id(value) in known:
            return known[id(value)]
        return args[0] if stays else PretendedTensor(value)

    return tree_map(outer, result)


def move(tensor: Tensor, to_gpu: bool, nonblocking: bool = False, dtype: torch.dtype | None = None) -> Tensor:
    """``tensor`` on the other device, with gradient; itself where it is there already."""
    if is_pretended(tensor) == to_gpu:
        return tensor if dtype is None or dtype == tensor.dtype else tensor.to(dtype)
    if tensor.requires_grad and torch.is_grad_enabled():
        moved: Tensor = _Move.apply(tensor, to_gpu, nonblocking, dtype)
        return moved
    note_copy(to_gpu=to_gpu, nonblocking=nonblocking)
    source = tensor.inner if isinstance(tensor, PretendedTensor) else tensor
    copied = source.detach().to(dtype or source.dtype, copy=True)
    return PretendedTensor(copied) if to_gpu else copied


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tensor: Tensor, to_gpu: bool, nonblocking: bool, dtype: torch.dtype | None
    ) -> Tensor:
        ctx.back, ctx.dtype = not to_gpu, tensor.dtype
        return move(tensor, to_gpu, nonblocking, dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return move(grads[0], ctx.back, False, ctx.dtype), None, None, None


def note_copy(*, to_gpu: bool, nonblocking: bool) -> None:
    """Write down a copy between the devices.

    One to the CPU that is not waited for counts, too: its values may not be looked at before a wait.
    """
    if not active:
        return
    ledger = active[-1].ledger
    if to_gpu and nonblocking:
        ledger.copy("H2D copy")
    else:
        ledger.wait("H2D copy" if to_gpu else "D2H copy")


def _note_wait(kind: str) -> None:
    if active:
        active[-1].ledger.wait(kind)
