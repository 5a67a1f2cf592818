"""The people of a gallery as a search wants them: names, and one template each."""

from __future__ import annotations

import logging

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.folder import GalleryFolder
from facerec_cli.gallery.person import read_text, today
from facerec_cli.gallery.vectors import SEGMENT, unit_rows
from facerec_cli.metrics.scores import Vectors
from facerec_cli.wording import people as counted_people

log = logging.getLogger("facerec")

_QUERY = """
SELECT person.name, person.row, person.stale, count(face.id), person.id,
    CASE face.crop WHEN '' THEN face.path ELSE ? || face.crop END, min(face.id), face.row
FROM person JOIN face ON face.person = person.id
WHERE person.expires = '' OR person.expires > ?
GROUP BY person.id ORDER BY person.id
"""


def read_enrolled(folder: GalleryFolder, source: str, *, expired: bool = False) -> EnrolledPeople:
    """The people whose date has not expired, with templates that are memory-mapped.

    A template that is stale, or damaged, is made of the faces, in memory.

    Args:
        folder: The gallery.
        source: What the user calls it.
        expired: Whether people whose date has expired are taken, too.

    Raises:
        InputError: Files are damaged.
    """
    facts = folder.facts
    with facts.view():
        found = facts.all(_QUERY, (f"{folder.crops}/", "" if expired else today()))
        left_out = facts.one("SELECT count(*) FROM person") - len(found)
        made = [at for at, row in enumerate(found) if not row[2]]
        places = np.array([found[at][1] for at in made], np.int64)
        size = int(places.max(initial=-1)) + 1
        blocks = _blocks(folder, size)
        owner = np.full(size, -1, np.int64)
        owner[places] = made
        fine = np.concatenate([unit_rows(block) for block in blocks]) if blocks else np.zeros(0, bool)
        owner[~fine] = -1
        anew = sorted({*range(len(found))} - {*owner.tolist()})
        rows = folder.rows_of([found[at][4] for at in anew])
    if anew:
        blocks.append(folder.means([rows[found[at][4]] for at in anew]))
        owner = np.concatenate([owner, np.array(anew, np.int64)])
    first = np.array([row[7] for row in found], np.int64)
    if left_out:
        log.warning(
            "%s of %s whose date has expired: not searched for. `facerec gallery list %s` shows who.",
            counted_people(left_out),
            source,
            source.removesuffix(".gallery"),
        )
    return EnrolledPeople(
        source=source,
        names=tuple(row[0] for row in found),
        templates=tuple(blocks),
        person=owner,
        faces=np.array([row[3] for row in found], np.int64),
        model=folder.info.model_info(),
        settings=folder.info.settings,
        photos=tuple(read_text(row[5]) for row in found),
        first_faces=lambda people: folder.faces.read(first[people]),
    )


def _blocks(folder: GalleryFolder, rows: int) -> list[Vectors]:
    """The templates; zeros where a file is damaged."""
    blocks: list[Vectors] = []
    for start in range(0, rows, SEGMENT):
        count = min(SEGMENT, rows - start)
        try:
            blocks.append(folder.templates.segment(start // SEGMENT)[:count])
        except InputError as fault:
            log.warning("%s The templates are made of the faces.", fault.message)
            blocks.append(np.zeros((count, folder.info.dimensions), np.float32))
    return blocks
