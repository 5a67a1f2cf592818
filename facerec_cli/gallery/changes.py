"""Changes to a gallery, each of them whole or not at all, wherever it is interrupted.

A change of vectors has two transactions. The first takes rows, which are loose until a fact points to them,
and marks the templates that will not fit any more as stale. Then vectors, crops and templates are written and
flushed, and the second transaction makes them facts. After a kill in between the next writer erases what is
loose and makes stale templates anew (:func:`erase.sweep`); a reader makes them for itself.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.gallery.erase import find_name, forget_people, sweep
from facerec_cli.gallery.facts import insert_faces, keep, let_go, take_rows
from facerec_cli.gallery.finding import command
from facerec_cli.gallery.folder import GalleryFolder, write_crops
from facerec_cli.gallery.info import SUFFIX, now
from facerec_cli.gallery.person import SHA256, FaceFacts, Person, expiry_date, person_name, plain
from facerec_cli.gallery.vectors import unit


def add_faces(
    folder: GalleryFolder,
    names: Sequence[str],
    vectors: NDArray[np.float32] | NDArray[np.float64],
    facts: Sequence[FaceFacts] = (),
    *,
    expires: str = "",
    note: str = "",
) -> tuple[int, ...]:
    """Add faces, of people who are there or are new; all or none.

    Args:
        folder: Open for writing.
        names: F names, the person of each face.
        vectors: (F, D); rows that are not of unit length are brought to it.
        facts: F, or none.
        expires: Kept with these people, where it is not "".
        note: The same.

    Returns:
        The ids of the faces.

    Raises:
        InputError: A name or a vector that cannot be used; nothing was added.
        OutputError: It cannot be written; nothing was added.
    """
    people = [person_name(name) for name in names]
    values = unit(vectors)
    if len(people) != len(values) or (facts and len(facts) != len(values)):
        raise InputError(f"{len(values):,} embeddings with {len(people):,} names and {len(facts):,} facts.")
    if not people:
        return ()
    if values.shape[1] != folder.info.dimensions:
        raise InputError(
            f"The gallery has embeddings of {folder.info.dimensions} numbers, these have {values.shape[1]}.",
            hint="Embed the photos with the gallery's model.",
        )
    expires = expiry_date(expires)
    folder.faces.require(folder.facts.one("SELECT max(row) FROM face"))
    facts = facts or [FaceFacts()] * len(people)
    if not all(SHA256.fullmatch(fact.photo_sha256) or not fact.photo_sha256 for fact in facts):
        raise InputError("A sha256 of a photo is 64 hexadecimal digits.", hint="Nothing was stored.")
    with _swept(folder):
        return _add(folder, people, values, facts, expires, note)


def _add(
    folder: GalleryFolder,
    people: Sequence[str],
    vectors: NDArray[np.float32],
    facts: Sequence[FaceFacts],
    expires: str,
    note: str,
) -> tuple[int, ...]:
    places: dict[str, int] = {}  # name -> row of the template
    known: dict[str, int] = {}  # name -> id
    with folder.facts.change() as base:
        for name in dict.fromkeys(people):
            found = base.execute("SELECT id, row FROM person WHERE name = ?", (name,)).fetchone()
            if found:
                known[name], places[name] = found
        base.executemany("UPDATE person SET stale = 1 WHERE id = ?", [(one,) for one in known.values()])
        fresh = [name for name in dict.fromkeys(people) if name not in known]
        new_places = take_rows(base, "templates", len(fresh))
        places |= dict(zip(fresh, new_places, strict=True))
        rows = take_rows(base, "faces", len(people))
        crops = [f"{row:09d}.png" if fact.crop else "" for row, fact in zip(rows, facts, strict=True)]
        let_go(base, "crop", filter(None, crops))
    folder.faces.write(rows, vectors)
    write_crops({folder.crops / crop: fact.crop for crop, fact in zip(crops, facts, strict=True) if crop})
    before = folder.rows_of(list(known.values()))
    members = {name: list(before[known[name]]) if name in known else [] for name in places}
    for name, row in zip(people, rows, strict=True):
        members[name].append(row)
    folder.templates.write(list(places.values()), folder.means([members[name] for name in places]))
    with folder.facts.change() as base:
        for name, place in zip(fresh, new_places, strict=True):
            done = base.execute(
                "INSERT INTO person (name, row, stale, created, expires, note) VALUES (?, ?, 0, ?, '', '')",
                (name, place, now()),
            )
            known[name] = int(done.lastrowid or 0)
        ids = insert_faces(base, [known[name] for name in people], facts, rows, crops)
        for number in known.values():
            base.execute("UPDATE person SET stale = 0 WHERE id = ?", (number,))
            _annotate(base, number, expires or None, note or None)
        keep(base, "faces", rows)
        keep(base, "templates", new_places)
        keep(base, "crop", filter(None, crops))
    return tuple(ids)


def add_new_faces(
    folder: GalleryFolder, names: Sequence[str], vectors: NDArray[np.float32] | NDArray[np.float64]
) -> tuple[int, ...]:
    """As :func:`add_faces`, without the vectors that their person has already, to the last bit.

    Returns:
        For each row the id of the face that it is now.
    """
    people = [person_name(name) for name in names]
    values = unit(vectors)
    if len(people) != len(values):
        return add_faces(folder, people, values)  # which refuses them
    wanted = set(people)
    ids: dict[tuple[str, bytes], int] = {}
    for one in folder.facts.people():
        if one.name in wanted:
            faces = folder.facts.faces("WHERE person = ?", (one.id,))
            had = folder.faces.read([face.row for face in faces])
            ids |= {(one.name, row.tobytes()): face.id for face, row in zip(faces, had, strict=True)}
    keys = [(name, row.tobytes()) for name, row in zip(people, values, strict=True)]
    fresh: dict[tuple[str, bytes], int] = {}
    for at, key in enumerate(keys):
        if key not in ids:
            fresh.setdefault(key, at)
    rows = list(fresh.values())
    ids |= zip(fresh, add_faces(folder, [people[at] for at in rows], values[rows]), strict=True)
    return tuple(ids[key] for key in keys)


def annotate(folder: GalleryFolder, people: Sequence[Person], expires: str | None, note: str | None) -> None:
    """Keep an expiry date and a note with people; None leaves what is there, "" takes it away.

    Raises:
        InputError: The date is none.
    """
    date = None if expires is None else expiry_date(expires)
    with folder.facts.change() as base:
        for person in people:
            _annotate(base, person.id, date, note)


def rename(
    folder: GalleryFolder, person: Person, name: str, *, forget_paths: bool = False
) -> tuple[str, ...]:
    """Call a person something else; the old name is overwritten.

    Args:
        folder: Open for writing.
        person: Who.
        name: What they are called from now on.
        forget_paths: Also forget where their photos are, since folders are often called as people are.

    Returns:
        Where the bytes of the old name are found still, for a person: "the path of 3 photos".

    Raises:
        UsageError: Somebody is called so.
        InputError: It cannot be a name.
    """
    name = person_name(name)
    other = folder.facts.one("SELECT id FROM person WHERE name = ?", (name,))
    if other is not None and other != person.id:
        raise UsageError(
            f"There is somebody called {name!r}.",
            hint="If they are one person: "
            + command("merge", str(folder.path).removesuffix(SUFFIX), person.name, name),
        )
    with folder.facts.change() as base:
        base.execute("UPDATE person SET name = ? WHERE id = ?", (name, person.id))
        if forget_paths:
            base.execute("UPDATE face SET path = '' WHERE person = ?", (person.id,))
        base.execute("UPDATE state SET value = 1 WHERE key = 'vacuum'")
        let_go(base, "index", [0])
    sweep(folder)
    if name == person.name:
        return ()
    found = find_name(folder, person.name)
    return (*found.left, *found.mentions)


def merge(folder: GalleryFolder, person: Person, into: Person) -> None:
    """Make one person of two: the faces of the first are the second's, and the first is gone.

    Raises:
        UsageError: They are one already.
    """
    if person.id == into.id:
        raise UsageError(f"{person.name!r} cannot be merged with themselves.")
    with folder.facts.change() as base:
        base.execute("UPDATE face SET person = ? WHERE person = ?", (into.id, person.id))
        base.execute("UPDATE person SET stale = 1 WHERE id = ?", (into.id,))
        forget_people(base, [person.id])
    sweep(folder)


def split(folder: GalleryFolder, faces: Sequence[int], name: str) -> None:
    """Make some faces of a person another person's, who is new.

    Args:
        folder: Open for writing.
        faces: Ids of faces.
        name: What the new person is called.

    Raises:
        UsageError: The faces are nobody's, of several people, or all of one person; or somebody is called so.
        InputError: It cannot be a name.
    """
    name = person_name(name)
    ids = sorted(set(faces))
    owner = _owner(folder, ids)
    if len(ids) >= folder.facts.one("SELECT count(*) FROM face WHERE person = ?", (owner,)):
        raise UsageError("All faces of a person cannot be split off.", hint="Rename the person instead.")
    if folder.facts.one("SELECT id FROM person WHERE name = ?", (name,)) is not None:
        raise UsageError(f"There is somebody called {name!r}.", hint="Choose another name.")
    with folder.facts.change() as base:
        (place,) = take_rows(base, "templates", 1)
        keep(base, "templates", [place])  # of a person who is stale it is not read
        done = base.execute(
            "INSERT INTO person (name, row, stale, created, expires, note) "
            "SELECT ?, ?, 1, ?, expires, note FROM person WHERE id = ?",
            (name, place, now(), owner),
        )
        base.executemany("UPDATE face SET person = ? WHERE id = ?", [(done.lastrowid, one) for one in ids])
        base.execute("UPDATE person SET stale = 1 WHERE id = ?", (owner,))
        let_go(base, "index", [0])
    sweep(folder)


def _owner(folder: GalleryFolder, ids: Sequence[int]) -> int:
    """Whose these faces are.

    Raises:
        UsageError: They are of several people, or one of them is not there.
    """
    name = str(folder.path).removesuffix(SUFFIX)
    numbers = f"`facerec gallery show {name} PERSON` numbers the faces of a person."
    query = "SELECT person.id, name FROM face JOIN person ON face.person = person.id WHERE face.id = ?"
    owners = {one: folder.facts.all(query, (one,)) for one in ids}
    missing = [str(one) for one, found in owners.items() if not found]
    if missing or not ids:
        raise UsageError(f"The gallery has no face {', '.join(missing) or 'of no number'}.", hint=numbers)
    if len({found[0][0] for found in owners.values()}) > 1:
        told = ", ".join(f"{one} is of {found[0][1]}" for one, found in owners.items())
        raise UsageError(f"Faces of one person can be split off, and face {told}.", hint=numbers)
    return int(owners[ids[0]][0][0])


def _annotate(base: sqlite3.Connection, person: int, expires: str | None, note: str | None) -> None:
    if expires is not None:
        base.execute("UPDATE person SET expires = ? WHERE id = ?", (expires, person))
    if note is not None:
        base.execute("UPDATE person SET note = ? WHERE id = ?", (plain(note), person))


@contextlib.contextmanager
def _swept(folder: GalleryFolder) -> Iterator[None]:
    """Work after whose fault nothing loose is left, as far as the disk lets us."""
    try:
        yield
    except (FacerecError, OSError):
        with contextlib.suppress(FacerecError, OSError):
            sweep(folder)
        raise
