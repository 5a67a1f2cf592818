"""Some photos of a data set, as a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset


class PhotoSubset(FaceDataset):
    """Some photos of a data set, under their own names and labels."""

    format = "part"

    def __init__(self, whole: FaceDataset, rows: NDArray[np.int64]) -> None:
        self.whole, self.rows = whole, rows
        self.spec = whole.spec
        self.labels = whole.labels[rows]
        self.class_names = whole.class_names
        self.weights = None if whole.weights is None else whole.weights[rows]

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        return self.whole.read(int(self.rows[index]))

    def name(self, index: int) -> str:
        """Its name in the whole."""
        return self.whole.name(int(self.rows[index]))
