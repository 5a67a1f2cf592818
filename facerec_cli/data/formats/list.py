"""A list file: a path and a label per line; see ``list_columns`` for the order of columns.

Paths are relative to the list. Labels are numbers from 0 without gaps, or any names, which are then
numbered in order. ``x.classes.txt`` beside ``x.txt`` names numbered classes. Below a heading a column
``weight`` says how often a photo is shown against the others.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset, class_lines, class_names_beside, gaps, renumber
from facerec_cli.data.decode import BrokenPhotoError, read_photo
from facerec_cli.data.formats.folder import FolderDataset
from facerec_cli.data.formats.list_columns import Line, columns_of, cut
from facerec_cli.data.subset import PhotoSubset
from facerec_cli.data.targets import require_free, require_free_beside
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import write_file
from facerec_cli.images.suffixes import is_photo_name
from facerec_cli.progress import Progress, silent
from facerec_cli.sniff import refuse_as_list
from facerec_cli.tables.paths import Disk, drop_parts, has_drive, shared_depth, turned, without_drive
from facerec_cli.tables.rows import is_comment
from facerec_cli.tables.text import encoding_of, read_lines

_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"  # the tab, and what str.splitlines ends a line at
_HEAD = 1 << 16  # bytes by which a file is known to be no text
_SAMPLE = 200  # lines by which it is known how a list is meant
_WHOLE = re.compile(r"[0-9]{1,9}(\.0*)?")  # im2rec writes class 3 as 3.000000


class ListDataset(FaceDataset):
    """Photos named by a list.

    Args:
        path: The list, in any of the encodings of ``tables.text``; paths that are not UTF-8 keep their bytes.
            Blank lines, comments (``# ...``) and a heading are skipped.

    Raises:
        InputError: It is no list, or one of its lines lacks a path or a label.
    """

    format = "list"

    def __init__(self, path: Path) -> None:
        self.spec = str(path)
        self.root = path.parent
        self._disk = Disk()
        self._names, written, weights, description = _parse(path, self._disk)
        if weights:
            self.weights = np.array(weights, np.float64)
            if not self.weights.any():
                raise InputError(f"All photos of {path} have the weight 0.", hint="Give some of them more.")
        self.labels, self.class_names, warnings = _number(written, path)
        self.warnings = (*((f"the lines are read as {description}",) if description else ()), *warnings)

    @classmethod
    def open(cls, spec: str) -> ListDataset:
        """Open the list ``spec``."""
        return cls(Path(spec))

    def read(self, index: int) -> bytes:
        """The file, also where the disk writes its name in another Unicode form."""
        name = self._names[index]
        path = os.path.join(self.root, name)  # noqa: PTH118 - pathlib takes its time
        try:
            return read_photo(path, name)
        except BrokenPhotoError:
            other = self._disk.find(name, [str(self.root)])
            if other is None or other == path:
                raise
            return read_photo(other, name)

    def name(self, index: int) -> str:
        """The path as it is listed."""
        return self._names[index]


def write_list(
    source: FaceDataset, target: Path, progress: Progress = silent, overwrite: bool = False
) -> None:
    """Write ``path<TAB>number`` lines for photos that are files already, and ``x.classes.txt``."""
    whole = source.whole if isinstance(source, PhotoSubset) else source
    if not isinstance(whole, FolderDataset | ListDataset):
        raise UsageError(
            f"The photos of {source.spec} are not files that a list can name.",
            hint="Convert to a folder first.",
        )
    root = os.path.relpath(whole.root.resolve(), target.parent.resolve())
    prefix = PurePosixPath(Path(root).as_posix())
    paths = []
    for index in range(len(source)):
        paths.append(listable(str(prefix / source.name(index))))
        progress(index + 1, len(source))
    require_free([target], source, overwrite=overwrite)
    require_free_beside(target, (".classes.txt",), source, overwrite)
    write_file(target.with_suffix(".classes.txt"), class_lines(source.class_names, source.spec))
    write_file(target, list_lines(paths, source.labels, source.weights))


def list_lines(
    paths: Sequence[str], labels: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> bytes:
    """The content of a list: ``path<TAB>number`` lines; with weights a third column, and a heading.

    Args:
        paths: From :func:`listable`.
        labels: (N,) class numbers.
        weights: (N,) from 0, or None.
    """
    lines = [f"{path}\t{label}" for path, label in zip(paths, labels.tolist(), strict=True)]
    if weights is not None:
        weighted = (f"{line}\t{weight:g}" for line, weight in zip(lines, weights.tolist(), strict=True))
        lines = ["path\tlabel\tweight", *weighted]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def listable(path: str) -> str:
    """``path`` as it is written to a list and read back from it, by us and by readers with more line breaks.

    Raises:
        InputError: It would end its line or column, or lose its end.
    """
    if any(sign in path for sign in _BREAKS) or path != path.rstrip().rstrip('"'):
        raise InputError(
            f"{path!r} cannot stand in a list.",
            hint="Rename the file or its folder: no line breaks, tabs and control signs in it, "
            "no blank or quote at its end.",
        )
    # Else it would be a comment, be taken for quoted, or lose its blanks.
    return f"./{path}" if path[0] in '#"' or path[0].isspace() else path


def _lines(path: Path) -> Iterator[Line]:
    """The lines that say something."""
    for number, line in read_lines(path, "list"):
        bare = line.strip()
        if bare and not is_comment(bare):
            yield number, bare


def _parse(path: Path, disk: Disk) -> tuple[list[str], list[str], list[float], str]:
    """Paths, labels and weights, if any, and how the columns were read where that is worth a word."""
    where, folders = str(path), [str(path.parent)]
    with path.open("rb") as file:
        head = file.read(_HEAD)
    refuse_as_list(head, where, what="data set")
    if encoding_of(head) is None:
        raise InputError(
            f"{path} is no data set: neither a list nor a format that its name tells.",
            hint="A list holds `path label` lines; others are .rec, .tar, folders and synthetic:CLASSES.",
        )
    first = [line for _, line in islice(_lines(path), _SAMPLE)]
    if not first:
        return [], [], [], ""

    def is_there(name: str) -> bool:
        return any(
            disk.find(path, folders) for path in (name, *(without_drive(name) if has_drive(name) else ()))
        )

    columns = columns_of(first, where, is_there, lambda name: is_photo_name(turned(name)))
    names, labels, weights = [], [], list[float]()
    for name, label in cut(islice(_lines(path), int(columns.heading), None), columns, where, weights):
        names.append(name)
        labels.append(label if label.isascii() else unicodedata.normalize("NFC", label))
    return _on_this_machine(names, disk, folders), labels, weights, columns.description


def _on_this_machine(names: list[str], disk: Disk, folders: list[str]) -> list[str]:
    """Paths of Windows as they are written here; others as they stand."""
    if os.sep == "\\" or not any("\\" in name or has_drive(name) for name in names[:_SAMPLE]):
        return names
    first = names[:_SAMPLE]
    if any(os.path.lexists(os.path.join(folders[0], name)) for name in first):  # noqa: PTH118
        return names  # here a backslash may be a part of a name
    drives = [name for name in first if has_drive(name)]
    depth = shared_depth(drives, lambda name: disk.find(name, folders) is not None)
    return [drop_parts(name, depth) if depth and has_drive(name) else turned(name) for name in names]


def _number(written: list[str], path: Path) -> tuple[NDArray[np.int64], Sequence[str], tuple[str, ...]]:
    """Labels as class numbers, the classes' names, warnings."""
    distinct = set(written)
    if written and all(label.isascii() and _WHOLE.fullmatch(label) for label in distinct):
        value = {label: int(label.partition(".")[0]) for label in distinct}
        numbers = np.array([value[label] for label in written], np.int64)
        named = class_names_beside(path, None)
        if named is not None and int(numbers.max()) >= len(named):
            raise InputError(
                f"{path} holds the label {int(numbers.max()):,}, but only {len(named):,} classes are named.",
                hint=f"Correct or delete {path.with_suffix('.classes.txt').name}.",
            )
        if named is not None:
            return numbers, named, ()
        values, numbered = renumber(numbers)
        highest = int(values[-1])
        warnings = (gaps(len(values), highest),) if len(values) <= highest else ()
        return numbered, [str(value) for value in values.tolist()], warnings
    names = sorted(distinct)
    number_of = {name: number for number, name in enumerate(names)}
    return np.array([number_of[label] for label in written], np.int64), names, ()
