"""Faces in photos: detection, alignment and encoding on ONNX Runtime, without torch."""

from __future__ import annotations

from facerec_cli.faces.encoder import Encoder
from facerec_cli.faces.face import Face
from facerec_cli.faces.model import FaceModel, model_hash, open_model

__all__ = ["Encoder", "Face", "FaceModel", "model_hash", "open_model"]
