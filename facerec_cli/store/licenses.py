"""Licenses that a person has agreed to, one small file each under ``home()/licences``."""

from __future__ import annotations

import getpass
import hashlib
import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import tomli_w

from facerec_cli.errors import ModelError
from facerec_cli.files import write_file
from facerec_cli.home import HOME_HINT, home
from facerec_cli.packs.manifest import ModelPack


def needs_acceptance(pack: ModelPack) -> bool:
    """Whether the pack's terms have to be agreed to before it is pulled, and have not been yet."""
    return not pack.license.commercial and not _agreement(pack)


def accept(pack: ModelPack) -> Path:
    """Record that the user agrees to the terms of ``pack``; returns the record.

    Raises:
        OutputError: The record cannot be written.
    """
    record = {
        "pack": pack.name,
        "license": pack.license.weights,
        "notice": pack.license.notice,
        "text_sha256": _text_hash(pack),
        "accepted_by": _me(),
        "accepted": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = _record(pack)
    write_file(path, tomli_w.dumps(record).encode(), hint=HOME_HINT)
    return path


def accepted_on(pack: ModelPack) -> str:
    """When the terms as they are now were agreed to, as ISO 8601; empty if never."""
    return str(_agreement(pack).get("accepted", ""))


def accepted_by(pack: ModelPack) -> str:
    """Who agreed to the terms as they are now; empty where nobody has, or the record does not say."""
    return str(_agreement(pack).get("accepted_by", ""))


def _me() -> str:
    """The user's name on this machine: a folder may be shared, and an agreement is a person's."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def refusal(pack: ModelPack) -> ModelError:
    """The error for a pull without agreement."""
    return ModelError(
        f"{pack.name} may not be used freely: {pack.license.weights}. {pack.license.notice}",
        hint=f"To agree and go on: facerec models pull {pack.name} --accept-license",
    )


def _text_hash(pack: ModelPack) -> str:
    return hashlib.sha256(f"{pack.license.weights}\n{pack.license.notice}".encode()).hexdigest()


def _agreement(pack: ModelPack) -> dict[str, object]:
    """The record of an agreement to the terms as they are now; empty without one that can be read."""
    try:
        record = tomllib.loads(_record(pack).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if record.get("text_sha256") == _text_hash(pack) else {}


def _record(pack: ModelPack) -> Path:
    return home() / "licences" / f"{pack.name}.toml"
