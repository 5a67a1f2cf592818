"""An ONNX file with its manifest inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facerec_cli.files import writing
from facerec_cli.packs.manifest import ModelPack

if TYPE_CHECKING:
    from onnx import ModelProto


HINT = "The flag -o names it. Nothing was left behind."


def sealed(model: ModelProto, pack: ModelPack, path: Path) -> ModelPack:
    """Write ``model`` to ``path`` with the manifest inside."""
    from facerec_cli.packs.metadata import seal

    with writing(path, hint=HINT):
        path.write_bytes(model.SerializeToString())
    return seal(path, pack)
