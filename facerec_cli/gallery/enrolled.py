"""The people that a search is made in, wherever they are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledPeople:
    """One template a person: what a search needs of a gallery, a folder of people or a file of embeddings.

    Attributes:
        source: What the user calls it, for messages.
        names: What each of the N people is called, each once.
        templates: Blocks of (R, D) float32 rows, unit length, in memory or memory-mapped; free rows are zero.
        person: (R,) int64 over all blocks, the person of each row, -1 for a free row. A person has one row.
        faces: (N,) int64, of how many faces each template is the mean.
        model: What made the embeddings.
        settings: How, as ``embed.EmbedOptions`` has it: ``flip``, ``aligned``, ...
        photos: For each person a photo or saved crop that a report can show; empty where there is none.
        first_faces: Gives (n, D) float32, the first face of each of the people at (n,) int64 places; None
            where templates are all that there is.
    """

    source: str
    names: tuple[str, ...]
    templates: tuple[Vectors, ...]
    person: NDArray[np.int64]
    faces: NDArray[np.int64]
    model: ModelInfo = field(default_factory=ModelInfo)
    settings: Mapping[str, Any] = field(default_factory=dict)
    photos: tuple[str, ...] = ()
    first_faces: Callable[[NDArray[np.int64]], Vectors] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def search(
        self, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``k`` people who are most like each probe.

        Args:
            probes: (M, D) float32, unit length.
            k: How many, at least 1.
            progress: Told the probes done.

        Returns:
            (M, k) int64 people, each a place in ``names``, and their float32 scores, the highest first;
            of equal scores the one whose template stands first. Where there are fewer than ``k`` people, -1
            with scores of -inf follow.

        Raises:
            InputError: As ``metrics.search.top_k`` does.
        """
        rows, scores = top_k(self.templates, probes, k, live=self.person >= 0, progress=progress)
        return np.append(self.person, -1)[rows], scores  # the row -1, nobody, is the last
