"""Protocols of one trial whose parts are folders, with a list beside each or names that tell who it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.protocols.mat_lists import read_mat_list
from facerec_cli.protocols.people import number_people
from facerec_cli.protocols.photo_folders import before_underscore, photos_of
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class Part:
    """The photos of a folder of a protocol.

    Attributes:
        folder: Its name, as the protocol has it.
        photos: (file, person) of each; the person is None for distractors and for probes of nobody.
    """

    folder: str
    photos: Sequence[tuple[str, str | None]]


def part_of_people(folder: Path, listed: Path | None, what: str) -> Part:
    """The part in a folder whose photos show people.

    Args:
        folder: Where the photos lie.
        listed: A ``.mat`` with the variables ``WHAT_set`` and ``WHAT_ids``; None where names say who it is.
        what: The word that these variables begin with.

    Raises:
        InputError: The list is damaged, or a name does not say whom the photo shows.
        MissingExtraError: There is a list and no scipy.
    """
    if listed is not None:
        return Part(folder.name, read_mat_list(listed, f"{what}_set", f"{what}_ids"))
    people = [(name, before_underscore(name)) for name in photos_of(folder)]
    odd = next((name for name, person in people if person is None), None)
    if odd is not None:
        raise InputError(
            f"{str(folder / odd)!r} does not say whom it shows.",
            hint="Names begin with the person and an underscore; or put the protocol's .mat lists there.",
        )
    return Part(folder.name, people)


def part_of_nobody(folder: Path) -> Part:
    """The part in a folder of distractors, or of probes that are enrolled nowhere."""
    names = photos_of(folder)
    if not names:
        log.warning(
            "%s has no photo, so this part of the protocol is left out; figures are not the published ones",
            folder,
        )
    return Part(folder.name, [(name, None) for name in names])


def protocol_of_parts(
    gallery: Sequence[Part],
    probes: Sequence[Part],
    *,
    rank: Literal["people", "images"] = "people",
    rule: str = "",
) -> SearchProtocol:
    """The protocol that searches for the photos of some parts among those of others."""
    photos = [
        (f"{part.folder}/{file}", person) for part in (*gallery, *probes) for file, person in part.photos
    ]
    people, identity = number_people(person for _, person in photos)
    enrolled = sum(len(part.photos) for part in gallery)
    items = np.arange(len(photos), dtype=np.int64)
    return SearchProtocol(
        images=tuple(Path(name) for name, _ in photos),
        names=tuple(name for name, _ in photos),
        people=people,
        identity=identity,
        trials=(SearchTrial("search", items[:enrolled], items[enrolled:]),),
        rank=rank,
        rule=rule,
    )
