"""Where packs live on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The user's folder: ``FACEREC_HOME``, or the platform's place for an application's data.

    It is not created here.
    """
    chosen = os.environ.get("FACEREC_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_data_path("facerec", appauthor=False)


def user_packs() -> Path:
    """Where registered packs are, one folder each."""
    return home() / "packs"


def embedded_packs() -> Path:
    """The packs that come with facerec, one folder each."""
    return Path(__file__).parent


def insightface_packs() -> list[Path]:
    """Folders of insightface packs, one folder each: ``INSIGHTFACE_HOME`` or ``~/.insightface``."""
    root = Path(os.environ.get("INSIGHTFACE_HOME") or "~/.insightface").expanduser()
    return [root / "models", root]


def subfolders(room: Path) -> list[Path]:
    """The folders in ``room`` that are not hidden, by name; none where it is absent or may not be read.

    A home that is another user's, as in many containers, must not keep the embedded pack from working.
    """
    try:
        return sorted(path for path in room.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
