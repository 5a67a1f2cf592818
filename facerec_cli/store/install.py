"""The user's registry: one folder a pack under ``home()/packs``, and no index that could disagree with it.

A folder appears there whole (``workshop.atomic_folder``), so that one with a ``pack.toml`` is always a
finished pack, and two programs that add at once cannot spoil each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from facerec_cli.errors import FacerecError, ModelError, UsageError
from facerec_cli.files import sha256_of, writing
from facerec_cli.home import HOME_HINT
from facerec_cli.packs.catalog import find
from facerec_cli.packs.detectors import is_detector_file, with_detector
from facerec_cli.packs.folders import user_packs
from facerec_cli.packs.foreign import inside
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import EVALUATIONS, MANIFEST, check_name, write_manifest
from facerec_cli.packs.onnx_file import inspect_onnx
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.packs.resolve import NAME_PREFIX, open_installed, open_pack, open_path
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.store.check import prove_files
from facerec_cli.workshop import atomic_folder, clear_workshop, workshop


def register(
    source: str | Path,
    name: str | None = None,
    *,
    force: bool = False,
    overrides: PackOverrides | None = None,
    detector: str | Path | None = None,
    encoder: str | Path = "",
    complete: Callable[[ModelPack], ModelPack] | None = None,
) -> ModelPack:
    """Copy a model into the registry, so that every command takes it by name.

    It is run first (``faces.proof``), so that what is registered works.

    Args:
        source: An ``.onnx`` file or a pack folder. A detector's file becomes a pack together with the
            recognition network of ``encoder``.
        name: What to call it; the manifest's name by default.
        force: Replace a registered pack of that name.
        overrides: How to feed a file without a manifest.
        detector: A detector's ``.onnx`` file to go with it, in place of its own or the default pack's, or the
            name of a model here that has one.
        encoder: With a detector as ``source``: the model that it finds faces for.
        complete: Puts what was measured of the model into its manifest.

    Returns:
        The pack as registered.

    Raises:
        UsageError: ``encoder`` is given, and ``source`` is no detector.
        ModelError: ``source`` cannot be used, does not work, or the name is taken.
    """
    path = Path(source).expanduser()
    if is_detector_file(path):
        if detector:
            raise UsageError(f"{path} is a detector, and so is {detector}.", hint="Leave out --detector.")
        pack, files = with_detector(_collected(open_pack(encoder or DEFAULT_PACK), None), path)
        pack = dataclasses.replace(pack, name=path.stem if name is None else name)
    else:
        if encoder:
            raise UsageError(
                f"--encoder goes with a detector's file, and {path} is none.", hint="Leave it out."
            )
        pack = open_path(path, overrides=overrides or PackOverrides())
        pack, files = _collected(pack, path if path.is_dir() else None)
        if detector:
            pack, files = with_detector((pack, files), _detector_file(detector))
    inspect_onnx(files[pack.encoder.file], weights=True)
    pack = dataclasses.replace(pack, name=check_name(name or pack.name), unproved=False)
    pack = pack if complete is None else complete(pack)
    _tidy(pack.name)
    _refuse_taken(pack.name, force=force)
    prove_files(pack, files)
    return install(pack, files, force=force)


def _detector_file(named: str | Path) -> Path:
    """The file that ``named`` is, or that of the model of that name."""
    path = Path(named).expanduser()
    entry = None if path.exists() else find(str(named).removeprefix(NAME_PREFIX))
    return (open_installed(entry).detector_path or path) if entry else path


def _collected(pack: ModelPack, folder: Path | None) -> tuple[ModelPack, dict[str, Path]]:
    """A pack and the files that make it, name to place; none leads out of ``folder``, where that is given."""
    files = {pack.encoder.file: pack.encoder_path}
    if pack.detector and pack.detector_path:
        files[pack.detector.file] = pack.detector_path
    whole = (pack.folder / MANIFEST).is_file()  # what lies beside a single file is not part of it
    texts = [file for file in pack.license.files if whole and (pack.folder / file).is_file()]
    files |= {file: pack.folder / file for file in texts}
    measured = (pack.folder / EVALUATIONS).glob("*.json") if whole else []
    files |= {f"{EVALUATIONS}/{path.name}": path for path in measured}
    if folder:
        for path in files.values():
            inside(folder, path)
    license = dataclasses.replace(pack.license, files=tuple(texts))
    return dataclasses.replace(pack, license=license), files


def install(pack: ModelPack, files: Mapping[str, Path], *, force: bool = False) -> ModelPack:
    """Make the folder of ``pack`` from ``files``, name to source, and return the pack as it opens there.

    Raises:
        ModelError: The name is not possible or taken, or a copied file has another sha256 than the manifest.
        OutputError: The registry cannot be written.
    """
    name = check_name(pack.name)
    _refuse_taken(name, force=force)
    if len({file.casefold() for file in (MANIFEST, *files)}) <= len(files):
        raise ModelError(
            f"{pack.name} has files whose names differ in capitals alone, or one called {MANIFEST}: "
            f"{', '.join(files)}.",
            hint="Some systems take them for one. Rename them, in the manifest too.",
        )
    place = user_packs() / name
    busy = ModelError(f"Another facerec is adding {name!r}.", hint="Wait for it to end.")
    with (
        writing(place.parent, hint=HOME_HINT),
        atomic_folder(place, replace=True, busy=busy, hint=HOME_HINT) as making,
    ):
        _refuse_taken(name, force=force)
        for file, path in files.items():
            _copy(path, making / file)
        write_manifest(pack, making)
        open_path(making)  # what was written is what will be read
    return open_path(place)


def remove(name: str) -> Path:
    """Delete a registered pack; returns the folder that was deleted.

    Raises:
        ModelError: There is none, or it was not put there by facerec.
    """
    entry = find(name.removeprefix(NAME_PREFIX))
    if entry is None:
        _tidy(name.removeprefix(NAME_PREFIX))  # an earlier call may have been killed while it deleted
        raise ModelError(f"There is no model {name!r} here.", hint="facerec models list shows what there is.")
    if entry.origin == "embedded":
        raise ModelError(
            f"{name} is part of facerec and cannot be removed.",
            hint="`facerec models list` shows which ones were added; those can be removed.",
        )
    if entry.origin == "insightface":
        raise ModelError(
            f"{name} belongs to insightface; facerec did not put it there and leaves it alone.",
            hint=f"To delete it yourself, remove {entry.folder}",
        )
    with workshop(entry.folder, hint=HOME_HINT) as gone, writing(entry.folder, hint=HOME_HINT):
        entry.folder.replace(gone / entry.name)  # at once out of sight, then deleted at leisure
    return entry.folder


def _refuse_taken(name: str, *, force: bool) -> None:
    entry = find(name)
    if entry and entry.origin == "embedded":
        raise ModelError(f"{name!r} is the name of a pack that comes with facerec.", hint="Add --name OTHER")
    if entry and entry.origin == "registered" and not force:
        raise ModelError(
            f"A model {name!r} is registered already.",
            hint=f"Add --overwrite to replace it, or choose another name. It is in {user_packs() / name}",
        )
    if name in known_packs() and entry and entry.origin == "insightface" and not force:
        raise ModelError(
            f"{name!r} is here already, in insightface's folder {entry.folder}.",
            hint="facerec uses it from there. Add --overwrite to have a copy of your own all the same.",
        )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("rb+") as stream:
        os.fsync(stream.fileno())
    if sha256_of(source) != sha256_of(target):
        raise ModelError(f"{source} changed while it was copied.", hint="Try again.")


def _tidy(name: str) -> None:
    """Clear away what a killed program left of this pack, where no other is adding it now."""
    with contextlib.suppress(FacerecError):  # it is told when something is to be written
        clear_workshop(user_packs() / name)
