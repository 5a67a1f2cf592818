"""Whether models work: their files are those of their manifests, and running them gives embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.packs import insightface_folder
from facerec_cli.packs.catalog import InstalledPack, installed
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.onnx_file import inspect_onnx
from facerec_cli.packs.resolve import open_installed, pack_hash


@dataclass(frozen=True, slots=True)
class CheckedPack:
    """What :func:`check` says of one pack.

    Attributes:
        name: The pack.
        origin: Where it is from, as in :class:`InstalledPack`.
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


def check(name: str | None = None, *, run: bool = True) -> list[CheckedPack]:
    """Read every file of every pack again (or of one), compare it with its manifest, and run it.

    Args:
        name: One pack; all by default.
        run: Whether to run the networks; without, a pack that cannot work may be "ok".

    Raises:
        ModelError: There is no pack ``name``.
    """
    entries = [entry for entry in installed() if name in (None, entry.name)]
    if name and not entries:
        raise ModelError(f"There is no model {name!r} here.", hint="facerec models list shows what there is.")
    return [_check(entry, run=run) for entry in entries]


def prove_files(pack: ModelPack, files: Mapping[str, Path]) -> None:
    """Run a pack whose files lie at ``files``, by name; see ``faces.proof``.

    Raises:
        ModelError: It does not work; the message says why and what would help.
    """
    from facerec_cli.faces.proof import prove  # brings ONNX Runtime

    detector = None if pack.detector is None else files[pack.detector.file]
    prove(pack, encoder=files[pack.encoder.file], detector=detector)


def _check(entry: InstalledPack, *, run: bool) -> CheckedPack:
    try:
        pack = open_installed(entry)
        identity = pack_hash(pack)
        inspect_onnx(pack.encoder_path, weights=True)
        if run:
            names = [pack.encoder.file, *([pack.detector.file] if pack.detector else [])]
            prove_files(pack, {name: pack.folder / name for name in names})
    except FacerecError as fault:
        return CheckedPack(entry.name, entry.origin, "broken", str(fault))
    except OSError as fault:
        return CheckedPack(entry.name, entry.origin, "broken", f"{fault.filename}: {fault.strerror}")
    other = insightface_folder.unpublished_files(pack) if entry.origin == "insightface" else []
    if other:
        detail = f"{', '.join(other)}: not what insightface publishes under this name"
        return CheckedPack(entry.name, entry.origin, "differs", detail, identity)
    return CheckedPack(entry.name, entry.origin, "ok", "", identity)
