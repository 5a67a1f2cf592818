"""Where packs live on this machine."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from facerec_cli.home import home


def user_packs() -> Path:
    """Where registered packs are, one folder each."""
    return home() / "packs"


def hidden_packs() -> dict[Path, str]:
    """What of the user's folder this user may not read, and so does not see; with the name of its owner.

    The folder may be shared by several users, and one of them may have added a pack for himself alone.
    """
    room = user_packs()
    places = [room]
    try:
        with os.scandir(room) as scan:
            places = [Path(entry) for entry in scan if not entry.name.startswith(".") and entry.is_dir()]
            places = [path for place in places for path in (place, place / "pack.toml")]
    except OSError as fault:
        if not isinstance(fault, PermissionError):
            return {}
    hidden = [place for place in places if _denied(place)]
    # The file in a folder that is closed itself says nothing more.
    return {place: _owner(place) for place in hidden if place.parent not in hidden}


def open_to_all(place: Path) -> str:
    """What the owner of a place in the user's folder types so that others may read it."""
    return f"chmod -R a+rX {shlex.quote(str(home() if place == user_packs() else place))}"


def _denied(place: Path) -> bool:
    """Whether something is there that may not be read."""
    try:
        place.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not readable(place)


def readable(place: Path) -> bool:
    """Whether a file may be read, or a folder looked into, by who this process works for."""
    effective = os.access in os.supports_effective_ids
    return os.access(place, os.R_OK | (os.X_OK if place.is_dir() else 0), effective_ids=effective)


def _owner(place: Path) -> str:
    """Who may open it; of a place that may not be looked at, whoever owns the nearest folder that may."""
    for there in (place, *place.parents):
        try:
            return there.owner()
        except KeyError:  # a number without a name
            return str(there.stat().st_uid)
        except (OSError, NotImplementedError):
            continue
    return ""


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


def exists(path: Path) -> bool:
    """Whether a path is there; False where that cannot be found out."""
    try:
        return path.exists()
    except OSError:  # a name too long for the system, or in a folder that may not be searched
        return False
