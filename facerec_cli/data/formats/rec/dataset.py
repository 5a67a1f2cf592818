"""``.rec``: the data sets of insightface, CVLface and im2rec.

Photos are read with ``pread`` from a file that each process opens for itself, so that a data set can be
forked, pickled and shared by threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import ClassNumbers, FaceDataset, class_names_beside, gaps, renumber
from facerec_cli.data.decode import BrokenPhotoError, decode_rgb
from facerec_cli.data.formats.rec.index import NameList, Records, read_property, sorting
from facerec_cli.data.formats.rec.labels import photos_and_labels
from facerec_cli.data.formats.rec.recordio import RecordHeader, read_record, unpack
from facerec_cli.data.formats.recognize import refuse_other_formats
from facerec_cli.errors import InputError

_JPEG = b"\xff\xd8\xff"
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
        records = Records(path)
        warnings: list[str] = []
        if records.scanned:
            index = path.with_suffix(".idx").name
            warnings.append(f"{index} is missing; the index was rebuilt by scanning {path.name}")
        photos, self._stored = photos_and_labels(records)
        self._file = records.file
        self._keys, self._photo_offsets = records.keys[photos], records.offsets[photos]
        self._sorted = records.offsets[sorting(records.offsets)]
        self.labels, self.class_names = self._classes(self._stored, warnings)
        self.warnings = tuple(warnings)

    @classmethod
    def open(cls, spec: str) -> RecDataset:
        """Open a ``.rec``, its ``.idx``, or the ``.rec`` of a folder (``train.rec`` where there are more)."""
        path = Path(spec)
        if path.is_dir():
            files = sorted(path.glob("*.rec"))
            train = [file for file in files if file.name == "train.rec"]
            if len(files) > 1 and not train:
                names = ", ".join(file.name for file in files)
                raise InputError(f"{spec} holds several .rec files: {names}.", hint="Name one of them.")
            path = (train or files)[0]
        path = path.with_suffix(".rec")
        if not path.is_file():
            raise InputError(f"{path} is missing.", hint="An .idx is of no use without its .rec.")
        refuse_other_formats(path)
        return cls(path)

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        header, data = self.record(index)
        label, expected = header.labels[0], self._stored[index]
        if label != expected:
            raise InputError(
                f"{self.name(index)} is labeled {label:g}, but {expected} was expected.",
                hint=f"{self.path.name} is not ordered as its identity records say, or has changed: "
                "run `facerec data check`.",
            )
        return data

    def image(self, index: int) -> NDArray[np.uint8]:
        """The photo as (H, W, 3) uint8 **RGB** at its stored size.

        Its name is looked for in the ``.lst`` only where something has to be said of it, which is seldom.
        """
        data = self.read(index)
        if data.startswith(_JPEG):
            with suppress(BrokenPhotoError):
                return decode_rgb(data, "")
        return decode_rgb(data, self.name(index))

    def record(self, index: int) -> tuple[RecordHeader, bytes]:
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
        name = self._names.name(key, index) if self._names else None
        return name or f"{self.class_names[int(self.labels[index])]}/{key:08d}"

    @cached_property
    def _names(self) -> NameList | None:
        path = self.path.with_suffix(".lst")
        return NameList(path) if path.is_file() else None

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_names"}

    def _classes(
        self, stored: NDArray[np.int64], warnings: list[str]
    ) -> tuple[NDArray[np.int64], Sequence[str]]:
        """Labels and class names of the labels as they are stored, checked against ``property``."""
        if len(stored) == 0:
            return stored, ()
        highest = int(stored.max())
        if highest >= _EXACT:
            warnings.append(f"labels above {_EXACT:,} are not exact in a .rec; people may have been mixed up")
        declared = read_property(self.path.parent / "property")
        if declared is None:
            names, numbered = renumber(stored)
            if len(names) <= highest:
                warnings.append(gaps(len(names), highest))
                return numbered, [str(name) for name in names.tolist()]
            return stored, self._class_names(highest + 1)
        if highest >= declared.num_classes:
            raise InputError(
                f"{self.path} holds the label {highest:,}, but its property file says "
                f"{declared.num_classes:,} classes, 0 to {declared.num_classes - 1:,}.",
                hint="Correct the first number of the property file, or fetch the matching .rec.",
            )
        if declared.photos is not None and declared.photos != len(stored):
            raise InputError(
                f"{self.path} holds {len(stored):,} photos, but its property file says {declared.photos:,}.",
                hint="Fetch the files again, or correct the second line of the property file.",
            )
        missing = declared.num_classes - len(renumber(stored)[0])
        if missing:
            warnings.append(
                f"{missing:,} of the {declared.num_classes:,} classes of the property file have no photo"
            )
        return stored, self._class_names(declared.num_classes)

    def _class_names(self, count: int) -> Sequence[str]:
        return class_names_beside(self.path, count) or ClassNumbers(count)
