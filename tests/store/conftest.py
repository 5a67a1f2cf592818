"""Tiny models, see ``tiny_models``."""

from __future__ import annotations

from tiny_models import tiny as tiny
