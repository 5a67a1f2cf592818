"""Easy and hard photos of the same people as one data set, for DDL's branches (``--hard-data``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.wording import people


class JoinedDataset(FaceDataset):
    """Data sets one after the other; people with the same class name are the same person.

    Attributes:
        group: (N,) int64, 0 for photos of the first data set, k for those of the k-th hard one.
    """

    format = "joined"

    def __init__(self, parts: Sequence[FaceDataset]) -> None:
        self.spec = " + ".join(part.spec for part in parts)
        self._parts = list(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        number_of: dict[str, int] = {}
        labels = []
        for part in parts:
            numbers = [number_of.setdefault(name, len(number_of)) for name in part.class_names]
            labels.append(np.array(numbers, np.int64)[part.labels])
        self.class_names = list(number_of)
        self.labels = np.concatenate(labels)
        if any(part.weights is not None for part in parts):
            self.weights = np.concatenate(
                [np.ones(len(part)) if part.weights is None else part.weights for part in parts]
            )
        self.group = np.repeat(np.arange(len(parts)), np.diff(self._starts))
        added = len(number_of) - parts[0].num_classes
        more = (f"new classes: {people(added)} of the hard data, not in {parts[0].spec}",)
        self.warnings = tuple(warning for part in parts for warning in part.warnings) + (
            more if added else ()
        )

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        part, place = self._part(index)
        return part.read(place)

    def image(self, index: int):  # type: ignore[no-untyped-def]  # as in the parts, which may not decode
        """The photo as (H, W, 3) uint8 RGB."""
        part, place = self._part(index)
        return part.image(place)

    def name(self, index: int) -> str:
        """The part's name for it."""
        part, place = self._part(index)
        return part.name(place)

    def _part(self, index: int) -> tuple[FaceDataset, int]:
        number = int(self.group[index])
        return self._parts[number], index - int(self._starts[number])


def join_datasets(easy: FaceDataset, hard: Sequence[FaceDataset]) -> FaceDataset:
    """Add hard photos to a data set, one group per data set in ``hard``; see ``JoinedDataset``."""
    return JoinedDataset([easy, *hard]) if hard else easy
