"""Precomputed embeddings: files of ``facerec embed``, or a plain array in the order of the list."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, MissingExtraError
from facerec_cli.faces.choice import choose
from facerec_cli.images import IMAGE_SUFFIXES
from facerec_cli.verify.gallery import Gallery, ModelInfo


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
    """

    path: Path
    vectors: NDArray[np.float32]
    model: ModelInfo
    settings: dict[str, Any]
    photos: dict[str, int | None] | None
    reasons: dict[str, str]


def read_vectors(path: Path, *, faces: str = "main") -> VectorFile:
    """Read ``.npy`` (with the table of ``facerec embed`` beside it, or alone), ``.npz`` or ``.parquet``.

    Args:
        path: The file.
        faces: Which of several faces of a photo counts, one of ``faces.choice.RULES``.

    Raises:
        InputError: Not such a file, not two-dimensional, NaN or zero vectors, or a table that does not fit.
    """
    if not path.is_file():
        raise InputError(f"There is no embeddings file {str(path)!r}.")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        vectors, rows, document = _read_parquet(path)
    elif suffix in (".npy", ".npz"):
        vectors, rows, document = _read_numpy(path)
    else:
        raise InputError(f"{str(path)!r} is not .npy, .npz or .parquet.")
    unit = _unit(vectors, path)
    photos, reasons = (None, {}) if rows is None else _photos(rows, len(unit), path, faces)
    model = document.get("model") or {}
    info = ModelInfo(
        str(model.get("name", "")), str(model.get("sha256", "")), str(document.get("provider", ""))
    )
    return VectorFile(path, unit, info, dict(document.get("settings") or {}), photos, reasons)


def match(file: VectorFile, names: Sequence[str], rows_by_template: int | None = None) -> Gallery:
    """The vectors of a list's photos.

    Args:
        file: From :func:`read_vectors`.
        names: What the list calls its photos: found in the file by their path, or by the end of it.
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
        return Gallery(file.vectors, np.zeros(len(names), bool), {}, file.model, file.settings)
    ends = _ends(file.photos)
    vectors = np.zeros((len(names), file.vectors.shape[1]), np.float32)
    reasons: dict[int, str] = {}
    for i, name in enumerate(names):
        photo = _find(name, ends, file)
        row = None if photo is None else file.photos[photo]
        if row is not None:
            vectors[i] = file.vectors[row]
        else:
            reasons[i] = "missing: not in the embeddings file" if photo is None else file.reasons[photo]
    failed = np.zeros(len(names), bool)
    failed[list(reasons)] = True
    if failed.all():
        raise InputError(
            f"{str(file.path)!r} has none of the list's {len(names):,} photos; the first is {names[0]!r}.",
            hint="Embed the photos of this list, or name the list that these embeddings belong to.",
        )
    return Gallery(vectors, failed, reasons, file.model, file.settings)


Key = tuple[str, ...]


def path_key(path: str) -> Key:
    """The parts of a path, without an image suffix."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.suffix.lower() in IMAGE_SUFFIXES:
        pure = pure.with_suffix("")
    return tuple(part for part in pure.parts if part not in ("/", ".", ".."))


def _ends(photos: dict[str, int | None]) -> dict[Key, str | None]:
    """Every end of every path -> the path; None where several share it."""
    ends: dict[Key, str | None] = {}
    for path in photos:
        parts = path_key(path)
        for start in range(max(0, len(parts) - 4), len(parts)):
            end = parts[start:]
            ends[end] = path if end not in ends else None
        ends[parts] = path  # a whole path is never ambiguous with the end of another
    return ends


def _find(name: str, ends: dict[Key, str | None], file: VectorFile) -> str | None:
    parts = path_key(name)
    for start in range(len(parts)):
        if parts[start:] in ends:
            path = ends[parts[start:]]
            if path is None:
                raise InputError(f"{name!r} fits several photos of {str(file.path)!r}.")
            return path
    return None


