"""The strangers that a gallery is calibrated with: nobody who is enrolled, and each counted once."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.gallery.calibrate import gallery_tail
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.info import GalleryInfo
from facerec_cli.gallery.look_alikes import SAME, look_alike_threshold
from facerec_cli.gallery.vectors import unit
from facerec_cli.metrics.impostor_tail import for_templates, score_at
from facerec_cli.metrics.scores import Vectors
from facerec_cli.tables.paths import absolute
from facerec_cli.threshold import ImpostorTail
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_CHANCE = 1e-3  # how many comparisons of all would score as high by the tail, of which one is no chance
_TOLD = 5
_BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class Outsiders:
    """Faces that are said to be of strangers.

    Attributes:
        vectors: (S, D) float32 unit vectors.
        photos: S paths; empty where nobody knows them.
        sha256: S hashes of the photos in hexadecimal, "" where not known; or empty.
        folders: The full paths of the folders that were named; a subfolder of one is one stranger.
    """

    vectors: Vectors
    photos: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def as_outsiders(given: Vectors | EmbeddingTable | Outsiders, info: GalleryInfo, gallery: Path) -> Outsiders:
    """Vectors or a table of embeddings, of which the main face of each photo counts.

    Raises:
        InputError: They are no embeddings.
        ModelError: The table is of another model.
    """
    if isinstance(given, Outsiders):
        return given
    if not isinstance(given, EmbeddingTable):
        return Outsiders(unit(given))
    info.require_model(given.model, gallery)
    table = given.one_per_photo("main") if given.paths else given
    photos = table.paths or ()
    return Outsiders(table.vectors, photos, table.photo_sha256, common_folder(photos))


def common_folder(photos: Sequence[str]) -> tuple[str, ...]:
    """The folder that all photos lie below, which nobody has named where embeddings were given."""
    return (os.path.commonpath([os.path.dirname(absolute(photo)) for photo in photos]),) if photos else ()  # noqa: PTH120


def strangers_of(
    given: Outsiders,
    people: EnrolledPeople,
    photos: Mapping[str, str],
    info: GalleryInfo,
    *,
    keep_look_alikes: bool = False,
) -> Vectors:
    """One face of each stranger.

    Args:
        given: Who they are said to be.
        people: Among whom they are searched for.
        photos: The person of each photo that is enrolled, by its sha256, or by its full path.
        info: Of the gallery.
        keep_look_alikes: Take each photo for another stranger, also where it looks like somebody enrolled or
            like another of them; else the former is refused, and the latter counts once.

    Raises:
        InputError: There is none, or some are enrolled.
    """
    if not len(given.vectors):
        raise InputError("No stranger is left to calibrate with.", hint="Give photos with faces.")
    _refuse_photos(people, photos, given)
    if len(people):
        _refuse_look_alikes(people, given, gallery_tail(info), keep=keep_look_alikes)
    if keep_look_alikes:
        return given.vectors
    kept = _first_of_folders(given)
    least = look_alike_threshold(info, len(kept))
    different = kept[_first_of_each(given.vectors[kept], least)]
    if len(different) < len(kept):
        left = sorted({*kept.tolist()} - {*different.tolist()})
        log.warning(
            "%s not counted, since a stranger before looks like the same person (score %.2f or more): %s",
            counted(len(left), "photo is", "photos are"),
            least,
            _some([_name(given, at) for at in left]),
        )
    return given.vectors[different]


def _refuse_photos(people: EnrolledPeople, photos: Mapping[str, str], given: Outsiders) -> None:
    """Refuse photos that are enrolled: by their bytes where those are known, else by their place."""
    searched = {*people.names}
    told = []
    for at, photo in enumerate(given.photos):
        hashed = given.sha256[at] if given.sha256 else ""
        name = photos.get(hashed or absolute(photo))
        if name in searched:  # who has expired is not searched for, and is a stranger
            told.append(f"{photo} ({name})")
    if told:
        raise InputError(
            f"{counted(len(told), 'photo')} of {len(given.vectors):,} that should show strangers "
            f"{'is' if len(told) == 1 else 'are'} enrolled: {_some(told)}.",
            hint="Take them out, and give photos of people who are not enrolled.",
        )


def _refuse_look_alikes(
    people: EnrolledPeople, given: Outsiders, tail: ImpostorTail | None, *, keep: bool
) -> None:
    """Refuse faces that score higher with somebody enrolled than any stranger of so many should."""
    least = SAME
    if tail is not None:
        share = _CHANCE / (len(people) * len(given.vectors))
        least = min(SAME, score_at(for_templates(tail, people.faces), share))
    nearest, scores = (found[:, 0] for found in people.search(given.vectors, 1))
    high = np.flatnonzero(scores >= least)
    if not high.size:
        return
    high = high[np.argsort(-scores[high], kind="stable")]
    some = _some(
        [f"{_name(given, at)} ({people.names[nearest[at]]} {scores[at]:.2f})" for at in high.tolist()]
    )
    words = (
        f"{counted(high.size, 'photo')} of {len(given.vectors):,} that should show strangers "
        f"{'looks' if high.size == 1 else 'look'} like enrolled people (score {least:.2f} or more): {some}"
    )
    if keep:
        log.warning("%s; if they are these, the threshold is too high", words)
        return
    raise InputError(
        f"{words}.",
        hint="Take them out: with enrolled people among them the threshold gets too high. If they are "
        "others, repeat with --keep-look-alikes.",
    )


def _first_of_folders(given: Outsiders) -> NDArray[np.int64]:
    """The first photo of each subfolder, and those that lie in none."""
    first: dict[str, int] = {}
    inner = 0
    for at in range(len(given.vectors)):
        folder = _subfolder(absolute(given.photos[at]), given.folders) if given.photos else ""
        inner += bool(folder)
        first.setdefault(folder or f"\0{at}", at)
    if len(first) < len(given.vectors):
        folders = sum(not folder.startswith("\0") for folder in first)
        log.warning(
            "%s in %s count as %s: a subfolder is one person. If it is not, name the subfolders themselves",
            counted(inner, "photo"),
            counted(folders, "subfolder"),
            counted(folders, "stranger"),
        )
    return np.fromiter(first.values(), np.int64)


def _subfolder(photo: str, folders: Sequence[str]) -> str:
    """The subfolder of the named folder nearest to a photo; "" where it lies in none."""
    above = [folder for folder in folders if photo.startswith(folder.rstrip(os.sep) + os.sep)]
    if not above:
        return ""
    root = max(above, key=len).rstrip(os.sep) + os.sep
    name, inner, _ = photo[len(root) :].partition(os.sep)
    return root + name if inner else ""


def _first_of_each(vectors: Vectors, least: float) -> NDArray[np.int64]:
    """The faces that score below ``least`` with all that were kept before them."""
    kept: list[int] = []
    for start in range(0, len(vectors), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(vectors)))
        if kept:
            block = block[(vectors[block] @ vectors[kept].T).max(axis=1) < least]
        alike = vectors[block] @ vectors[block].T >= least
        here: list[int] = []
        for at in range(len(block)):
            if not alike[at, here].any():
                here.append(at)
        kept += block[here].tolist()
    return np.array(kept, np.int64)


def _name(given: Outsiders, at: int) -> str:
    return given.photos[at] if given.photos else f"row {at}"


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more
