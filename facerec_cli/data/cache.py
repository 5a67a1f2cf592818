"""Arrays that take long to make from a file and are kept until the file changes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import OutputError
from facerec_cli.files import atomic_write
from facerec_cli.home import cache_folder
from facerec_cli.untrusted import NpzFile

logger = logging.getLogger("facerec")


def remember(kind: str, sources: Sequence[Path], make: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """What ``make`` returns, from an earlier call where the sources' size and time are the same.

    Args:
        kind: What it is, part of the key.
        sources: The files that it is made from.
        make: Makes it.
    """
    stamps = [(str(source.resolve()), source.stat().st_size, source.stat().st_mtime_ns) for source in sources]
    key = hashlib.sha256(repr((kind, stamps)).encode()).hexdigest()[:32]
    path = cache_folder() / f"{kind}-{key}.npz"  # which has a checksum
    try:
        with NpzFile(path) as file:
            stored = file["kept"]
        if stored.dtype == np.int64:
            return stored
    except (OSError, ValueError, KeyError):
        pass  # not there, or damaged: make it
    logger.info("reading %s of %s once; they are kept in %s", kind, sources[0], path)
    made = make()
    try:
        with atomic_write(path) as stream:
            np.savez(stream, kept=made)
    except OutputError as fault:
        logger.info("%s could not be kept (%s)", kind, fault.message)
    return made
