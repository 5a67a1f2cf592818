"""What CUDA refuses and what makes it wait, for each operation of ATen.

From the sources of PyTorch 2.6 to 2.14: TensorIterator lets CPU tensors without dimensions take part
in elementwise operations; an index, or a number that is written at an index, is copied to the GPU, blocking
(TensorAdvancedIndexing.cpp); ``masked_fill`` and ``index_fill`` read a value that is a tensor; whatever has
the tag ``data_dependent_output`` or ``dynamic_output_shape`` reads values.
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
# Read values though no tag says so.
_READING = frozenset(
    {"multinomial", "equal", "is_nonzero", "_linalg_check_errors", "segment_reduce", "nonzero_static_size"}
)
# Elementwise on a TensorIterator, but without the tag.
_ELEMENTWISE = frozenset(
    {"rsub", "floor_divide", "floor_divide_", "true_divide", "threshold_backward", "where"}
)
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
    if plain:
        elementwise = torch.Tag.pointwise in func.tags or name in _ELEMENTWISE
        written = _written(func, args, kwargs)
        if not elementwise or any(t.dim() for t in plain) or any(t is w for t in plain for w in written):
            raise _mixed(func, plain[0])
        if name == "where":
            ledger.wait("a number copied to the GPU")
    if name in _READING or any(tag in func.tags for tag in _SHAPED_BY_VALUES):
        ledger.wait("values read" if name in ("_local_scalar_dense", "equal") else f"{name} reads values")
    if name == "normal" and any(isinstance(a, Tensor) for a in args[1:2]):
        ledger.wait("values read")


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
            and masks
            and not accumulate
            and value.numel() == 1
        ):
            if not isinstance(masks[0], pretended):
                raise MixedDevicesError(f"expected self and mask to be on the same device: {here()}")
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
