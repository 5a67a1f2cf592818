"""facerec: train, export, embed and verify face recognition models.

The names below are the public Python interface; each is imported when it is first used, so that
``import facerec_cli`` costs nothing. docs/python-api.md shows them at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli._version import __version__
from facerec_cli.lazy import lazy_names
from facerec_cli.privacy import keep_private

if TYPE_CHECKING:
    from facerec_cli.embed import EmbedOptions, embed_photos, embed_to_file
    from facerec_cli.embeddings.read import open_table
    from facerec_cli.embeddings.table import EmbeddingTable
    from facerec_cli.errors import FacerecError
    from facerec_cli.faces import Face, FaceModel, open_model
    from facerec_cli.images import find_images, read_image
    from facerec_cli.metrics.evaluate import evaluate
    from facerec_cli.packs.resolve import open_pack
    from facerec_cli.pairs.read import read_pairs

_PUBLIC = {
    "EmbedOptions": "facerec_cli.embed",
    "EmbeddingTable": "facerec_cli.embeddings.table",
    "Face": "facerec_cli.faces",
    "FaceModel": "facerec_cli.faces",
    "FacerecError": "facerec_cli.errors",
    "embed_photos": "facerec_cli.embed",
    "embed_to_file": "facerec_cli.embed",
    "evaluate": "facerec_cli.metrics.evaluate",
    "find_images": "facerec_cli.images",
    "open_model": "facerec_cli.faces",
    "open_pack": "facerec_cli.packs.resolve",
    "open_table": "facerec_cli.embeddings.read",
    "read_image": "facerec_cli.images",
    "read_pairs": "facerec_cli.pairs.read",
}

__all__ = [
    "EmbedOptions",
    "EmbeddingTable",
    "Face",
    "FaceModel",
    "FacerecError",
    "__version__",
    "embed_photos",
    "embed_to_file",
    "evaluate",
    "find_images",
    "open_model",
    "open_pack",
    "open_table",
    "read_image",
    "read_pairs",
]


keep_private()  # before any module of ours imports a dependency that would report


__getattr__ = lazy_names(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
