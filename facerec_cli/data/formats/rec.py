"""``.rec``: the data sets of insightface, CVLface and im2rec.

Labels come, in this order of preference, from the identity records that insightface's layout ends with, from
the cache of an earlier scan, or from a scan of every record's header. Photos are read with ``pread`` from a
file that each process opens for itself, so that a data set can be forked, pickled and shared by threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import cache
from facerec_cli.data.dataset import ClassNumbers, FaceDataset, class_names_beside, gaps, renumber
from facerec_cli.data.formats.lst import NameList
from facerec_cli.data.formats.positioned import PositionedFile
from facerec_cli.data.formats.rec_files import REBUILD, parse_index, read_property
from facerec_cli.data.formats.recognize import refuse_other_formats
from facerec_cli.data.formats.recordio import MAGIC, MAX_LENGTH, Header, read_record, scan, unpack
from facerec_cli.data.loading.decode import BrokenPhotoError
from facerec_cli.errors import InputError

_SCAN_BLOCK = 1 << 16  # records whose headers are looked at in one go
_PROBES = 256  # records that are checked against the index, and identities against their photos
_EXACT = 2**24  # labels are float32: above this they are no longer exact


class RecDataset(FaceDataset):
    """Photos of a ``.rec``.

    Args:
        path: The ``.rec``. Beside it may lie ``.idx``, ``.lst``, ``.classes.txt`` and ``property``.

    Raises:
        InputError: It is truncated, or index, labels or property do not match it.
    """

    format = "rec"

    def __init__(self, path: Path) -> None:
        self.spec = str(path)
        self.path = path
        self._file = PositionedFile(path)
        warnings: list[str] = []
        keys, self._offsets = self._read_index(warnings)
        self._check_offsets()
        photos, found, identities = self._photos_and_labels(keys)
        self._keys, self._photo_offsets = keys[photos], self._offsets[photos]
        self.has_identity_records = identities
        self.labels, self.class_names = self._classes(found, warnings)
        self._sorted = self._offsets[_order(self._offsets)]
        self.warnings = tuple(warnings)
        del self._offsets

    @classmethod
    def open(cls, spec: str) -> RecDataset:
        """Open a ``.rec``, its ``.idx``, or the ``.rec`` of a folder (``train.rec`` where there are more)."""
        path = Path(spec)
        if path.is_dir():
            found = sorted(path.glob("*.rec"))
            named = [one for one in found if one.name == "train.rec"]
            if len(found) > 1 and not named:
                names = ", ".join(one.name for one in found)
                raise InputError(f"{spec} holds several .rec files: {names}.", hint="Name one of them.")
            path = (named or found)[0]
        path = path.with_suffix(".rec")
        if not path.is_file():
            raise InputError(f"{path} is missing.", hint="An .idx is of no use without its .rec.")
        refuse_other_formats(path)
        return cls(path)

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        header, data = self.record(index)
        if self._raw is not None and header.labels[0] != self._raw[index]:
            raise InputError(
                f"{self.name(index)} is labeled {header.labels[0]:g}, but {self._raw[index]} was expected.",
                hint=f"{self.path.name} is not ordered as its identity records say, or has changed: "
                "run `facerec data check`.",
            )
        return data

    def record(self, index: int) -> tuple[Header, bytes]:
        """Header and encoded photo, as stored."""
        offset = int(self._photo_offsets[index])
        after = int(np.searchsorted(self._sorted, offset, side="right"))
        end = int(self._sorted[after]) if after < len(self._sorted) else self._file.size
        try:
            return unpack(read_record(self._file, offset, expected=end - offset)[0])
        except InputError as fault:
            raise BrokenPhotoError(f"{self.path.name}: {fault.message}") from fault

    def name(self, index: int) -> str:
        """The ``.lst``'s name, else ``class/key``."""
        key = int(self._keys[index])
        listed = self._names.name(key, index) if self._names else None
        return listed or f"{self.class_names[int(self.labels[index])]}/{key:08d}"

    @cached_property
    def _names(self) -> NameList | None:
        path = self.path.with_suffix(".lst")
        return NameList(path) if path.is_file() else None

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_names"}

    # ---- opening

    def _read_index(self, warnings: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys, ascending, and byte offsets of all records."""
        path = self.path.with_suffix(".idx")
        if path.is_file():
            table = parse_index(path)
            if len(table) == 0:
                raise InputError(
                    f"{path} is empty.", hint="Delete it, and the index is rebuilt from the .rec."
                )
            table = table[_order(table[:, 0])]
            twice = np.flatnonzero(np.diff(table[:, 0]) == 0)
            if len(twice):
                raise InputError(f"{path} lists record {table[twice[0], 0]} twice.", hint=REBUILD)
            return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])
        warnings.append(f"{path.name} is missing; the index was rebuilt by scanning {self.path.name}")
        offsets = cache.remember("offsets", [self.path], self._scan_offsets)
        return np.arange(len(offsets)), offsets

    def _scan_offsets(self) -> NDArray[np.int64]:
        try:
            return np.fromiter(scan(self._file, self._file.size), np.int64)
        except InputError as fault:
            raise InputError(f"{self.path}: {fault.message}", hint=_DAMAGED) from fault

    def _check_offsets(self) -> None:
        """Raise unless the index fits the file, as far as a few hundred probes can tell."""
        offsets, size = self._offsets, self._file.size
        if len(offsets) == 0:
            return
        last = int(offsets.max())
        if int(offsets.min()) < 0 or last + 8 > size:
            raise InputError(
                f"{self.path} ends at byte {size:,}, but its index speaks of a record at byte {last:,}.",
                hint=_DAMAGED,
            )
        probes = np.unique(np.linspace(0, len(offsets) - 1, _PROBES).astype(int))
        for offset in (*map(int, offsets[probes]), last):
            head = np.frombuffer(self._file(offset, 8), "<u4")
            if head[0] != MAGIC:
                raise InputError(
                    f"The index of {self.path} does not match: no record begins at byte {offset:,}.",
                    hint=REBUILD,
                )
        try:
            read_record(self._file, last)
        except InputError as fault:
            raise InputError(f"{self.path} is truncated. {fault.message}", hint=_DAMAGED) from fault

    def _photos_and_labels(
        self, keys: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
        """Positions of the photos among the records, their labels, whether identity records exist."""
        every = np.arange(len(keys))
        if len(keys) == 0:
            return every, np.empty(0, np.int64), False
        lead = self._header(0)
        if not (lead.many and keys[0] == 0 and self._is_lead(lead, keys)):
            return every, self._scan_labels(every), False
        first, last = int(lead.labels[0]), int(lead.labels[1])
        begin, middle, end = np.searchsorted(keys, [1, first, last])
        photos, people = every[begin:middle], every[middle:end]
        labels = self._labels_by_range(keys[photos], people, photos)
        return photos, self._scan_labels(photos) if labels is None else labels, True

    def _is_lead(self, header: Header, keys: NDArray[np.int64]) -> bool:
        """Whether this is insightface's record 0, and not a photo with two labels."""
        if len(header.labels) != 2 or not 1 <= header.labels[0] <= header.labels[1] < np.inf:
            return False
        if len(unpack(read_record(self._file, int(self._offsets[0]))[0])[1]) > 16:
            return False  # it carries a photo
        last = int(header.labels[1])
        if last - 1 > int(keys[-1]):
            raise InputError(
                f"{self.path} should have records up to number {last - 1:,}, but its index ends at "
                f"{int(keys[-1]):,}.",
                hint=REBUILD,
            )
        return True

    def _labels_by_range(
        self, keys: NDArray[np.int64], people: NDArray[np.int64], photos: NDArray[np.int64]
    ) -> NDArray[np.int64] | None:
        """Labels from identity records, or None where they do not say everything or are not in order.

        That a person's number is the label of the photos is checked on a few hundred people here, and on
        every photo when it is read.
        """
        if len(people) == 0 or len(keys) == 0:
            return None
        headers = [self._header(int(person)) for person in people]
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
        for person in np.unique(np.linspace(0, len(people) - 1, _PROBES).astype(int)):
            for key in (starts[person], ends[person] - 1):
                if self._header(int(photos[key - keys[0]])).labels[0] != person:
                    return None
        return labels

    def _header(self, record: int) -> Header:
        """The header of one record; ``record`` is its position in the index."""
        offset = int(self._offsets[record])
        try:
            return unpack(read_record(self._file, offset, expected=256)[0])[0]
        except InputError as fault:
            raise InputError(f"{self.path}: {fault.message}", hint=_DAMAGED) from fault

    def _scan_labels(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        """The label of each record, from a scan of all headers that is remembered."""
        sources = [path for path in (self.path, self.path.with_suffix(".idx")) if path.is_file()]
        return cache.remember("labels", sources, lambda: _whole(self._scan_headers(records), self.path))

    def _scan_headers(self, records: NDArray[np.int64]) -> NDArray[np.float32]:
        labels = np.empty(len(records), np.float32)
        by_offset = np.argsort(self._offsets[records], kind="stable")
        if len(records) == 0:
            return labels
        for begin in range(0, len(records), _SCAN_BLOCK):
            # Mapped anew for each block, so that a scan of 100 GB does not fill the memory.
            words = np.memmap(self.path, "<u4", "r", shape=(self._file.size // 4,))
            block = by_offset[begin : begin + _SCAN_BLOCK]
            labels[block] = self._labels_of(words, self._offsets[records[block]], records[block])
        return labels

    def _labels_of(
        self, words: NDArray[np.uint32], offsets: NDArray[np.int64], records: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """First labels of the records at ``offsets``, looked up in the file as an array of words."""
        at = offsets // 4
        inside = (offsets % 4 == 0) & (at + 8 < len(words))
        at = np.where(inside, at, 0)
        bad = inside & (words[at] != MAGIC)
        if bad.any():
            raise InputError(
                f"The index of {self.path} does not match: no record begins at byte {offsets[bad][0]:,}.",
                hint=REBUILD,
            )
        length, part, flag = words[at + 1] & MAX_LENGTH, words[at + 1] >> 29, words[at + 2]
        label = np.where(flag > 0, words[at + 8], words[at + 3]).view(np.float32)
        simple = inside & ((part == 0) | (length >= 28)) & (length >= 24 + 4 * np.minimum(flag, 1))
        for slow in np.flatnonzero(~simple):  # cut inside the header, tiny, or at the very end
            label[slow] = self._header(int(records[slow])).labels[0]
        return label

    def _classes(
        self, found: NDArray[np.int64], warnings: list[str]
    ) -> tuple[NDArray[np.int64], Sequence[str]]:
        """Labels and class names, checked against ``property``."""
        self._raw: NDArray[np.int64] | None = None
        if len(found) == 0:
            return found, ()
        highest = int(found.max())
        if highest >= _EXACT:
            warnings.append(f"labels above {_EXACT:,} are not exact in a .rec; people may have been mixed up")
        declared = read_property(self.path.parent / "property")
        if declared is None:
            names, numbered = renumber(found)
            if len(names) <= highest:
                warnings.append(gaps(len(names), highest))
                self._raw = found
                return numbered, [str(name) for name in names.tolist()]
            self._raw = found
            return found, self._class_names(highest + 1)
        if highest >= declared.num_classes:
            raise InputError(
                f"{self.path} holds the label {highest:,}, but its property file says "
                f"{declared.num_classes:,} classes, 0 to {declared.num_classes - 1:,}.",
                hint="Correct the first number of the property file, or fetch the matching .rec.",
            )
        if declared.photos is not None and declared.photos != len(found):
            raise InputError(
                f"{self.path} holds {len(found):,} photos, but its property file says {declared.photos:,}.",
                hint="Fetch the files again, or correct the second line of the property file.",
            )
        missing = declared.num_classes - len(renumber(found)[0])
        if missing:
            warnings.append(
                f"{missing:,} of the {declared.num_classes:,} classes of the property file have no photo"
            )
        self._raw = found
        return found, self._class_names(declared.num_classes)

    def _class_names(self, count: int) -> Sequence[str]:
        return class_names_beside(self.path, count) or ClassNumbers(count)


_DAMAGED = "The file is damaged or was not copied to its end; fetch it again."


def _order(values: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    """What sorts ``values``; everything as it is where they are sorted, which they nearly always are."""
    return slice(None) if (np.diff(values) >= 0).all() else np.argsort(values, kind="stable")


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
