"""Files that appear together and whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facerec_cli.errors import ModelError
from facerec_cli.packs.manifest import ModelPack

if TYPE_CHECKING:
    from onnx import ModelProto


def sealed(model: ModelProto, pack: ModelPack, path: Path) -> ModelPack:
    """Write ``model`` to ``path`` with the manifest inside."""
    from facerec_cli.packs.metadata import seal

    with _disk(path):
        path.write_bytes(model.SerializeToString())
        return seal(path, pack)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Say what a full or read-only disk means."""
    try:
        yield
    except OSError as fault:
        raise ModelError(
            f"{path} cannot be written: {fault.strerror or fault}.",
            hint="Make room or choose another place with -o. Nothing was left behind.",
        ) from fault


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """A hidden folder beside ``target``, gone at the end."""
    with _disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.stem[:100]}.", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move(moves: Mapping[Path, Path]) -> None:
    """Bring finished files, made -> place, to their places; each one appears at once.

    Raises:
        ModelError: A place cannot be written.
    """
    for made, place in moves.items():
        with _disk(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            if made.stat().st_dev == place.parent.stat().st_dev:
                made.replace(place)
            else:  # --insightface on another disk
                beside = place.with_name(f".{place.name}.part")
                try:
                    shutil.copyfile(made, beside)
                    beside.replace(place)
                finally:
                    beside.unlink(missing_ok=True)
