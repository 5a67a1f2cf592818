"""JSON, TOML, XML and NumPy files of somebody else: every fault is a ``ValueError``, no claim is believed.

The parsers raise a dozen kinds of errors for damaged files (``RecursionError`` for a million brackets,
``MemoryError`` for a shape that is only claimed, ``SyntaxError`` and ``TokenError`` for NumPy's headers), and
NumPy makes room for an array before it looks whether the file has it.
"""

from __future__ import annotations

import json
import math
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

from facerec_cli.errors import FacerecError, InputError

_LARGE, _DENSE = 1 << 30, 200
"""A packed array of so many bytes may be so many times smaller; embeddings hardly shrink at all."""

_DEEP = 100
"""How often elements of an XML document may lie in each other; those of XMP do about ten times."""


def parse_json(text: str | bytes) -> Any:
    """The content of a JSON document.

    Raises:
        ValueError: It is none, whatever is wrong with it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML document.

    Raises:
        ValueError: It is none, whatever is wrong with it.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_toml(
    path: Path, *, advice: str, name: str = "", error: type[FacerecError] = InputError
) -> dict[str, Any]:
    """The tables of a TOML file.

    Args:
        path: The file.
        advice: What to do where it cannot be read.
        name: What the file is called in messages; "" takes its path.
        error: What is raised.

    Raises:
        FacerecError: An ``error``: it cannot be read, or is not TOML.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise error(f"{name or path} cannot be read: {fault.strerror}.", hint=advice) from fault
    except ValueError as fault:
        raise error(f"{name or path} cannot be read as TOML: {fault}.", hint=advice) from fault


def parse_xml(data: bytes) -> tuple[Element, dict[str, str]]:
    """The root of an XML document, with its comments and instructions, and the prefix of each namespace.

    Document types are refused, and with them every entity and outside reference (the attacks that the package
    defusedxml lists all begin with one), and so are elements nested more than ``_DEEP`` times.

    Raises:
        ValueError: It is none, has a document type, or is nested too deeply.
    """
    from xml.etree import ElementTree

    prefixes: dict[str, str] = {}

    class Guarded(ElementTree.TreeBuilder):
        depth = 0

        def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
            raise ValueError("it has a document type, which can hold attacks")

        def start(self, tag: Any, attrs: Any) -> Any:
            self.depth += 1
            if self.depth > _DEEP:
                raise ValueError("it is nested too deeply")
            return super().start(tag, attrs)

        def end(self, tag: Any) -> Any:
            self.depth -= 1
            return super().end(tag)

        def start_ns(self, prefix: str, uri: str) -> None:
            if prefix not in prefixes.values():  # a prefix may stand for another namespace further in
                prefixes.setdefault(uri, prefix or "")

    parser = ElementTree.XMLParser(target=Guarded(insert_comments=True, insert_pis=True))
    try:
        parser.feed(data)
        root: Element = parser.close()
    except ValueError:
        raise
    except (ElementTree.ParseError, LookupError, AssertionError) as error:
        raise ValueError(str(error)) from error
    return root, prefixes


def read_npy(path: Path) -> NDArray[Any]:
    """The array of a ``.npy``.

    Raises:
        ValueError: It is none, holds pickled objects, or claims more values than the file has.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        return _read(stream, path.stat().st_size)


class NpzFile(Mapping[str, "NDArray[Any]"]):
    """The arrays of a ``.npz`` by their names, each read when it is asked for.

    Args:
        path: The file.

    Raises:
        ValueError: It is none; on reading an array also what :func:`read_npy` raises.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except OSError:
            raise
        except Exception as error:  # zipfile, zlib and struct have many
            raise ValueError(f"no whole .npz: {error}") from error
        names = self._archive.namelist()
        self._names = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        entry = self._archive.getinfo(f"{name}.npy")
        if entry.file_size > max(_LARGE, _DENSE * entry.compress_size):
            raise ValueError(f"{name} claims {entry.file_size:,} bytes, packed to {entry.compress_size:,}")
        try:
            with self._archive.open(entry) as stream:
                return _read(stream, entry.file_size)  # type: ignore[arg-type]
        except (OSError, ValueError):
            raise
        except Exception as error:
            raise ValueError(f"the array {name} is damaged: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()


def _read(stream: BinaryIO, size: int) -> NDArray[Any]:
    """The array of a ``.npy`` of ``size`` bytes, at whose beginning the stream is."""
    from numpy.lib import format as npy  # here, since settings are read by programs that need no NumPy

    try:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version[0]}.{version[1]}, which plain numbers do not need")
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(stream)
        if kind.hasobject:
            raise ValueError("it holds pickled objects, which can run code")
        wanted = math.prod(shape) * kind.itemsize
        if min(shape, default=0) < 0 or wanted > size - stream.tell() or math.prod(shape) > 1 << 48:
            raise ValueError(f"its header claims {shape} values of {kind}, which the file does not have")
        stream.seek(0)
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    except MemoryError as error:
        raise ValueError("it does not fit into memory") from error
    except (OSError, ValueError):
        raise
    except Exception as error:  # the header is Python's syntax, and is tokenized and evaluated
        raise ValueError(f"its header is damaged: {type(error).__name__}") from error
    return array
