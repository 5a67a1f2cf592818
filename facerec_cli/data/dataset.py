"""What every data set of training photos is, whatever its format."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.decode import decode_rgb
from facerec_cli.errors import InputError
from facerec_cli.tables.text import read_text, split_lines

MAX_CLASSES = 100_000_000
"""Class numbers from here on are refused, as no set has so many people and each number takes memory."""
KINDS = (
    "Give a folder with a folder per person, a .rec, a list of `path label` lines, tar shards, a dataset of "
    "Hugging Face on the disk, or synthetic:CLASSES."
)
"""The hint for what is no data set."""


class FaceDataset(ABC):
    """Photos of known people, in random access.

    Objects are pickled into (or forked for) the loader's workers, so open files belong to
    the process that opened them.

    Attributes:
        spec: What the user typed, for messages.
        format: Key of ``registry.DATASETS``.
        labels: (N,) int64, the class of each photo, 0 <= label < num_classes.
        class_names: One name per class. What the source calls the person.
        warnings: Sentences on what is odd but usable (classes without photos, ignored files).
        weights: (N,) float64, how often each photo is shown against the others, 0 for never; None: all alike.
    """

    format: str
    spec: str
    labels: NDArray[np.int64]
    class_names: Sequence[str]
    warnings: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None

    @property
    def num_classes(self) -> int:
        """How many people the labels number."""
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The encoded photo as it is stored.

        Raises:
            InputError: It cannot be read.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """A name for messages and for conversion: ``person/photo.jpg``, with forward slashes."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """The photo as (H, W, 3) uint8 **RGB** at its stored size.

        Raises:
            InputError: It cannot be read or decoded; the message names it.
        """
        return decode_rgb(self.read(index), self.name(index))


class ClassNumbers(Sequence[str]):
    """Class names that are the numbers 0..count-1, for sources that do not name people."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int -> str, slice -> list[str]
        span = range(self._count)[index]
        return str(span) if isinstance(span, int) else [str(number) for number in span]


def class_names_beside(path: Path, count: int | None) -> list[str] | None:
    """The names of ``x.classes.txt`` beside ``x.rec`` (``x.txt``, shards of ``x``): one a line, by number.

    Args:
        path: The data set's file.
        count: How many there must be; None: any number.

    Raises:
        InputError: There are more or fewer.
    """
    beside = path.with_suffix(".classes.txt")
    if not beside.is_file():
        return None
    names = split_lines(read_text(beside, "list of classes"))
    if count is not None and len(names) != count:
        raise InputError(
            f"{beside} names {len(names):,} classes, but there are {count:,}.", hint="Correct or delete it."
        )
    return names


def class_lines(names: Iterable[str], spec: str) -> bytes:
    """The content of ``x.classes.txt``, as ``class_names_beside`` reads it.

    Args:
        names: The classes' names, by number.
        spec: Where they come from, for the message.

    Raises:
        InputError: A name has a line break.
    """
    lines = []
    for name in names:
        if "\n" in name or "\r" in name:
            raise InputError(f"The class {name!r} of {spec} has a line break.", hint="Rename it.")
        lines.append(name + "\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def gaps(people: int, highest: int) -> str:
    """The warning about class numbers that nobody has, in a source that does not say how many there are."""
    return (
        f"labels have gaps: {people:,} people are numbered up to {highest:,}; classes are numbered anew and "
        "keep the old numbers as their names"
    )


def renumber(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The class numbers that occur, ascending, and which of them each photo has.

    Args:
        labels: (N,) int64, from 0. They may be large: the memory that this takes follows from N.

    Returns:
        (K,) int64 and (N,) int64 in 0..K-1.
    """
    if not len(labels) or labels.max() > 1_000_000 + 4 * len(labels):
        numbers, positions = np.unique(labels, return_inverse=True)
        return numbers, positions.astype(np.int64)
    present = np.bincount(labels) > 0  # far quicker than sorting millions of them
    return np.flatnonzero(present), (np.cumsum(present) - 1)[labels]


def fingerprint(dataset: FaceDataset) -> str:
    """A hash of who is on which photo and how often each is shown; "" for a stream, which does not know.

    Two joined sets that changed places have the same counts, and every class would be somebody else.
    """
    if dataset.format == "stream":
        return ""
    digest = hashlib.blake2b(np.ascontiguousarray(dataset.labels).data, digest_size=8)
    if dataset.weights is not None:
        digest.update(np.ascontiguousarray(dataset.weights).data)
    return digest.hexdigest()


def require_photos(dataset: FaceDataset) -> FaceDataset:
    """Return ``dataset``, or raise where it holds nothing to train on."""
    if len(dataset) == 0:
        raise InputError(
            f"{dataset.spec} holds no photos.",
            hint=KINDS,
        )
    return dataset
