"""A gallery and probes whose vectors are there: files of embeddings and enrolled galleries, as a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.gallery.kinds import gallery_folder, is_embeddings
from facerec_cli.gallery.labeled import LabeledPhotos, people_of_table
from facerec_cli.identify.people import SearchedGallery, open_searched
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.metrics.scores import Vectors
from facerec_cli.protocols.people import NOBODY, number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.sides import read_probes
from facerec_cli.verify.photo_vectors import PhotoVectors, open_embeddings
from facerec_cli.verify.settings import Steps


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One side of a protocol: R rows with whom they show, and why some have no vector."""

    vectors: Vectors
    names: tuple[str, ...]
    people: tuple[str, ...]
    model: ModelInfo
    settings: dict[str, object]
    reasons: dict[int, str]
    searched: SearchedGallery | None = None


def read_stored(
    inputs: Sequence[str | Path], settings: IdentifySettings, steps: Steps
) -> tuple[SearchProtocol, PhotoVectors, SearchedGallery | None]:
    """The protocol of a gallery and probes, the vectors of its photos, and the gallery, if it is enrolled.

    Args:
        inputs: Two: embeddings or an enrolled gallery, and embeddings, a list or a folder of people.
        settings: How photos are embedded.
        steps: Watches the work.

    Raises:
        InputError: One cannot be read, or does not say whom its photos show.
        ModelError: They were made with different models.
        UsageError: These are not two.
    """
    if len(inputs) != 2:
        raise UsageError(
            f"An evaluation takes a protocol, or a gallery and probes, not {len(inputs)} inputs.",
            hint="Name the gallery, then the probes.",
        )
    gallery = _gallery(inputs[0], settings, steps)
    probes = _probes(inputs[1], gallery, settings, steps)
    if not gallery.model.sha256 or gallery.model.sha256 != probes.model.sha256:
        raise ModelError(
            f"{str(inputs[0])!r} and {str(inputs[1])!r} do not say that one model made them "
            f"({gallery.model.name or 'unknown'} and {probes.model.name or 'unknown'}).",
            hint="Embed both with the same model, and keep the .json of `facerec embed` beside them.",
        )
    count = len(gallery.people)
    wanted = [None if person.lower() in NOBODY else person for person in probes.people]
    people, identity = number_people([*gallery.people, *wanted])
    names = gallery.names + probes.names
    items = np.arange(len(names))
    protocol = SearchProtocol(
        images=tuple(map(Path, names)),
        names=names,
        people=people,
        identity=identity,
        trials=(SearchTrial("search", items[:count], items[count:]),),
        format="embeddings",
    )
    reasons = gallery.reasons | {count + row: why for row, why in probes.reasons.items()}
    vectors = np.concatenate([gallery.vectors, probes.vectors])
    return protocol, PhotoVectors(vectors, reasons, gallery.model, dict(gallery.settings)), gallery.searched


def _gallery(name: str | Path, settings: IdentifySettings, steps: Steps) -> _Side:
    if is_embeddings(name) and gallery_folder(name) is None:
        return _table(name, settings)
    searched = open_searched(name, settings, steps=steps)
    enrolled = searched.people
    rows = np.concatenate([np.asarray(block) for block in enrolled.templates])
    live = enrolled.person >= 0
    people = tuple(enrolled.names[who] for who in enrolled.person[live])
    photos = dict(enumerate(enrolled.photos))
    names = tuple(photos.get(int(who), enrolled.names[who]) for who in enrolled.person[live])
    return _Side(rows[live], names, people, enrolled.model, dict(enrolled.settings), {}, searched)


def _probes(name: str | Path, gallery: _Side, settings: IdentifySettings, steps: Steps) -> _Side:
    if is_embeddings(name):
        return _table(name, settings)
    photos = LabeledPhotos(*read_probes(Path(name)))
    flip = bool(gallery.settings.get("flip", False))
    pack = settings.model if settings.model is not None else gallery.model.name
    embedding = replace(settings.embedding(settings.photo_face, flip=flip), model=pack)
    with steps("Embedding", "photos") as progress:
        embedded = open_embeddings(photos, embedding, progress)
    return _Side(
        embedded.vectors, photos.names, photos.people, embedded.model, embedded.settings, embedded.reasons
    )


def _table(name: str | Path, settings: IdentifySettings) -> _Side:
    table = open_table(name).one_per_photo(settings.photo_face)
    return _Side(
        table.vectors,
        table.paths or (),
        people_of_table(table),
        table.model,
        dict(table.settings),
        {},
    )
