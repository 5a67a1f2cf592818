"""Photos and results at a URL: object stores and whatever fsspec knows, through pyarrow's file systems.

``s3://``, ``gs://`` and ``file://`` are pyarrow's own; ``http://``, ``memory://``, ``sftp://``, ``az://`` and
all others are fsspec's, some of which need a package of their own. Credentials are found as those libraries
find them (environment, profile, instance role); a query (``?region=...&endpoint_override=...``) is handed on.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Any

from facerec_cli.errors import InputError, MissingExtraError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_NATIVE = ("s3", "gs", "gcs")  # of pyarrow's own, with paths like bucket/key
_ATTEMPTS, _PAUSE = 3, 0.5


def is_url(text: str) -> bool:
    """Whether this is a URL and no path; ``C:/photos`` is none."""
    return _URL.match(text) is not None


def locate(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it.

    Returns:
        A ``pyarrow.fs.FileSystem`` (opened once a bucket), and what it calls the path.

    Raises:
        MissingExtraError: pyarrow or fsspec is not installed.
        InputError: Nothing here can open such a URL.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return _arrow().LocalFileSystem(), rest
    if scheme in _NATIVE:
        place, _, query = rest.partition("?")
        bucket = place.partition("/")[0]
        return _native(f"{scheme}://{bucket}" + (f"?{query}" if query else "")), place
    fs = _arrow()
    try:
        import fsspec.core
    except ImportError as error:
        raise MissingExtraError("fsspec", extra="cloud", purpose=f"{scheme}://") from error
    try:
        inner, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{url} cannot be opened: {error}.",
            hint="Check the address, the network and what may be read there.",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(inner)), str(path)


def read_url(url: str, limit: int) -> bytes | None:
    """The content of the file at a URL; None when it has more than ``limit`` bytes.

    A fault of the network is tried again, twice.

    Raises:
        OSError: FileNotFoundError where there is no such file; anything else where it cannot be read.
    """
    files, path = locate(url)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read(files, path, limit)
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except Exception as error:  # each library behind fsspec has faults of its own
            if attempt == _ATTEMPTS:
                raise OSError(f"{type(error).__name__}: {error}") from error
            time.sleep(_PAUSE * 4 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def _read(files: Any, path: str, limit: int) -> bytes | None:
    if files.type_name.startswith(
        "py::fsspec"
    ):  # itself: pyarrow takes each of its faults for a missing file
        content = bytes(files.handler.fs.cat_file(path, end=limit + 1))
        return content if len(content) <= limit else None
    with files.open_input_file(path) as stream:
        return bytes(stream.read()) if stream.size() <= limit else None


def list_url(url: str) -> list[str] | None:
    """The URLs of all files below a folder or prefix, sorted; None where the URL is no folder.

    Raises:
        InputError: It cannot be listed.
    """
    fs = _arrow()
    files, path = locate(url)
    try:
        if files.get_file_info(path.rstrip("/") or path).type != fs.FileType.Directory:
            return None
        found = files.get_file_info(fs.FileSelector(path.rstrip("/") or path, recursive=True))
    except OSError as error:
        raise InputError(
            f"{url} cannot be listed: {error}.",
            hint="Check the address, the network and what may be read there.",
        ) from error
    start, _, query = url.partition("?")
    top = path.rstrip("/")
    base = start.rstrip("/")
    return sorted(
        f"{base}/{entry.path[len(top) :].lstrip('/')}" + (f"?{query}" if query else "")
        for entry in found
        if entry.type == fs.FileType.File
    )


@lru_cache(maxsize=64)
def _native(root: str) -> Any:
    files, _ = _arrow().FileSystem.from_uri(root)
    return files


def _arrow() -> Any:
    try:
        import pyarrow.fs
    except ImportError as error:
        raise MissingExtraError("pyarrow", extra="cloud", purpose="Reading or writing at a URL") from error
    return pyarrow.fs
