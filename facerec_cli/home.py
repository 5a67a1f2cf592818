"""The user's folders, the one place that reads ``FACEREC_HOME``."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_HINT = "Or set FACEREC_HOME to a folder that you may write to, on a disk with room."
"""What to do where nothing can be written in the user's folder."""


def _chosen() -> Path | None:
    value = os.environ.get("FACEREC_HOME")
    return Path(value).expanduser().absolute() if value else None


def home() -> Path:
    """Where models, downloads and what was agreed to are: ``FACEREC_HOME``, or the platform's data folder.

    It is not created here.
    """
    return _chosen() or platformdirs.user_data_path("facerec", appauthor=False)


def cache_folder() -> Path:
    """Where lies what can be made again: ``FACEREC_HOME/cache``, or the platform's folder for caches."""
    chosen = _chosen()
    return chosen / "cache" if chosen else platformdirs.user_cache_path("facerec", appauthor=False)
