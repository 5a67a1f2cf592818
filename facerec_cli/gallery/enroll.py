"""Enrolling: photos or stored embeddings become faces of people, batch by batch, each of them whole.

A batch that is enrolled is on the disk. The same command goes on after a kill: photos that a person has
already are duplicates, known by the sha256 of their bytes.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from facerec_cli.embeddings.table import EmbeddingTable, ModelInfo
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.gallery.enroll_inputs import BY_FOLDER, ToEnroll, read_inputs, tell_of_spellings
from facerec_cli.gallery.enroll_regions import RegionWork, photos_with_regions
from facerec_cli.gallery.enrollment import Enrollment
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.info import FILE, gallery_path
from facerec_cli.gallery.leftovers import put_back
from facerec_cli.gallery.look_alikes import look_alike_threshold
from facerec_cli.gallery.person import Person
from facerec_cli.gallery.settings import EnrollSettings
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import people as counted_people
from facerec_cli.workshop import clear_workshop

log = logging.getLogger("facerec")

BY_REGION = "xmp"


def enroll(
    gallery: Gallery | str | Path,
    inputs: Sequence[str | Path],
    *,
    people: str | Path = BY_FOLDER,
    person: str = "",
    settings: EnrollSettings | None = None,
    steps: Steps = no_steps,
) -> Enrollment:
    """Enroll people by their photos, or by embeddings of ``facerec embed``; a new gallery is made.

    Args:
        gallery: An open one, or its name.
        inputs: Photos, folders, lists, patterns, or files of embeddings.
        people: Whom they show; see :func:`enroll_inputs.read_inputs`. ``xmp``: whom the face regions in their
            metadata name, each that of the detected face that it overlaps most.
        person: The one person whom all of them show.
        settings: How.
        steps: Watches the work.

    Returns:
        A row for each photo; ``fault`` says whether some could not be enrolled. A new gallery in which nobody
        could be enrolled is not kept.

    Raises:
        InputError: Nothing was found, or nobody knows whom it shows; nothing was changed.
        ModelError: The gallery has embeddings of another model, or the model cannot be used.
        UsageError: The settings do not fit the gallery, or another process is changing it.
        OutputError: It cannot be written. What was enrolled before is kept.
        KeyboardInterrupt: With a message that says what is kept.
    """
    settings = settings or EnrollSettings()
    place = gallery.path if isinstance(gallery, Gallery) else gallery_path(gallery)
    if people == BY_REGION:
        found = [photos_with_regions([str(one) for one in inputs])]
    else:
        found = read_inputs(inputs, people, person=person, faces=settings.faces, exclude=[place])
    if isinstance(gallery, Gallery):
        return _enroll(gallery, found, settings, steps)
    was_there = (place / FILE).is_file()
    empty = False
    try:
        with _open(gallery, found, settings) as opened:
            try:
                return _enroll(opened, found, settings, steps)
            finally:
                empty = not opened.people()
    finally:
        if empty and not was_there:  # nobody has a use for it
            shutil.rmtree(place, ignore_errors=True)


def _open(name: str | Path, found: Sequence[ToEnroll], settings: EnrollSettings) -> Gallery:
    """The gallery, made anew where there is none."""
    path = gallery_path(name)
    put_back(path)
    if (path / FILE).is_file():
        clear_workshop(path)  # a kill when it had just been made
        return open_gallery(path, write=True)
    table = next((one.table for one in found if one.table is not None), None)
    if table is not None and settings.model is None:
        _refuse_unknown(table)
        return create_gallery(path, table.model, table.vectors.shape[1], table.settings, crops=settings.crops)
    model = settings.model or DEFAULT_PACK
    pack = model if isinstance(model, ModelPack) else open_pack(model)
    info = ModelInfo(pack.name, pack_hash(pack))
    options = asdict(settings.embed_options())
    del options["batch_size"], options["max_pixels"]
    return create_gallery(path, info, pack.encoder.embedding_size, options, crops=settings.crops)


def _enroll(
    gallery: Gallery, found: Sequence[ToEnroll], settings: EnrollSettings, steps: Steps
) -> Enrollment:
    if settings.flip and not gallery.info.flip:
        raise UsageError(
            f"--flip was given, but {gallery.path} has embeddings without it.", hint="Leave it out."
        )
    settings = replace(settings, flip=gallery.info.flip, crops=gallery.info.crops)
    before = {one.name for one in gallery.people()}
    named = set().union(*(one.names for one in found))
    tell_of_spellings(named, before)
    total = len(before | named)
    work = RegionWork(gallery, settings, look_alike_threshold(gallery.info, total))
    count = sum(len(one.names) for one in found)
    with steps("Enrolling", "photos") as progress, work.kept(count):
        for one in found:
            if one.regions is not None:
                work.regions(one, progress, count)
            elif one.table is None:
                work.photos(one, progress, count)
            else:
                work.table(one, one.table, progress, count)
    done = work.result()
    _tell_of_expired(gallery.people(), named)
    return done


def _tell_of_expired(people: Sequence[Person], named: set[str]) -> None:
    """Warn of people to whom photos were given though nobody searches for them any more."""
    expired = [one for one in people if one.name in named and one.expired]
    if expired:
        shown = ", ".join(f"{one.name!r} ({one.expires})" for one in expired[:5])
        log.warning(
            "Not searched for, since their date has come: %s, %s%s. `facerec gallery note` changes it.",
            counted_people(len(expired)),
            shown,
            ", ..." if len(expired) > 5 else "",
        )


def _refuse_unknown(table: EmbeddingTable) -> None:
    if not table.model.sha256:
        raise ModelError(
            f"{table.source!r} does not say which model made it, so nobody could be searched for.",
            hint="Keep the .json of `facerec embed` beside the embeddings.",
        )
