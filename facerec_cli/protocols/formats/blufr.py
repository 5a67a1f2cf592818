"""BLUFR on LFW: ten random trials of open-set identification, and verification of all pairs.

Source: Liao, Lei, Yi, Li, "A benchmark study of large-scale unconstrained face recognition", IJCB 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import is_file
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.text_rows import broken, fits_int64, read_list
from facerec_cli.protocols.people import number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat, folder_of

_IMAGES, _LABELS = "image_list.txt", "labels.txt"
_GALLERY, _PROBES, _TEST = "gallery_set.txt", "probe_set.txt", "test_set.txt"
_FILES = (_IMAGES, _LABELS, _GALLERY, _PROBES, _TEST)


class Blufr(ProtocolFormat):
    """A folder of the benchmark's lists.

    ``image_list.txt`` names the photos, from 1 on; ``labels.txt`` has the number of the person of each.
    ``gallery_set.txt``, ``probe_set.txt`` and ``test_set.txt`` begin with the number of trials; each trial is
    a count and then lines ``index, file``.
    """

    description = "BLUFR's lists: a folder with image_list.txt, gallery_set.txt and probe_set.txt"
    photo_patterns = ("{stem}", "images/{stem}", "{name}")

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether a folder has the lists, or the file is one of them."""
        folder = folder_of(heads[0].path)
        is_its = heads[0].is_folder or heads[0].path.name in _FILES
        return is_its and all(is_file(folder / name) for name in (_IMAGES, _GALLERY, _PROBES))

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read the trials; the test set of each is what its 1:1 comparisons are made of."""
        folder = folder_of(paths[0])
        files = [fields[0] for _, fields in read_list(folder / _IMAGES, "list of photos")]
        people, identity = number_people(_labels(folder / _LABELS, len(files)))
        parts = [_sets(folder / name, files) for name in (_GALLERY, _PROBES, _TEST)]
        if len({len(part) for part in parts}) > 1:
            counts = ", ".join(str(len(part)) for part in parts)
            raise InputError(
                f"The lists in {str(folder)!r} have {counts} trials (gallery, probes, test).",
                hint="Use the lists of one protocol.",
            )
        names = tuple(f"{_person(file)}/{file}" for file in files)
        called = {int(number): _person(file) for number, file in zip(identity, files, strict=True)}
        return SearchProtocol(
            images=tuple(Path(name) for name in names),
            names=names,
            people=tuple(called[number] for number in range(len(people))),
            identity=identity,
            trials=tuple(
                SearchTrial(f"trial {number}", gallery, probes, test)
                for number, (gallery, probes, test) in enumerate(zip(*parts, strict=True), 1)
            ),
            rule="Published as mean minus standard deviation over the trials: VR at FAR 0.1 %, DIR at rank 1 "
            "and FAR 1 %.",
        )

    def other_files(self, paths: Sequence[Path]) -> list[Path]:
        """The lists."""
        return [folder_of(paths[0]) / name for name in _FILES if is_file(folder_of(paths[0]) / name)]


def _person(file: str) -> str:
    """The folder of a photo in LFW: ``Ann_Lee_0001.jpg`` lies in ``Ann_Lee``."""
    return Path(file).stem.rpartition("_")[0] or Path(file).stem


def _labels(path: Path, count: int) -> list[str]:
    rows = read_list(path, "list of labels")
    for line, fields in rows:
        if len(fields) != 1 or not fits_int64(fields[0]):
            raise broken(path, line, fields, "the number of a person")
    if len(rows) != count:
        raise InputError(
            f"{str(path)!r} has {len(rows):,} labels for the {count:,} photos of {_IMAGES}.",
            hint="Use the lists of one protocol.",
        )
    return [fields[0] for _, fields in rows]


def _sets(path: Path, files: Sequence[str]) -> list[NDArray[np.int64]]:
    """The photos of each trial, (K,) int64, from 0."""
    rows = read_list(path, "list of trials")
    if not rows or len(rows[0][1]) != 1 or not fits_int64(rows[0][1][0]):
        line, fields = rows[0] if rows else (1, [])
        raise broken(path, line, fields, "the number of trials")
    trials: list[NDArray[np.int64]] = []
    at = 1
    while at < len(rows):
        line, fields = rows[at]
        if len(fields) != 1 or not fits_int64(fields[0]):
            raise broken(path, line, fields, "the number of photos of a trial")
        count = int(fields[0])
        if count > len(rows) - at - 1:
            raise InputError(
                f"{str(path)!r}, line {line}: a trial of {count:,} photos is cut short.",
                hint="Get the list again.",
            )
        trials.append(
            np.array([_number(path, row, files) for row in rows[at + 1 : at + 1 + count]], np.int64)
        )
        at += 1 + count
    if len(trials) != int(rows[0][1][0]):
        raise InputError(
            f"{str(path)!r} announces {rows[0][1][0]} trials and has {len(trials)}.",
            hint="Get the list again.",
        )
    return trials


def _number(path: Path, row: tuple[int, list[str]], files: Sequence[str]) -> int:
    """The photo of a line ``index, file``, from 0."""
    line, fields = row
    # The counts have no comma, so that the fields are told apart by blanks.
    index = fields[0].rstrip(",")
    if len(fields) != 2 or not fits_int64(index) or not 1 <= int(index) <= len(files):
        raise broken(path, line, fields, f"`index, file` with an index of {_IMAGES}")
    listed = files[int(index) - 1]
    if listed != fields[1]:
        raise InputError(
            f"{str(path)!r}, line {line}: {fields[1]!r} is not photo {index}, which is {listed!r}.",
            hint="Use the lists of one protocol.",
        )
    return int(index) - 1
