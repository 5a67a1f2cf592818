"""``.npz``: embeddings, places, scores and norms as arrays, with a table and a description beside it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.formats.beside import (
    Records,
    WithTable,
    reading_numpy,
    table_beside,
    write_beside,
    write_npy,
)
from facerec_cli.embeddings.records import BOX, LANDMARKS, OF_PEOPLE, columns_of
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.faces.quality_limits import MEASURES, QUALITY
from facerec_cli.files import atomic_write
from facerec_cli.untrusted import NpzFile


def _getter(name: str) -> Callable[[Mapping[str, Any]], object]:
    return lambda row: row.get(name, np.nan)


_Column = tuple[str, tuple[int, ...], Callable[[Mapping[str, Any]], object]]
_COLUMNS: Mapping[str, _Column] = {  # type, shape of an entry, and the entry of a record
    "face": ("<i4", (), lambda row: row["face"]),
    "box": ("<f4", (4,), lambda row: [row.get(name, np.nan) for name in BOX]),
    "landmarks": ("<f4", (5, 2), lambda row: [row.get(name, np.nan) for name in LANDMARKS]),
    "score": ("<f4", (), lambda row: row.get("score", np.nan)),
    "norm": ("<f4", (), lambda row: row["norm"]),
    **{name: ("<f4", (), _getter(name)) for name in QUALITY},
}


class Npz(WithTable):
    """The arrays ``embeddings``, ``path``, ``face``, ``box``, ``landmarks``, ``score``, ``norm`` and quality.

    Quality is an array for each of ``faces.quality_limits.QUALITY``. Without its table there is neither
    status nor reason, nor the size of the photos. The arrays ``person``, ``photo_sha256`` and ``added`` say
    whom each face shows in the export of a gallery. Of a file of somebody else's only ``embeddings`` is
    needed.
    """

    magic: ClassVar[bytes] = b"PK"

    def write(
        self, output: Path, shards: Iterable[Shard], description: Mapping[str, Any], scratch: Path | None
    ) -> None:
        """See ``EmbeddingFormat``."""
        texts = [name for name in columns_of(description) if name in ("path", *OF_PEOPLE)]
        columns: Mapping[str, _Column] = {name: _text(name, shards) for name in texts} | dict(_COLUMNS)
        rows = description["rows"]
        with atomic_write(output, folder=scratch) as stream:
            with zipfile.ZipFile(stream, "w", allowZip64=True) as archive:
                with archive.open(_member("embeddings"), "w", force_zip64=True) as member:
                    size = description["embedding_size"]
                    write_npy(member, "<f4", (rows, size), (shard.embeddings for shard in shards))
                for name, (kind, shape, entry) in columns.items():
                    blocks = (np.array([entry(face) for face in shard.faces()], kind) for shard in shards)
                    with archive.open(_member(name), "w", force_zip64=True) as member:
                        write_npy(member, kind, (rows, *shape), blocks)
            write_beside(output, stream, shards, description, scratch)

    def read(self, path: Path) -> EmbeddingTable:
        """See ``EmbeddingFormat``."""
        with reading_numpy(path), NpzFile(path) as archive:
            if "embeddings" not in archive:
                raise InputError(
                    f"{str(path)!r} has no array called embeddings, only {list(archive)}.",
                    hint="Save the array by this name: numpy.savez(path, embeddings=vectors).",
                )
            vectors = archive["embeddings"]
            named = (
                _records(archive, len(vectors) if vectors.ndim else 0, path) if "path" in archive else None
            )
        return table_beside(path, vectors, named)


def _text(name: str, shards: Iterable[Shard]) -> _Column:
    """A column of texts, as wide as the longest."""
    longest = max((len(face[name]) for shard in shards for face in shard.faces()), default=1)
    return f"<U{max(1, longest)}", (), lambda row: row[name]


def _member(name: str) -> zipfile.ZipInfo:
    """An entry without the time of day, so that equal results are equal files."""
    return zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))


def _records(archive: NpzFile, count: int, path: Path) -> Records:
    """What the arrays say of each row. Path, face and box must fit; the others count where they do."""
    expected = {
        "path": ((count,), "U"),
        **dict.fromkeys(OF_PEOPLE, ((count,), "U")),
        "face": ((count,), "iu"),
        "box": ((count, 4), "f"),
        "landmarks": ((count, 5, 2), "f"),
        "score": ((count,), "f"),
        **dict.fromkeys(("norm", *QUALITY), ((count,), "f")),
    }
    arrays = {name: archive[name] for name in expected if name in archive}
    fits = {
        name: (a.shape, a.dtype.kind in expected[name][1]) == (expected[name][0], True)
        for name, a in arrays.items()
    }
    if not all(fits.get(name, True) for name in ("path", "face", "box")):
        raise InputError(
            f"{str(path)!r} has arrays path, face and box that do not fit its {count:,} embeddings.",
            hint="Write it again with `facerec embed`, or leave these arrays out of a file of your own.",
        )
    records: Records = [{"path": name, "row": row} for row, name in enumerate(arrays["path"].tolist())]
    names: dict[str, tuple[str, ...]] = {name: (name,) for name in ("face", *OF_PEOPLE)}
    names |= {"box": BOX, "landmarks": LANDMARKS, **{name: (name,) for name in MEASURES}}
    for array in arrays.keys() & names.keys():
        if fits[array]:
            _fill_in(records, names[array], arrays[array].reshape(count, len(names[array])))
    return records


def _fill_in(records: Records, names: tuple[str, ...], values: NDArray[Any]) -> None:
    """Add the columns of an array; ready crops have NaN."""
    for record, entry in zip(records, values.tolist(), strict=True):
        if all(number == number for number in entry):
            record |= dict(zip(names, entry, strict=True))
