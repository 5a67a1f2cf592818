"""Precomputed embeddings: files of ``facerec embed``, or a plain array in the order of the list."""

from __future__ import annotations

import csv
import io
import logging
import math
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import FacerecError, InputError, MissingExtraError
from facerec_cli.faces.choice import choose
from facerec_cli.pairs.names import find_photos, is_file
from facerec_cli.sniff import HEAD, refuse_pointer
from facerec_cli.tables.text import decode
from facerec_cli.untrusted import NpzFile, parse_json, read_npy
from facerec_cli.verify.photo_vectors import ModelInfo, PhotoVectors
from facerec_cli.wording import counted

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class VectorFile:
    """Embeddings from a file.

    Attributes:
        path: The file.
        vectors: (R, D) float32, unit length.
        model: What made them, as far as the file says.
        settings: How, as far as the file says.
        photos: Photo -> row of its face, or None where it has none; None when the file names no photos.
        reasons: Photo -> why it has no row.
        doubts: Photo -> why its face is doubtful.
    """

    path: Path
    vectors: NDArray[np.float32]
    model: ModelInfo
    settings: dict[str, Any]
    photos: dict[str, int | None] | None
    reasons: dict[str, str]
    doubts: dict[str, str]


def read_vectors(path: Path, *, faces: str = "main") -> VectorFile:
    """Read ``.npy`` (with the table of ``facerec embed`` beside it, or alone), ``.npz`` or ``.parquet``.

    Args:
        path: The file.
        faces: Which of several faces of a photo counts, one of ``registry.FACE_RULES``.

    Raises:
        InputError: Not such a file, not two-dimensional, NaN or zero vectors, or a table that does not fit.
    """
    if not is_file(path):
        raise InputError(f"There is no embeddings file {str(path)!r}.")
    with suppress(OSError), path.open("rb") as stream:  # each reader below says why it cannot be opened
        refuse_pointer(stream.read(HEAD), repr(str(path)))
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        vectors, rows, document = _read_parquet(path)
    elif suffix in (".npy", ".npz"):
        vectors, rows, document = _read_numpy(path)
    else:
        raise InputError(f"{str(path)!r} is not .npy, .npz or .parquet.")
    unit = _unit(vectors, path)
    photos, reasons, doubts = (None, {}, {}) if rows is None else _photos(rows, len(unit), path, faces)
    model, settings = (_part(document, name, path) for name in ("model", "settings"))
    info = ModelInfo(
        str(model.get("name", "")), str(model.get("sha256", "")), str(document.get("provider", ""))
    )
    return VectorFile(path, unit, info, settings, photos, reasons, doubts)


def match(file: VectorFile, names: Sequence[str], rows_by_template: int | None = None) -> PhotoVectors:
    """The vectors of a list's photos.

    Args:
        file: From :func:`read_vectors`.
        names: What the list calls its photos: found in the file by their path, or by the end of it as far as
            no folder of either contradicts the other's; see ``names.find_photos``.
        rows_by_template: Number of rows that a plain array may have instead of ``len(names)``.

    Raises:
        InputError: A plain array of another length, an ambiguous name, or no photo of the list in the file.
    """
    if file.photos is None:
        if len(file.vectors) != len(names):
            raise InputError(
                f"{str(file.path)!r} has {len(file.vectors):,} rows, the list {len(names):,} photos.",
                hint="Without a table of `facerec embed` beside it, row i must be the list's i-th photo in "
                "order of first appearance.",
            )
        return PhotoVectors(file.vectors, np.zeros(len(names), bool), {}, file.model, file.settings)
    found = find_photos(names, file.photos, repr(str(file.path)))
    vectors = np.zeros((len(names), file.vectors.shape[1]), np.float32)
    reasons: dict[int, str] = {}
    doubts: dict[int, str] = {}
    for i, photo in enumerate(found):
        row = None if photo is None else file.photos[photo]
        if photo is not None and row is not None:
            vectors[i] = file.vectors[row]
            if photo in file.doubts:
                doubts[i] = file.doubts[photo]
        else:
            reasons[i] = "missing: not in the embeddings file" if photo is None else file.reasons[photo]
    failed = np.zeros(len(names), bool)
    failed[list(reasons)] = True
    if failed.all():
        raise InputError(
            f"{str(file.path)!r} has none of the list's {len(names):,} photos; the first is {names[0]!r}.",
            hint="Embed the photos of this list, or name the list that these embeddings belong to. Both must "
            "name a photo by the same folders, from the end of its path on; "
            f"the file's first is {next(iter(file.photos), 'none')!r}.",
        )
    return PhotoVectors(vectors, failed, reasons, file.model, file.settings, doubts=doubts)


