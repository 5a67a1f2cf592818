"""``facerec identify`` as a library: who of a gallery is on these photos, or is it nobody of them?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.shards import Shard
from facerec_cli.errors import InputError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.engine import SearchEngine, open_search_engine
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.identify.people import open_searched
from facerec_cli.identify.probes import open_probes
from facerec_cli.identify.result import Identification
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.identify.threshold import threshold_of
from facerec_cli.images.remote import is_url
from facerec_cli.metrics.scores import unit_vectors
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.progress import Progress, silent
from facerec_cli.tables.paths import absolute
from facerec_cli.verify.settings import Steps, no_steps


def search_gallery(
    gallery: str | Path,
    probes: Sequence[str | Path],
    settings: IdentifySettings | None = None,
    *,
    engine: SearchEngineOptions | None = None,
    exclude: Sequence[Path] = (),
    steps: Steps = no_steps,
) -> Identification:
    """Search for the faces of photos among the people of a gallery.

    Args:
        gallery: What to search in; see ``people.open_searched``.
        probes: What to search for; see ``probes.open_probes``.
        settings: How.
        engine: What compares; every person in this process by default.
        exclude: Folders that no probe is taken from.
        steps: Watches the work.

    Raises:
        InputError: The gallery or the probes cannot be used, or no threshold can be found for this gallery.
        ModelError: The model cannot be used, or they were made by different ones.
        UsageError: Settings that do not fit together.
    """
    settings = settings or IdentifySettings()
    opened = open_searched(gallery, settings, steps=steps)
    threshold = threshold_of(opened, settings, steps)  # before the probes are embedded, which takes longer
    faces = open_probes(probes, opened.people, settings, exclude=exclude, steps=steps)
    compared = open_search_engine(engine or SearchEngineOptions(), opened.folder)
    with closing(compared), steps("Searching", "faces") as progress:
        found = identify(
            opened.people, faces.shard, settings, threshold=threshold, engine=compared, progress=progress
        )
    paths = dict.fromkeys(row["path"] for row in faces.shard.rows)
    enrolled = tuple(path for path in paths if _is_among(path, opened.photos))
    return replace(found, provider=faces.provider, without=opened.without, enrolled=enrolled)


def _is_among(path: str, photos: frozenset[str]) -> bool:
    return "\0" not in path and not is_url(path) and absolute(path) in photos


def identify(
    gallery: EnrolledPeople,
    probes: Shard | NDArray[np.float32],
    settings: IdentifySettings | None = None,
    *,
    threshold: SearchThreshold | None = None,
    engine: SearchEngine | None = None,
    progress: Progress = silent,
) -> Identification:
    """Search for faces whose vectors are there.

    Args:
        gallery: What to search in.
        probes: Vectors with the records of their faces, or (F, D) float32 vectors alone.
        settings: How many candidates are told.
        threshold: From which score on a face gets a name; None makes no claim.
        engine: What compares; every person in this process by default.
        progress: Told the faces done.

    Raises:
        InputError: The gallery has nobody in it, or the vectors are no finite (F, D).
    """
    settings = settings or IdentifySettings()
    if not len(gallery):
        raise InputError(
            f"The gallery {gallery.source!r} has nobody in it.",
            hint="Enroll people first: facerec gallery enroll NAME PHOTOS",
        )
    shard = probes if isinstance(probes, Shard) else _shard(probes)
    wanted = max(settings.candidates, 2)  # a margin takes the second
    vectors = unit_vectors(shard.embeddings)
    if engine is None:
        people, scores = gallery.search(vectors, wanted, progress=progress)
    else:
        people, scores = engine.search(gallery, vectors, wanted, progress=progress)
    return Identification(gallery, shard, people, scores, threshold, shown=settings.candidates)


def _shard(vectors: NDArray[np.float32]) -> Shard:
    """Vectors that nobody says more of than their number."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError(f"Probes must be (F, D) finite vectors, not {vectors.shape}.")
    rows = [{"path": str(row), "face": 0, "status": "ok", "reason": ""} for row in range(len(vectors))]
    return Shard(vectors, rows)
