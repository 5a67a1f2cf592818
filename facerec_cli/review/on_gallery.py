"""Decisions of a review carried out on a gallery, all of them or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.person import GalleryFace, Person
from facerec_cli.gallery.reassign import NewOwner
from facerec_cli.review.decisions import Decision, Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.of_gallery import photo_of
from facerec_cli.review.regroup import Regrouping, in_groups, regroup


@dataclass(frozen=True, slots=True)
class GalleryChange:
    """What decisions came to.

    Attributes:
        decisions: How many there were.
        moved: Faces that are another person's now.
        erased: Faces that were junk: facts, vectors and crops are overwritten.
        people: Names of everybody who has changed.
    """

    decisions: int
    moved: int
    erased: int
    people: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**asdict(self), "people": [*self.people]}


def apply_to_gallery(gallery: Gallery, decisions: Decisions) -> GalleryChange:
    """Carry decisions out; to do so again changes nothing.

    A group that was split off and not named is called as its person was, with a number.

    Args:
        gallery: Open for writing.
        decisions: What was decided on a page of this gallery.

    Raises:
        InputError: The decisions are about something else, or contradict each other; nothing was changed.
    """
    decisions.refuse_page("gallery")
    people, faces = gallery.people(), gallery.faces()
    decisions = replace(decisions, items=tuple(_left(decisions.items, {face.id for face in faces})))
    place = {person.id: at for at, person in enumerate(people)}
    groups = np.array([place[face.person] for face in faces], np.int64)
    where = decisions.locate(
        [photo_of(face) for face in faces],
        [face.id for face in faces],
        face_keys(gallery.vectors(faces)) if faces else [],
        model=gallery.info.model_info().sha256,
    )
    done = regroup(groups, {at: person.name for at, person in enumerate(people)}, decisions, where)
    owners = list(_owners(people, faces, groups, done))
    erased = [face.id for face, group in zip(faces, done.groups.tolist(), strict=True) if group < 0]
    gallery.reassign(owners, erased)
    return GalleryChange(
        len(decisions), done.moved - len(erased), len(erased), tuple(owner.name for owner in owners)
    )


def _left(items: Sequence[Decision], ids: set[int]) -> Iterator[Decision]:
    """The decisions without junk that is erased already."""
    for one in items:
        if one.kind != "junk":
            yield one
        elif there := tuple(face for face in one.faces if face.face in ids):
            yield replace(one, faces=there)


def _owners(
    people: Sequence[Person], faces: Sequence[GalleryFace], groups: np.ndarray, done: Regrouping
) -> Iterator[NewOwner]:
    """Everybody whose faces or name change."""
    before: Mapping[int, list[int]] = defaultdict(list, in_groups(groups))
    after = in_groups(done.groups)
    names = {number: done.names.get(number) or _old(people, number) for number in after}
    used = {name for name in names.values() if name}
    for number, members in after.items():
        enrolled = people[number] if number < len(people) else None
        name = names[number]
        if not name:
            origin, count = people[int(groups[members[0]])].name, 2
            while f"{origin} ({count})" in used:
                count += 1
            name = f"{origin} ({count})"
            used.add(name)
        if enrolled is None or members != before[number] or name != enrolled.name:
            ids = tuple(faces[at].id for at in members)
            yield NewOwner(name, None if enrolled is None else enrolled.id, ids)


def _old(people: Sequence[Person], number: int) -> str:
    return people[number].name if number < len(people) else ""
