"""What may be written where: nothing over the data it is made of, and a reason where the disk says no."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facerec_cli.datasets.base import FaceDataset
from facerec_cli.datasets.folder import PHOTO_SUFFIXES
from facerec_cli.errors import UsageError

_DATA = (*PHOTO_SUFFIXES, ".rec", ".idx", ".lst", ".tar", ".classes.txt")


def require_free(targets: Iterable[Path]) -> None:
    """Raise UsageError where one of ``targets`` exists."""
    for target in targets:
        if target.exists():
            raise UsageError(f"{target} exists.", hint="Name another place, or remove it first.")


def require_own(target: Path, source: FaceDataset) -> None:
    """Refuse a file that holds or lists ``source``'s photos, or anybody's; an older result may be replaced.

    Raises:
        UsageError: It is a folder, a list that was read, or data by its name.
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
