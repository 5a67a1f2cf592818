"""Hugging Face datasets on a disk: Arrow files of ``save_to_disk``, and Parquet files as the hub has them.

Each row has an image, which is a struct of ``bytes`` and ``path`` or the encoded bytes alone, and a label:
numbers, whose names the file's own metadata may give (``ClassLabel``), or texts. Both are read with pyarrow;
nothing in such files is executed, and the package ``datasets`` is not needed.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import MAX_CLASSES, ClassNumbers, FaceDataset, gaps, renumber
from facerec_cli.data.decode import BrokenPhotoError
from facerec_cli.errors import InputError, MissingExtraError
from facerec_cli.sniff import HEAD, refuse_pointer
from facerec_cli.tables.rows import label_column
from facerec_cli.untrusted import parse_json

_TAKES = "It holds *.arrow files of save_to_disk, or *.parquet files, of images and labels."
_MAX_METADATA = 16 * 1024**2  # bytes of the names of classes


class HuggingFaceDataset(FaceDataset):
    """Rows of Arrow or Parquet files. Arrow is mapped into memory; of Parquet a row group is read at a time.

    Args:
        spec: What the user typed.
        files: In their order, all of one kind and with the same columns.

    Raises:
        InputError: A file is damaged, or has no images or no labels.
        MissingExtraError: pyarrow is not installed.
    """

    format = "huggingface"

    def __init__(self, spec: str, files: Sequence[Path]) -> None:
        self.spec = spec
        self._files = list(files)
        self._shards: list[_ArrowShard | _ParquetShard] | None = None
        shards = self._opened()
        self._image, label = _columns(shards[0].schema, files[0])
        for shard, file in zip(shards, files, strict=True):
            if _columns(shard.schema, file) != (self._image, label):
                raise InputError(
                    f"{file} has other columns than {files[0]}.", hint="Name the files of one data set."
                )
        self._starts = np.cumsum([0, *(shard.rows for shard in shards)]).tolist()
        with _reading(files[0]):
            written = [value for shard in shards for value in shard.column(label)]
        named = _class_names(shards[0].schema, label)
        self.labels, self.class_names, self.warnings = _number(written, named, spec)
        if files[0].suffix == ".parquet":
            told = "Parquet is read a group of rows at a time, which is slow in random order; `facerec data "
            self.warnings += (f"{told}convert {spec} -o x.rec` makes a copy to train on",)
        if self._starts[-1] and shards[0].value(self._image, 0) is None:
            raise InputError(
                f"{files[0]} names its photos and does not hold them.",
                hint="Save the data set with the photos embedded, or give the photos themselves.",
            )

    @classmethod
    def open(cls, spec: str) -> HuggingFaceDataset:
        """Open a file, a folder of files, or of a folder with one for each split that of ``train``."""
        path = Path(spec)
        files = [path] if path.is_file() else files_of(path)
        if not files:
            raise InputError(f"{spec} holds no data set.", hint=_TAKES)
        return cls(spec, files)

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        shard, row = self._place(index)
        try:
            data = self._opened()[shard].value(self._image, row)
        except (OSError, ValueError, _arrow_fault()) as fault:
            raise BrokenPhotoError(f"{self.name(index)} cannot be read: {fault}.") from fault
        if data is None:
            raise BrokenPhotoError(f"{self.name(index)} has no photo.")
        return data

    def name(self, index: int) -> str:
        """``class/row``."""
        return f"{self.class_names[int(self.labels[index])]}/{index:08d}"

    def _place(self, index: int) -> tuple[int, int]:
        shard = bisect_right(self._starts, index) - 1
        return shard, index - self._starts[shard]

    def _opened(self) -> list[_ArrowShard | _ParquetShard]:
        """The open files of this process."""
        if self._shards is None:
            self._shards = [_open(path) for path in self._files]
        return self._shards

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_shards": None}


class _ArrowShard:
    """An Arrow file, of either form, in memory as far as it is looked at."""

    def __init__(self, path: Path) -> None:
        pa = _pyarrow()
        source = pa.memory_map(str(path))
        try:
            self._table = pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:
            self._table = pa.ipc.open_file(source).read_all()
        self.schema, self.rows = self._table.schema, self._table.num_rows

    def column(self, name: str) -> Iterable[Any]:
        """The values of a column."""
        return self._table.column(name).to_pylist()  # type: ignore[no-any-return]

    def value(self, name: str, row: int) -> bytes | None:
        """The photo of a row."""
        return _photo(self._table.column(name)[row].as_py())


class _ParquetShard:
    """A Parquet file, with the images of the row group that was looked at last."""

    def __init__(self, path: Path) -> None:
        self._file = _pyarrow("pyarrow.parquet").ParquetFile(path)
        self.schema, self.rows = self._file.schema_arrow, self._file.metadata.num_rows
        groups = (self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups))
        self._starts = np.cumsum([0, *groups]).tolist()
        self._group, self._images = -1, None

    def column(self, name: str) -> Iterable[Any]:
        """The values of a column."""
        return self._file.read(columns=[name]).column(0).to_pylist()  # type: ignore[no-any-return]

    def value(self, name: str, row: int) -> bytes | None:
        """The photo of a row."""
        group = bisect_right(self._starts, row) - 1
        if group != self._group:
            found = self._file.read_row_group(group, columns=[name], use_threads=False)
            self._images, self._group = found.column(0), group
        assert self._images is not None
        return _photo(self._images[row - self._starts[group]].as_py())


def files_of(folder: Path) -> list[Path]:
    """The Arrow or Parquet files of a data set in a folder; none where it holds no such thing.

    Raises:
        InputError: It has several splits and none is called train.
    """
    inner = {p.parent.name: p.parent for p in sorted(folder.glob("*/dataset_info.json"))}
    if (folder / "dataset_dict.json").is_file() and inner:
        folder = inner[_train(sorted(inner), folder)]
    state = folder / "state.json"
    if state.is_file():
        return [folder / name for name in _listed(state)]
    for place in (folder, folder / "data"):
        for suffix in (".arrow", ".parquet"):
            splits: dict[str, list[Path]] = {}
            for path in sorted(place.glob(f"*{suffix}")):
                splits.setdefault(path.stem.partition("-")[0], []).append(path)
            if splits:
                return splits[_train(sorted(splits), folder)]
    return []


def _listed(state: Path) -> list[str]:
    """The names of the files that ``state.json`` lists; none of them leads out of its folder.

    Raises:
        InputError: It cannot be read, or lists nothing.
    """
    try:
        listed = parse_json(state.read_bytes())["_data_files"]
        names = [str(one["filename"]) for one in listed]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{state} lists no files of a data set.", hint="Save the data set again.") from fault
    outside = next((name for name in names if Path(name).name != name), None)
    if outside is not None or not names:
        raise InputError(f"{state} lists {outside or 'no file'}.", hint="Save the data set again.")
    return names


def _train(splits: Sequence[str], folder: Path) -> str:
    if len(splits) > 1 and "train" not in splits:
        raise InputError(
            f"{folder} has the splits {', '.join(splits)}.",
            hint="Name the files or the folder of one of them.",
        )
    return "train" if "train" in splits else splits[0]


def _open(path: Path) -> _ArrowShard | _ParquetShard:
    with _reading(path):
        with path.open("rb") as stream:
            refuse_pointer(stream.read(HEAD), str(path))
        return _ParquetShard(path) if path.suffix == ".parquet" else _ArrowShard(path)


def _columns(schema: Any, path: Path) -> tuple[str, str]:
    """The columns of the images and of the labels."""
    pa = _pyarrow()

    def holds_photos(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(field.name == "bytes" for field in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    image = next((field.name for field in schema if holds_photos(field.type)), None)
    label = label_column(schema.names, None if image is None else schema.names.index(image))
    if image is None or label is None:
        raise InputError(
            f"{path} has the columns {', '.join(schema.names)}, and none that is "
            f"{'a photo' if image is None else 'a label'}.",
            hint="Photos are a column of images (bytes); the person is in one called label or the like.",
        )
    return image, schema.names[label]


def _class_names(schema: Any, label: str) -> list[str] | None:
    """The names of the classes, where the metadata has them."""
    said = (schema.metadata or {}).get(b"huggingface", b"")
    try:
        names = json.loads(said[:_MAX_METADATA])["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _number(
    written: list[Any], named: list[str] | None, spec: str
) -> tuple[NDArray[np.int64], Sequence[str], tuple[str, ...]]:
    """Labels as class numbers, the classes' names, warnings."""
    if not written:
        return np.zeros(0, np.int64), (), ()
    if all(isinstance(value, str) for value in written):
        names = sorted(set(written))
        number_of = {name: number for number, name in enumerate(names)}
        return np.array([number_of[value] for value in written], np.int64), names, ()
    most = len(named) if named else MAX_CLASSES
    wrong = next((row for row, v in enumerate(written) if type(v) is not int or not 0 <= v < most), None)
    if wrong is not None:
        classes = f", but {len(named):,} classes are named" if named else ""
        raise InputError(
            f"Row {wrong:,} of {spec} has the label {written[wrong]!r}{classes}.",
            hint="Labels are whole numbers from 0, or names.",
        )
    numbers = np.array(written, np.int64)
    if named:
        return numbers, named, ()
    values, numbered = renumber(numbers)
    if len(values) <= int(values[-1]):
        told = (gaps(len(values), int(values[-1])),)
        return numbered, [str(value) for value in values.tolist()], told
    return numbers, ClassNumbers(len(values)), ()


def _photo(value: Any) -> bytes | None:
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) and data else None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of a damaged file that it is one."""
    fault_kind = _arrow_fault()
    try:
        yield
    except (fault_kind, OSError, ValueError) as fault:
        raise InputError(
            f"{path} cannot be read: {str(fault).splitlines()[0] if str(fault) else type(fault).__name__}.",
            hint="It is damaged or of another kind: take it from its source again.",
        ) from fault


def _arrow_fault() -> type[Exception]:
    kind: type[Exception] = _pyarrow().ArrowException
    return kind


def _pyarrow(module: str = "pyarrow") -> Any:
    try:
        import_module("pyarrow.ipc")
        return import_module(module)
    except ImportError as fault:
        raise MissingExtraError(
            "pyarrow", extra="parquet", purpose="reading Hugging Face datasets"
        ) from fault
