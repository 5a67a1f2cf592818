"""A few bits of a face's vector, by which a decision finds out whether it has the right face before it.

A hash of the vector's bytes would be another one after a change of the last digit, which another processor or
size of a batch makes. So the key has a bit for each of 32 pairs of the vector's numbers, which of the two is
larger, and two keys may differ in a few. Keys of other faces differ in about 16.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Vectors

KEY = re.compile("[0-9a-f]{8}")
BITS = 32
_DIFFERENT = 4  # bits; two faces that have nothing to do with each other agree so far once in 100,000


def face_keys(vectors: Vectors) -> list[str]:
    """The key of each of (F, D) vectors: eight hexadecimal digits; the length of a vector does not matter."""
    dimensions = vectors.shape[1]
    first = np.arange(0, 2 * BITS, 2)
    pair = first % dimensions, (first + 1 + first // dimensions) % dimensions
    keys: list[str] = []
    for start in range(0, len(vectors), 4096):
        block: NDArray[np.float32] = np.asarray(vectors[start : start + 4096])
        bits = np.packbits(block[:, pair[0]] > block[:, pair[1]], axis=1)
        keys += [row.tobytes().hex() for row in bits]
    return keys


def same_key(one: str, other: str) -> bool:
    """Whether two keys can be of one face; an empty one says nothing."""
    return not one or not other or (int(one, 16) ^ int(other, 16)).bit_count() <= _DIFFERENT
