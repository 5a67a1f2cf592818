"""Damage in a gallery's files: facts, vectors and crops are read, and compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import FacerecError, InputError
from facerec_cli.gallery.finding import GalleryFinding, command
from facerec_cli.gallery.folder import GalleryFolder
from facerec_cli.gallery.traces import foreign_paths
from facerec_cli.gallery.vectors import SEGMENT, Rows, unit_rows
from facerec_cli.wording import counted
from facerec_cli.wording import people as counted_people

_AT_ONCE = 4096  # people whose templates are compared together
_NAMED = 5  # people and files that a message names
_SAME = 1e-4  # by which a number of a template may differ from the mean of its faces, made anew


def find_damage(folder: GalleryFolder) -> tuple[list[GalleryFinding], set[int]]:
    """What is damaged in a gallery's files.

    Args:
        folder: The gallery.

    Returns:
        The findings, and the rows of faces whose vectors cannot be used.

    Raises:
        InputError: The facts cannot be read at all.
    """
    faults = [row[0] for row in folder.facts.all("PRAGMA integrity_check") if row[0] != "ok"]
    faults += [
        f"a row of {row[0]} that points to nothing" for row in folder.facts.all("PRAGMA foreign_key_check")
    ]
    found = (
        [
            GalleryFinding(
                "damaged",
                f"{folder.facts.path} is damaged: {'; '.join(faults[:_NAMED])}.",
                "Put it back from a copy of the gallery.",
            )
        ]
        if faults
        else []
    )
    faces, bad = _rows(
        folder, folder.faces, "SELECT face.row, person.name FROM face JOIN person ON face.person = person.id"
    )
    templates, bad_templates = _rows(folder, folder.templates, "SELECT row, name FROM person WHERE NOT stale")
    found += [*faces, *templates, *_people(folder), *_crops(folder), *_foreign(folder)]
    return [*found, *_templates(folder, bad, bad_templates)], bad


def _rows(folder: GalleryFolder, rows: Rows, query: str) -> tuple[list[GalleryFinding], set[int]]:
    """Segments that cannot be used, vectors that are none, and what is left in rows that are nobody's."""
    with folder.facts.view():  # of one moment, while others enroll people
        owners = {int(row): name for row, name in folder.facts.all(query)}
        given = folder.facts.state(rows.kind)
        loose = {
            int(row) for (row,) in folder.facts.all("SELECT what FROM loose WHERE kind = ?", (rows.kind,))
        }
        if rows.kind == "templates":  # stale ones are made anew, and not looked at
            loose |= {int(row) for (row,) in folder.facts.all("SELECT row FROM person WHERE stale")}
    found, bad, left = [], {row for row in owners if not 0 <= row < given}, 0
    if bad:
        found.append(_unusable(folder, rows, owners, bad, "are behind the last row"))
    for number in range(-(-given // SEGMENT)):
        first = number * SEGMENT
        mine = {row for row in owners if first <= row < min(first + SEGMENT, given)}
        try:
            block = rows.segment(number)[: given - first]
        except InputError as fault:
            bad |= mine
            found.append(_unusable(folder, rows, owners, mine, "cannot be read", fault.message))
            continue
        fine = unit_rows(block)
        wrong = {row for row in mine if not fine[row - first]}
        if wrong:
            bad |= wrong
            found.append(_unusable(folder, rows, owners, wrong, "are not of unit length"))
        owned = np.zeros(len(block), bool)
        owned[[row - first for row in mine | {r for r in loose if first <= r < first + len(block)}]] = True
        left += int((~owned & _filled(block)).sum())
    if left:
        found.append(
            GalleryFinding(
                "left_over",
                f"{counted(left, 'row')} of {rows.kind} in {rows.folder} "
                f"{'has' if left == 1 else 'have'} a vector that belongs to nobody.",
                f"{_mend(folder)}  # leaves it out",
            )
        )
    return found, bad


def _filled(block: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows hold anything, looked at in parts."""
    parts = [np.asarray(block[at : at + 8192]).any(axis=1) for at in range(0, len(block), 8192)]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _unusable(
    folder: GalleryFolder, rows: Rows, owners: dict[int, str], bad: set[int], what: str, why: str = ""
) -> GalleryFinding:
    names = tuple(dict.fromkeys(owners[row] for row in sorted(bad)))
    kind = rows.kind.removesuffix("s") if rows.kind == "templates" else "vector"
    message = f"{why}{' ' if why else ''}{kind.capitalize()}s in {rows.folder} that {what}: {len(bad):,}"
    does = (
        "makes them anew"
        if rows.kind == "templates"
        else "embeds them anew; or put the file back from a copy"
    )
    advice = f"{_mend(folder)}  # {does}"
    return GalleryFinding("damaged", f"{message}, of {_some(names)}.", advice, names)


def _mend(folder: GalleryFolder) -> str:
    """The command that embeds damaged faces anew and makes all templates."""
    return command("upgrade", folder.path.stem, "--model", folder.info.model)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more if names else "nobody"


def _people(folder: GalleryFolder) -> Iterator[GalleryFinding]:
    """People without faces: no change of ours leaves any."""
    query = "SELECT name FROM person WHERE id NOT IN (SELECT person FROM face)"
    for (name,) in folder.facts.all(query):
        yield GalleryFinding(
            "damaged",
            f"{name} has no face, and cannot be found.",
            command("remove", folder.path.stem, name),
            (name,),
        )


def _crops(folder: GalleryFolder) -> Iterator[GalleryFinding]:
    """Crops that are missing, and crops that are nobody's."""
    known = dict(
        folder.facts.all(
            "SELECT crop, person.name FROM face JOIN person ON face.person = person.id WHERE crop <> ''"
        )
    )
    loose = {what for (what,) in folder.facts.all("SELECT what FROM loose WHERE kind = 'crop'")}
    there = (
        {path.name for path in folder.crops.iterdir() if path.is_file()} if folder.crops.is_dir() else set()
    )
    missing = [crop for crop in known if crop not in there or not (folder.crops / crop).stat().st_size]
    if missing:
        names = tuple(dict.fromkeys(known[crop] for crop in missing))
        yield GalleryFinding(
            "damaged",
            f"Crops that are missing: {len(missing):,}, of {_some(names)}.",
            f"Put {folder.crops} back from a copy; searches do not need it.",
            names,
        )
    extra = sorted(there - known.keys() - loose)
    if extra:
        yield GalleryFinding(
            "left_over",
            f"{folder.crops} has {counted(len(extra), 'file')} that belong to nobody: {_some(extra)}.",
            f"Remove them: {Path(folder.crops) / extra[0]}",
        )


def _foreign(folder: GalleryFolder) -> Iterator[GalleryFinding]:
    """What others have put into the folder, which no removal of a person erases."""
    found = [str(path) for path in foreign_paths(folder)]
    if found:
        yield GalleryFinding(
            "foreign",
            f"{counted(len(found), 'file or folder', 'files or folders')} in {folder.path} that facerec has "
            f"not put there: {_some(found)}.",
            "Move them out by hand: no removal of a person erases them.",
        )


def _templates(folder: GalleryFolder, bad: set[int], bad_templates: set[int]) -> Iterator[GalleryFinding]:
    """Templates that are not the mean of their faces."""
    people = folder.facts.all("SELECT id, name, row FROM person WHERE NOT stale ORDER BY id")
    wrong: list[str] = []
    for start in range(0, len(people), _AT_ONCE):
        some = people[start : start + _AT_ONCE]
        rows = folder.rows_of([one[0] for one in some])
        sound = [
            one
            for one in some
            if one[2] not in bad_templates and rows[one[0]] and not bad & set(rows[one[0]])
        ]
        try:
            means = folder.means([rows[one[0]] for one in sound])
            templates = folder.templates.read([one[2] for one in sound])
        except FacerecError:  # told of above
            continue
        off = np.abs(means - templates).max(axis=1, initial=0) > _SAME
        wrong += [sound[at][1] for at in np.flatnonzero(off)]
    if wrong:
        yield GalleryFinding(
            "damaged",
            f"{counted_people(len(wrong))} with a template that is not the mean of their faces: "
            f"{_some(wrong)}.",
            f"{_mend(folder)}  # makes them anew",
            tuple(wrong),
        )
