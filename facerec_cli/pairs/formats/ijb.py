"""IJB-B and IJB-C 1:1 verification: templates of photos and video frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.pairs.known import explain_folder
from facerec_cli.pairs.names import is_folder
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList, Templates, distinct
from facerec_cli.pairs.text_rows import shape_of, without_heading
from facerec_cli.tables.text import encoding_of, read_lines

TID_MID, POINTS, _LABELS = "*tid_mid*", "*_5pts_score*", "*template_pair_label*"


class Ijb(PairFormat):
    """A folder of IJB-B's or IJB-C's protocol.

    ``*_face_tid_mid.txt`` has lines ``file template media``, ``*_template_pair_label.txt`` lines
    ``template template 0|1``. ``*_name_5pts_score.txt`` (file, five x y, score) beside them gives the
    landmarks, so that photos need no detection, as in the published protocol.
    """

    description = "IJB-B's and IJB-C's: a folder with *_face_tid_mid.txt and *_template_pair_label.txt"
    photo_patterns = ("{stem}", "loose_crop/{stem}")

    def recognizes(self, head: ListHead) -> bool:
        """Whether the folder has one of the two files, or the file has three numbers a line."""
        if head.is_folder:
            return any(matching(head.path, pattern) for pattern in (TID_MID, _LABELS))
        return {shape_of(fields) for _, fields in without_heading(head.rows)} == {"iii"}

    def read(self, path: Path) -> PairList:
        """Read it.

        Args:
            path: The folder that has the files (or has them in ``meta/``), or one of them.
        """
        folder = path if is_folder(path) else path.parent
        tid_mid, labels = _only(folder, TID_MID), _only(folder, _LABELS)
        files, template_ids, media = read_tid_mid(tid_mid)
        images, image = distinct(files)
        names, template = np.unique(template_ids, return_inverse=True)
        first, second, same = _template_pairs(labels, names)
        landmarks, scores = read_landmarks(folder, images)
        return PairList(
            first=first,
            second=second,
            same=same,
            images=tuple(Path(name) for name in images),
            names=images,
            landmarks=landmarks,
            detection_scores=scores,
            templates=Templates(names, image, template.astype(np.int64), media),
        )

    def other_files(self, path: Path) -> list[Path]:
        """The files of the protocol."""
        folder = path if is_folder(path) else path.parent
        if not is_folder(folder):
            return []
        return [file for pattern in (TID_MID, _LABELS, POINTS) for file in matching(folder, pattern)]


def pool(
    vectors: NDArray[np.float32],
    failed: NDArray[np.bool_],
    templates: Templates,
    weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """One vector per template: mean inside a media, sum over media, unit length.

    Args:
        vectors: (N, D) float32, unit length, one per photo.
        failed: (N,) bool, photos without an embedding; they are left out of their template.
        templates: How photos make templates.
        weights: (N,) float32, what each vector is multiplied with first: the published evaluations take the
            length of the raw embedding, the score of the detection, or both. None counts all alike.

    Returns:
        (T, D) float32; a template without any embedding is all zeros.
    """
    rows = np.flatnonzero(~failed[templates.image])
    media_key = np.stack([templates.template[rows], templates.media[rows]], axis=1)
    groups, group = np.unique(media_key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    images = templates.image[rows]
    means = _sum_rows(vectors, images, group, len(groups), weights)
    means /= np.bincount(group, minlength=len(groups))[:, None]
    sums = _sum_rows(means, np.arange(len(groups)), groups[:, 0], len(templates.names))
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(norms > 0, norms, 1)).astype(np.float32)


def _sum_rows(
    vectors: NDArray[Any],
    rows: NDArray[np.int64],
    group: NDArray[np.int64],
    count: int,
    weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Weighted sum of the given rows per group, (count, D) float64, without a copy of all rows at once."""
    total = np.zeros((count, vectors.shape[1]))
    order = np.argsort(group, kind="stable")
    step = 1 << 16
    for start in range(0, order.size, step):
        part = order[start : start + step]
        groups = group[part]
        starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
        taken = vectors[rows[part]].astype(np.float64)
        if weights is not None:
            taken *= weights[rows[part], None]
        sums = np.add.reduceat(taken, starts, axis=0)
        total[groups[starts]] += sums
    return total


def matching(folder: Path, pattern: str) -> list[Path]:
    """The files of a protocol with such a name, in its folder or in ``meta/`` below."""
    return sorted(p for f in (folder, folder / "meta") for p in f.glob(pattern))