def _part(document: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A table of the description that goes with the vectors."""
    part = document.get(name) or {}
    if not isinstance(part, dict):
        raise InputError(
            f"The description of {str(path)!r} has {str(part)[:80]!r} as {name!r}.",
            hint="Use it as `facerec embed` wrote it, or move a .json of your own away from there.",
        )
    return part


def _unit(vectors: NDArray[Any], path: Path) -> NDArray[np.float32]:
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        raise InputError(
            f"{str(path)!r} holds {vectors.dtype} of shape {vectors.shape}; embeddings are (N, D) floats."
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise InputError(
            f"{str(path)!r}: {bad.size} rows hold NaN or infinity, the first is row {bad[0]}.",
            hint="Embed the photos again with `facerec embed`.",
        )
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not norms.all():
        raise InputError(
            f"{str(path)!r}: row {int(np.argmin(norms))} is all zero, which has no direction.",
            hint="Embed the photos again with `facerec embed`.",
        )
    return np.asarray(wide / norms, np.float32)


def _photos(
    rows: list[dict[str, Any]], count: int, path: Path, rule: str
) -> tuple[dict[str, int | None], dict[str, str], dict[str, str]]:
    """One row per photo from a table with a row per face, why others have none, and which are doubtful."""
    photos: dict[str, int | None] = {}
    reasons: dict[str, str] = {}
    doubts: dict[str, str] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in rows:
        name = str(entry["path"])
        photos.setdefault(name, None)
        row = _whole(entry.get("row"), "row", path)
        if row is None:
            reasons[name] = f"{entry.get('status') or 'no_face'}: {entry.get('reason') or 'no embedding'}"
            continue
        if not 0 <= row < count:
            raise InputError(
                f"The table of {str(path)!r} names row {row}, but the array has {count} rows.",
                hint="Embed the photos again with `facerec embed`.",
            )
        found.setdefault(name, []).append({**entry, "row": row})
    for name, entries in found.items():
        # A list may name a photo twice, and then the file has each of its faces twice.
        faces = {tuple(entry.get(key) for key in ("face", *_BOX)): entry for entry in reversed(entries)}
        found[name] = entries = list(reversed(faces.values()))
        chosen = _chosen(entries, rule, path)
        photos[name] = chosen["row"]
        if chosen.get("status") == "doubtful":
            doubts[name] = str(chosen.get("reason") or "no reason is given")
    unsized = sum(len(e) > 1 and "x1" in e[0] and "width" not in e[0] for e in found.values())
    if unsized and rule != "largest":
        log.warning(
            "%s does not say how large photos are, as --faces %s has to know: of %s with several faces the "
            "one with the highest score is taken. Keep the .csv of `facerec embed` beside it.",
            path,
            rule,
            counted(unsized, "photo"),
        )
    return photos, reasons, doubts


def _whole(text: Any, what: str, path: Path) -> int | None:
    """The number in a cell, also as pandas saves it again (``3.0``); None where it is empty."""
    if text in (None, "") or text != text:
        return None
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not number.is_integer():
        raise InputError(
            f"The table of {str(path)!r} has {str(text)[:80]!r} as {what}, which is no whole number.",
            hint="Use the table as `facerec embed` wrote it.",
        )
    return int(number)


def _chosen(faces: list[dict[str, Any]], rule: str, path: Path) -> dict[str, Any]:
    """The face of a photo that counts; without boxes the first, they are in the order of their scores."""
    try:
        boxes = [[float(face[key]) for key in _BOX] for face in faces]
        # "largest" needs no size of the photo, which an .npz without its table lacks.
        size = (0.0, 0.0) if rule == "largest" else (float(faces[0]["width"]), float(faces[0]["height"]))
    except (KeyError, TypeError, ValueError):
        return min(faces, key=lambda face: _whole(face.get("face"), "face", path) or 0)
    return faces[choose(boxes, size, rule)]


_BOX = ("x1", "y1", "x2", "y2")

Content = tuple[NDArray[Any], list[dict[str, Any]] | None, dict[str, Any]]


def _read_numpy(path: Path) -> Content:
    named = None
    try:
        if zipfile.is_zipfile(path):
            with NpzFile(path) as archive:
                if "embeddings" not in archive:
                    raise InputError(
                        f"{str(path)!r} has no array called embeddings, only {list(archive)}.",
                        hint="Save the array by this name: numpy.savez(path, embeddings=vectors).",
                    )
                vectors = archive["embeddings"]
                named = _named_rows(archive, _count(vectors), path) if "path" in archive else None
        else:
            vectors = read_npy(path)
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read: {error.strerror or error}.",
            hint="Embed the photos again with `facerec embed`.",
        ) from error
    except (ValueError, EOFError) as error:  # NumPy's own words advise to unpickle it
        raise InputError(
            f"{str(path)!r} is not a NumPy file of plain numbers, or is cut short.",
            hint="Pickled objects are not read, because they can run code; save the array with numpy.save.",
        ) from error
    table = path.with_suffix(".csv")
    rows = _read_table(table) if is_file(table) else None
    if rows is not None:
        _check_table(rows, named, _count(vectors), path, table)
    return vectors, rows if rows is not None else named, _read_description(path.with_suffix(".json"))


def _count(vectors: NDArray[Any]) -> int:
    return vectors.shape[0] if vectors.ndim else 0


def _named_rows(archive: Any, count: int, path: Path) -> list[dict[str, Any]]:
    """The table of an ``.npz`` of ``facerec embed``: path, face and box of each row.

    The table beside it says more: photos without a face, and how large the photos are.
    """
    wanted = {"path": ((count,), "U"), "face": ((count,), "iu"), "box": ((count, 4), "f")}
    columns = {name: archive[name] for name in wanted if name in archive}
    if any((c.shape, c.dtype.kind in wanted[n][1]) != (wanted[n][0], True) for n, c in columns.items()):
        raise InputError(
            f"{str(path)!r} has arrays path, face and box that do not fit its {count:,} embeddings.",
            hint="Write it again with `facerec embed`, or leave these arrays out of a file of your own.",
        )
    rows: list[dict[str, Any]] = [
        {"path": name, "row": at} for at, name in enumerate(columns["path"].tolist())
    ]
    for row, face in zip(rows, columns.get("face", ()), strict=False):
        row["face"] = int(face)
    for row, box in zip(rows, columns.get("box", ()), strict=False):
        if np.isfinite(box).all():  # aligned crops have none
            row |= dict(zip(_BOX, box.tolist(), strict=True))
    return rows


def _read_table(table: Path) -> list[dict[str, Any]] | None:
    """The rows of a table of ``facerec embed``; None for some other CSV."""
    try:
        text = decode(table.read_bytes(), table, "table")
        for separator in ",;\t":  # spreadsheets save it with others, and in UTF-16
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
            if {"path", "row"} <= set(reader.fieldnames or ()):
                return list(reader)
        return None
    except (OSError, csv.Error) as error:
        raise InputError(
            f"The table {str(table)!r} beside the embeddings cannot be read: {error}.",
            hint="Use it as `facerec embed` wrote it, or move a .csv of your own away from there.",
        ) from error


def _check_table(
    rows: list[dict[str, Any]], named: list[dict[str, Any]] | None, count: int, path: Path, table: Path
) -> None:
    """Refuse a table that belongs to other embeddings."""
    hint = "Keep the files of one `facerec embed` together."
    numbers = [_whole(row["row"], "row", path) for row in rows]
    filled = sum(number is not None for number in numbers)
    if filled != count:
        raise InputError(
            f"{str(path)!r} has {count:,} rows, its table {str(table)!r} names {filled:,}.", hint=hint
        )
    paths = {number: row["path"] for number, row in zip(numbers, rows, strict=True)}
    other = next((row for row in named or () if paths.get(row["row"]) != row["path"]), None)
    if other is not None:
        raise InputError(
            f"Row {other['row']} of {str(path)!r} is {other['path']!r}, but another photo in its table "
            f"{str(table)!r}.",
            hint=hint,
        )


def _read_description(about: Path) -> dict[str, Any]:
    """The ``.json`` of ``facerec embed``; empty where there is none."""
    if not is_file(about):
        return {}
    try:
        document = parse_json(about.read_bytes())
    except OSError as error:
        raise InputError(
            f"{str(about)!r} cannot be read: {error.strerror}.",
            hint="Embed the photos again with `facerec embed`.",
        ) from error
    except ValueError as error:
        raise InputError(
            f"{str(about)!r} is not JSON: {error}.",
            hint="Use it as `facerec embed` wrote it, or move a .json of your own away from there.",
        ) from error
    return document if isinstance(document, dict) else {}


def _read_parquet(path: Path) -> Content:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", extra="parquet", purpose="reading .parquet") from error
    try:
        table = pyarrow.parquet.read_table(path)
        missing = {"path", "row", "embedding"} - set(table.column_names)
        if missing:
            raise InputError(
                f"{str(path)!r} has no column {', '.join(sorted(missing))}.",
                hint="Embed the photos again with `facerec embed`.",
            )
        document = parse_json((table.schema.metadata or {}).get(b"facerec", b"{}"))
        rows = table.drop_columns(["embedding"]).to_pylist()
        column = table.column("embedding").combine_chunks().drop_null()
        size = column.type.list_size if pyarrow.types.is_fixed_size_list(column.type) else None
        flat = column.flatten().to_numpy(zero_copy_only=False)
        vectors = flat.reshape(len(column), size or (flat.size // max(1, len(column))))
    except FacerecError:
        raise
    except Exception as error:  # damaged pages and schemas: ArrowException, KeyError, MemoryError and others
        raise InputError(
            f"{str(path)!r} cannot be read as Parquet: {error}.",
            hint="Make it again with `facerec embed`; a file that was copied may be cut short.",
        ) from error
    return vectors, rows, document if isinstance(document, dict) else {}
