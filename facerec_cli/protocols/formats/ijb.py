"""IJB-B and IJB-C 1:N: two galleries of templates, and probes of the people of both.

Sources: Whitelam et al., "IARPA Janus Benchmark-B", CVPR Workshops 2017; Maze et al., "IARPA Janus
Benchmark-C", ICB 2018 (its test 4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.pairs.formats.ijb import POINTS, TID_MID, matching, read_landmarks, read_tid_mid
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.pairlist import Templates, distinct
from facerec_cli.pairs.text_rows import broken, fits_int64, read_list
from facerec_cli.protocols.people import number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat, folder_of
from facerec_cli.tables.rows import word

_PROBES = ("*1N_probe_mixed*.csv", "*probe_mixed*.csv", "probes.csv")
_FOLDERS = (".", "meta", "protocol", "protocols")
_VIDEO = re.compile(r"(?:.*/)?frames/(.+)_[^_/]+")


class IjbSearch(ProtocolFormat):
    """A folder with the lists of both galleries and of the probes, ``TEMPLATE_ID,SUBJECT_ID,...``.

    With ``*_face_tid_mid.txt`` beside them, as insightface distributes them, that says which photos make a
    template, and ``*_name_5pts_score.txt`` where the landmarks are. Without it the lists have a row a photo
    with its FILENAME, as NIST publishes them. The trials are G1 and G2; probes of the other gallery's people
    are non-mated.
    """

    description = "IJB-B's and IJB-C's 1:N: a folder with *_1N_gallery_G1.csv, G2 and *_1N_probe_mixed.csv"
    photo_patterns = ("{stem}", "loose_crop/{stem}")

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether a folder has the lists, or the file is one of them."""
        head = heads[0]
        return (head.is_folder or head.path.suffix == ".csv") and _is_whole(_lists(head.path))

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read both galleries and the probes."""
        folder = folder_of(paths[0])
        lists = _lists(paths[0])
        if not _is_whole(lists):
            what = "list of probes" if "probes" not in lists else "gallery"
            raise InputError(
                f"{str(folder)!r} has no {what} of IJB.",
                hint="It takes *_1N_gallery_G1.csv, ..._G2.csv (or S1, S2) and *_1N_probe_mixed.csv.",
            )
        rows = {part: _read(path) for part, path in lists.items()}
        subject: dict[int, str] = {}
        for part, listed in rows.items():
            for template, person, *_ in listed:
                if subject.setdefault(template, person) != person:
                    raise InputError(
                        f"{str(lists[part])!r}: template {template} is of subject {person} and of "
                        f"{subject[template]}.",
                        hint="Use the lists of one protocol.",
                    )
        names = np.array(sorted(subject), np.int64)
        people, identity = number_people(subject[int(name)] for name in names)
        photos = _photos(folder, rows, names)
        number: dict[tuple[str, _Box], int] = {}
        faces = [
            number.setdefault(face, len(number)) for face in zip(photos.files, photos.boxes, strict=True)
        ]
        image, images = np.array(faces, np.int64), tuple(file for file, _ in number)
        landmarks, scores = read_landmarks(folder, images)
        boxes = np.array([box for _, box in number], np.float32)
        items = {
            part: np.searchsorted(names, np.unique([row[0] for row in listed])).astype(np.int64)
            for part, listed in rows.items()
        }
        return SearchProtocol(
            images=tuple(Path(name) for name in images),
            names=images,
            people=people,
            identity=identity,
            trials=tuple(
                SearchTrial(part, items[part], items["probes"]) for part in ("G1", "G2") if part in lists
            ),
            landmarks=landmarks,
            detection_scores=scores,
            boxes=boxes if landmarks is None and np.isfinite(boxes).any() else None,
            templates=Templates(names, image, np.searchsorted(names, photos.template), photos.media),
            rule="Published as the mean of G1 and G2: TPIR at FPIR 0.01 and 0.1, rank 1, 5 and 10. Tables "
            "before 2021 often joined both galleries, so that no search was non-mated.",
        )

    def other_files(self, paths: Sequence[Path]) -> list[Path]:
        """The lists, and the files beside them."""
        folder = folder_of(paths[0])
        beside = [path for pattern in (TID_MID, POINTS) for path in matching(folder, pattern)]
        return [*_lists(paths[0]).values(), *beside] if folder.is_dir() else []


_Box = tuple[float, float, float, float]
_NO_BOX: _Box = (math.nan,) * 4  # one object, so that it is equal to itself in a dictionary

_Row = tuple[int, str, str, str, _Box]
"""Template, subject, file, media, box; the last three empty where the list has templates alone."""


class _Photos(NamedTuple):
    """The photos of the templates, R of them."""

    files: list[str]
    boxes: list[_Box]
    template: NDArray[np.int64]
    media: NDArray[np.int64]


def _lists(path: Path) -> dict[str, Path]:
    """The lists of the galleries and the probes, as far as they are there."""
    patterns = {"G1": ("*gallery_[GS]1*.csv",), "G2": ("*gallery_[GS]2*.csv",), "probes": _PROBES}
    found: dict[str, Path] = {}
    for part, names in patterns.items():
        places = (folder_of(path) / place for place in _FOLDERS)
        files = (file for place in places for name in names for file in sorted(place.glob(name)))
        first = next(files, None)
        if first is not None:
            found[part] = first
    return found


def _is_whole(lists: Mapping[str, Path]) -> bool:
    """Whether there are probes and at least one gallery."""
    return "probes" in lists and len(lists) > 1


def _read(path: Path) -> list[_Row]:
    """The rows of a list."""
    rows = read_list(path, "list of templates")
    if len(rows) < 2:
        raise InputError(f"{str(path)!r} has no template.", hint="Get the protocol's files again.")
    heading = [word(cell) for cell in rows[0][1]]
    has_heading = not fits_int64(rows[0][1][0])
    at = {name: heading.index(name) for name in heading} if has_heading else {}
    template, subject = at.get("template_id", 0), at.get("subject_id", 1)
    read: list[_Row] = []
    for line, fields in rows[has_heading:]:
        if max(template, subject) >= len(fields) or not fits_int64(fields[template]) or not fields[subject]:
            raise broken(path, line, fields, "`TEMPLATE_ID,SUBJECT_ID,...`")
        file = _cell(fields, at.get("filename"))
        box = _box(fields, at) if file else _NO_BOX
        if box is None:
            raise broken(path, line, fields, "a row with FACE_X, FACE_Y, FACE_WIDTH and FACE_HEIGHT")
        read.append((int(fields[template]), fields[subject], file, _media(file, fields, at), box))
    return read


def _box(fields: Sequence[str], at: Mapping[str, int]) -> _Box | None:
    """The box of a row; NaN where it has none, None where it is no box."""
    cells = [_cell(fields, at.get(f"face_{name}")) for name in ("x", "y", "width", "height")]
    if not any(cells):
        return _NO_BOX
    try:
        x, y, width, height = map(float, cells)
    except ValueError:
        return None
    is_box = all(map(math.isfinite, (x, y, width, height))) and min(width, height) > 0
    return (x, y, x + width, y + height) if is_box and max(abs(x), abs(y), width, height) < 1e6 else None


def _cell(fields: Sequence[str], at: int | None) -> str:
    return fields[at] if at is not None and at < len(fields) else ""


def _media(file: str, fields: Sequence[str], at: Mapping[str, int]) -> str:
    """What photo or video a row is of: the list's own word, or that of a frame's name."""
    media = _cell(fields, at.get("media_id"))
    if media or not file:
        return media
    frame = _VIDEO.fullmatch(str(PurePosixPath(file).with_suffix("")))
    return f"video {frame[1]}" if frame else file


def _photos(folder: Path, rows: Mapping[str, Sequence[_Row]], names: NDArray[np.int64]) -> _Photos:
    """The photos of each template."""
    tid_mid = matching(folder, TID_MID)
    if tid_mid:
        files, template, media = read_tid_mid(tid_mid[0])
        used = np.isin(template, names)
        without = np.setdiff1d(names, template)
        if without.size:
            raise InputError(
                f"{str(tid_mid[0])!r} has no photo of template {without[0]}.",
                hint="Use the lists of one protocol.",
            )
        kept = [file for file, is_used in zip(files, used, strict=True) if is_used]
        return _Photos(kept, [_NO_BOX] * len(kept), template[used], media[used])
    listed = [row for part in rows.values() for row in part]
    if not all(file for _, _, file, _, _ in listed):
        raise InputError(
            f"The lists in {str(folder)!r} name templates and no photos.",
            hint="Put *_face_tid_mid.txt beside them, or take NIST's lists, which have a column FILENAME.",
        )
    templates = np.array([row[0] for row in listed], np.int64)
    media = distinct(row[3] for row in listed)[1]
    return _Photos([row[2] for row in listed], [row[4] for row in listed], templates, media)
