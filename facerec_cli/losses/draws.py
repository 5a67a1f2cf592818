"""Random numbers of a step that are the same on every device and on every process.

PyTorch's generators give other numbers on CUDA than on a CPU, and their state would have to be saved. Here a
number is a hash of the seed, the step and its place, computed on the device itself.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_Bits = TypeVar("_Bits", int, Tensor)


def normal(count: int, seed: int, step: int, device: torch.device) -> Tensor:
    """(count,) float32 numbers of the standard normal distribution, the same on all devices.

    Box and Muller's transform of 24-bit uniform numbers; so none is farther out than 5.9. It is computed in
    float64, since logarithm and cosine of devices differ in their last bits, which rounding then takes away;
    Apple's GPUs have no float64, and there the numbers are the same up to rounding.
    """
    key = 0
    for number in (seed, step):
        key = _mixed(_mixed(key ^ (number & _MASK)) ^ (number >> 32 & _MASK))
    place = torch.arange(1, 2 * count + 1, device=device)
    bits = _mixed(_mixed(place) ^ key) >> 8
    uniform = (bits.to(torch.float32 if device.type == "mps" else torch.float64) + 0.5) / (1 << 24)
    radius = (-2 * uniform[:count].log()).sqrt()
    return (radius * (2 * math.pi * uniform[count:]).cos()).to(torch.float32)


def _mixed(bits: _Bits) -> _Bits:
    """A bijection of 32-bit numbers in which every bit depends on all (Wellons, hash-prospector, lowbias32).

    The numbers stand in int64; a product that does not fit there keeps its lower bits, which are all we need.
    """
    bits = bits ^ (bits >> 16)
    bits = (bits * 0x7FEB352D) & _MASK
    bits = bits ^ (bits >> 15)
    bits = (bits * 0x846CA68B) & _MASK
    return bits ^ (bits >> 16)
