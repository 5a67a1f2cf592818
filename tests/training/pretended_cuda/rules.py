"""What CUDA refuses and what makes it wait, for each operation of ATen.

From the sources of PyTorch 2.6 to 2.14: TensorIterator lets one CPU tensor without dimensions take part
in most elementwise operations; an index, or a number that is written at an index, is copied to the GPU,
blocking (TensorAdvancedIndexing.cpp); ``masked_fill`` and ``index_fill`` read a value that is a tensor;
whatever has the tag ``data_dependent_output`` or ``dynamic_output_shape`` reads values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from pretended_cuda.ledger import Ledger, here

_SHAPED_BY_VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_INDEXING = frozenset(
    {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put"}
)
# Read values though no tag says so; eigh and svd look into their kernels' report of errors.
_READING = frozenset(
    {"multinomial", "equal", "is_nonzero", "segment_reduce"}
    | {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "linalg_pinv", "linalg_eig", "_linalg_eigvals"}
)
# Elementwise on a TensorIterator, but without the tag.
_ELEMENTWISE = frozenset(
    {"rsub", "floor_divide", "floor_divide_", "true_divide", "threshold_backward", "where"}
    | {"binary_cross_entropy_with_logits"}
)
# Elementwise, but their TensorIterator was not told to allow CPU tensors without dimensions.
_ALL_ON_THE_GPU = frozenset({"addcdiv", "addcdiv_", "clamp", "clamp_", "clip", "clip_"})
# Move each of their CPU tensors without dimensions by themselves, so that there may be several.
_MOVING = frozenset({"where", "binary_cross_entropy_with_logits"})
# Take a CPU tensor without dimensions as a number.
_OF_LISTS = frozenset(f"_foreach_{name}{end}" for name in ("add", "mul", "div") for end in ("", "_"))
# Take a value that may be a tensor on the CPU, and read one that is on the GPU.
_FILLING = {"masked_fill": 2, "masked_fill_": 2, "index_fill": 3, "index_fill_": 3, "fill": 1, "fill_": 1}
_COPYING = frozenset({"copy_", "copy", "_to_copy"})
_MASKS = (torch.bool, torch.uint8)


class MixedDevicesError(RuntimeError):
    """What CUDA raises where tensors of two devices meet."""


def check(func: Any, args: Sequence[Any], kwargs: dict[str, Any], pretended: type, ledger: Ledger) -> None:
    """Raise where CUDA would, and note where it would wait, for ``func`` on a pretended tensor.

    Raises:
        MixedDevicesError: A CPU tensor takes part where it must not.
    """
    name = func.overloadpacket.__name__
    plain = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and not isinstance(t, pretended)]
    if name in _COPYING:
        return
    if name in _INDEXING:
        _indexing(name, args, pretended, ledger)
        return
    if name in _FILLING:
        _filling(name, args, pretended, ledger, func)
        return
    foreign = [t for t in plain if not _is_number(func, name, t, args, kwargs)]
    if foreign:
        elementwise = (
            torch.Tag.pointwise in func.tags or name in _ELEMENTWISE
        ) and name not in _ALL_ON_THE_GPU
        written = _written(func, args, kwargs)
        several = len(foreign) > 1 and name not in _MOVING
        wrong = any(t.dim() for t in foreign) or any(t is w for t in foreign for w in written)
        if wrong or several or not elementwise or name in _ALL_ON_THE_GPU:
            raise _mixed(func, foreign[0])
        if name == "where":
            ledger.wait("a number copied to the GPU")
        if torch.is_grad_enabled() and any(t.requires_grad for t in foreign):
            ledger.wait("the gradient of a number copied to the CPU")
    if _reads(func, name, args, kwargs, pretended):
        ledger.wait("values read" if name in ("_local_scalar_dense", "equal") else f"{name} reads values")


def _is_number(func: Any, name: str, tensor: Tensor, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether ``func`` reads a CPU tensor as a number: a factor for lists, the rate of a fused optimizer."""
    if tensor.dim():
        return False
    if name in _OF_LISTS:
        return tensor is args[1]
    return name.startswith("_fused_") and tensor is kwargs.get("lr")


def _reads(func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any], pretended: type) -> bool:
    """Whether ``func`` looks at values on the GPU."""
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    if name == "normal":  # the standard deviations are checked
        return any(isinstance(a, Tensor) for a in args[1:2])
    if name in ("linspace", "logspace"):
        return any(isinstance(a, pretended) for a in args[:2])
    if name == "histc":  # without bounds it takes the smallest and the largest value
        low, high = [*args[2:4], 0, 0][:2]
        return bool(low == high)
    if name == "isin":  # many are sorted, and each is looked for once
        few = all(isinstance(a, Tensor) for a in args[:2]) and args[1].numel() < 10 * args[0].numel() ** 0.145
        return not (few or kwargs.get("assume_unique") or func._overloadname == "Tensor_Scalar")
    return name in _READING or any(tag in func.tags for tag in _SHAPED_BY_VALUES)


def _indexing(name: str, args: Sequence[Any], pretended: type, ledger: Ledger) -> None:
    subject, indices = args[0], [i for i in args[1] if isinstance(i, Tensor)]
    if not isinstance(subject, pretended):
        raise MixedDevicesError(
            f"indices should be either on cpu or on the same device as the indexed tensor (cpu): {here()}"
        )
    masks = [i for i in indices if i.dtype in _MASKS]
    if "put" in name:
        value = args[2]
        accumulate = len(args) > 3 and args[3]
        if (
            not isinstance(value, pretended)
            and len(indices) == 1
            and any(isinstance(i, pretended) for i in masks)
            and not accumulate
            and value.numel() == 1
        ):
            return  # a masked_fill of a number
        if not isinstance(value, pretended):
            if value.dim():
                raise MixedDevicesError(
                    f"Expected all tensors to be on the same device: {name} of a CPU tensor: {here()}"
                )
            ledger.wait("a number copied to the GPU")
    if any(not isinstance(i, pretended) for i in indices):
        ledger.wait("an index copied to the GPU")
    if any(isinstance(i, pretended) for i in masks):
        ledger.wait("a mask as an index")


def _filling(name: str, args: Sequence[Any], pretended: type, ledger: Ledger, func: Any) -> None:
    place = _FILLING[name]
    value = args[place] if len(args) > place else None
    others = [a for i, a in enumerate(args) if isinstance(a, Tensor) and i != place]
    foreign = [a for a in others if not isinstance(a, pretended)]
    if name.startswith("fill"):
        if foreign and isinstance(value, pretended):
            ledger.wait("values read")  # a CPU tensor filled with a number that is on the GPU
        return
    if foreign or (isinstance(value, Tensor) and value.dim()):
        raise _mixed(func, foreign[0] if foreign else value)
    if isinstance(value, pretended):
        ledger.wait("values read")


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """Arguments that ``func`` writes to."""
    written: list[Tensor] = []
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) else kwargs.get(argument.name)
            written += [t for t in tree_leaves(given) if isinstance(t, Tensor)]
    return written


def _mixed(func: Any, tensor: Any) -> MixedDevicesError:
    return MixedDevicesError(
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu: "
        f"{func} was given a CPU tensor of shape {tuple(tensor.shape)}: {here()}"
    )