def _only(folder: Path, pattern: str) -> Path:
    files = matching(folder, pattern)
    if len(files) == 1:
        return files[0]
    if not any(matching(folder, name) for name in (TID_MID, _LABELS)):
        raise explain_folder(folder)
    what = "no file" if not files else f"{len(files)} files"
    raise InputError(
        f"{str(folder)!r} has {what} named {pattern}.",
        hint="An IJB folder has one *_face_tid_mid.txt and one *_template_pair_label.txt.",
    )


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of a file of the protocol."""
    for number, line in read_lines(path, "file of the protocol"):
        yield number, line.split()


def read_tid_mid(path: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """File, (R,) int64 template and (R,) int64 media of each row of a ``*_face_tid_mid.txt``.

    Raises:
        InputError: A line is not ``file template media``.
    """
    files: list[str] = []
    numbers: list[tuple[int, int]] = []
    for number, fields in _lines(path):
        if not fields:
            continue
        try:
            file, template, media = fields
            numbers.append((_id(template), _id(media)))
        except ValueError:
            raise InputError(
                f"{str(path)!r}, line {number}: {' '.join(fields)[:80]!r} is not `file template media`.",
                hint="Template and media are whole numbers; take the file as IJB's protocol has it.",
            ) from None
        files.append(file)
    if not files:
        raise InputError(f"{str(path)!r} is empty.", hint="Get the protocol's files again.")
    table = np.array(numbers, np.int64)
    return files, table[:, 0], table[:, 1]


def _id(text: str) -> int:
    number = int(text)
    if abs(number) >> 63:
        raise ValueError("more than 64 bits")
    return number


def _template_pairs(
    path: Path, names: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    try:
        with path.open("rb") as file:
            encoding = encoding_of(file.read(1 << 16)) or "utf-8"
        with path.open(encoding=encoding) as lines, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is empty is told of below
            table = np.loadtxt(lines, dtype=np.int64, ndmin=2)
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read: {error.strerror}.", hint="Put the file of the protocol there."
        ) from error
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{str(path)!r} is not lines of `template template 0|1`: {error}.",
            hint="Take the file as IJB's protocol has it.",
        ) from None
    if not table.size or table.shape[1] != 3 or not np.isin(table[:, 2], (0, 1)).all():
        raise InputError(f"{str(path)!r} is not lines of `template template 0|1`.")
    index = np.searchsorted(names, table[:, :2]).clip(max=len(names) - 1)
    unknown = names[index] != table[:, :2]
    if unknown.any():
        first = table[:, :2][unknown][0]
        raise InputError(
            f"{str(path)!r} compares template {first}, which the tid_mid file does not have.",
            hint="Use the files of one protocol.",
        )
    return np.ascontiguousarray(index[:, 0]), np.ascontiguousarray(index[:, 1]), table[:, 2] == 1


def read_landmarks(
    folder: Path, images: tuple[str, ...]
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Landmarks and scores of the detections, from the ``*_name_5pts_score.txt`` of a protocol.

    Returns:
        (N, 5, 2) float32 pixels, and (N,) float32 where each line has a score; None where there is none.

    Raises:
        InputError: A line is not as published, or a photo has none.
    """
    path = next(iter(matching(folder, POINTS)), None)
    if path is None:
        return None, None
    number = {name: i for i, name in enumerate(images)}
    table = np.full((len(images), 11), np.nan, np.float32)
    for line_number, fields in _lines(path):
        try:
            with np.errstate(over="ignore"):  # a number that is too large is none, as is said below
                given = np.array(fields[1:], np.float32)
        except ValueError:
            given = np.empty(0, np.float32)
        if given.size not in (10, 11):
            raise InputError(
                f"{str(path)!r}, line {line_number} is not `file x1 y1 … x5 y5 score`.",
                hint="Take the file as IJB's protocol has it, or away, to detect the faces.",
            )
        if fields[0] in number:
            table[number[fields[0]], : given.size] = given
    points, scores = table[:, :10].reshape(-1, 5, 2), table[:, 10]
    missing = int((~np.isfinite(points)).any(axis=(1, 2)).sum())
    if missing:
        raise InputError(
            f"{str(path)!r} has no landmarks for {missing} of the {len(images)} photos.",
            hint="Remove it, so that the faces are searched, or get the protocol's files again.",
        )
    return points, scores if np.isfinite(scores).all() else None
