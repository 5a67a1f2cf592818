"""Many faces given to other people at once: what a review of a gallery comes to, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facerec_cli.errors import UsageError
from facerec_cli.gallery.erase import forget_people, sweep
from facerec_cli.gallery.facts import keep, let_go, take_rows
from facerec_cli.gallery.folder import GalleryFolder
from facerec_cli.gallery.info import now


@dataclass(frozen=True, slots=True)
class NewOwner:
    """Whose some faces are from now on.

    Attributes:
        name: What the person is called then.
        person: The id of somebody who is enrolled; None for somebody new.
        faces: Ids of all faces that are this person's then.
    """

    name: str
    person: int | None
    faces: tuple[int, ...]


def reassign(folder: GalleryFolder, owners: Sequence[NewOwner], erased: Sequence[int] = ()) -> None:
    """Give faces to people, rename these, and erase faces; people who have none left are gone.

    Args:
        folder: Open for writing.
        owners: Everybody who changes.
        erased: Ids of faces whose vectors and crops are overwritten.

    Raises:
        UsageError: Somebody else has one of the names; nothing was changed.
    """
    if not owners and not erased:
        return
    facts = folder.facts
    kept = {one.person for one in owners if one.person is not None}
    taken = {name: person for person, name in facts.all("SELECT id, name FROM person") if person not in kept}
    gone = [face for one in erased for face in facts.faces("WHERE id = ?", (one,))]
    with facts.change() as base:
        before = {
            row[0]
            for one in [*erased, *(face for owner in owners for face in owner.faces)]
            for row in base.execute("SELECT person FROM face WHERE id = ?", (one,))
        }
        ids = []
        for at, owner in enumerate(owners):
            ids.append(owner.person)
            if owner.person is None:
                (place,) = take_rows(base, "templates", 1)
                keep(base, "templates", [place])  # of a person who is stale it is not read
                done = base.execute(
                    "INSERT INTO person (name, row, stale, created, expires, note) "
                    "SELECT ?, ?, 1, ?, expires, note FROM person "
                    "WHERE id = (SELECT person FROM face WHERE id = ?)",
                    (_held(at), place, now(), owner.faces[0]),
                )
                ids[-1] = done.lastrowid
            else:  # two may change names
                base.execute("UPDATE person SET name = ?, stale = 1 WHERE id = ?", (_held(at), owner.person))
        for owner, number in zip(owners, ids, strict=True):
            base.executemany(
                "UPDATE face SET person = ? WHERE id = ?", [(number, one) for one in owner.faces]
            )
        let_go(base, "faces", [face.row for face in gone])
        let_go(base, "crop", [face.crop for face in gone if face.crop])
        let_go(base, "photo", [bytes.fromhex(face.photo_sha256) for face in gone])
        base.executemany("DELETE FROM face WHERE id = ?", [(one,) for one in erased])
        for person in before:
            base.execute("UPDATE person SET stale = 1 WHERE id = ?", (person,))
        count = "SELECT count(*) FROM face WHERE person = ?"
        empty = [one for one in before if not base.execute(count, (one,)).fetchone()[0]]
        forget_people(base, empty)
        for owner, number in zip(owners, ids, strict=True):
            if taken.get(owner.name, number) not in (number, *empty):
                raise UsageError(f"There is somebody called {owner.name!r}.", hint="Choose another name.")
            base.execute("UPDATE person SET name = ? WHERE id = ?", (owner.name, number))
        let_go(base, "index", [0])
    sweep(folder)


def _held(at: int) -> str:
    """A name that nobody can have, until all have theirs."""
    return f"\n{at}"
