"""Getting a known pack from where it is published, or from a mirror."""

from __future__ import annotations

import os
from urllib.request import url2pathname

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.files import writing
from facerec_cli.home import HOME_HINT, home
from facerec_cli.packs.catalog import find
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_installed
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import unknown_name
from facerec_cli.store import licenses
from facerec_cli.store.check import prove_files
from facerec_cli.store.download import Patience
from facerec_cli.store.fetch import Way, fetch_files
from facerec_cli.store.install import install
from facerec_cli.workshop import workshop


def offline_wanted() -> bool:
    """Whether the environment forbids the network (``FACEREC_OFFLINE``)."""
    return os.environ.get("FACEREC_OFFLINE", "").lower() not in ("", "0", "false", "no")


def find_known(name: str) -> ModelPack:
    """The manifest of a pack that can be pulled.

    Raises:
        ModelError: There is none of that name, or it comes with facerec.
    """
    if name in known_packs():
        return known_packs()[name]
    entry = find(name)
    if entry:
        raise ModelError(f"{name} is {entry.origin} and already here.", hint=f"facerec models show {name}")
    fault = unknown_name(name, known_packs(), "pack to pull called")
    raise ModelError(fault.message, hint=fault.hint)


def pull(
    name: str,
    *,
    mirror: str = "",
    offline: bool = False,
    force: bool = False,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> ModelPack:
    """Fetch a known pack, check its files and register it.

    Args:
        name: A key of ``known_packs()``; its license must have been accepted (``licenses.accept``).
        mirror: Folder or address that has the pack's archive or files instead; default: ``FACEREC_MIRROR``.
        offline: Do not use the network; a mirror folder still serves.
        force: Fetch it even if it is here.
        progress: Told the bytes so far and in all.
        patience: When to give up.

    Returns:
        The pack; if it was here already and ``force`` is not given, that one, with its files checked.

    Raises:
        ModelError: Unknown, not allowed, not reachable, or not the published files.
        UsageError: ``mirror`` is an address that is not of the web.
    """
    known = find_known(name)
    entry = find(name)
    if entry and not force:
        return open_installed(entry)
    if licenses.needs_acceptance(known):
        raise licenses.refusal(known)
    way = Way(
        mirror=_mirror(mirror or os.environ.get("FACEREC_MIRROR", "")),
        offline=offline or offline_wanted(),
        progress=progress,
        patience=patience,
    )
    place = home() / "downloads" / name
    busy = ModelError(f"Another facerec is pulling {name}.", hint="Wait for it to end.")
    with writing(place.parent, hint=HOME_HINT), workshop(place, busy=busy, hint=HOME_HINT) as folder:
        files = fetch_files(known, folder, way)
        prove_files(known, files)
        return install(known, files, force=force)


def _mirror(named: str) -> str:
    """The mirror that a user named: an address of the web, or a folder.

    Raises:
        UsageError: It is an address of another kind.
    """
    scheme, colon, rest = named.partition("://")
    if not colon or not scheme.isalnum():
        return named
    if scheme.lower() == "file":
        return url2pathname(rest.removeprefix("localhost"))
    if scheme.lower() not in ("http", "https"):
        raise UsageError(
            f"--mirror {named}: facerec fetches from http:// and https:// addresses and from folders, "
            f"not by {scheme}.",
            hint="Fetch the files yourself, put them into a folder, and name the folder.",
        )
    return f"{scheme.lower()}://{rest}"
