"""The bytes of a photo's file: read whole, from a regular file or a URL, or the reason why not."""

from __future__ import annotations

import errno
import os
import stat

from facerec_cli.errors import InputError
from facerec_cli.images.remote import is_url, read_url
from facerec_cli.images.suffixes import UNREAD_SUFFIXES, suffix_of
from facerec_cli.sniff import HEAD, photo_format, recognize

MAX_BYTES = 1 << 30
"""The largest file that is read."""

_LARGE = 1 << 26  # from here on a file's beginning is looked at before all of it is read


class ImageError(InputError):
    """A photo that cannot be used.

    Args:
        status: One word for tables: missing, empty, unreadable or too_large.
        reason: What is wrong with it, without its name.
        name: What the user calls it.
    """

    def __init__(self, status: str, reason: str, *, name: str = "") -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.status = status
        self.reason = reason


def read_encoded(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a photo's file.

    Nothing is waited for: pipes, devices, sockets and folders are refused unread.

    Args:
        path: A path or a URL (see ``images.remote``).

    Raises:
        ImageError: It is missing, empty, no regular file, too large, or cannot be read.
    """
    name = os.fspath(path)
    if is_url(name):
        return _fetch(name)
    try:
        status = os.stat(name)  # noqa: PTH116 - many small files are read, and pathlib takes its time
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("unreadable", _kind(name, status.st_mode), name=name)
        if status.st_size == 0:  # files of /proc say so too, and some of them have no end
            raise ImageError("empty", "the file is empty", name=name)
        with open(name, "rb") as file:  # noqa: PTH123
            if status.st_size > _LARGE:
                head = file.read(HEAD)
                if not photo_format(head):
                    raise ImageError("unreadable", no_photo(head, name), name=name)
                if status.st_size > MAX_BYTES:
                    raise _too_large(name, f"a file of {status.st_size:,} bytes, ")
                file.seek(0)
            return file.read(status.st_size)
    except ValueError as error:  # a NUL byte in the name
        raise ImageError("missing", "not a possible file name", name=name) from error
    except OSError as error:
        raise _refused(name, error) from error
    except MemoryError as error:
        raise ImageError("too_large", "not enough memory to read the file", name=name) from error


def no_photo(head: bytes, name: str) -> str:
    """Why a file is no photo that can be read, from its first bytes or its suffix, and what to do.

    Args:
        head: The file's first bytes.
        name: Its name.
    """
    content = recognize(head)
    if content is not None and not content.photo:
        what, advice = content.name, content.advice
    else:
        what, advice = UNREAD_SUFFIXES.get(suffix_of(name), ("not an image of a known format", ""))
    return f"{what}; {advice}" if advice else what


def _too_large(name: str, size: str = "") -> ImageError:
    return ImageError("too_large", f"{size}more than the limit of {MAX_BYTES:,} bytes", name=name)


def _kind(path: str, mode: int) -> str:
    """What stands in a file's place."""
    if not stat.S_ISDIR(mode):
        return "a device, pipe or socket, not a file"
    effective = os.access in os.supports_effective_ids
    sealed = not os.access(path, os.R_OK | os.X_OK, effective_ids=effective)
    return "a folder that may not be opened" if sealed else "a folder, not a file"


def _refused(path: str, error: OSError) -> ImageError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        broken = os.path.islink(path)  # noqa: PTH114
        return ImageError(
            "missing", "a link to a file that does not exist" if broken else "no such file", name=path
        )
    status = "missing" if error.errno == errno.ENAMETOOLONG else "unreadable"
    return ImageError(status, (error.strerror or str(error)).lower(), name=path)


def _fetch(url: str) -> bytes:
    """The same for a URL."""
    try:
        data = read_url(url, MAX_BYTES)
    except FileNotFoundError as error:
        raise ImageError("missing", "no such file", name=url) from error
    except OSError as error:
        raise ImageError("unreadable", f"it cannot be fetched: {error}", name=url) from error
    if data is None:
        raise _too_large(url)
    if not data:
        raise ImageError("empty", "the file is empty", name=url)
    return data
