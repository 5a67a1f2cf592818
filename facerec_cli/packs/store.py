"""The user's registry: one folder a pack under ``home()/packs``, and no index that could disagree with it.

A pack is made in a hidden folder beside its place and moved there whole, so that a folder with a
``pack.toml`` is always a finished pack and two programs that add at once cannot spoil each other.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facerec_cli.errors import FacerecError, InputError, ModelError
from facerec_cli.files import output_error, sha256_of
from facerec_cli.locks import exclusive
from facerec_cli.packs import insightface
from facerec_cli.packs.bare import PackOverrides
from facerec_cli.packs.document import EVALUATIONS, MANIFEST, check_name, write_manifest
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.network import check_encoder, inspect_network
from facerec_cli.packs.places import home, user_packs
from facerec_cli.packs.resolve import (
    NAME_PREFIX,
    Installed,
    find,
    installed,
    open_installed,
    open_pack,
    open_path,
    pack_hash,
)

__all__ = [
    "HOME_HINT",
    "Finding",
    "Installed",
    "PackOverrides",
    "check",
    "find",
    "home",
    "install",
    "installed",
    "open_pack",
    "pack_hash",
    "register",
    "remove",
]

HOME_HINT = "Or set FACEREC_HOME to a folder that you may write to, on a disk with room."

_UNFINISHED = ".adding+"  # a pack's name has no "+", so the next field is the whole name


@dataclass(frozen=True, slots=True)
class Finding:
    """What :func:`check` says of one pack.

    Attributes:
        name: The pack.
        origin: Where it is from, as in :class:`Installed`.
        status: "ok"; "differs" where the files work but are not those that are known under this name, which
            only happens in insightface's folder; "broken".
        detail: What is wrong and what to do; empty for "ok".
        pack_hash: Of a pack that is not broken.
    """

    name: str
    origin: str
    status: Literal["ok", "differs", "broken"]
    detail: str = ""
    pack_hash: str = ""


def register(
    source: str | Path,
    name: str | None = None,
    *,
    force: bool = False,
    overrides: PackOverrides | None = None,
) -> ModelPack:
    """Copy a model into the registry, so that every command takes it by name.

    Args:
        source: An ``.onnx`` file or a pack folder.
        name: What to call it; the manifest's name by default.
        force: Replace a registered pack of that name.
        overrides: How to feed a file without a manifest.

    Returns:
        The pack as registered.

    Raises:
        ModelError: ``source`` cannot be used, or the name is taken.
    """
    pack = open_path(Path(source).expanduser(), overrides=overrides)
    network = inspect_network(pack.encoder_path, weights=True)
    encoder = pack.encoder
    check_encoder(
        network,
        layout=encoder.layout,
        embedding_size=encoder.embedding_size,
        input_size=encoder.input_size,
    )
    files = {encoder.file: pack.encoder_path}
    if pack.detector and pack.detector_path:
        files[pack.detector.file] = pack.detector_path
    texts = [file for file in pack.license.files if (pack.folder / file).is_file()]
    files |= {file: pack.folder / file for file in texts}
    measured = (pack.folder / EVALUATIONS).glob("*.json") if (pack.folder / MANIFEST).is_file() else []
    files |= {f"{EVALUATIONS}/{path.name}": path for path in measured}
    license = dataclasses.replace(pack.license, files=tuple(texts))
    pack = dataclasses.replace(pack, name=name or pack.name, license=license)
    return install(pack, files, force=force)


def install(pack: ModelPack, files: Mapping[str, Path], *, force: bool = False) -> ModelPack:
    """Make the folder of ``pack`` from ``files``, name to source, and return the pack as it opens there.

    Raises:
        ModelError: The name is not possible or taken, or a copied file has another sha256 than the manifest.
        OutputError: The registry cannot be written.
    """
    name = check_name(pack.name)
    _refuse_taken(name, force=force)
    room = user_packs()
    try:
        room.mkdir(parents=True, exist_ok=True)
        with exclusive(room / f"{_UNFINISHED}{name}.lock"):
            _clear_unfinished(room, name)
            _refuse_taken(name, force=force)
            making = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{name}+", dir=room))
            try:
                making.chmod(0o755)
                for file, path in files.items():
                    _copy(path, making / file)
                write_manifest(pack, making)
                open_path(making)  # what was written is what will be read
                _move(making, room / name)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    except BlockingIOError as fault:
        raise ModelError(f"Another facerec is adding {name!r}.", hint="Wait for it to end.") from fault
    except OSError as fault:
        raise output_error(room, fault, hint=HOME_HINT) from fault
    return open_path(room / name)


def remove(name: str) -> Path:
    """Delete a registered pack; returns the folder that was deleted.

    Raises:
        ModelError: There is none, or it was not put there by facerec.
    """
    entry = find(name.removeprefix(NAME_PREFIX))
    if entry is None:
        raise ModelError(f"There is no model {name!r} here.", hint="facerec models list shows what there is.")
    if entry.origin == "embedded":
        raise ModelError(f"{name} is part of facerec and cannot be removed.")
    if entry.origin == "insightface":
        raise ModelError(
            f"{name} belongs to insightface; facerec did not put it there and leaves it alone.",
            hint=f"To delete it yourself, remove {entry.folder}",
        )
    try:
        gone = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{entry.name}+", dir=user_packs())) / entry.name
        entry.folder.replace(gone)  # at once out of sight, then deleted at leisure
        shutil.rmtree(gone.parent)
    except OSError as fault:
        raise output_error(user_packs(), fault, hint=HOME_HINT) from fault
    return entry.folder


def check(name: str | None = None) -> list[Finding]:
    """Read every file of every pack again (or of one) and compare it with its manifest.

    Raises:
        InputError: There is no pack ``name``.
    """
    entries = [entry for entry in installed() if name in (None, entry.name)]
    if name and not entries:
        raise InputError(f"There is no model {name!r} here.", hint="facerec models list shows what there is.")
    return [_check(entry) for entry in entries]


def _check(entry: Installed) -> Finding:
    try:
        pack = open_installed(entry)
        identity = pack_hash(pack)
        inspect_network(pack.encoder_path, weights=True)
    except FacerecError as fault:
        return Finding(entry.name, entry.origin, "broken", str(fault))
    except OSError as fault:
        return Finding(entry.name, entry.origin, "broken", f"{fault.filename}: {fault.strerror}")
    other = insightface.unpublished_files(pack) if entry.origin == "insightface" else []
    if other:
        detail = f"{', '.join(other)}: not what insightface publishes under this name"
        return Finding(entry.name, entry.origin, "differs", detail, identity)
    return Finding(entry.name, entry.origin, "ok", "", identity)


def _refuse_taken(name: str, *, force: bool) -> None:
    entry = find(name)
    if entry and entry.origin == "embedded":
        raise ModelError(f"{name!r} is the name of a pack that comes with facerec.", hint="Add --name OTHER")
    if entry and entry.origin == "registered" and not force:
        raise ModelError(
            f"A model {name!r} is registered already.",
            hint=f"Add --force to replace it, or choose another name. It is in {user_packs() / name}",
        )
    if name in known_packs() and entry and entry.origin == "insightface" and not force:
        raise ModelError(
            f"{name!r} is here already, in insightface's folder {entry.folder}.",
            hint="facerec uses it from there. Add --force to have a copy of your own all the same.",
        )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("rb+") as stream:
        os.fsync(stream.fileno())
    if sha256_of(source) != sha256_of(target):
        raise ModelError(f"{source} changed while it was copied.", hint="Try again.")


def _move(made: Path, place: Path) -> None:
    """Put a finished folder in its place; what was there stays until then."""
    old = made.with_name(f"{made.name}-old")
    if place.exists():
        place.replace(old)
    try:
        made.replace(place)
    except OSError:
        if old.exists():
            old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _clear_unfinished(room: Path, name: str) -> None:
    """Delete what a killed program left of this pack, and put back a pack that it had moved aside.

    The caller holds the pack's lock.
    """
    for left in room.glob(f"{_UNFINISHED}{name}+*"):
        if left.name.endswith("-old") and not (room / name).exists():
            left.replace(room / name)
        else:
            shutil.rmtree(left, ignore_errors=True)
