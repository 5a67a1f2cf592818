"""The default: every person is compared, in this process."""

from __future__ import annotations

from pathlib import Path

from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.engine import Candidates
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent


class ExactSearch:
    """Compares all with all."""

    def __init__(self, options: SearchEngineOptions, folder: Path | None = None) -> None:
        """It can be told nothing."""

    def search(
        self, people: EnrolledPeople, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> Candidates:
        """See :class:`SearchEngine`."""
        return people.search(probes, k, progress=progress)

    def close(self) -> None:
        """Nothing was taken."""