def _unit(vectors: NDArray[Any], path: Path) -> NDArray[np.float32]:
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        raise InputError(
            f"{str(path)!r} holds {vectors.dtype} of shape {vectors.shape}; embeddings are (N, D) floats."
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise InputError(f"{str(path)!r}: {bad.size} rows hold NaN or infinity, the first is row {bad[0]}.")
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not norms.all():
        raise InputError(f"{str(path)!r}: row {int(np.argmin(norms))} is all zero, which has no direction.")
    return np.asarray(wide / norms, np.float32)


def _photos(
    rows: list[dict[str, Any]], count: int, path: Path, rule: str
) -> tuple[dict[str, int | None], dict[str, str]]:
    """One row per photo from a table with a row per face."""
    photos: dict[str, int | None] = {}
    reasons: dict[str, str] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in rows:
        name = str(entry["path"])
        photos.setdefault(name, None)
        if entry.get("row") in (None, ""):
            reasons[name] = f"{entry.get('status') or 'no_face'}: {entry.get('reason') or 'no embedding'}"
            continue
        row = int(entry["row"])
        if not 0 <= row < count:
            raise InputError(f"The table of {str(path)!r} names row {row}, but the array has {count} rows.")
        found.setdefault(name, []).append(entry)
    for name, entries in found.items():
        photos[name] = int(_chosen(entries, rule)["row"])
    return photos, reasons


def _chosen(faces: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    """The face of a photo that counts; without boxes the first, they are in the order of their scores."""
    try:
        boxes = [[float(face[key]) for key in ("x1", "y1", "x2", "y2")] for face in faces]
        size = float(faces[0]["width"]), float(faces[0]["height"])
    except (KeyError, TypeError, ValueError):
        return min(faces, key=lambda face: float(face.get("face") or 0))
    return faces[choose(boxes, size, rule)]


Content = tuple[NDArray[Any], list[dict[str, Any]] | None, dict[str, Any]]


def _read_numpy(path: Path) -> Content:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            vectors = loaded
        else:
            with loaded:
                if "embeddings" not in loaded:
                    raise InputError(f"{str(path)!r} has no array called embeddings, only {list(loaded)}.")
                vectors = loaded["embeddings"]
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:  # NumPy's own words advise to unpickle it
        raise InputError(
            f"{str(path)!r} is not a NumPy file of plain numbers, or is cut short.",
            hint="Pickled objects are not read, because they can run code; save the array with numpy.save.",
        ) from error
    table, about = path.with_suffix(".csv"), path.with_suffix(".json")
    rows: list[dict[str, Any]] | None = None
    if table.is_file():
        with table.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            reader = csv.DictReader(lines)
            if {"path", "row"} <= set(reader.fieldnames or ()):
                rows = list(reader)
    if rows is not None:
        named = sum(row["row"] not in (None, "") for row in rows)
        if named != len(vectors):
            raise InputError(
                f"{str(path)!r} has {len(vectors):,} rows, its table {str(table)!r} names {named:,}.",
                hint="Keep the files of one `facerec embed` together.",
            )
    document: Any = {}
    if about.is_file():
        try:
            document = json.loads(about.read_text("utf-8"))
        except ValueError as error:
            raise InputError(f"{str(about)!r} is not JSON: {error}.") from error
    return vectors, rows, document if isinstance(document, dict) else {}


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
            raise InputError(f"{str(path)!r} has no column {', '.join(sorted(missing))}.")
        document = json.loads((table.schema.metadata or {}).get(b"facerec", b"{}"))
        rows = table.drop_columns(["embedding"]).to_pylist()
        column = table.column("embedding").combine_chunks().drop_null()
        size = column.type.list_size if pyarrow.types.is_fixed_size_list(column.type) else None
        flat = column.flatten().to_numpy(zero_copy_only=False)
        vectors = flat.reshape(len(column), size or (flat.size // max(1, len(column))))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(f"{str(path)!r} cannot be read as Parquet: {error}.") from error
    return vectors, rows, document
