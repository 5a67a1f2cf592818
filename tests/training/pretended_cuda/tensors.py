"""The tensors of the pretended device, and the operations on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_leaves, tree_map

from pretended_cuda import rules
from pretended_cuda.ledger import Ledger

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")

_TAKEN_AT_ONCE = 64 << 10  # bytes of memory that is not pinned


class Pretense:
    """What is true while the device is pretended: the ledger, and whose behalf C++ makes new tensors on.

    Attributes:
        ledger: Of what happens.
        stack: For each call into torch that is under way whether it is about tensors on the pretended device;
            new tensors that its C++ code makes are then on that device, as they follow the options of those.
        generators: Those that are for the pretended device, by their id.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.stack: list[bool] = [False]
        self.generators: dict[int, Any] = {}
        self._pinned: dict[int, Tensor] = {}

    def pin(self, tensor: Tensor) -> Tensor:
        """``tensor``, whose memory counts as pinned from now on, and as that of its views; it is kept."""
        self._pinned[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether a CPU tensor lies in pinned memory, or has no memory at all."""
        return not tensor.numel() or tensor.untyped_storage().data_ptr() in self._pinned


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

    def __copy__(self) -> Any:
        return PretendedTensor(self.inner.detach(), self.requires_grad)

    def __dlpack__(self, **_: Any) -> Any:  # type: ignore[override]
        raise RuntimeError("Unsupported device in DLTensor: cuda:0")  # as numpy says

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
        # Python code of torch's own may name the device of a tensor that it was given.
        named = isinstance(kwargs.get("device"), torch.device) and kwargs["device"].type == CUDA.type
        if named:
            kwargs["device"] = CPU
        made = func(*args, **kwargs)
        given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        if named and given and func.overloadpacket.__name__ == "_to_copy":
            note_copy(given[0], to_gpu=True, nonblocking=bool(kwargs.get("non_blocking")))
        if named or (active and active[-1].stack[-1] and not given):
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
        note_copy(args[1], to_gpu=is_pretended(args[0]), nonblocking=nonblocking)
    stays = name == "copy_" and not is_pretended(args[0])
    result = _computed(func, tree_map(inner, args), tree_map(inner, kwargs))

    def outer(value: Any) -> Any:
        if not isinstance(value, Tensor) or is_pretended(value):
            return value
        if id(value) in known:
            return _like_inner(known[id(value)])
        return args[0] if stays else _wrapped(value)

    return tree_map(outer, result)


def _computed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the CPU makes of it; products of bfloat16 that are returned as float32 only CUDA has."""
    if func._overloadname != "dtype" or func.overloadpacket.__name__ not in ("mm", "bmm", "addmm", "baddbmm"):
        return func(*args, **kwargs)
    *factors, dtype = (*args, *kwargs.values())
    return func.overloadpacket.default(*(factor.to(dtype) for factor in factors))


def _wrapped(inner: Tensor) -> PretendedTensor:
    """On the device; in inference mode a view of a tensor from outside of it is none of inference mode's."""
    if torch.is_inference_mode_enabled() and not inner.is_inference():
        with torch.inference_mode(False):
            return PretendedTensor(inner)
    return PretendedTensor(inner)


def _like_inner(tensor: PretendedTensor) -> PretendedTensor:
    """``tensor`` with the shape that an operation in place gave its numbers: ``unsqueeze_``, ``out=``."""
    inner = tensor.inner
    if tensor.shape != inner.shape or tensor.stride() != inner.stride():
        with no_dispatch():
            tensor.resize_(inner.untyped_storage().nbytes() // inner.element_size())
            tensor.as_strided_(inner.shape, inner.stride(), inner.storage_offset())
    return tensor


def move(tensor: Tensor, to_gpu: bool, nonblocking: bool = False, dtype: torch.dtype | None = None) -> Tensor:
    """``tensor`` on the other device, with gradient; itself where it is there already."""
    if is_pretended(tensor) == to_gpu:
        return tensor if dtype is None or dtype == tensor.dtype else tensor.to(dtype)
    if tensor.requires_grad and torch.is_grad_enabled():
        moved: Tensor = _Move.apply(tensor, to_gpu, nonblocking, dtype)
        return moved
    note_copy(tensor, to_gpu=to_gpu, nonblocking=nonblocking)
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


def note_copy(source: Tensor, *, to_gpu: bool, nonblocking: bool) -> None:
    """Write down a copy of ``source`` between the devices.

    A large one from memory that is not pinned goes by way of the driver's own memory, for which the driver
    may wait; small ones are taken at once (CUDA C++ Programming Guide, "Concurrent Execution between Host and
    Device"). One to the CPU that is not waited for counts, too: its values may not be looked at before a
    wait.
    """
    if not active:
        return
    ledger = active[-1].ledger
    if not to_gpu:
        ledger.wait("D2H copy")
    elif not nonblocking:
        ledger.wait("H2D copy")
    elif source.nbytes <= _TAKEN_AT_ONCE or active[-1].is_pinned(source):
        ledger.copy("H2D copy")
    else:
        ledger.wait("H2D copy of memory that is not pinned")


def _note_wait(kind: str) -> None:
    if active:
        active[-1].ledger.wait(kind)
