"""The work of a run, cut into shards.

A shard is a fixed range of the inputs and is worked on in batches of its own, so a run that is gone on with
meets the same batches as one that was never interrupted, and its results are the same to the byte.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.quality_limits import LOW_QUALITY
from facerec_cli.resume import Fingerprint

log = logging.getLogger("facerec")

READERS = 16
"""Shards that are read at a time, where they may be far away."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The outcome of a range of inputs.

    Attributes:
        embeddings: (N, D) float32 of unit length.
        rows: One record per input and face; those with a face have the keys of a face.
    """

    embeddings: NDArray[np.float32]
    rows: list[dict[str, Any]]

    def faces(self) -> Iterator[dict[str, Any]]:
        """The records with a face, one for each row of ``embeddings``."""
        return (row for row in self.rows if "face" in row)

    def statuses(self) -> Counter[str]:
        """How many inputs have each status; with several faces once, doubtful or of low quality if one is."""
        photos: list[str] = []
        for row in self.rows:
            if row.get("face", 0) == 0:
                photos.append(row["status"])
            elif row["status"] == LOW_QUALITY or (row["status"] == "doubtful" and photos[-1] != LOW_QUALITY):
                photos[-1] = row["status"]
        return Counter(photos)


class Shards(ABC):
    """The shards of a run where they lie, each whole or not there, and what the run was asked to do.

    A shard's content is made by :meth:`pack`, on whatever machine embedded it, and stored under the shard's
    number: one that is made twice replaces itself.

    Attributes:
        shared: Whether every machine of a cluster can store shards itself; otherwise they are sent to the
            process that runs the job.
        place: The folder or its URL; photos are not looked for there.
    """

    shared: ClassVar[bool]
    place: Path | str

    @abstractmethod
    def begun(self) -> bool:
        """Whether a run was begun here and not finished."""

    @abstractmethod
    def begin(self, run: Mapping[str, Any], photos: Sequence[str]) -> None:
        """Start afresh: whatever an earlier run left here is dropped."""

    @abstractmethod
    def resume(self, run: Mapping[str, Any], photos: Sequence[str]) -> None:
        """Check that the run that was begun here was asked the same thing, and drop its damaged shards.

        Raises:
            UsageError: Something that decides the result differs; the message says what.
        """

    @abstractmethod
    def numbers(self) -> list[int]:
        """The numbers of the shards that are here, in order; an engine may make them in any."""

    @abstractmethod
    def name(self, number: int) -> str:
        """The path of a shard, for messages."""

    @abstractmethod
    def pack(self, shard: Shard) -> bytes:
        """A shard as it is stored."""

    @abstractmethod
    def store(self, number: int, content: bytes) -> None:
        """Store a packed shard, whole and flushed to the disk, or not at all."""

    @abstractmethod
    def drop(self, number: int) -> None:
        """Delete a shard."""

    @abstractmethod
    def fault(self, number: int, photos: Sequence[str]) -> str:
        """What is wrong with a shard that should be of ``photos``, as the end of a sentence; "" for none."""

    @abstractmethod
    def counts(self) -> tuple[int, Counter[str]]:
        """How many embeddings there are, and how many inputs have each status."""

    def missing(self, count: int) -> list[int]:
        """Which of ``count`` shards are not here."""
        there = set(self.numbers())
        return [number for number in range(count) if number not in there]

    def sound(self, photos: Sequence[str], step: int) -> set[int]:
        """The shards that can be read to the last byte and hold their photos; the others are told of.

        Args:
            photos: All inputs of the run.
            step: Inputs of a shard.
        """
        numbers = self.numbers()
        ranges = [photos[number * step : (number + 1) * step] for number in numbers]
        with ThreadPoolExecutor(READERS, "facerec-shards") as pool:
            faults = dict(zip(numbers, pool.map(self.fault, numbers, ranges), strict=True))
        for number, fault in faults.items():
            if fault:
                log.warning("%s %s. It is made again.", self.name(number), fault)
        return {number for number, fault in faults.items() if not fault}

    def keep(self, sound: Collection[int]) -> None:
        """Drop all other shards: what a crash or a bad disk has damaged is missing, and so is made again."""
        for number in self.numbers():
            if number not in sound:
                self.drop(number)


def numbered(shards: Iterable[Shard]) -> Iterator[dict[str, Any]]:
    """All records of all shards, each with a face with its row in the array of embeddings."""
    row = 0
    for shard in shards:
        for record in shard.rows:
            if "face" in record:
                yield {**record, "row": row}
                row += 1
            else:
                yield record


def differences(before: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """In words, by what an earlier run differs from this one; empty where it is the same.

    Args:
        before: The description of the earlier run or of its result.
        run: The description of this run.
    """
    if before.get("inputs") != run["inputs"]:
        return "it was made from other photos"
    return Fingerprint(run).differences({key: before.get(key) for key in run})
