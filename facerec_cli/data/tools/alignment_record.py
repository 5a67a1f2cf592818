"""What became of every photo of an alignment: the table for people, and the record that going on needs."""

from __future__ import annotations

import csv
import io
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.formats.folder import ALIGNMENT_TABLE, FolderDataset
from facerec_cli.data.formats.list import ListDataset
from facerec_cli.files import write_file, writing
from facerec_cli.untrusted import parse_json

_GO_ON = "The crops so far are kept: go on with the same command and --resume."
_RECORD = ".alignment.jsonl"  # hidden, as it is no photo among the people


@dataclass(frozen=True, slots=True)
class PhotoAlignment:
    """What became of one photo.

    Attributes:
        photo: Its name in the source.
        status: "ok", "doubtful" (cut, but its place may be wrong), "kept" (a crop of an earlier run of which
            nothing is known), "no_face", or why it could not be read.
        faces: How many faces were found.
        score: Detection score of the face that was cut out, or NaN.
        crop: The crop's path in the target, or "".
    """

    photo: str
    status: str
    faces: int = 0
    score: float = float("nan")
    crop: str = ""


class AlignmentRecord:
    """Every crop as it was cut, a line each, written before the crop itself.

    So a crop that is there has its line, whenever the process was killed; and one that is not as the line
    says (half there, damaged) is known, as is one whose photo was replaced since.

    Args:
        source: The photos.
        target: Where the crops are.
    """

    def __init__(self, source: FaceDataset, target: Path) -> None:
        self.target = target
        self._source = source
        self._path = target / _RECORD
        self._known: dict[str, dict[str, Any]] = {}
        with suppress(OSError):
            content = self._path.read_bytes()
            for line in content.splitlines():
                with suppress(ValueError, TypeError, KeyError):  # torn by a kill
                    entry = dict(parse_json(line))
                    self._known[str(entry["crop"])] = entry
            if content and not content.endswith(b"\n"):
                self._append(b"\n")
        self._table = read_table(target / ALIGNMENT_TABLE)

    def kept(self, index: int, crop: str) -> PhotoAlignment | None:
        """The row of a photo whose crop is there, whole and of this photo; None where it has to be cut."""
        photo = self._source.name(index)
        try:
            content = (self.target / crop).read_bytes()
        except OSError:
            return None
        entry = self._known.get(crop)
        if entry is None:  # of a version that kept no record
            before = self._table.get(crop, PhotoAlignment(photo, "kept", crop=crop))
            return before if before.photo == photo else None
        sound = entry.get("bytes") == len(content) and entry.get("crc") == zlib.crc32(content)
        if not sound or entry.get("photo") != photo or entry.get("stamp") != self._stamp(index):
            return None
        try:
            return PhotoAlignment(
                photo, str(entry["status"]), int(entry["faces"]), float(entry["score"]), str(entry["crop"])
            )
        except (KeyError, TypeError, ValueError):
            return None

    def store(self, index: int, outcome: PhotoAlignment, content: bytes) -> None:
        """Write a crop, after the line that says what it is.

        Raises:
            OutputError: One of them cannot be written.
        """
        entry = asdict(outcome)
        entry |= {"stamp": self._stamp(index), "bytes": len(content), "crc": zlib.crc32(content)}
        self._append(json.dumps(entry).encode() + b"\n")
        write_file(self.target / outcome.crop, content, hint=_GO_ON)

    def write_table(self, outcomes: Sequence[PhotoAlignment]) -> None:
        """The rows of this run, then earlier ones of other photos whose crop is there."""
        photos, crops = {row.photo for row in outcomes}, {row.crop for row in outcomes}
        others = (row for row in self._table.values() if row.photo not in photos and row.crop not in crops)
        there = (row for row in others if (self.target / row.crop).is_file())
        write_file(self.target / ALIGNMENT_TABLE, _table(chain(outcomes, there)), hint=_GO_ON)

    def _append(self, line: bytes) -> None:
        with writing(self._path, hint=_GO_ON), self._path.open("ab") as stream:
            stream.write(line)

    def _stamp(self, index: int) -> list[int] | None:
        """Size and time of change of a photo that is a file."""
        if not isinstance(self._source, FolderDataset | ListDataset):
            return None
        try:
            state = os.stat(self._source.root / self._source.name(index))  # noqa: PTH116 - a million times
        except OSError:
            return None
        return [state.st_size, state.st_mtime_ns]


def read_table(path: Path) -> Mapping[str, PhotoAlignment]:
    """The rows of an earlier run by their crop; without one, none."""
    rows: dict[str, PhotoAlignment] = {}
    with (
        suppress(FileNotFoundError, csv.Error),
        path.open(encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        for row in csv.DictReader(file, delimiter="\t"):
            with suppress(KeyError, TypeError, ValueError):  # edited by hand; the crop itself is there
                score = float(row["score"] or "nan")
                rows[row["crop"]] = PhotoAlignment(
                    row["photo"], row["status"], int(row["faces"]), score, row["crop"]
                )
    rows.pop("", None)
    return rows


def _table(outcomes: Iterable[PhotoAlignment]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow(("photo", "status", "faces", "score", "crop"))
    for row in outcomes:
        score = "" if np.isnan(row.score) else f"{row.score:.4f}"
        rows.writerow((row.photo, row.status, row.faces, score, row.crop))
    return text.getvalue().encode("utf-8", "surrogateescape")
