"""What may be written where: nothing over the data it is made of, and nothing over anything in silence."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.errors import UsageError
from facerec_cli.images.suffixes import IMAGE_SUFFIXES
from facerec_cli.outputs import refuse_existing

_DATA = (*IMAGE_SUFFIXES, ".rec", ".idx", ".lst", ".tar", ".classes.txt")


def require_free(targets: Iterable[Path], source: FaceDataset, *, overwrite: bool = False) -> None:
    """Refuse files that are there, and with ``overwrite`` those that ``source`` is read from.

    Raises:
        UsageError: One exists.
    """
    targets = list(targets)
    refuse_existing(targets, overwrite=overwrite)
    given = Path(source.spec)
    for target in targets:
        if target.exists() and given.exists() and target.samefile(given):
            raise UsageError(f"{target} is what is read, and would be lost.", hint="Name another file.")


def require_own(target: Path, source: FaceDataset, *, overwrite: bool = False) -> None:
    """Refuse a file that is there; with ``overwrite`` one that holds or lists photos.

    A pipe or device is written to as it is.

    Raises:
        UsageError: It is a folder, exists, is a list that was read, or data by its name.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder; a file is to be written there.", hint="Name a file in it.")
    if not target.exists():
        return
    given = Path(source.spec)
    if target.name.lower().endswith(_DATA) or (given.exists() and target.samefile(given)):
        raise UsageError(
            f"{target} exists and is training data, which would be lost.", hint="Name another file."
        )
    if target.is_file():
        refuse_existing([target], overwrite=overwrite)
