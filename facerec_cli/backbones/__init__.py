"""Recognition networks: (B, 3, 112, 112) crops in, raw embeddings and a 7 x 7 feature map out."""

from __future__ import annotations

from typing import Any

from facerec_cli.backbones.base import Backbone, BackboneMaker, BackboneOutput, Preprocessing
from facerec_cli.registry import BACKBONES, load
from facerec_cli.settings import fitted_all, options

__all__ = ["Backbone", "BackboneMaker", "BackboneOutput", "Preprocessing", "build"]


def build(name: str, embedding_size: int = 512, **settings: Any) -> Backbone:
    """Make the backbone ``name`` with fresh weights.

    Args:
        name: A key of ``registry.BACKBONES``.
        embedding_size: D.
        **settings: Settings of its constructor (``width`` of mobilefacenet, ``dropout`` of iresnet50, ...).

    Raises:
        UsageError: There is no such backbone or no such setting, or its value does not fit.
    """
    make: BackboneMaker = load(BACKBONES, name, "backbone")
    known = {field.name: field for field in options(make) if field.name != "embedding_size"}
    return make(embedding_size, **fitted_all(settings, known, table="backbone", owner=f"backbone {name}"))
