"""What identification asks of a search engine: the nearest people of each probe."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import SEARCH_ENGINES, load

Candidates = tuple[NDArray[np.int64], NDArray[np.float32]]


class SearchEngine(Protocol):
    """Finds the nearest of the enrolled people.

    Made from :class:`SearchEngineOptions` and the gallery's folder; None where the people are in no gallery.
    """

    def __init__(self, options: SearchEngineOptions, folder: Path | None = None) -> None:
        """Take note of what was asked for; nothing is opened yet."""

    def search(
        self, people: EnrolledPeople, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> Candidates:
        """The ``k`` people with the highest scores for each probe.

        Args:
            people: Who is enrolled.
            probes: (M, D) float32 of unit length.
            k: How many; at least 1.
            progress: Told the probes done.

        Returns:
            (M, k) int64 people (numbers of ``people.names``) and their float32 scores, the highest first, of
            equal scores as :meth:`EnrolledPeople.search` has them; -1 and -inf where there are no more. With
            every engine scores are cosines of the enrolled templates; only who is found may differ, and only
            with engines that are not in ``settings.EXACT_ENGINES``.
        """
        ...

    def close(self) -> None:
        """Give back what searching took."""


def open_search_engine(options: SearchEngineOptions, folder: Path | None = None) -> SearchEngine:
    """The engine that was asked for; nothing is opened before the first search.

    Args:
        options: Which one, and what it is told.
        folder: Of the gallery, where the people are in one: an index is kept there.
    """
    made: SearchEngine = load(SEARCH_ENGINES, options.engine, "search engine")(options, folder)
    return made
