"""Getting a known pack from where it is published, or from a mirror."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse
from urllib.request import url2pathname

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.files import sha256_of, writing
from facerec_cli.home import HOME_HINT, home
from facerec_cli.packs.catalog import find
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import DetectorSpec, EncoderSpec, ModelPack
from facerec_cli.packs.resolve import open_installed
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import unknown_name
from facerec_cli.store import licenses
from facerec_cli.store.archive import extract
from facerec_cli.store.check import prove_files
from facerec_cli.store.download import Patience, download
from facerec_cli.store.install import install
from facerec_cli.workshop import workshop

MAX_ARCHIVE_BYTES = 2 << 30


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
        mirror: Folder or address that holds the pack's archive instead; ``FACEREC_MIRROR`` by default.
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
    mirror = _mirror(mirror or os.environ.get("FACEREC_MIRROR", ""))
    names = [known.encoder.file, *([known.detector.file] if known.detector else [])]
    place = home() / "downloads" / name
    busy = ModelError(f"Another facerec is pulling {name}.", hint="Wait for it to end.")
    with writing(place.parent, hint=HOME_HINT), workshop(place, busy=busy, hint=HOME_HINT) as folder:
        if mirror and not _is_address(mirror):
            _from_folder(Path(mirror).expanduser(), known, names, folder)
        else:
            _from_network(known, mirror, offline or offline_wanted(), names, folder, progress, patience)
        _check_published(known, folder)
        files = {file: folder / file for file in names}
        prove_files(known, files)
        return install(known, files, force=force)


def _from_folder(mirror: Path, known: ModelPack, names: list[str], folder: Path) -> None:
    """Take the files from a mirror folder: the archive, or a folder of the pack's name."""
    archive, loose = mirror / _archive_name(known), mirror / known.name
    if archive.is_file():
        extract(archive, names, folder)
    elif all((loose / file).is_file() for file in names):
        for file in names:
            shutil.copyfile(loose / file, folder / file)
    else:
        raise ModelError(
            f"The mirror folder {mirror} has neither {archive.name} nor {known.name}/ with "
            f"{' and '.join(names)}.",
            hint="Put one of them there, or name another folder.",
        )


def _from_network(
    known: ModelPack,
    mirror: str,
    offline: bool,
    names: list[str],
    folder: Path,
    progress: Progress,
    patience: Patience | None,
) -> None:
    address = f"{mirror.rstrip('/')}/{_archive_name(known)}" if mirror else known.urls[0]
    if offline:
        raise ModelError(
            f"{known.name} is not on this machine, and the network is not to be used (offline).",
            hint=f"Fetch {address} where you can, put it into a folder, and run: "
            f"facerec models pull {known.name} --mirror FOLDER",
        )
    archive = home() / "downloads" / _archive_name(known)
    download(address, archive, max_bytes=MAX_ARCHIVE_BYTES, progress=progress, patience=patience)
    try:
        extract(archive, names, folder)
    finally:
        archive.unlink()  # used or of no use; a broken one must not be found again


def _check_published(known: ModelPack, folder: Path) -> None:
    specs: list[EncoderSpec | DetectorSpec] = [known.encoder]
    specs += [known.detector] if known.detector else []
    for spec in specs:
        actual = sha256_of(folder / spec.file)
        if spec.sha256 and actual != spec.sha256:
            raise ModelError(
                f"{spec.file} in {_archive_name(known)} is not the published file: its sha256 is {actual}, "
                f"not {spec.sha256}.",
                hint="Nothing of it was kept. Get the pack from another place: --mirror URL_OR_FOLDER",
            )


def _archive_name(known: ModelPack) -> str:
    return PurePosixPath(urlparse(known.urls[0]).path).name


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
            hint="Fetch the archive yourself, put it into a folder, and name the folder.",
        )
    return f"{scheme.lower()}://{rest}"


def _is_address(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))
