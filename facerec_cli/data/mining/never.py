"""People and photos of an evaluation, who are never trained on.

People are compared by their names, photos by the sha256 of their bytes and by their folder and file, so that
the aligned crop of a photo of LFW is known for it.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.mining.labeled_faces import LabeledFaces
from facerec_cli.errors import FacerecError, InputError
from facerec_cli.files import sha256_of
from facerec_cli.gallery.labeled import folder_of
from facerec_cli.images.suffixes import is_photo_name
from facerec_cli.pairs.read import is_protocol, read_pairs, recognize
from facerec_cli.protocols.read import find_format, read_protocol
from facerec_cli.untrusted import parse_json
from facerec_cli.wording import counted
from facerec_cli.wording import people as counted_people

Photos = Iterable[tuple[str, "Path | bytes"]]


@dataclass(frozen=True, slots=True)
class JudgedElsewhere:
    """What an evaluation is of.

    Attributes:
        source: What the user calls it.
        people: Names.
        photos: Folder and file of each photo, without the suffix.
        sha256: Of the photos that can be read.
    """

    source: str
    people: frozenset[str]
    photos: frozenset[str]
    sha256: frozenset[str]


def read_never(path: Path) -> JudgedElsewhere:
    """Read whom and what an evaluation shows.

    Args:
        path: A list of pairs or a protocol that ``verify`` or ``identify`` reads, the ``split.json`` of a
            study, whose validation and test people are meant, or labeled photos in a folder or a list.

    Raises:
        InputError: It is none of them, or is damaged.
    """
    if path.suffix.lower() == ".json":
        return _split(path)
    if not path.exists():
        raise InputError(
            f"There is no evaluation {str(path)!r}.", hint="Name a list, a protocol or a folder."
        )
    named = path.with_suffix(".classes.txt").is_file()  # a list of ours, of photos and people
    if is_protocol(path) or (path.is_file() and not named and _is_pairs(path)):
        pairs = read_pairs(path, images=False)
        with suppress(InputError):  # its photos are somewhere else; their names are known
            pairs = read_pairs(path)
        folders = {folder_of(name.replace("\\", "/")) for name in pairs.names}  # of each person, if any
        return _evaluation(path, folders, zip(pairs.names, pairs.images, strict=True))
    with suppress(InputError):
        if find_format([path]) is not None:
            protocol = read_protocol([path], images=False)
            with suppress(InputError):
                protocol = read_protocol([path])
            return _evaluation(path, protocol.people, zip(protocol.names, protocol.images, strict=True))
    return _data(path)


def left_out(faces: LabeledFaces, evaluations: Sequence[JudgedElsewhere]) -> NDArray[np.bool_]:
    """(F,) bool: faces of a person or photo of an evaluation; all faces of the person go.

    Raises:
        InputError: Nobody and nothing of one of the evaluations is here.
    """
    found = np.zeros(len(faces), bool)
    names = [_name(name) for name in faces.people]
    keys = [_key(photo) for photo in faces.photos]
    digests: list[str] | None = None
    for one in evaluations:
        person = np.array([name in one.people for name in names], bool)
        if one.sha256 and digests is None:
            digests = [known or _digest(path) for known, path in zip(faces.sha256, faces.photos, strict=True)]
        photo = np.array([bool(key) and key in one.photos for key in keys], bool)
        if digests is not None:
            photo |= np.array([digest in one.sha256 for digest in digests], bool)
        mine = person[faces.labels] | photo
        if not mine.any():
            raise InputError(
                f"--never {one.source} names nobody and no photo of {faces.source}: "
                f"{counted_people(len(one.people))}, {counted(len(one.photos), 'photo')}, the first "
                f"{next(iter(sorted(one.people) or sorted(one.photos)), 'none')!r}.",
                hint="People are compared by name, photos by folder and file and by their bytes. Where they "
                "are other people indeed, leave it out.",
            )
        found |= mine
    return found


def _is_pairs(path: Path) -> bool:
    """Whether it can be read as pairs; a list of photos and people may look like CALFW's."""
    with suppress(FacerecError):
        return len(read_pairs(path, recognize(path), images=False)) > 0
    return False


def _evaluation(path: Path, people: Iterable[str], photos: Photos) -> JudgedElsewhere:
    listed = list(photos)
    digests = (_digest(image) for _, image in listed)
    return JudgedElsewhere(
        str(path),
        frozenset(_name(name) for name in people if name),
        frozenset(key for name, _ in listed if (key := _key(name))),
        frozenset(digest for digest in digests if digest),
    )


def _split(path: Path) -> JudgedElsewhere:
    """The people of ``split.json`` who judge."""
    try:
        document = parse_json(path.read_bytes())
        parts = ("validation", "test")
        people = [str(name) for part in parts for name in document["people"][part]]
        photos = [str(name) for part in parts for name in document["photos"].get(part, ())]
        root = Path(str(document.get("data", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InputError(
            f"{path} is no split.json of a study.", hint="It lies in the folder that `facerec study` wrote."
        ) from fault
    root = root if root.is_dir() else root.parent
    return _evaluation(path, people, ((name, root / name) for name in photos))


def _data(path: Path) -> JudgedElsewhere:
    from facerec_cli.data import open_stored

    dataset = open_stored(path)
    used = np.unique(dataset.labels).tolist()
    photos: list[tuple[str, Path | bytes]] = []
    for index in range(len(dataset)):
        content = b""
        with suppress(FacerecError, OSError):
            content = dataset.read(index)
        photos.append((dataset.name(index), content))
    return _evaluation(path, [dataset.class_names[label] for label in used], photos)


def _digest(image: Path | str | bytes) -> str:
    """sha256 of a photo; "" where it cannot be read."""
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest() if image else ""
    with suppress(OSError, ValueError):
        if os.path.isfile(image):  # noqa: PTH113 - no pipe is waited for
            return sha256_of(Path(image))
    return ""


def _name(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _key(photo: str) -> str:
    """``ann/1`` of ``photos/Ann/1.jpg``; "" where there is no folder, which would be anybody's ``1``."""
    parts = PurePosixPath(photo.replace("\\", "/")).parts[-2:]
    if len(parts) < 2:
        return ""
    file = parts[1].rpartition(".")[0] if is_photo_name(parts[1]) else parts[1]
    return _name(f"{parts[0]}/{file}")
