"""What commands that look for faces can be told: one declaration for all of them."""

from __future__ import annotations

DEFAULT_MAX_SIDE = 1024
"""The longer side, in pixels, at which photos are searched first; for commands and Python alike."""
