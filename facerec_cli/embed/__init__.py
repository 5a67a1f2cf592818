"""Embedding photos: the pipeline from files to vectors, and runs that survive an interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.embed.job import embed_to_file
    from facerec_cli.embed.photo_result import STATUSES, EmbeddedFace, PhotoResult
    from facerec_cli.embed.pipeline import embed_photos
    from facerec_cli.embed.settings import EmbedOptions
    from facerec_cli.embed.summary import Summary

__all__ = [
    "STATUSES",
    "EmbedOptions",
    "EmbeddedFace",
    "PhotoResult",
    "Summary",
    "embed_photos",
    "embed_to_file",
]

__getattr__ = lazy_names(
    __name__,
    {
        "EmbedOptions": "facerec_cli.embed.settings",
        "EmbeddedFace": "facerec_cli.embed.photo_result",
        "PhotoResult": "facerec_cli.embed.photo_result",
        "STATUSES": "facerec_cli.embed.photo_result",
        "Summary": "facerec_cli.embed.summary",
        "embed_photos": "facerec_cli.embed.pipeline",
        "embed_to_file": "facerec_cli.embed.job",
    },
)
