"""facerec: train, export, embed and verify with face recognition models, and identify people.

The names below are the public Python interface; each is imported when it is first used, so that
``import facerec_cli`` costs nothing. docs/python-api.md shows them at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli._version import __version__
from facerec_cli.lazy import lazy_names
from facerec_cli.privacy import keep_private

if TYPE_CHECKING:
    from facerec_cli.clusters.labels import cluster
    from facerec_cli.clusters.run import cluster_faces
    from facerec_cli.embed import EmbedOptions, embed_photos, embed_to_file
    from facerec_cli.embeddings.read import open_table
    from facerec_cli.embeddings.table import EmbeddingTable, ModelInfo
    from facerec_cli.errors import FacerecError
    from facerec_cli.faces import Face, FaceModel, open_model
    from facerec_cli.gallery.enroll import enroll
    from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
    from facerec_cli.gallery.settings import EnrollSettings
    from facerec_cli.identify.people import open_people
    from facerec_cli.identify.run import search_gallery
    from facerec_cli.identify.settings import IdentifySettings
    from facerec_cli.images import find_images, read_image
    from facerec_cli.metrics.evaluate import evaluate
    from facerec_cli.metrics.identification import evaluate_identification, evaluate_scores
    from facerec_cli.packs.resolve import open_pack
    from facerec_cli.pairs.read import read_pairs
    from facerec_cli.protocols.read import read_protocol

_PUBLIC = {
    "EmbedOptions": "facerec_cli.embed",
    "EmbeddingTable": "facerec_cli.embeddings.table",
    "EnrollSettings": "facerec_cli.gallery.settings",
    "Face": "facerec_cli.faces",
    "FaceModel": "facerec_cli.faces",
    "FacerecError": "facerec_cli.errors",
    "Gallery": "facerec_cli.gallery.gallery",
    "IdentifySettings": "facerec_cli.identify.settings",
    "ModelInfo": "facerec_cli.embeddings.table",
    "cluster": "facerec_cli.clusters.labels",
    "cluster_faces": "facerec_cli.clusters.run",
    "create_gallery": "facerec_cli.gallery.gallery",
    "embed_photos": "facerec_cli.embed",
    "embed_to_file": "facerec_cli.embed",
    "enroll": "facerec_cli.gallery.enroll",
    "evaluate": "facerec_cli.metrics.evaluate",
    "evaluate_identification": "facerec_cli.metrics.identification",
    "evaluate_scores": "facerec_cli.metrics.identification",
    "find_images": "facerec_cli.images",
    "open_gallery": "facerec_cli.gallery.gallery",
    "open_model": "facerec_cli.faces",
    "open_pack": "facerec_cli.packs.resolve",
    "open_people": "facerec_cli.identify.people",
    "open_table": "facerec_cli.embeddings.read",
    "read_image": "facerec_cli.images",
    "read_pairs": "facerec_cli.pairs.read",
    "read_protocol": "facerec_cli.protocols.read",
    "search_gallery": "facerec_cli.identify.run",
}

__all__ = [
    "EmbedOptions",
    "EmbeddingTable",
    "EnrollSettings",
    "Face",
    "FaceModel",
    "FacerecError",
    "Gallery",
    "IdentifySettings",
    "ModelInfo",
    "__version__",
    "cluster",
    "cluster_faces",
    "create_gallery",
    "embed_photos",
    "embed_to_file",
    "enroll",
    "evaluate",
    "evaluate_identification",
    "evaluate_scores",
    "find_images",
    "open_gallery",
    "open_model",
    "open_pack",
    "open_people",
    "open_table",
    "read_image",
    "read_pairs",
    "read_protocol",
    "search_gallery",
]


keep_private()  # before any module of ours imports a dependency that would report


__getattr__ = lazy_names(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
