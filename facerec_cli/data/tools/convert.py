"""From one format to another without loss: the encoded bytes of every photo stay as they are.

Everything is written beside its place and moved there when it is whole, by the format's own module.
"""

from __future__ import annotations

import logging
from pathlib import Path

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.formats.rec.write import rec_files
from facerec_cli.data.targets import require_free
from facerec_cli.errors import UsageError
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DATASET_WRITERS, load
from facerec_cli.suggest import guess_or_list
from facerec_cli.workshop import clear_workshop

log = logging.getLogger("facerec")


def format_of(target: Path) -> str:
    """The format that a target's name asks for: .rec, .tar (a folder of shards), a list, else a folder."""
    formats = {".rec": "rec", ".tar": "tar", ".txt": "list", ".tsv": "list", ".lst": "list"}
    return formats.get(target.suffix, "folder")


def convert(
    source: FaceDataset,
    target: Path,
    to: str | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> str:
    """Write ``source`` in another format.

    Args:
        source: What to write.
        target: A new folder, ``x.rec``, or ``x.txt`` (a list of files that exist already).
        to: "folder", "rec", "list" or "tar"; None: by the target's name.
        overwrite: Replace files that are there; a folder with something in it never is.
        progress: Told of the photos written.

    Returns:
        The format written.

    Raises:
        UsageError: The target or a file beside it exists, or its format is unknown.
        OutputError: It cannot be written.
        InputError: A photo cannot be read, or has a name that cannot be written.
    """
    to = to or format_of(target)
    if to not in DATASET_WRITERS:
        raise UsageError(f"There is no way to write {to!r}.", hint=guess_or_list(to, sorted(DATASET_WRITERS)))
    if source.weights is not None and to != "list":
        log.warning("The weights of %s are not kept: only a list has them.", source.spec)
    clear_workshop(target, rec_files(target) if to == "rec" else ())
    if not (target.is_dir() and not any(target.iterdir())):
        require_free([target], source, overwrite=overwrite and to in ("rec", "list"))
    load(DATASET_WRITERS, to, "format")(source, target, progress, overwrite)
    return to
