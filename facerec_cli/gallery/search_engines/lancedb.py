"""Search in a table of LanceDB, which several machines may share; candidates are compared exactly here."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.engine import Candidates
from facerec_cli.gallery.search_engines.index_file import live_rows
from facerec_cli.gallery.search_engines.lance_table import PeopleTable
from facerec_cli.gallery.search_engines.refine import refine
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent

log = logging.getLogger("facerec")

CANDIDATES = 200
"""How many of each probe are compared exactly."""
_PROBES = 100  # of one query


class LanceSearch:
    """Asks a LanceDB table for candidates; it is brought to the gallery first.

    Args:
        options: ``table`` says where.
        folder: Not asked for.
    """

    def __init__(self, options: SearchEngineOptions, folder: Path | None = None) -> None:
        assert options.table is not None
        self._uri = options.table
        self._opened: tuple[EnrolledPeople, PeopleTable] | None = None

    def search(
        self, people: EnrolledPeople, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> Candidates:
        """See :class:`SearchEngine`.

        Raises:
            MissingExtraError: lancedb is not installed.
            ResourceError: The table cannot be reached.
            ModelError: It is of another model.
        """
        found = np.full((len(probes), k), -1, np.int64)
        scores = np.full((len(probes), k), -np.inf, np.float32)
        top_k(people.templates, probes[:0], k, live=people.person >= 0)  # refuses what does not fit
        table = self._open(people)
        if len(people) == 0:
            return found, scores
        rows = live_rows(people)
        row_of = {people.names[person]: row for row, person in zip(rows, people.person[rows], strict=True)}
        count = min(max(CANDIDATES, 4 * k), len(people))
        for start in range(0, len(probes), _PROBES):
            part = slice(start, min(start + _PROBES, len(probes)))
            numbers, names = table.candidates(probes[part], count)
            # Sorted by probe, the place in a probe's list is the place after its first.
            order = np.argsort(numbers, kind="stable")
            numbers = numbers[order]
            place = np.arange(len(numbers)) - np.searchsorted(numbers, numbers)
            candidates = np.full((part.stop - start, count), -1, np.int64)
            candidates[numbers, place] = [row_of.get(name, -1) for name in names[order].tolist()]
            found[part], scores[part] = refine(people.templates, probes[part], candidates, k)
            progress(part.stop, len(probes))
        return np.append(people.person, -1)[found], scores

    def close(self) -> None:
        """Let the table go."""
        self._opened = None

    def _open(self, people: EnrolledPeople) -> PeopleTable:
        if self._opened is None or self._opened[0] is not people:
            table = PeopleTable(self._uri)
            synced = table.sync(people)
            if synced.added + synced.updated + synced.removed:
                log.warning(
                    "The table at %s was brought to %s: %d added, %d updated, %d removed.",
                    self._uri,
                    people.source,
                    synced.added,
                    synced.updated,
                    synced.removed,
                )
            self._opened = people, table
        return self._opened[1]
