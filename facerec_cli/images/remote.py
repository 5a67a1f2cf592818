"""Photos and results at a URL: object stores and whatever fsspec knows, through pyarrow's file systems.

``s3://``, ``gs://`` and ``file://`` are pyarrow's own; ``http://``, ``memory://``, ``sftp://``, ``az://`` and
all others are fsspec's, some of which need a package of their own. Credentials are found as those libraries
find them (environment, profile, instance role); a query (``?region=...&endpoint_override=...``) is handed on.

fsspec alone would need two more trees of packages for S3 and GCS, with other names of those settings, while
pyarrow, which writes the Parquet shards anyway, brings both.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from facerec_cli.errors import FacerecError, InputError, MissingExtraError, ResourceError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_NATIVE = ("s3", "gs", "gcs")  # of pyarrow's own, with paths like bucket/key
_ATTEMPTS, _PAUSE = 3, 0.5
_TIMEOUT = 60.0  # seconds until a place has answered for the first time; the libraries wait up to 15 minutes
_RETRY = 20  # seconds that Google's library tries one request again
_RETRY_AFTER = 60.0  # seconds until a place that could not be reached is asked again, for later photos
_DENIED = re.compile(r"ACCESS_DENIED|NO_SUCH_BUCKET|[Nn]ot found|[Ff]orbidden|[Uu]nauthorized|40[134]")


def is_url(text: str) -> bool:
    """Whether this is a URL and no path; ``C:/photos`` is none."""
    return _URL.match(text) is not None


def locate(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it.

    Returns:
        A ``pyarrow.fs.FileSystem`` (opened once a bucket), and what it calls the path.

    Raises:
        MissingExtraError: pyarrow or fsspec is not installed.
        InputError: Nothing here can open such a URL, or the place refuses.
        ResourceError: The place does not answer.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return _arrow().LocalFileSystem(), rest
    if scheme in _NATIVE:
        place, _, query = rest.partition("?")
        bucket = place.partition("/")[0]
        if scheme != "s3" and "retry_limit_seconds" not in query:
            query = f"{query}&retry_limit_seconds={_RETRY}".lstrip("&")
        return _opened(f"{scheme}://{bucket}" + (f"?{query}" if query else "")), place
    fs = _arrow()
    try:
        import fsspec.core
    except ImportError as error:
        raise MissingExtraError("fsspec", extra="cloud", purpose=f"{scheme}://") from error
    try:
        inner, path = fsspec.core.url_to_fs(url, **_patience(scheme))
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{url} cannot be opened: {error}.",
            hint="Check the address, the network and what may be read there.",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(inner)), str(path)


def refuse_unknown_schemes(places: Iterable[str]) -> None:
    """Refuse URLs of a kind that nothing here can open, before any work is begun for them.

    Args:
        places: Paths and URLs; the network is not asked for any of them.

    Raises:
        MissingExtraError: pyarrow or fsspec is not installed.
        InputError: Nothing here can open such a URL.
    """
    one_of_each = {place.partition("://")[0]: place for place in places if is_url(place)}
    for scheme, url in one_of_each.items():
        if scheme in _NATIVE:  # to locate one of these asks its server
            _arrow()
        else:
            locate(url)


def read_url(url: str, limit: int) -> bytes | None:
    """The content of the file at a URL; None when it has more than ``limit`` bytes.

    A fault of the network is tried again, twice.

    Raises:
        OSError: FileNotFoundError where there is no such file; anything else where it cannot be read.
    """
    try:
        files, path = locate(url)
    except (InputError, ResourceError) as error:
        if url.partition("://")[0] not in _NATIVE:  # nothing here can open any such URL
            raise
        raise OSError(str(error)) from error
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
    if files.type_name.startswith("py::fsspec"):  # pyarrow would take each of its faults for a missing file
        content = bytes(files.handler.fs.cat_file(path, end=limit + 1))
        return content if len(content) <= limit else None
    with files.open_input_file(path) as stream:
        return bytes(stream.read()) if stream.size() <= limit else None


def list_url(url: str) -> list[str] | None:
    """The URLs of all files below a folder or prefix, sorted; None where the URL is no folder.

    Raises:
        InputError: It cannot be listed.
        ResourceError: The place does not answer.
    """
    fs = _arrow()
    if kind_of(url) != fs.FileType.Directory:
        return None
    files, path = locate(url)
    try:
        entries = files.get_file_info(fs.FileSelector(path.rstrip("/") or path, recursive=True))
    except Exception as error:  # each library behind fsspec has faults of its own
        raise _fault(f"{url} cannot be listed", error) from error
    start, _, query = url.partition("?")
    top = path.rstrip("/")
    base = start.rstrip("/")
    return sorted(
        f"{base}/{entry.path[len(top) :].lstrip('/')}" + (f"?{query}" if query else "")
        for entry in entries
        if entry.type == fs.FileType.File
    )


def kind_of(url: str) -> Any:
    """What is at a URL, a ``pyarrow.fs.FileType``: the first question to a place, to be answered soon.

    Raises:
        InputError: The place refuses to say.
        ResourceError: It does not answer.
    """
    files, path = locate(url)
    try:
        return _soon(url, lambda: files.get_file_info(path.rstrip("/") or path).type)
    except FacerecError:
        raise
    except Exception as error:  # each library behind fsspec has faults of its own
        raise _fault(f"{url} cannot be reached", error) from error


def _soon(url: str, ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives; it runs in a thread of its own, which Ctrl-C and the clock need not wait for."""
    answer: list[Any] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(ask())
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, name="facerec-reach", daemon=True)
    thread.start()
    thread.join(_TIMEOUT)
    if faults:
        raise faults[0]
    if not answer:
        raise ResourceError(f"{url} cannot be reached: no answer within {_TIMEOUT:g} seconds.", hint=_HINT)
    return answer[0]


_HINT = "Look at the name, the network, proxies (HTTPS_PROXY) and credentials, and run it again."


def _fault(what: str, error: BaseException) -> FacerecError:
    """A refusal is told apart from a place that is not there: only the latter may be there tomorrow."""
    refused = isinstance(error, FileNotFoundError | PermissionError) or _DENIED.search(str(error))
    kind = InputError if refused else ResourceError
    reason = str(error) or type(error).__name__
    return kind(f"{what}: {reason.rstrip('.')}.", hint="" if refused else _HINT)


_unreached: dict[str, tuple[float, FacerecError]] = {}


def _opened(root: str) -> Any:
    """The file system of a bucket; one that could not be opened is not tried again at once."""
    since, fault = _unreached.get(root, (0.0, None))
    if fault is not None and time.monotonic() - since < _RETRY_AFTER:
        raise fault
    try:
        return _soon(root, lambda: _native(root))
    except Exception as error:
        refusal = error if isinstance(error, FacerecError) else _fault(f"{root} cannot be reached", error)
        _unreached[root] = time.monotonic(), refusal
        raise refusal from error


def _patience(scheme: str) -> dict[str, Any]:
    """What makes fsspec's file system give up in time; its HTTP would wait five minutes for each answer."""
    if scheme not in ("http", "https"):
        return {}
    try:
        import aiohttp
    except ImportError:  # fsspec will say what is missing
        return {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT / 4, sock_read=_TIMEOUT / 2)
    return {"client_kwargs": {"timeout": timeout}}


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
