"""Who is on a photo, as lists and folders say it, in numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: What people write where a probe shows nobody of the gallery. Compared in lower case.
NOBODY = frozenset(["", "unknown", "stranger", "non-mated", "nonmated", "none", "-1"])
#: The same for a gallery: a person of their own, who is nobody's mate.
DISTRACTOR = frozenset(["distractor", "distractors"])


def number_people(names: Iterable[str | None]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Each person once, in order, and the number of each given one, (N,) int64; -1 where it is None."""
    number: dict[str, int] = {}
    identity = np.fromiter(
        (-1 if name is None else number.setdefault(name, len(number)) for name in names), np.int64
    )
    return tuple(number), identity
