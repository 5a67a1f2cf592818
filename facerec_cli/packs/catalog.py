"""What there is: packs on this machine and packs that can be pulled, without opening any network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facerec_cli.errors import FacerecError
from facerec_cli.packs import insightface_folder
from facerec_cli.packs.folders import embedded_packs, exists, insightface_packs, subfolders, user_packs
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import MANIFEST, read_manifest

Origin = Literal["embedded", "registered", "insightface"]
Status = Literal["embedded", "registered", "insightface", "to pull", "broken"]


@dataclass(frozen=True, slots=True)
class InstalledPack:
    """A pack that is on this machine under a name.

    Attributes:
        name: What a user types.
        origin: "embedded" comes with facerec, "registered" was added or pulled by the user, "insightface"
            belongs to that package.
        folder: Where it is.
    """

    name: str
    origin: Origin
    folder: Path


def installed() -> list[InstalledPack]:
    """Every pack on this machine: embedded, registered, then insightface's; no name comes twice."""
    packs: dict[str, InstalledPack] = {}
    rooms: list[tuple[Origin, Path]] = [("embedded", embedded_packs()), ("registered", user_packs())]
    for origin, room in rooms:
        for folder in subfolders(room):  # a copy under way is hidden
            if exists(folder / MANIFEST):
                packs.setdefault(folder.name, InstalledPack(folder.name, origin, folder))
    for room in insightface_packs():
        for folder in subfolders(room):
            if folder.name != "models" and insightface_folder.looks_like_pack(folder):
                packs.setdefault(folder.name, InstalledPack(folder.name, "insightface", folder))
    return list(packs.values())


def find(name: str) -> InstalledPack | None:
    """The pack called ``name`` on this machine, or None."""
    return next((pack for pack in installed() if pack.name == name), None)


@dataclass(frozen=True, slots=True)
class ListedPack:
    """A pack that is here or can be pulled.

    Attributes:
        name: What a user types.
        status: Where the pack is.
        folder: Its folder; None for one that would have to be pulled.
        pack: Its manifest; None where it cannot be read, or is insightface's and unknown.
        detail: What is wrong with a broken one.
    """

    name: str
    status: Status
    folder: Path | None
    pack: ModelPack | None
    detail: str = ""

    @property
    def commercial(self) -> bool:
        """Whether commercial use is known to be allowed; see ``License.commercial``."""
        return self.pack is not None and self.pack.license.commercial


def catalog(*, commercial: bool = False) -> list[ListedPack]:
    """Every pack that there is, those on this machine first.

    Args:
        commercial: Only those whose weights may be used commercially; see ``License.commercial``.
    """
    here = [_entry(pack) for pack in installed()]
    names = {entry.name for entry in here}
    there = [
        ListedPack(name, "to pull", None, pack) for name, pack in known_packs().items() if name not in names
    ]
    return [entry for entry in [*here, *there] if entry.commercial or not commercial]


def find_entry(name: str, entries: Iterable[ListedPack] | None = None) -> ListedPack | None:
    """The entry called ``name``, or None."""
    return next((entry for entry in entries or catalog() if entry.name == name), None)


def _entry(pack: InstalledPack) -> ListedPack:
    if pack.origin == "insightface":
        return ListedPack(pack.name, "insightface", pack.folder, insightface_folder.known_pack(pack.name))
    try:
        return ListedPack(pack.name, pack.origin, pack.folder, read_manifest(pack.folder))
    except FacerecError as fault:
        return ListedPack(pack.name, "broken", pack.folder, None, str(fault))
