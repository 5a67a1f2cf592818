"""Faces in photos: detection, alignment and encoding on ONNX Runtime, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.faces.encoder import Encoder
    from facerec_cli.faces.face import Face
    from facerec_cli.faces.model import FaceModel, open_model

__all__ = ["Encoder", "Face", "FaceModel", "open_model"]

__getattr__ = lazy_names(
    __name__,
    {
        "Encoder": "facerec_cli.faces.encoder",
        "Face": "facerec_cli.faces.face",
        "FaceModel": "facerec_cli.faces.model",
        "open_model": "facerec_cli.faces.model",
    },
)
