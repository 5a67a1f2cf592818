"""Files that appear whole or not at all, and their sha256.

What is not finished lies beside its place under a name of ours, ``.facerec.NAME.tmp``, and is locked as long
as its writer lives. So whoever writes ``NAME`` again can tell what a killed process has left, and clears it
away, from what another one is writing at this moment, and leaves it alone. A lock of the file itself tells
that also across the machines of a network folder; a process's number would not.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO, Literal

from facerec_cli.errors import FacerecError, OutputError, UsageError
from facerec_cli.locks import clear_dead, exclusive, is_at, lock_file

_WORKSHOP = re.compile(r"\.facerec\..+\.tmp")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room: the disk, a quota, a limit of the size of files."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def output_error(path: str | Path, fault: OSError, *, what: str = "", hint: str = "") -> OutputError:
    """The error of an output that the system does not let us write.

    Args:
        path: The output. A workshop on the way to it, which the user never sees, is left out of the message.
        fault: What the system said. A folder that it names and that ``path`` lies in is told too.
        what: What the output is, e.g. "threshold card".
        hint: What more there is to do, after where to find room.
    """
    shown = Path(path)
    shown = Path(*(part for part in shown.parts if not _WORKSHOP.fullmatch(part)))
    place = f"The {what} {shown}" if what else str(shown)
    reason = str(fault.strerror or fault)
    named = os.fsdecode(fault.filename) if isinstance(fault.filename, str | bytes | os.PathLike) else ""
    if named and named != str(path) and Path(named) in Path(path).parents:
        reason = f"{named}: {reason}"
    if fault.errno in (errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
        reason = dangling(Path(path)) or reason
    if fault.errno in NO_SPACE:
        cure = "Make room there, or name another place."
    elif fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        cure = "Name a place that you may write to."
    else:
        cure = "Name another place."
    return OutputError(f"{place} cannot be written: {reason}.", hint=f"{cure} {hint}".rstrip())


def dangling(path: Path) -> str:
    """Which link on the way to ``path`` leads nowhere, as a sentence's part; empty where none does."""
    for there in (path, *path.parents):
        if there.is_symlink() and not there.exists():
            return f"{there} is a link to {there.readlink()}, which is not there"
    return ""


