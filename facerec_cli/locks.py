"""Locks that the system takes back when their process ends, however it ends.

By hand, since the package filelock locks files of its own only: here the file that is being written is locked
itself, so that what a killed process left can be told from what another one writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # what some network folders say


class _Opened(Protocol):
    def fileno(self) -> int: ...


@contextlib.contextmanager
def exclusive(path: Path, *, patience: float = 0.0) -> Iterator[bool]:
    """Hold the lock file ``path``, which the system lets go when the process ends, however it ends.

    Args:
        path: The lock file; made with the folders above it, and removed at the end.
        patience: Seconds to wait for another process.

    Yields:
        Whether it is held; False on a disk that knows no locks.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    while True:
        stream = path.open("a+b")
        try:
            held = lock_file(stream)
        except BlockingIOError:
            stream.close()
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
            continue
        if sys.platform == "win32" or not held or is_at(stream, path):
            break
        stream.close()  # its last holder has removed it meanwhile
    try:
        yield held
    finally:
        if sys.platform == "win32":
            stream.close()  # files that are open are not removed there
        with contextlib.suppress(OSError):
            path.unlink()
        stream.close()


def lock_file(stream: _Opened, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; False on a disk that knows no locks.

    Raises:
        BlockingIOError: Another process holds it, and ``wait`` is not wanted.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as fault:
        if fault.errno in _NO_LOCKS:
            return False
        if isinstance(fault, BlockingIOError) or fault.errno in (errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(fault.errno, fault.strerror) from fault
        raise
    return True


def is_at(stream: _Opened, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        there, here = path.lstat(), os.fstat(stream.fileno())
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def clear_dead(path: Path) -> bool:
    """Remove a file that its writer keeps locked, if that writer is no more.

    Returns:
        Whether it is gone now: False where there was none, its writer lives, or nobody can tell.
    """
    if sys.platform == "win32":
        try:
            path.unlink()  # refused while it is open
        except OSError:
            return False
        return True
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as stream, contextlib.suppress(OSError):
        if lock_file(stream) and is_at(stream, path):
            path.unlink()
            return True
    return False
