"""From what a user types after ``--model`` to a checked pack."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.files import sha256_of
from facerec_cli.packs import insightface_folder
from facerec_cli.packs.catalog import InstalledPack, find, installed
from facerec_cli.packs.folders import exists, hidden_packs, open_to_all, user_packs
from facerec_cli.packs.foreign import inside
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import DetectorSpec, EncoderSpec, ModelPack
from facerec_cli.packs.manifest_toml import MANIFEST, read_manifest
from facerec_cli.packs.metadata import MANIFEST_KEY, pack_from_metadata, read_metadata, read_pack
from facerec_cli.packs.no_manifest import open_bare
from facerec_cli.packs.overrides import FLAGS, PackOverrides
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.suggest import guess

NAME_PREFIX = "pack:"

# Hashes say the names that these fields had first: caches, threshold cards and evaluations are bound to them.
_FIRST_NAMES = {"colour": "color", "normalised": "normalized"}

# Packs that came with facerec once: name -> what there is in its place.
_RENAMED = {"sface-hard": "sface-degraded"}

log = logging.getLogger("facerec")


def open_pack(ref: str | Path = DEFAULT_PACK, *, overrides: PackOverrides | None = None) -> ModelPack:
    """Open a model by name or path, check its files, and return what its manifest says.

    Args:
        ref: A registered name; a folder with a ``pack.toml``; a folder in insightface's layout; an
            ``.onnx`` file. ``pack:NAME`` is always a name, ``./NAME`` always a path.
        overrides: How to feed an ``.onnx`` file that carries no manifest. With any other model they
            would contradict its manifest and are refused.

    Returns:
        The pack, with the sha256 of its files filled in.

    Raises:
        UsageError: ``ref`` is both a name and a path, or overrides are given for a model with a manifest.
        ModelError: There is no such model, or it is damaged, edited, or not described well enough.
    """
    text = str(ref)
    if isinstance(ref, Path) or _reads_as_path(text):
        return open_path(Path(text).expanduser(), overrides=overrides)
    name = text.removeprefix(NAME_PREFIX)
    entry = find(name)
    path = Path(text)
    if entry and not text.startswith(NAME_PREFIX) and _holds_model(path):
        raise UsageError(
            f"{text!r} is a registered model and a folder here.",
            hint=f"Write {NAME_PREFIX}{name} for the registered one, ./{name} for the folder.",
        )
    if entry:
        pack = open_installed(entry, overrides=overrides)
        _warn_of_other_files(entry, pack)
        return pack
    if exists(path) and not text.startswith(NAME_PREFIX):
        return open_path(path, overrides=overrides)
    raise _unknown(name)


def open_installed(entry: InstalledPack, *, overrides: PackOverrides | None = None) -> ModelPack:
    """Open a pack that :func:`installed` lists."""
    if entry.origin != "insightface":
        return open_path(entry.folder, overrides=overrides)
    with _readable(entry.folder):
        pack = insightface_folder.open_insightface(entry.folder, entry.name)
    _refuse_overrides(overrides, pack)
    return pack


def open_path(path: Path, *, overrides: PackOverrides | None = None) -> ModelPack:
    """Open a pack folder or an ``.onnx`` file; see :func:`open_pack`."""
    if not exists(path):
        raise ModelError(f"There is no model at {path}.", hint="facerec models list shows those with a name.")
    with _readable(path):
        if path.is_dir():
            pack = _open_folder(path)
        elif path.suffix.lower() != ".onnx" or not path.is_file():
            archive = path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z")
            raise ModelError(
                f"{path} is not an .onnx file or a pack folder.",
                hint="Unpack it first, and add the folder."
                if archive
                else "Name a folder with a pack.toml or ONNX files, or give an ONNX file the suffix .onnx.",
            )
        elif not _carries_manifest(path):
            return open_bare(path, overrides or PackOverrides(), flags=overrides is not None)
        else:
            pack = read_pack(path)
    _refuse_overrides(overrides, pack)
    return pack


def pack_hash(pack: ModelPack) -> str:
    """One sha256 for all that a pack's embeddings depend on, in hexadecimal.

    Covers the recognition network, the detector (the default pack's where ``pack`` has none) and the
    preprocessing of both; not names, texts or the threshold. Caches and threshold cards are bound to it.
    """
    parts = [_identity(pack.encoder, pack.encoder_path), _identity(*detector_of(pack))]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def detector_of(pack: ModelPack) -> tuple[DetectorSpec, Path]:
    """The detector that finds the faces for a pack, and its file: the default pack's where it brings none."""
    if pack.detector is None or pack.detector_path is None:
        return detector_of(open_pack(NAME_PREFIX + DEFAULT_PACK))
    return pack.detector, pack.detector_path


def _identity(spec: EncoderSpec | DetectorSpec, path: Path) -> dict[str, object]:
    values = dataclasses.asdict(spec)
    del values["file"]
    if values.get("output_name", "") is None:
        del values["output_name"]  # identities are older than this key
    for first, now in _FIRST_NAMES.items():
        if now in values:
            values[first] = values.pop(now)
    return {**values, "sha256": values["sha256"] or sha256_of(path)}


def _warn_of_other_files(entry: InstalledPack, pack: ModelPack) -> None:
    """Say where a folder of insightface's, which checks no hashes, holds other files; use them."""
    other = insightface_folder.unpublished_files(pack) if entry.origin == "insightface" else []
    if other:
        log.warning(
            "%s in %s is not what insightface publishes as %s.", ", ".join(other), pack.folder, pack.name
        )


def _open_folder(folder: Path) -> ModelPack:
    if not (folder / MANIFEST).exists():
        if insightface_folder.looks_like_pack(folder):
            return insightface_folder.open_insightface(folder)
        raise ModelError(
            f"{folder} has neither a {MANIFEST} nor ONNX files, so it is not a model pack.",
            hint="Name a folder with a pack.toml or with ONNX files, or an .onnx file.",
        )
    inside(folder, folder / MANIFEST)
    pack = read_manifest(folder)
    encoder = dataclasses.replace(pack.encoder, sha256=_checked(pack, pack.encoder))
    detector = pack.detector and dataclasses.replace(pack.detector, sha256=_checked(pack, pack.detector))
    _compare_with_metadata(pack)
    return dataclasses.replace(pack, encoder=encoder, detector=detector)


def _checked(pack: ModelPack, spec: EncoderSpec | DetectorSpec) -> str:
    """The sha256 of a pack's file, which must be the manifest's where that has one."""
    path = pack.folder / spec.file
    if not path.is_file():
        raise ModelError(f"{path}, which {MANIFEST} names, is missing.", hint=_mend(pack))
    inside(pack.folder, path)
    actual = sha256_of(path)
    if spec.sha256 and actual != spec.sha256:
        raise ModelError(
            f"{path} is not the file that {MANIFEST} describes: sha256 {actual}, not {spec.sha256}.",
            hint=_mend(pack),
        )
    return actual


def _compare_with_metadata(pack: ModelPack) -> None:
    """A folder's manifest must say of a sealed file what the file says of itself."""
    metadata = read_metadata(pack.encoder_path)
    if MANIFEST_KEY not in metadata:
        return
    inside = dataclasses.asdict(pack_from_metadata(metadata, pack.encoder_path).encoder)
    outside = dataclasses.asdict(pack.encoder)
    for key in inside.keys() - {"file", "sha256"}:
        if inside[key] != outside[key]:
            raise ModelError(
                f"{pack.folder / MANIFEST} says {key} = {outside[key]}, but {pack.encoder.file} itself "
                f"says {inside[key]}.",
                hint=_mend(pack),
            )


def _mend(pack: ModelPack) -> str:
    again = "pull" if pack.name in known_packs() else "add"
    what = pack.name if again == "pull" else "FILE_OR_FOLDER"
    return f"Get it again: facerec models {again} {what} --force"


def _carries_manifest(path: Path) -> bool:
    return any(key.startswith("facerec.") for key in read_metadata(path))


def _refuse_overrides(overrides: PackOverrides | None, pack: ModelPack) -> None:
    given = overrides.given() if overrides else {}
    wrong = [name for name, value in given.items() if getattr(pack.encoder, name) != value]
    if wrong:
        flags = ", ".join(FLAGS[name] for name in wrong)
        says = ", ".join(f"{name} = {getattr(pack.encoder, name)}" for name in wrong)
        raise UsageError(
            f"{flags}: the manifest of {pack.name} says {says}.",
            hint="These flags are for ONNX files without a manifest; leave them out.",
        )


def _reads_as_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith(("~", ".")) or text.lower().endswith(".onnx")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say of a file or folder under ``path`` that the system does not let us read, instead of failing."""
    try:
        yield
    except OSError as fault:
        raise ModelError(
            f"{fault.filename or path} cannot be read: {fault.strerror}.", hint="Make it readable."
        ) from fault


def _holds_model(path: Path) -> bool:
    return exists(path) and path.is_dir() and ((path / MANIFEST).exists() or any(path.glob("*.onnx")))


def _unknown(name: str) -> ModelError:
    for place, owner in hidden_packs().items():
        if place == user_packs() or name in (place.name, place.parent.name):
            return ModelError(
                f"There may be a model {name!r} in {user_packs()}, but you may not read {place}.",
                hint=f"It belongs to {owner}, who can open it to you: {open_to_all(place)}",
            )
    if name in _RENAMED:
        return ModelError(
            f"{name} is called {_RENAMED[name]} now, after what it does, and has other weights.",
            hint=f"Use --model {_RENAMED[name]} and embed the photos anew: embeddings, thresholds and "
            f"galleries of {name} cannot be compared with its own.",
        )
    if name in known_packs():
        return ModelError(
            f"The model {name!r} is not on this machine.", hint=f"Run: facerec models pull {name}"
        )
    names = [pack.name for pack in installed()]
    near = guess(name, [*names, *known_packs()])
    return ModelError(
        f"There is no model {name!r}.",
        hint=f"{near}On this machine: {', '.join(names) or 'none'}. To pull: {', '.join(known_packs())}. "
        "A path to an .onnx file or a pack folder does as well.",
    )
