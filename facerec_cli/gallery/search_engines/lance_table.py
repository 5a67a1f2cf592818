"""The people of a gallery as a table of LanceDB, on a disk or in an object store, where others search it too.

The gallery stays the record: :meth:`PeopleTable.sync` brings the table to it. Who was added or changed is
merged in; an older template of somebody who is still there may stay in a file. Where somebody was removed the
table is written anew and its old versions are deleted, since LanceDB only marks rows as deleted: after its
``delete`` and ``optimize`` without old versions, 0.40 still had the vector in a file and the name in another.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, MissingExtraError, ModelError, ResourceError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.codes import take
from facerec_cli.gallery.search_engines.index_file import live_rows
from facerec_cli.metrics.scores import Vectors
from facerec_cli.untrusted import parse_json

TABLE, SCHEMA = "people", 1
INDEXED_FROM = 100_000
"""People from which on a search reads LanceDB's codes of 4 bits a pair instead of vectors."""

_METADATA = b"facerec"
_AT_ONCE = 1 << 13  # rows
_LIST = 1 << 13  # rows of a list of the index, all of which are read
_UNINDEXED = 0.2  # share of rows that may lie outside of it


def import_lancedb() -> Any:
    """The lancedb module.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ.setdefault("LANCEDB_LOG", "error")  # else it tells on stderr that a new table is new
    try:
        return import_module("lancedb")
    except ImportError as error:
        raise MissingExtraError("lancedb", extra="lancedb", purpose="--engine lancedb") from error


@dataclass(frozen=True, slots=True)
class SyncedPeople:
    """What a table was brought to.

    Attributes:
        added: People who are new in it.
        updated: People whose template has changed.
        removed: People who are no longer in it, nor in any version of it.
    """

    added: int
    updated: int
    removed: int


class PeopleTable:
    """The table ``people`` of a LanceDB database.

    Args:
        uri: A folder, or ``s3://bucket/folder`` and the like; credentials as LanceDB takes them.

    Every method raises ``ResourceError`` where LanceDB cannot do what is asked of it.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        lancedb = import_lancedb()
        with self._told():
            self._base = lancedb.connect(uri)
            self._table: Any = None
            try:
                self._table = self._base.open_table(TABLE)
            except ValueError as fault:
                if "not found" not in str(fault):
                    raise

    def sync(self, people: EnrolledPeople) -> SyncedPeople:
        """Bring the table to the people who are enrolled now; nothing is written where it is so already.

        Raises:
            ModelError: The table is of another model, or of embeddings that were made in another way.
            InputError: It is not ours, or of a newer facerec.
        """
        if len(people) == 0:
            return SyncedPeople(0, 0, self._drop())
        rows = live_rows(people)
        names = [people.names[person] for person in people.person[rows].tolist()]
        now = dict(zip(names, _digests(people, rows).tolist(), strict=True))
        if self._table is None:
            self._write(people, rows)
            return SyncedPeople(len(now), 0, 0)
        self._require(people)
        with self._told():
            stored = dict(self._stored())
        removed = stored.keys() - now.keys()
        changed = np.array([stored.get(name) != digest for name, digest in now.items()], bool)
        added = sum(name not in stored for name in now)
        if removed:
            self._write(people, rows)
        elif changed.any():
            with self._told():
                merge = (
                    self._table.merge_insert("person").when_matched_update_all().when_not_matched_insert_all()
                )
                merge.execute(self._reader(people, rows[changed]))
                self._prune()
                self._index()
        return SyncedPeople(added, int(changed.sum()) - added, len(removed))

    def candidates(self, probes: Vectors, count: int) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        """The nearest people by what the table has, in any order.

        Args:
            probes: (M, D) float32 of unit length.
            count: How many of each probe.

        Returns:
            (A,) int64 numbers of probes, and (A,) names.
        """
        with self._told():
            query = self._table.search(np.ascontiguousarray(probes), vector_column_name="embedding")
            # With all lists read nobody is out of reach, only roughly scored.
            query = query.distance_type("dot").nprobes(max(1, len(self) // _LIST)).limit(count)
            found = query.select(["person", "_distance"]).to_arrow()
            single = "query_index" not in found.column_names
            numbers = np.zeros(len(found), np.int64) if single else found["query_index"].to_numpy()
            return numbers.astype(np.int64), found["person"].to_numpy()

    def __len__(self) -> int:
        with self._told():
            return 0 if self._table is None else int(self._table.count_rows())

    def _drop(self) -> int:
        """Delete the table, and say how many people it had."""
        count = len(self)
        if self._table is not None:
            with self._told():
                self._base.drop_table(TABLE)
            self._table = None
        return count

    def _write(self, people: EnrolledPeople, rows: NDArray[np.int64]) -> None:
        """Write all anew, and delete what was before."""
        with self._told():
            reader = self._reader(people, rows)
            self._table = self._base.create_table(TABLE, reader, schema=reader.schema, mode="overwrite")
            self._prune()
            self._index()

    def _prune(self) -> None:
        """Leave the newest version only: the others hold templates that are no longer in the gallery."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that readers of old versions will fail
            self._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)

    def _index(self) -> None:
        """Make the index of a large table where there is none, or where it has too few of the rows."""
        count = len(self)
        if count < INDEXED_FROM:
            return
        for index in self._table.list_indices():
            statistics = self._table.index_stats(index.name)
            if statistics is not None and statistics.num_unindexed_rows < _UNINDEXED * count:
                return
        kinds = import_module("lancedb.index")
        size = self._table.schema.field("embedding").type.list_size
        codes = size // 2 if size % 2 == 0 else size
        config = kinds.IvfPq(
            distance_type="dot", num_partitions=max(1, count // _LIST), num_sub_vectors=codes, num_bits=4
        )
        self._table.create_index("embedding", config=config, replace=True)
        self._prune()

    def _stored(self) -> Iterator[tuple[str, int]]:
        for batch in self._table.search().select(["person", "digest"]).to_batches(_AT_ONCE):
            yield from zip(batch["person"].to_pylist(), batch["digest"].to_pylist(), strict=True)

    def _require(self, people: EnrolledPeople) -> None:
        """Refuse a table of another model, or of another program."""
        try:
            about = parse_json((self._table.schema.metadata or {})[_METADATA])
            known = about["schema"] == SCHEMA and {"person", "digest", "embedding"} <= {
                *self._table.schema.names
            }
        except (KeyError, TypeError, ValueError):
            known = False
        if not known:
            raise InputError(
                f"The table {TABLE!r} at {self.uri} was not made by this version of facerec.",
                hint="Name another folder or URI with --table.",
            )
        wanted = _about(people)
        if {key: about.get(key) for key in wanted} != wanted:
            raise ModelError(
                f"The table {TABLE!r} at {self.uri} has embeddings of {about.get('model')!r} "
                f"({str(about.get('sha256'))[:12]}), {people.source} those of {people.model.name!r} "
                f"({people.model.sha256[:12]}), or they differ in flip or dimensions.",
                hint="Name another folder or URI with --table: a table is of one model.",
            )

    def _reader(self, people: EnrolledPeople, rows: NDArray[np.int64]) -> Any:
        """The rows as Arrow's batches, read in parts."""
        pyarrow = import_module("pyarrow")
        vector = pyarrow.list_(pyarrow.float32(), people.templates[0].shape[1])
        fields = [("person", pyarrow.string()), ("faces", pyarrow.int64())]
        fields += [("digest", pyarrow.int64()), ("embedding", vector)]
        about = json.dumps(_about(people)).encode()
        schema = pyarrow.schema(fields, metadata={_METADATA: about})

        def batches() -> Iterator[Any]:
            for start in range(0, len(rows), _AT_ONCE):
                some = rows[start : start + _AT_ONCE]
                who = people.person[some]
                flat = pyarrow.array(take(people.templates, some).reshape(-1))
                columns = [
                    pyarrow.array([people.names[one] for one in who.tolist()], pyarrow.string()),
                    pyarrow.array(people.faces[who].astype(np.int64)),
                    pyarrow.array(_digests(people, some)),
                    pyarrow.FixedSizeListArray.from_arrays(flat, type=vector),
                ]
                yield pyarrow.record_batch(columns, schema=schema)

        return pyarrow.RecordBatchReader.from_batches(schema, batches())

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise ResourceError(
                f"LanceDB cannot use {self.uri}: {lines[0][:300]}",
                hint="Check the address and the credentials, and that nobody else is writing there.",
            ) from error


def _about(people: EnrolledPeople) -> Mapping[str, Any]:
    """What all rows of a table have in common."""
    return {
        "schema": SCHEMA,
        "model": people.model.name,
        "sha256": people.model.sha256,
        "flip": bool(people.settings.get("flip", False)),
        "dimensions": int(people.templates[0].shape[1]),
    }


def _digests(people: EnrolledPeople, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) int64, a number of each template that changes when it does."""
    weights = np.random.default_rng(0).integers(1 << 62, size=people.templates[0].shape[1], dtype=np.uint64)
    made = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _AT_ONCE):
        bits = take(people.templates, rows[start : start + _AT_ONCE]).view(np.uint32)
        made[start : start + _AT_ONCE] = (bits * (weights | 1)).sum(axis=1)
    return made.view(np.int64)


def files_with(folder: Path, content: bytes) -> list[Path]:
    """The files of a table on a disk that have these bytes: the proof that somebody is gone."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and content in path.read_bytes()]
