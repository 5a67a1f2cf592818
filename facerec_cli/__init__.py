"""facerec: train, export, embed and verify face recognition models."""

from __future__ import annotations

__version__ = "0.1.0"
