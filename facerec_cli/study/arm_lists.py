"""Arms with data of their own: a list of aligned crops as ``facerec data mine`` writes it, with its weights.

Nobody who is judged is trained on, whatever a list says: people of the validation and test parts are left out
by name, and judged photos by their bytes.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import FaceDataset, open_stored
from facerec_cli.data.dataset import class_lines
from facerec_cli.data.formats.folder import FolderDataset
from facerec_cli.data.formats.list import ListDataset, list_lines, listable
from facerec_cli.errors import InputError
from facerec_cli.study.protocol import Protocol
from facerec_cli.study.split import Split


@dataclass(frozen=True, slots=True)
class TrainingList:
    """A list to train on.

    Attributes:
        path: The list, of aligned crops.
        hash: sha256 of what it says and of its crops.
        photos: How many photos it has.
        people: How many people.
        left_out: How many photos of what the arm names are judged, or show people who are.
    """

    path: Path
    hash: str
    photos: int
    people: int
    left_out: int = 0


def own_lists(
    protocol: Protocol, parts: Split, dataset: FaceDataset, out: Path
) -> tuple[dict[str, TrainingList], dict[Path, bytes]]:
    """The lists of arms whose recipe names data: what they are, and the files that say so.

    Args:
        protocol: Whose arms may have ``[arms.NAME.data] path``.
        parts: Who is judged.
        dataset: The photos of the study.
        out: The study's folder.

    Raises:
        InputError: The data cannot be read, are no files, or nobody is left to train on.
    """
    named = {arm: recipe.data.path for arm, recipe in protocol.arms.items() if recipe.data.path}
    if not named:
        return {}, {}
    judged = ("validation", "test")
    people = {_name(name) for part in judged for name in parts.people[part]}
    digests = {_digest(dataset, row) for part in judged for row in parts.photos[part].tolist()}
    lists: dict[str, TrainingList] = {}
    files: dict[Path, bytes] = {}
    for arm, paths in named.items():
        if len(paths) > 1:
            raise InputError(f"[arms.{arm}] names several data sets.", hint="Write one list of all photos.")
        spec = paths[0]
        own = open_stored(spec)
        if not isinstance(own, FolderDataset | ListDataset):
            raise InputError(f"[arms.{arm}]: the photos of {spec} are no files.", hint="Name a list.")
        shown = np.array([_name(name) in people for name in own.class_names], bool)[own.labels]
        found = [_digest(own, row) for row in range(len(own))]
        kept = np.flatnonzero(~shown & ~np.array([digest in digests for digest in found], bool))
        if len(np.unique(own.labels[kept])) < 2:
            raise InputError(
                f"[arms.{arm}]: without the people who are judged {spec} has fewer than two people.",
                hint="Mine the others: facerec data mine DATA -o hard.txt --never OUT/split.json",
            )
        path = out / "lists" / f"{arm}.txt"
        root = Path(os.path.relpath(own.root.resolve(), path.parent.resolve())).as_posix()
        photos = [posixpath.normpath(posixpath.join(root, own.name(row))) for row in kept.tolist()]
        weights = None if own.weights is None else own.weights[kept]
        labels = own.labels[kept].tolist()
        files |= list_files(path, [listable(one) for one in photos], labels, own.class_names, weights)
        said = hashlib.sha256(files[path]).hexdigest()
        hashed = hashlib.sha256("".join([said, *(found[row] for row in kept.tolist())]).encode()).hexdigest()
        lists[arm] = TrainingList(path, hashed, len(kept), len(set(labels)), len(own) - len(kept))
    return lists, files


def list_files(
    target: Path,
    paths: Sequence[str],
    labels: Sequence[int],
    names: Sequence[str],
    weights: NDArray[np.float64] | None = None,
) -> dict[Path, bytes]:
    """A list to train on with the names beside it, its people numbered without gaps."""
    people, numbers = np.unique(np.array(labels, np.int64), return_inverse=True)
    return {
        target.with_suffix(".classes.txt"): class_lines(
            (names[label] for label in people.tolist()), str(target)
        ),
        target: list_lines(paths, numbers, weights),
    }


def _name(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _digest(dataset: FaceDataset, row: int) -> str:
    """sha256 of a photo; of one that cannot be read a text that no other has."""
    try:
        return hashlib.sha256(dataset.read(row)).hexdigest()
    except (OSError, InputError):
        return f"{dataset.spec} {row}"
