"""The people that are searched in: an enrolled gallery, a folder or list of photos, or embeddings."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import EmbeddingTable, ModelInfo
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.gallery import open_gallery
from facerec_cli.gallery.kinds import gallery_folder, is_embeddings, is_list
from facerec_cli.gallery.labeled import (
    LabeledPhotos,
    folder_of,
    people_of_table,
    photos_of_folder,
    photos_of_list,
)
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.images.remote import is_url
from facerec_cli.metrics.doubtful import doubtful_people
from facerec_cli.metrics.lookalikes import FEWEST, alike_people
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.metrics.templates import mean_templates
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.pairs.pairlist import distinct
from facerec_cli.tables.paths import absolute
from facerec_cli.verify.photo_vectors import open_embeddings
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import people as counted_people

log = logging.getLogger("facerec")

_NAMED = 5  # people, or pairs of them, that a warning names
_MOST_COMPARED = 5_000  # people up to whom each is compared with each other, and all photos are listed
_SAME_PHOTO = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class SearchedGallery:
    """What a search is made in, with what its threshold is found by.

    Attributes:
        people: With one template each.
        cards: The thresholds that an enrolled gallery was calibrated to.
        without: People who have no usable photo -> why.
        folder: Of an enrolled gallery; None for others.
        photos: The full paths of the photos of its people; of large enrolled galleries none.
    """

    people: EnrolledPeople
    cards: tuple[SearchThreshold, ...] = ()
    without: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    photos: frozenset[str] = frozenset()


def open_people(
    gallery: str | Path, settings: IdentifySettings | None = None, *, steps: Steps = no_steps
) -> EnrolledPeople:
    """The people of a gallery, whatever it is; see :func:`open_searched`."""
    return open_searched(gallery, settings, steps=steps).people


def open_searched(
    gallery: str | Path, settings: IdentifySettings | None = None, *, steps: Steps = no_steps
) -> SearchedGallery:
    """Open what people are searched in.

    Args:
        gallery: An enrolled gallery (``NAME`` or ``NAME.gallery``); a folder with one subfolder a person; a
            list of ``path,person``; or a file of embeddings, in which a column ``person``, or else the folder
            that a photo lies in, says who it shows.
        settings: How photos are embedded.
        steps: Watches the work.

    Raises:
        InputError: It is not there, cannot be read, or nobody in it has a usable photo.
        ModelError: It was made with another model than ``settings.model``.
    """
    settings = settings or IdentifySettings()
    place = gallery_folder(gallery)
    if place is not None:
        if os.path.isdir(gallery) and not os.path.samefile(gallery, place):  # noqa: PTH112, PTH121
            log.warning("%s is searched in; the folder beside it is %s/", place, gallery)
        return _open_enrolled(place, settings)
    if is_embeddings(gallery):
        opened = _of_table(open_table(gallery), settings)
    elif is_list(gallery):
        opened = _embed(str(gallery), photos_of_list(Path(gallery)), settings, steps)
    elif not is_url(str(gallery)) and os.path.isdir(gallery):  # noqa: PTH112 - False for odd names
        opened = _embed(str(gallery), photos_of_folder(Path(gallery)), settings, steps)
    else:
        raise InputError(
            f"There is no gallery {str(gallery)!r}.",
            hint="Name one of `facerec gallery enroll`, a folder with a subfolder for each person, a CSV of "
            "path,person, or a file of `facerec embed`.",
        )
    if opened.without:
        named = [f"{name} ({why})" for name, why in list(opened.without.items())[:_NAMED]]
        more = len(opened.without) - len(named)
        log.warning(
            "%s without a usable photo, who cannot be found: %s%s",
            counted_people(len(opened.without)),
            "; ".join(named),
            f"; and {more:,} more" if more else "",
        )
    _warn_of_doubles(opened.people)
    return opened


def _warn_of_doubles(people: EnrolledPeople) -> None:
    """Tell of people who look like one: one of two names is then missed, or given to the other."""
    if not 2 <= len(people) <= _MOST_COMPARED:
        return
    templates = people.templates[0]
    pairs = (
        alike_people(templates)
        if len(people) >= FEWEST
        else doubtful_people(templates, np.arange(len(people)), _SAME_PHOTO)
    )
    if pairs:
        named = [
            f"{people.names[pair.first]} and {people.names[pair.second]} ({pair.score:.3f})" for pair in pairs
        ]
        more = f"; and {len(pairs) - _NAMED:,} more" if len(pairs) > _NAMED else ""
        log.warning(
            "people who look like one, or a photo under two names: %s%s", "; ".join(named[:_NAMED]), more
        )


def _open_enrolled(place: Path, settings: IdentifySettings) -> SearchedGallery:
    """An enrolled gallery; its templates stay memory-mapped when it is closed."""
    with open_gallery(place) as gallery:
        people, cards = gallery.enrolled(), tuple(gallery.cards())
        few = len(people) <= _MOST_COMPARED
        photos = frozenset(absolute(face.path) for face in gallery.faces() if face.path) if few else ()
    if not len(people):
        raise InputError(
            f"The gallery {str(place)!r} has nobody in it.",
            hint=f"Enroll people first: facerec gallery enroll {gallery.name} PHOTOS",
        )
    if settings.model is not None:
        require_pack(people, settings)
    return SearchedGallery(people, cards, folder=place, photos=frozenset(photos))


def _of_table(table: EmbeddingTable, settings: IdentifySettings) -> SearchedGallery:
    """The people of a file of embeddings: by its column ``person`` all faces, by folders one a photo."""
    if not any(table.people):  # others on a photo are not those whom its folder is called after
        table = table.one_per_photo(settings.photo_face)
    if settings.model is not None:
        model = settings.model
        table.require_model(open_pack(model) if isinstance(model, str) else model)
    if settings.flip and not table.settings.get("flip", False):
        raise UsageError(f"--flip was given, but {table.source!r} was embedded without it or does not say.")
    people = people_of_table(table)
    failed = {folder_of(path): reason for path, reason in table.failed.items()}
    usable = {*people, ""}
    without = {name: why for name, why in failed.items() if name not in usable}
    return gallery_of(
        table.source, table.vectors, people, table.paths or (), table.model, dict(table.settings), without
    )


def _embed(source: str, photos: LabeledPhotos, settings: IdentifySettings, steps: Steps) -> SearchedGallery:
    """The people of labeled photos, of each of which the main face counts."""
    with steps("Embedding the gallery", "photos") as progress:
        embedded = open_embeddings(photos, settings.embedding(), progress)
    there = np.flatnonzero(~embedded.failed)
    people = photos.people
    usable = {people[i] for i in there}
    without = {people[i]: why for i, why in embedded.reasons.items() if people[i] not in usable}
    if not there.size:
        name, why = next(iter(without.items()))
        raise InputError(
            f"Nobody in {source!r} has a usable photo; of {name}: {why}.",
            hint="`facerec embed` on these photos tells more of each.",
        )
    return gallery_of(
        source,
        embedded.vectors[there],
        [people[i] for i in there],
        [str(photos.images[i]) for i in there],
        embedded.model,
        embedded.settings,
        without,
    )


def gallery_of(
    source: str,
    vectors: Vectors,
    people: Sequence[str],
    photos: Sequence[str],
    model: ModelInfo,
    settings: dict[str, Any],
    without: dict[str, str],
) -> SearchedGallery:
    """People as a search has them, with one template each.

    Args:
        source: What the user calls them.
        vectors: (R, D) float32, unit length.
        people: R names.
        photos: R paths, or none.
        model: What made the vectors.
        settings: How.
        without: People who have no vector -> why.

    Raises:
        InputError: There is no row.
    """
    if not len(vectors):
        raise InputError(f"{source!r} has no face in it.", hint="Name a gallery with enrolled people.")
    names, person = distinct(people)
    order = np.argsort(person, kind="stable")
    starts = np.searchsorted(person[order], np.arange(len(names) + 1))
    first = order[starts[:-1]]
    enrolled = EnrolledPeople(
        source=source,
        names=names,
        templates=(mean_templates(vectors[order], starts),),
        person=np.arange(len(names)),
        faces=np.diff(starts),
        model=model,
        settings=settings,
        photos=tuple(photos[int(row)] for row in first) if photos else (),
        first_faces=lambda people: vectors[first[people]],
    )
    return SearchedGallery(enrolled, without=without, photos=frozenset(map(absolute, photos)))


def require_pack(people: EnrolledPeople, settings: IdentifySettings) -> ModelPack:
    """The pack that made a gallery, to embed probes with.

    Raises:
        ModelError: The gallery does not say which, or it was another than ``settings.model`` names.
    """
    made_by = people.model
    if not made_by.sha256:
        raise ModelError(
            f"{people.source!r} does not say which model made it, so no photo can be compared with it.",
            hint="Keep the .json of `facerec embed` beside the embeddings.",
        )
    named = settings.model if settings.model is not None else made_by.name
    pack = open_pack(named) if isinstance(named, str) else named
    if pack_hash(pack) != made_by.sha256:
        raise ModelError(
            f"The gallery {people.source!r} was made with the model {made_by.name!r} "
            f"({made_by.sha256[:12]}), not with {pack.name!r} ({pack_hash(pack)[:12]}).",
            hint="Leave --model out or name the gallery's; `facerec gallery upgrade` embeds a gallery anew.",
        )
    return pack
