"""A folder per person: ``people/alice/1.jpg``.

The person is the photo's folder, relative to the root, so that nested trees (``site/alice/1.jpg``)
keep people of the same first name apart. Photos that lie directly in the root belong to nobody.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.decode import read_photo
from facerec_cli.data.targets import named
from facerec_cli.errors import InputError
from facerec_cli.files import writing
from facerec_cli.images.suffixes import UNREAD_SUFFIXES, is_photo_name, suffix_for, suffix_of, unread_told
from facerec_cli.progress import Progress, silent
from facerec_cli.wording import counted
from facerec_cli.workshop import atomic_folder

ALIGNMENT_TABLE = "alignment.tsv"  # written beside the people by `facerec data align`


class FolderDataset(FaceDataset):
    """Photos in a folder per person, people and photos in the order of their names.

    Args:
        root: The folder.

    Attributes:
        root: The folder.
        loose_photos: How many photos lie in no person's folder.
    """

    format = "folder"

    def __init__(self, root: Path) -> None:
        self.spec = str(root)
        self.root = root
        names: list[str] = []
        people: list[str] = []
        counts: list[int] = []
        empty, stray, loose = 0, 0, 0
        unread: Counter[str] = Counter()
        for person, photos, others, leaf in _walk(root):
            unread.update(suffix for suffix in map(suffix_of, others) if suffix in UNREAD_SUFFIXES)
            stray += len(others)
            if not person:
                loose = len(photos)
            elif photos:
                people.append(person)
                counts.append(len(photos))
                names.extend(f"{person}/{photo}" for photo in photos)
            elif leaf:
                empty += 1
        self._names = names
        self.class_names = people
        self.labels = np.repeat(np.arange(len(people), dtype=np.int64), counts)
        self.loose_photos = loose
        left_out = (
            (empty, "folder without a photo", "folders without a photo"),
            (stray, "file that is no photo", "files that are no photos"),
            (loose, "photo outside the people's folders", "photos outside the people's folders"),
        )
        self.warnings = tuple(f"left out: {counted(*what)}" for what in left_out if what[0])
        if unread:
            self.warnings += (f"of these {unread_told(unread)}",)

    @classmethod
    def open(cls, spec: str) -> FolderDataset:
        """Open the folder ``spec``."""
        dataset = cls(Path(spec))
        if len(dataset) == 0 and dataset.loose_photos:
            raise InputError(
                f"{spec} holds {counted(dataset.loose_photos, 'photo')} but no folder per person.",
                hint="Put each person's photos into a folder of their own, or give a list of `path label`.",
            )
        return dataset

    def read(self, index: int) -> bytes:
        """The file."""
        name = self._names[index]
        return read_photo(os.path.join(self.root, name), name)  # noqa: PTH118 - pathlib takes its time

    def name(self, index: int) -> str:
        """The path relative to the root."""
        return self._names[index]


def write_folder(
    source: FaceDataset, target: Path, progress: Progress = silent, overwrite: bool = False
) -> None:
    """Write a folder per person; ``overwrite`` changes nothing, as a folder is never replaced."""
    with atomic_folder(target) as folder:
        for done, (index, name) in enumerate(named(source), 1):
            data = source.read(index)
            photo = is_photo_name(name)
            with writing(target):
                path = _unused(folder / (name if photo else name + suffix_for(data)))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            progress(done, len(source))


def _unused(path: Path) -> Path:
    """``path``, or ``x-2.jpg`` where ``x.jpg`` is there already, as ``x`` that was given a suffix."""
    unused, number = path, 1
    while unused.exists():
        number += 1
        unused = path.with_stem(f"{path.stem}-{number}")
    return unused


def _walk(root: Path) -> Iterator[tuple[str, list[str], list[str], bool]]:
    """Per folder: its path relative to the root, its photos, other files but ours, has no subfolder."""
    seen: set[tuple[int, int]] = set()  # links may lead in a circle
    for folder, subfolders, files in os.walk(root, onerror=_raise, followlinks=True):
        place = Path(folder).stat()
        if (place.st_dev, place.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        visible = sorted(name for name in files if not name.startswith("."))
        photos = [name for name in visible if is_photo_name(name)]
        relative = Path(folder).relative_to(root).as_posix()
        person = "" if relative == "." else relative
        ours = "" if person else ALIGNMENT_TABLE
        others = [name for name in visible if name != ours and not is_photo_name(name)]
        yield person, photos, others, not subfolders


def _raise(fault: OSError) -> None:
    raise InputError(
        f"{fault.filename} cannot be listed ({fault.strerror}).",
        hint="Make it readable, or move it out of the data.",
    ) from fault
