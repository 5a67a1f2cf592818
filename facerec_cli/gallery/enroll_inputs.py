"""Whom photos and stored embeddings show: by their folders, by a list, or one person who is named."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.kinds import is_embeddings, is_list
from facerec_cli.gallery.labeled import folder_of, people_of_table, photos_of_list
from facerec_cli.gallery.person import is_nobody, person_name
from facerec_cli.gallery.xmp import FaceRegion
from facerec_cli.images import find_images
from facerec_cli.images.inputs import refuse_missing
from facerec_cli.pairs.names import match_names
from facerec_cli.wording import counted
from facerec_cli.wording import people as counted_people

log = logging.getLogger("facerec")

BY_FOLDER = "folder"
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class ToEnroll:
    """Photos, or faces of a table of embeddings, with the name of whom each shows.

    Attributes:
        names: The person of each photo, or of each row of ``table``.
        photos: Paths; empty where there is a table.
        table: One face a photo.
        failed: Photos without a face in the table, with the person -> why.
        regions: For each photo the face regions in its metadata, where these name people; then ``names`` are
            those of all regions.
    """

    names: tuple[str, ...]
    photos: tuple[str, ...] = ()
    table: EmbeddingTable | None = None
    failed: tuple[tuple[str, str, str], ...] = ()
    regions: tuple[tuple[FaceRegion, ...], ...] | None = None


def read_inputs(
    inputs: Sequence[str | Path],
    people: str | Path = BY_FOLDER,
    *,
    person: str = "",
    faces: str = "main",
    exclude: Sequence[Path] = (),
) -> list[ToEnroll]:
    """Find what is to be enrolled.

    Args:
        inputs: Photos, folders, lists, patterns, ``-``, or files of ``facerec embed``.
        people: ``folder``: each photo shows the person after whom the subfolder is called that it lies in;
            of several folders without subfolders each is a person's, and one alone is refused. A list of
            ``path,person``; without inputs its photos are enrolled. Any other text is ``person``.
        person: The one person whom all photos show.
        faces: Which of several faces of a photo counts in a table.
        exclude: Folders that are passed over: the gallery.

    Raises:
        InputError: Nothing was found, an input cannot be read, or nobody knows whom it shows.
        UsageError: Nothing is named.
    """
    text = os.fspath(people)
    named = Path(text) if text != BY_FOLDER and (isinstance(people, Path) or is_list(people)) else None
    if named is None and text != BY_FOLDER:
        person = person or text
    who = person_name(person) if person else ""
    given = [os.fspath(one) for one in inputs]
    if not given and named is None:
        raise UsageError("Nothing to enroll was named.", hint="Name a folder with a subfolder per person.")
    listed = None if named is None else photos_of_list(named)
    tables = [one for one in given if is_embeddings(one)]
    lists = [] if who or named else [one for one in given if one not in tables and is_list(one)]
    others = [one for one in given if one not in tables and one not in lists]
    found = [_of_table(_one_person_each(open_table(one), faces), who, named) for one in tables]
    if others:
        refuse_missing(others)
    if listed is not None and not given:
        found.append(_photos(zip(map(str, listed.images), listed.people, strict=True)))
    elif named is not None and others:
        found.append(_photos(_listed(find_images(others, exclude=exclude), named)))
    elif who:
        found.append(_photos((photo, who) for photo in find_images(others, exclude=exclude)))
    elif others:
        found.append(_photos(_by_folders(others, exclude)))
    for one in lists:
        read = photos_of_list(Path(one))
        found.append(_photos(zip(map(str, read.images), read.people, strict=True)))
    found = [one for one in found if one.names or one.failed]
    if not found:
        raise InputError(
            "No photo was found whose person is known.",
            hint="Name a folder with a subfolder per person, a list of path,person, or photos with --person.",
        )
    return found


def _photos(pairs: Iterable[tuple[str, str]]) -> ToEnroll:
    known: dict[tuple[str, str], None] = {}
    nobody = set()
    for photo, name in pairs:
        if is_nobody(name):
            nobody.add(photo)
        else:
            known[photo, person_name(name)] = None
    if nobody:
        log.warning("Passed over: %s of nobody, such as of 'unknown'.", counted(len(nobody), "photo"))
    return ToEnroll(tuple(name for _, name in known), tuple(photo for photo, _ in known))


def _by_folders(inputs: Sequence[str], exclude: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """(photo, person) of inputs; folders of one name, whose photos become one person's, are told of.

    Raises:
        InputError: Nobody knows whom a photo shows: it is named itself, or it lies in the only folder without
            subfolders that is named.
    """
    folders_given = [given for given in dict.fromkeys(inputs) if os.path.isdir(given)]  # noqa: PTH112
    below = {given: _below(given, find_images([given], exclude=exclude)) for given in folders_given}
    flat = [given for given, photos in below.items() if photos and not any("/" in one for one in photos)]
    named = find_images([given for given in inputs if given not in below], exclude=exclude)
    if named or len(flat) == 1:
        photos = len(named or below[flat[0]])
        where = "" if named else f" directly in {flat[0]!r}"
        raise InputError(
            f"Nobody knows whom {counted(photos, 'photo')}{where} {'shows' if photos == 1 else 'show'}.",
            hint="Say --person NAME where they show one person. Else put them in a folder for each person "
            "and name the folder above, or list path,person in a CSV.",
        )
    folders: dict[str, dict[str, None]] = {}
    for given, photos_below in below.items():
        for photo, folder in _by_folder(given, photos_below, is_person=given in flat):
            name = os.path.basename(folder)  # noqa: PTH119
            folders.setdefault(person_name(name, new=False), {})[folder] = None
            yield photo, name
    several = [(name, [*places]) for name, places in folders.items() if len(places) > 1]
    for name, places in several[:_SHOWN]:
        log.warning("%s are taken as one person, %r.", " and ".join(places), name)
    if len(several) > _SHOWN:
        log.warning("%s more have several folders each.", counted_people(len(several) - _SHOWN))


def _below(given: str, photos: Sequence[str]) -> dict[str, str]:
    """Photos by what they are called below an input; in its subfolders with a slash."""
    root = given.rstrip("/" + os.sep) or given
    return {photo[len(root) :].lstrip("/" + os.sep).replace(os.sep, "/"): photo for photo in photos}


def _by_folder(given: str, below: Mapping[str, str], *, is_person: bool) -> Iterator[tuple[str, str]]:
    """(photo, folder of the person) of a folder: itself, or by its subfolders of the first level."""
    root = given.rstrip("/" + os.sep) or given
    if is_person:
        yield from ((photo, os.path.abspath(root)) for photo in below.values())  # noqa: PTH100
        return
    loose = sum("/" not in name for name in below)
    if loose:
        log.warning(
            "Passed over: %s in %s itself, beside the folders of people: nobody knows whom they show.",
            counted(loose, "photo"),
            given,
        )
    for name, photo in below.items():
        if "/" in name:
            yield photo, os.path.join(root, name.partition("/")[0])  # noqa: PTH118


def _listed(photos: Sequence[str], path: Path) -> Iterator[tuple[str, str]]:
    """(photo, person) of those photos that a list names."""
    listed = photos_of_list(path)
    if not photos:
        return
    seen = set()
    for photo, name in zip(match_names(listed.names, photos, "the inputs"), listed.people, strict=True):
        if photo is not None:
            seen.add(photo)
            yield photo, name
    _tell_of_unlisted(len(photos) - len(seen), path)


def _one_person_each(table: EmbeddingTable, faces: str) -> EmbeddingTable:
    """The faces that count: those with a name where the table has names, else one a photo."""
    rows = [row for row, name in enumerate(table.people) if name]
    return table.select(rows) if rows else table.one_per_photo(faces)


def _of_table(table: EmbeddingTable, who: str, path: Path | None) -> ToEnroll:
    """The faces of a table of embeddings."""
    if who:
        names: Sequence[str] = [who] * len(table.vectors)
        return ToEnroll(
            tuple(names), table=table, failed=tuple((p, who, why) for p, why in table.failed.items())
        )
    if path is None:
        _refuse_one_folder(table)
        names = [person_name(name) for name in people_of_table(table)]
        failed = [(photo, folder_of(photo), why) for photo, why in table.failed.items()]
        return ToEnroll(tuple(names), table=table, failed=tuple(one for one in failed if one[1]))
    listed = photos_of_list(path)
    if table.paths is None:
        raise InputError(
            f"{table.source!r} does not say which photos its rows are of.",
            hint="Keep the .csv of `facerec embed` beside it.",
        )
    row_of = {photo: row for row, photo in enumerate(table.paths)}
    matched = match_names(
        listed.names, [*row_of, *(p for p in table.failed if p not in row_of)], table.source
    )
    pairs = [(photo, name) for photo, name in zip(matched, listed.people, strict=True) if photo is not None]
    rows = [(row_of[photo], name) for photo, name in pairs if photo in row_of]
    _tell_of_unlisted(len(row_of) - len({row for row, _ in rows}), path)
    return ToEnroll(
        tuple(person_name(name) for _, name in rows),
        table=table.select([row for row, _ in rows]),
        failed=tuple((photo, name, table.failed[photo]) for photo, name in pairs if photo not in row_of),
    )


def _refuse_one_folder(table: EmbeddingTable) -> None:
    """Refuse several photos of one folder, as :func:`_by_folders` does: it may be of many people."""
    folders = {folder_of(photo) for photo in table.paths or ()}
    if len(table.vectors) > 1 and len(folders) == 1 and not any(table.people):
        raise InputError(
            f"Nobody knows whom {table.source!r} shows: all its photos lie in one folder, {folders.pop()!r}.",
            hint="Say --person NAME where they show one person, or list path,person in a CSV (--people).",
        )


def _tell_of_unlisted(count: int, path: Path) -> None:
    if count:
        log.warning("Passed over: %s that %s does not name.", counted(count, "photo"), path)


def tell_of_spellings(names: Set[str], before: Set[str] = frozenset()) -> None:
    """Warn of people who differ in capitals only, from each other or from those who are enrolled before."""
    spellings: dict[str, set[str]] = {}
    for name in names | before:
        spellings.setdefault(name.casefold(), set()).add(name)
    alike = sorted(
        " and ".join(map(repr, sorted(same)))
        for same in spellings.values()
        if len(same) > 1 and not same <= before
    )
    if alike:
        more = len(alike) - _SHOWN
        log.warning(
            "People whose names differ in capitals only are people of their own: %s%s. "
            "`facerec gallery merge` makes them one.",
            ", ".join(alike[:_SHOWN]),
            f" and {more:,} more" if more > 0 else "",
        )
