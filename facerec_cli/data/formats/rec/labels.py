"""Which records of a ``.rec`` are photos, and whom they show.

Labels come, in this order of preference, from the identity records that insightface's layout ends with, from
the cache of an earlier scan, or from a scan of every record's header.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import cache
from facerec_cli.data.formats.rec.index import PROBES, REBUILD, Records
from facerec_cli.data.formats.rec.recordio import MAGIC, MAX_LENGTH, RecordHeader
from facerec_cli.errors import InputError

_SCAN_BLOCK = 1 << 16  # records whose headers are looked at in one go


def photos_and_labels(records: Records) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) positions of the photos among the records, and (N,) their labels.

    Raises:
        InputError: A label is no class number, or the records do not match their index.
    """
    keys = records.keys
    every = np.arange(len(keys))
    if len(keys) == 0:
        return every, np.empty(0, np.int64)
    lead = records.header(0)
    if not (lead.many and keys[0] == 0 and _is_lead(lead, records)):
        return every, _scan_labels(records, every)
    first, last = int(lead.labels[0]), int(lead.labels[1])
    begin, middle, end = np.searchsorted(keys, [1, first, last])
    photos, people = every[begin:middle], every[middle:end]
    labels = _labels_by_range(records, keys[photos], people, photos)
    return photos, _scan_labels(records, photos) if labels is None else labels


def _is_lead(header: RecordHeader, records: Records) -> bool:
    """Whether this is insightface's record 0, and not a photo with two labels."""
    if len(header.labels) != 2 or not 1 <= header.labels[0] <= header.labels[1] < np.inf:
        return False
    if len(records.read(0)[1]) > 16:
        return False  # it carries a photo
    last, highest = int(header.labels[1]), int(records.keys[-1])
    if last - 1 > highest:
        raise InputError(
            f"{records.path} should have records up to number {last - 1:,}, but its index ends at "
            f"{highest:,}.",
            hint=REBUILD,
        )
    return True


def _labels_by_range(
    records: Records, keys: NDArray[np.int64], people: NDArray[np.int64], photos: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Labels from identity records, or None where they do not say everything or are not in order.

    That a person's number is the label of the photos is checked on a few hundred people here, and on
    every photo when it is read.

    Args:
        records: All records.
        keys: (N,) of the photos.
        people: Positions of the identity records.
        photos: (N,) positions of the photos.
    """
    if len(people) == 0 or len(keys) == 0:
        return None
    headers = [records.header(int(person)) for person in people]
    if any(len(header.labels) < 2 for header in headers):
        return None
    written = np.array([header.labels[:2] for header in headers], np.float64)
    if not (np.abs(written) < 2**53).all():  # NaN and infinity too
        return None
    ranges = written.astype(np.int64)
    starts, ends = ranges[:, 0], ranges[:, 1]
    order = np.argsort(starts, kind="stable")
    whole = (
        starts[order[0]] == keys[0]
        and ends[order[-1]] == keys[-1] + 1
        and np.array_equal(starts[order[1:]], ends[order[:-1]])
        and len(keys) == keys[-1] + 1 - keys[0]
    )
    if not whole or not (ends > starts).all():
        return None
    labels = np.repeat(order, (ends - starts)[order]).astype(np.int64)
    for person in np.unique(np.linspace(0, len(people) - 1, PROBES).astype(int)):
        for key in (starts[person], ends[person] - 1):
            if records.header(int(photos[key - keys[0]])).labels[0] != person:
                return None
    return labels


def _scan_labels(records: Records, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The label of each record, from a scan of all headers that is remembered."""
    sources = [path for path in (records.path, records.path.with_suffix(".idx")) if path.is_file()]
    return cache.remember("labels", sources, lambda: _whole(_scan_headers(records, positions), records.path))


def _scan_headers(records: Records, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    labels = np.empty(len(positions), np.float32)
    by_offset = np.argsort(records.offsets[positions], kind="stable")
    for begin in range(0, len(positions), _SCAN_BLOCK):
        # Mapped anew for each block, so that a scan of 100 GB does not fill the memory.
        words = np.memmap(records.path, "<u4", "r", shape=(records.file.size // 4,))
        block = by_offset[begin : begin + _SCAN_BLOCK]
        labels[block] = _labels_of(records, words, positions[block])
    return labels


def _labels_of(
    records: Records, words: NDArray[np.uint32], positions: NDArray[np.int64]
) -> NDArray[np.float32]:
    """First labels of the records at ``positions``, looked up in the file as an array of words."""
    offsets = records.offsets[positions]
    at = offsets // 4
    inside = (offsets % 4 == 0) & (at + 8 < len(words))
    at = np.where(inside, at, 0)
    bad = inside & (words[at] != MAGIC)
    if bad.any():
        raise InputError(
            f"The index of {records.path} does not match: no record begins at byte {offsets[bad][0]:,}.",
            hint=REBUILD,
        )
    length, part, flag = words[at + 1] & MAX_LENGTH, words[at + 1] >> 29, words[at + 2]
    label = np.where(flag > 0, words[at + 8], words[at + 3]).view(np.float32)
    simple = inside & ((part == 0) | (length >= 28)) & (length >= 24 + 4 * np.minimum(flag, 1))
    for slow in np.flatnonzero(~simple):  # cut inside the header, tiny, or at the very end
        label[slow] = records.header(int(positions[slow])).labels[0]
    return label


def _whole(labels: NDArray[np.float32], path: Path) -> NDArray[np.int64]:
    """Labels as class numbers.

    Raises:
        InputError: One is negative, fractional or not finite.
    """
    wrong = ~((labels >= 0) & (labels < 2**31) & (labels == np.floor(labels)))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"Photo {first:,} of {path} is labeled {labels[first]:g}, which is no class number.",
            hint="Labels are whole numbers from 0; this .rec was not made for recognition.",
        )
    return labels.astype(np.int64)
