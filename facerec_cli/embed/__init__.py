"""Embedding photos: the pipeline from files to vectors, and runs that survive an interruption."""

from __future__ import annotations

from facerec_cli.embed.job import embed_to_file
from facerec_cli.embed.pipeline import embed_photos
from facerec_cli.embed.result import STATUSES, EmbeddedFace, EmbedOptions, PhotoResult
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
