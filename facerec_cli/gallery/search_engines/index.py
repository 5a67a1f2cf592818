"""The index of a gallery: built, kept in its folder, and searched.

``facerec gallery index`` builds one and says what it misses; ``identify --engine index`` builds it where
there is none of the people who are enrolled now. It is for looking people up in a large gallery, not for
error rates: ``SearchEngineOptions.require_exact``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.files import lock
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.search_engines.codes import import_faiss, make_codes
from facerec_cli.gallery.search_engines.engine import Candidates
from facerec_cli.gallery.search_engines.index_file import (
    TemplateIndex,
    live_rows,
    read_index,
    templates_hash,
    write_index,
)
from facerec_cli.gallery.search_engines.index_measure import (
    LADDER,
    Faces,
    IndexMeasurement,
    hold_out,
    measure,
)
from facerec_cli.gallery.search_engines.scan import CodeScan
from facerec_cli.gallery.search_engines.settings import IndexSettings, SearchEngineOptions
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import people as people_words
from facerec_cli.wording import percent

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True, eq=False)
class BuiltIndex:
    """An index that was built now.

    Attributes:
        index: What it is.
        templates: The hash of the templates that it is of.
        measured: What it misses, by the number of candidates that are compared exactly, few first.
        chosen: The one that counts.
        met: Whether the wished recall is reached.
    """

    index: TemplateIndex
    templates: str
    measured: tuple[IndexMeasurement, ...]
    chosen: IndexMeasurement
    met: bool


def build_index(
    people: EnrolledPeople,
    settings: IndexSettings | None = None,
    *,
    faces: Faces | None = None,
    threshold: tuple[float, str] | None = None,
    steps: Steps = no_steps,
) -> BuiltIndex:
    """Make an index of enrolled people, and measure what it misses.

    Args:
        people: Who is enrolled, at least two.
        settings: How.
        faces: The faces of each, to hold one out; without them only searches for strangers are measured.
        threshold: From which score on a person is named, and what that is (the gallery's card).
        steps: Shows how far it is.

    Raises:
        MissingExtraError: faiss is not installed.
        InputError: Fewer than two people are enrolled.
    """
    settings = settings or IndexSettings()
    import_faiss()
    if len(people) < 2:
        raise InputError(
            f"{people.source} has {people_words(len(people))} enrolled, too few for an index.",
            hint="It pays from some hundred thousand on; below, leave --engine out.",
        )
    before = templates_hash(people)
    with steps("Encoding templates", "people") as progress:
        codes = make_codes(people.templates, live_rows(people), progress=progress)
    held = hold_out(people, faces, settings.probes)
    value, source = threshold or (None, "")
    tried = LADDER if settings.candidates is None else (settings.candidates,)
    with steps("Measuring what it misses", "searches") as progress:
        measured = measure(
            people,
            codes,
            held,
            tried,
            enough=settings.recall,
            threshold=value,
            source=source,
            progress=progress,
        )
    chosen = measured[-1]
    index = TemplateIndex(codes, chosen.candidates, chosen.document())
    return BuiltIndex(index, before, tuple(measured), chosen, chosen.first >= settings.recall)


def keep_index(folder: Path, people: EnrolledPeople, built: BuiltIndex) -> bool:
    """Write an index into the gallery that ``people`` are of; its writer's lock is held by the caller.

    Returns:
        False where the templates have changed since: the codes of somebody who was removed are not written.

    Raises:
        OutputError: It cannot be written.
    """
    if templates_hash(people) != built.templates:
        return False
    write_index(folder, built.index, people, built.templates)
    return True


def index_gallery(
    gallery: Gallery, settings: IndexSettings | None = None, *, steps: Steps = no_steps
) -> BuiltIndex:
    """Make the index of a gallery that is open for writing, measured at its threshold, and keep it.

    Raises:
        MissingExtraError: faiss is not installed.
        InputError: Fewer than two people are enrolled.
        UsageError: The gallery was opened to read.
        OutputError: It cannot be written.
    """
    gallery.require_writing()
    people = gallery.enrolled()
    threshold = None
    for card in gallery.cards()[:1]:
        value = card.for_people(len(people)).value
        rate = "" if card.fpir is None else f" at an FPIR of {percent(card.fpir)}"
        threshold = None if value is None else (value, f"the gallery's threshold{rate}")
    built = build_index(
        people,
        settings,
        faces=lambda person: gallery.vectors(gallery.faces(people.names[person])),
        threshold=threshold,
        steps=steps,
    )
    keep_index(gallery.path, people, built)
    return built


class IndexSearch:
    """Searches through the gallery's index, and builds it where there is none of these people.

    Args:
        options: Nothing of them is for it.
        folder: Of the gallery.

    Raises:
        UsageError: There is no gallery.
    """

    def __init__(self, options: SearchEngineOptions, folder: Path | None = None) -> None:
        if folder is None:
            raise UsageError(
                "--engine index needs a gallery to keep its index in.",
                hint="Enroll the people first (facerec gallery enroll); or leave --engine out.",
            )
        self._folder = folder
        self._opened: tuple[EnrolledPeople, CodeScan, int] | None = None

    def search(
        self, people: EnrolledPeople, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> Candidates:
        """See :class:`SearchEngine`."""
        if self._opened is None or self._opened[0] is not people:
            index = read_index(self._folder, people) or self._build(people)
            self._opened = (
                people,
                CodeScan(index.codes, live_rows(people), people.templates),
                index.candidates,
            )
        _, scan, candidates = self._opened
        rows, scores = scan.search(probes, k, max(candidates, k), progress=progress)
        return np.append(people.person, -1)[rows], scores

    def _build(self, people: EnrolledPeople) -> TemplateIndex:
        log.warning(
            "The index of %s is missing, damaged, or not of its people as they are now: it is built.",
            people.source,
        )
        built = build_index(people)
        try:
            with lock(self._folder, inside=True):  # the gallery's own: nobody is removed meanwhile
                keep_index(self._folder, people, built)
        except FacerecError as fault:
            log.info("The index is not kept: %s", fault)
        return built.index

    def close(self) -> None:
        """Let the index go."""
        self._opened = None
