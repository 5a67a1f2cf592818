"""A CUDA device that is pretended, so that a machine without a GPU finds what only a GPU would refuse.

Inside :func:`pretend` a tensor that is moved to ``cuda`` is a :class:`PretendedTensor`: its numbers are
computed on the CPU, it says that it is on ``cuda:0``, and a program that asks takes its CUDA branches.

* Mixing it with a CPU tensor raises, as CUDA does (:mod:`pretended_cuda.rules`).
* Whatever makes the CPU wait for the GPU is written to a :class:`Ledger` with the line that caused it.
* Several processes may share it: ``nccl`` groups refuse CPU tensors, and rows of unequal numbers
  (:mod:`pretended_cuda.collectives`).

README.md beside this file says what it cannot see.
"""

from __future__ import annotations

from pretended_cuda.device import pretend
from pretended_cuda.ledger import Allowed, Ledger, undeclared
from pretended_cuda.tensors import PretendedTensor, is_pretended

__all__ = ["Allowed", "Ledger", "PretendedTensor", "is_pretended", "pretend", "undeclared"]