@contextlib.contextmanager
def writing(path: str | Path, *, what: str = "", hint: str = "") -> Iterator[None]:
    """Tell of ``path`` where the system refuses something; only for a block that does nothing but write it.

    Raises:
        OutputError: With the system's reason; BrokenPipeError is left to who reads the pipe.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise output_error(path, fault, what=what, hint=hint) from fault


def make_folder(folder: Path, *, what: str = "", hint: str = "") -> Path:
    """Make ``folder`` and those above it, where they are not there.

    Raises:
        OutputError: It cannot be made, or is a file.
    """
    with writing(folder, what=what, hint=hint):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def refuse_special(path: Path) -> None:
    """Refuse to write where something else than a file is in the way.

    Results are renamed into place. A device or pipe of that name would be gone, for every program of the
    machine.

    Raises:
        UsageError: It is a device, pipe or socket.
    """
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH120
    special = folder == "/dev" or folder.startswith("/proc/")  # there a redirected stdout looks like a file
    with contextlib.suppress(OSError, ValueError):
        special |= stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR)
    if special:
        raise UsageError(
            f"{path} is a device, pipe or socket, and no file can be written there.", hint="Name a file."
        )


class _Raw(io.FileIO):
    """A file that remembers why it could not be written, as zip, torch and Arrow tell it in theirs."""

    fault: OSError | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            return super().write(data) or 0
        except OSError as fault:
            self.fault = fault
            raise


@contextlib.contextmanager
def atomic_write(
    path: str | Path,
    *,
    what: str = "",
    hint: str = "",
    devices: Literal["refuse", "through"] = "refuse",
    folder: Path | None = None,
    sync_folder: bool = False,
) -> Iterator[BinaryIO]:
    """A file to write to that appears under its name, whole and on the disk, when the block ends well.

    Folders above it are made. What a link leads to is replaced, not the link. The umask decides who may read
    it. What a killed process has left of this very file is cleared away.

    Args:
        path: Where it appears.
        what: What it is, for the message, e.g. "threshold card".
        hint: What more there is to do where it cannot be written.
        devices: Whether a pipe or device of that name is refused or written to as it is; to replace it would
            take it away from every program of the machine.
        folder: Where it is until then, if that is on the same disk; beside its place by default.
        sync_folder: Flush the rename to the disk too.

    Raises:
        OutputError: It cannot be written. A fault of what the block reads is left as it is.
        UsageError: A device, pipe or socket has that name, and is refused.
    """
    named, path = path, Path(os.path.realpath(path))
    if devices == "through" and path.exists() and not path.is_file() and not path.is_dir():
        with writing(named, what=what, hint=hint), path.open("wb") as device:
            yield device
        return
    refuse_special(Path(named))
    with writing(named, what=what, hint=hint):
        part, raw = _open_beside(path, folder)
    stream = io.BufferedWriter(raw)  # type: ignore[type-var]  # typeshed wants its write() to take less
    try:
        try:
            yield stream
            with writing(named, what=what, hint=hint):
                stream.flush()
                os.fsync(raw.fileno())
                if sys.platform == "win32":  # which renames no open file
                    stream.close()
                part.replace(path)
                if sync_folder:
                    _sync(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                if sys.platform == "win32":
                    stream.close()
                part.unlink(missing_ok=True)
            raise
        finally:
            with contextlib.suppress(OSError, ValueError):  # what is buffered cannot be written either
                stream.close()
    except OutputError:
        raise
    except BaseException as fault:
        if raw.fault is not None and isinstance(fault, Exception):
            raise output_error(named, raw.fault, what=what, hint=hint) from fault
        raise


def write_file(
    path: str | Path,
    content: bytes,
    *,
    what: str = "",
    hint: str = "",
    devices: Literal["refuse", "through"] = "refuse",
) -> None:
    """Write ``content`` to ``path``; as :func:`atomic_write`."""
    with atomic_write(path, what=what, hint=hint, devices=devices) as stream:
        stream.write(content)


def _open_beside(target: Path, folder: Path | None) -> tuple[Path, _Raw]:
    """A new file of ours for ``target``, locked; what dead processes have left of it is gone."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    target.parent.mkdir(parents=True, exist_ok=True)
    disk = target.parent.stat().st_dev
    if folder is None or folder.stat().st_dev != disk:  # a link may lead to another one
        folder = target.parent
    name = target.name
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    for number in count():
        path = beside(folder / name, f"{number}.tmp" if number else "tmp")
        for _ in range(100):  # until a number is ours or is known to be another's
            try:
                raw = _Raw(os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o666), "r+b")
            except FileExistsError:
                if not clear_dead(path):
                    break
                continue
            if sys.platform != "win32" and lock_file(raw, wait=True) and not is_at(raw, path):
                raw.close()  # cleared away before it was locked
                continue
            for later in count(number + 1):
                if not clear_dead(beside(folder / name, f"{later}.tmp")):
                    break
            return path, raw
    raise AssertionError("unreachable")


def _sync(folder: Path) -> None:
    """Make a rename durable where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def beside(path: Path, ending: str) -> Path:
    """The hidden name beside ``path`` that is ours for one use, e.g. ``.facerec.NAME.lock``.

    Raises:
        UsageError: ``path`` is the root of a disk.
    """
    name = path.name
    if not name:
        raise UsageError(f"{path} cannot be an output.", hint="Name a file or a new folder in it.")
    if len(os.fsencode(name)) > 200:  # together it may be as long as the disk allows
        name = f"{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return path.with_name(f".facerec.{name}.{ending}")


@contextlib.contextmanager
def lock(
    output: Path, *, inside: bool = False, busy: FacerecError | None = None, hint: str = ""
) -> Iterator[bool]:
    """Keep every other process from writing to ``output`` meanwhile, by ``.facerec.NAME.lock`` beside it.

    Args:
        output: A file or folder.
        inside: The lock is in the folder ``output``, which is there: what it lies in may not be ours.
        busy: What is raised where another process is at it; a UsageError by default.
        hint: What more there is to do where nothing can be written.

    Yields:
        Whether it is held; False on a disk that knows no locks.

    Raises:
        UsageError: Another process is at it.
        OutputError: Nothing can be written there.
    """
    place = output / ".facerec.lock" if inside else beside(output, "lock")
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(exclusive(place))
        except BlockingIOError as fault:
            raise busy or UsageError(
                f"Another facerec is writing {output} now.", hint="Wait for it to end, or choose another -o."
            ) from fault
        except OSError as fault:
            raise output_error(output, fault, hint=hint) from fault
        yield held
