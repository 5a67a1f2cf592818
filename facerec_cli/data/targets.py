"""What photos are written to, and under which names: nothing over their source, and nothing in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset, class_lines
from facerec_cli.errors import InputError, UsageError
from facerec_cli.images.suffixes import IMAGE_SUFFIXES
from facerec_cli.outputs import refuse_existing

_DATA = (*IMAGE_SUFFIXES, ".rec", ".idx", ".lst", ".tar", ".classes.txt")


def require_free(targets: Iterable[Path], source: FaceDataset, *, overwrite: bool = False) -> None:
    """Refuse files that are there, and with ``overwrite`` those that ``source`` is read from.

    Raises:
        UsageError: One exists.
    """
    targets = list(targets)
    refuse_existing(targets, overwrite=overwrite)
    given = Path(source.spec)
    for target in targets:
        if target.exists() and given.exists() and target.samefile(given):
            raise UsageError(f"{target} is what is read, and would be lost.", hint="Name another file.")


def require_replaceable(target: Path, source: FaceDataset, *, overwrite: bool = False) -> None:
    """Refuse a file that is there; with ``overwrite`` only one that holds or lists photos.

    A pipe or device is written to as it is.

    Raises:
        UsageError: It is a folder, exists, is a list that was read, or data by its name.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder; a file is to be written there.", hint="Name a file in it.")
    if not target.exists():
        return
    given = Path(source.spec)
    if target.name.lower().endswith(_DATA) or (given.exists() and target.samefile(given)):
        raise UsageError(
            f"{target} exists and is training data, which would be lost.", hint="Name another file."
        )
    if target.is_file():
        refuse_existing([target], overwrite=overwrite)


def require_free_beside(target: Path, suffixes: Sequence[str], source: FaceDataset, overwrite: bool) -> None:
    """Refuse to replace files that go with ``target``; the same class names may be there already."""
    names = target.with_suffix(".classes.txt")
    same = names.is_file() and names.read_bytes() == class_lines(source.class_names, source.spec)
    beside = (target.with_suffix(suffix) for suffix in suffixes)
    require_free((p for p in beside if not (same and p == names)), source, overwrite=overwrite)


def named(source: FaceDataset, suffix: str | None = None) -> Iterator[tuple[int, str]]:
    """Photos ordered by person, each with a name ``person/file`` that no other has and no path escapes by.

    Args:
        source: The photos.
        suffix: What takes the place of each file's own suffix, e.g. ".jpg" for crops; None: it keeps its own.

    Raises:
        InputError: A person's or photo's name would leave the target folder or break a line.
    """
    order: NDArray[np.intp] = np.argsort(source.labels, kind="stable")
    person, used = -1, set[str]()
    for index in order.tolist():
        label = int(source.labels[index])
        if label != person:
            person, used = label, set()
        folder = source.class_names[label]
        file = PurePosixPath(source.name(index).replace("\\", "/")).name
        name = f"{folder}/{file}"
        if any(part in ("", ".", "..") for part in name.split("/")) or any(
            sign in name for sign in "\n\r\t\0"
        ):
            raise InputError(f"{name!r} in {source.spec} is no name that can be written.", hint="Rename it.")
        plain = PurePosixPath(file if suffix is None else PurePosixPath(file).with_suffix(suffix))
        file, number = plain.name, 1
        while file in used:  # asked of the name as it will be written, or 1.png would replace 1.jpg
            number += 1
            file = f"{plain.stem}-{number}{plain.suffix}"
        used.add(file)
        yield index, f"{folder}/{file}"
