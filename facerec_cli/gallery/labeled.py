"""Photos with the names of the people on them: folders of people, and lists of ``path,person``."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.images import find_images
from facerec_cli.pairs.pairlist import Templates
from facerec_cli.pairs.text_rows import read_list
from facerec_cli.tables.paths import Disk
from facerec_cli.tables.rows import PATH_WORDS, column, is_heading, label_column
from facerec_cli.wording import counted

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class LabeledPhotos:
    """Photos of known people; a list of photos for ``verify.photo_vectors.open_embeddings``.

    Attributes:
        images: N paths, which need not exist.
        names: What the folder or list calls each.
        people: Whom each shows.
    """

    images: tuple[Path, ...]
    names: tuple[str, ...]
    people: tuple[str, ...]
    aligned: bool = False
    landmarks: None = None
    templates: Templates | None = None


def photos_of_folder(folder: Path) -> LabeledPhotos:
    """The photos below a folder, whose subfolders, of the first level, are called as the people in them.

    Photos beside these subfolders are passed over with a warning.

    Raises:
        InputError: It has no photo, or none that lies in a subfolder.
    """
    found = [Path(path) for path in find_images([folder])]
    named = {str(PurePosixPath(image.relative_to(folder).as_posix())): image for image in found}
    loose = [name for name in named if "/" not in name]
    if len(loose) == len(named):
        fault = (
            f"{loose[0]!r} lies directly in {str(folder)!r}, so nobody knows whom it shows." if loose else ""
        )
        raise InputError(
            fault or f"The folder {str(folder)!r} has no photo in it.",
            hint="A folder of people has one subfolder per person.",
        )
    if loose:
        log.warning(
            "passed over, since they lie directly in %s and nobody knows whom they show: %s, the first %s",
            folder,
            counted(len(loose), "photo"),
            loose[0],
        )
    names = tuple(name for name in named if "/" in name)
    return LabeledPhotos(
        tuple(named[name] for name in names), names, tuple(name.partition("/")[0] for name in names)
    )


def photos_of_list(path: Path) -> LabeledPhotos:
    """The photos of a table with a path and a person a line; relative paths are looked up beside it first.

    Raises:
        InputError: It cannot be read, is empty, or a line has no person.
    """
    rows = read_list(path)
    at_path, at_person = 0, 1
    heading = rows[0][1] if rows else []
    named = column(heading, PATH_WORDS)
    label = label_column(heading, named)
    if is_heading(heading) or None not in (named, label):  # other columns may have any name
        rows.pop(0)
        at_path, at_person = (0 if named is None else named), (1 if label is None else label)
    if not rows:
        raise InputError(f"The list {str(path)!r} names no photo.", hint="Write path,person on each line.")
    disk = Disk()
    folders = [str(path.parent), ""]
    images, names, people = [], [], []
    for line, fields in rows:
        if len(fields) <= max(at_path, at_person) or not fields[at_person] or not fields[at_path]:
            what = "path" if len(fields) > at_path and not fields[at_path] else "person"
            raise InputError(
                f"{str(path)!r} has no {what} on line {line}: {','.join(fields)[:80]!r}.",
                hint="Write path,person on each line.",
            )
        names.append(fields[at_path])
        images.append(Path(disk.find(fields[at_path], folders) or fields[at_path]))
        people.append(fields[at_person])
    return LabeledPhotos(tuple(images), tuple(names), tuple(people))


def people_of_table(table: EmbeddingTable) -> tuple[str, ...]:
    """Whom each face of a table shows: its column ``person``, or else the folder that its photo lies in.

    Raises:
        InputError: Neither says it of some face.
    """
    paths = table.paths or ("",) * len(table.vectors)
    people = tuple(person or folder_of(path) for person, path in zip(table.people, paths, strict=True))
    unknown = next((path for path, person in zip(paths, people, strict=True) if not person), None)
    if unknown is not None:
        what = f"whom {unknown!r} shows" if unknown else "whom its rows show"
        raise InputError(
            f"{table.source!r} does not say {what}.",
            hint="A gallery of embeddings has a column person in its table, or photos in a folder for each "
            "person.",
        )
    return people


def folder_of(path: str) -> str:
    """The name of the folder that a photo lies in."""
    return os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120 - names are kept as written
