"""What is wrong with a data set (``facerec data check``)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.decode import decode_rgb
from facerec_cli.errors import InputError
from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores

_BLOCK = 256  # photos handed to the threads at a time
_HASH_SIDE = 16  # a perceptual hash has 16 x 16 bits
# Measured on LFW (docs/data.md): saved again at JPEG quality 70 a face differs by 4 bits in the median and 13
# in the 99th percentile, the nearest photo of anybody else by 26 or more.
_NEAR_BITS = 14
# Bands of 32 bits. Hashes are compared that agree in a whole band, as any two with up to 7 changed bits do.
_BANDS = 8
_MAX_SHARING = 64  # hashes that share a band with more than these are flat images, not copies


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What ``check`` found; lists hold names of photos.

    Attributes:
        photos: How many were looked at.
        broken: Name and reason of photos that cannot be read.
        empty: Class names without a photo.
        single: How many people have one photo.
        across: Groups of equal photos that are labeled as different people.
        within: How many photos repeat another one of the same person.
        near: Pairs of nearly equal photos labeled as different people.
        overlap: Pairs (photo here, photo of the evaluation set) that are equal or nearly so.
        warnings: From opening.
    """

    photos: int
    broken: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    single: int = 0
    across: list[list[str]] = field(default_factory=list)
    within: int = 0
    near: list[tuple[str, str]] = field(default_factory=list)
    overlap: list[tuple[str, str]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    @property
    def problems(self) -> int:
        """How many things should be corrected before training."""
        lists: tuple[Sequence[object], ...] = (self.broken, self.empty, self.across, self.near, self.overlap)
        return sum(map(len, lists))


def check(
    dataset: FaceDataset,
    *,
    against: Sequence[tuple[str, bytes]] = (),
    near: bool = True,
    progress: Progress = silent,
) -> CheckReport:
    """Read and decode every photo once.

    Args:
        dataset: What to check.
        against: Names and encoded photos of an evaluation set that must not overlap.
        near: Also look for nearly equal photos (saved again, resized), not only for equal files.
        progress: Told of the photos looked at.
    """
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    digests = np.zeros(len(dataset), "S16")
    hashes = np.zeros((len(dataset), _BANDS), np.uint32)
    broken: dict[int, str] = {}

    def look(index: int) -> tuple[int, bytes, NDArray[np.uint32] | None, str]:
        try:
            data = dataset.read(index)
            image = (
                decode_rgb(data, dataset.name(index))
                if dataset.format != "synthetic"
                else dataset.image(index)
            )
        except InputError as fault:
            return index, b"", None, fault.message
        return index, _digest(data), perceptual_hash(image) if near else None, ""

    for done, (index, digest, bits, reason) in enumerate(in_threads(look, range(len(dataset))), 1):
        if reason:
            broken[index] = reason
        digests[index] = digest
        if bits is not None:
            hashes[index] = bits
        progress(done, len(dataset))
    good = np.setdiff1d(np.arange(len(dataset)), np.array(sorted(broken), np.int64))
    equal = _equal_groups(digests, good)
    across = [group for group in equal if len(set(dataset.labels[group].tolist())) > 1]
    within = sum(len(group) - len(set(dataset.labels[group].tolist())) for group in equal)
    pairs = _near_pairs(hashes, good) if near else []
    return CheckReport(
        photos=len(dataset),
        broken=[(dataset.name(index), reason) for index, reason in sorted(broken.items())],
        empty=[dataset.class_names[int(label)] for label in np.flatnonzero(counts == 0)],
        single=int((counts == 1).sum()),
        across=[[dataset.name(index) for index in group] for group in across],
        within=within,
        near=[
            (dataset.name(a), dataset.name(b))
            for a, b in pairs
            if dataset.labels[a] != dataset.labels[b] and digests[a] != digests[b]  # else it is in `across`
        ],
        overlap=_overlap(dataset, digests, hashes, good, against, near),
        warnings=dataset.warnings,
    )


def perceptual_hash(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(8,) uint32: whether each cell of a 16 x 17 gray thumbnail is brighter than its right neighbor.

    Saving a photo again or resizing it changes a few of the 256 bits; another photo changes about half.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (_HASH_SIDE + 1, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint32)


def _digest(data: bytes) -> bytes:
    # A trailing zero would be lost in an "S16" array, so the last byte is made odd.
    digest = bytearray(hashlib.blake2b(data, digest_size=16).digest())
    digest[-1] |= 1
    return bytes(digest)


def in_threads(look: Callable[[int], Any], indices: Iterable[int]) -> Iterator[Any]:
    """Results of ``look`` in order; OpenCV and hashing leave Python's lock, so threads are enough."""
    waiting = iter(indices)
    with ThreadPoolExecutor(usable_cores()) as threads:
        while block := list(islice(waiting, _BLOCK)):
            yield from threads.map(look, block)


def _equal_groups(digests: NDArray[np.bytes_], good: NDArray[np.int64]) -> list[list[int]]:
    order = good[np.argsort(digests[good], kind="stable")]
    edges = np.flatnonzero(digests[order][1:] != digests[order][:-1]) + 1
    return [run.tolist() for run in np.split(order, edges) if len(run) > 1]


def _near_pairs(hashes: NDArray[np.uint32], good: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs that agree in a band and differ by at most ``_NEAR_BITS``."""
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        order = good[np.argsort(hashes[good, band], kind="stable")]
        edges = np.flatnonzero(np.diff(hashes[order, band])) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(order)]])
        for start in np.flatnonzero((ends - starts > 1) & (ends - starts <= _MAX_SHARING)):
            run = np.sort(order[starts[start] : ends[start]])
            for at, first in enumerate(run[:-1]):
                others = run[at + 1 :]
                apart = _bits_apart(hashes[others], hashes[first])
                pairs.update((int(first), int(other)) for other in others[apart <= _NEAR_BITS])
    return sorted(pairs)


def _bits_apart(hashes: NDArray[np.uint32], other: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(K,) int64: how many of the 256 bits of each of ``hashes`` (K, 8) differ from ``other`` (8,)."""
    different: NDArray[np.int64] = np.unpackbits((hashes ^ other).view(np.uint8), axis=1).sum(
        axis=1, dtype=np.int64
    )
    return different


def _overlap(
    dataset: FaceDataset,
    digests: NDArray[np.bytes_],
    hashes: NDArray[np.uint32],
    good: NDArray[np.int64],
    against: Sequence[tuple[str, bytes]],
    near: bool,
) -> list[tuple[str, str]]:
    if not against or not len(good):
        return []
    order = good[np.argsort(digests[good], kind="stable")]
    others = np.array([_digest(data) for _, data in against], "S16")
    place = order[np.searchsorted(digests[order], others).clip(max=len(order) - 1)]
    photo_of = {number: int(place[number]) for number in np.flatnonzero(digests[place] == others).tolist()}
    if near:
        rest = {n: data for n, (_, data) in enumerate(against) if n not in photo_of}
        photo_of |= _nearest(hashes, good, rest)
    return [(dataset.name(photo_of[number]), against[number][0]) for number in sorted(photo_of)]


def _nearest(
    hashes: NDArray[np.uint32], good: NDArray[np.int64], photos: Mapping[int, bytes]
) -> dict[int, int]:
    """For each encoded photo that nearly equals one of the data set, which one.

    One band is sorted at a time, so that millions of photos need no table of their own.
    """
    left: dict[int, NDArray[np.uint32]] = {}
    for number, data in photos.items():
        # `facerec verify` tells the faults of the evaluation set.
        with contextlib.suppress(InputError):
            left[number] = perceptual_hash(decode_rgb(data, str(number)))
    photo_of: dict[int, int] = {}
    for band in range(_BANDS):
        order = good[np.argsort(hashes[good, band], kind="stable")]
        values = hashes[order, band]
        for number, bits in list(left.items()):
            start, end = (int(np.searchsorted(values, bits[band], side)) for side in ("left", "right"))
            candidates = order[start : min(end, start + _MAX_SHARING)]
            if not len(candidates):
                continue
            apart = _bits_apart(hashes[candidates], bits)
            if apart.min() <= _NEAR_BITS:
                photo_of[number] = int(candidates[apart.argmin()])
                del left[number]
    return photo_of
