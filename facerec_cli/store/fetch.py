"""The files of a known pack: from their publishers (one by one or in an archive), a mirror, or facerec."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of
from facerec_cli.home import home
from facerec_cli.packs.manifest import DetectorSpec, EncoderSpec, ModelPack
from facerec_cli.packs.published import MAX_FILE_BYTES, Download
from facerec_cli.packs.resolve import NAME_PREFIX, open_pack
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.store.archive import extract
from facerec_cli.store.download import Patience, download

MAX_ARCHIVE_BYTES = 2 << 30

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class Way:
    """How files come here.

    Attributes:
        mirror: An address or a folder that has them instead of their publishers; empty for those.
        offline: Do not use the network; a mirror folder still serves.
        progress: Told the bytes of a file so far and in all.
        patience: When to give up.
    """

    mirror: str = ""
    offline: bool = False
    progress: Progress = silent
    patience: Patience | None = None


def fetch_files(known: ModelPack, folder: Path, way: Way) -> dict[str, Path]:
    """Bring the networks of ``known`` into ``folder``; returns name to place.

    A pack may consist of facerec's own recognition network and the detector of another; then only the
    detector is fetched.

    Raises:
        ModelError: Not reachable, or not the published files.
    """
    specs = _specs(known)
    wanted = [spec for spec in specs if not _is_embedded(known, spec)]
    for spec in specs:
        if spec not in wanted:
            shutil.copyfile(open_pack(NAME_PREFIX + DEFAULT_PACK).encoder_path, folder / spec.file)
    names = [spec.file for spec in wanted]
    if way.mirror and not is_address(way.mirror):
        _from_folder(Path(way.mirror).expanduser(), known, names, folder)
        for spec in wanted:
            _check(spec, folder / spec.file, f"{spec.file} in {way.mirror}")
    elif known.urls:
        _from_archive(known, names, folder, way)
        for spec in wanted:
            _check(spec, folder / spec.file, f"{spec.file} in {archive_name(known)}")
    else:
        if way.offline:
            raise _offline(known, [_address(way, item) for item in known.downloads])
        for spec in wanted:
            item = next(item for item in known.downloads if item.file == spec.file)
            _one_by_one(known, item, spec, folder, way)
    return {spec.file: folder / spec.file for spec in specs}


def archive_name(known: ModelPack) -> str:
    """What the pack's archive is called at its publisher."""
    return PurePosixPath(urlparse(known.urls[0]).path).name


def is_address(mirror: str) -> bool:
    """Whether a mirror is on the web, and no folder."""
    return mirror.startswith(("http://", "https://"))


def _specs(known: ModelPack) -> list[EncoderSpec | DetectorSpec]:
    return [known.encoder, *([known.detector] if known.detector else [])]


def _is_embedded(known: ModelPack, spec: EncoderSpec | DetectorSpec) -> bool:
    """Whether a file is facerec's own: nobody is named who has it, and it has the embedded one's sha256."""
    if known.urls or any(item.file == spec.file for item in known.downloads):
        return False
    return spec.sha256 == open_pack(NAME_PREFIX + DEFAULT_PACK).encoder.sha256


def _from_folder(mirror: Path, known: ModelPack, names: Sequence[str], folder: Path) -> None:
    """Take the files from a mirror folder: the archive, the files, or a folder of the pack's name."""
    if not mirror.is_dir():
        raise ModelError(
            f"There is no mirror folder {mirror}.", hint="Name a folder that is there, or an address."
        )
    archive = mirror / archive_name(known) if known.urls else None
    if archive is not None and archive.is_file():
        extract(archive, names, folder)
        return
    places = [mirror / known.name] if known.urls else [mirror / known.name, mirror]
    for place in places:
        if all((place / file).is_file() for file in names):
            for file in names:
                shutil.copyfile(place / file, folder / file)
            return
    listed = " and ".join(names)
    raise ModelError(
        f"The mirror folder {mirror} has neither {archive.name} nor {known.name}/ with {listed}."
        if archive is not None
        else f"The mirror folder {mirror} has neither {listed} nor {known.name}/ with {listed}.",
        hint="Put one of them there, or name another folder.",
    )


def _from_archive(known: ModelPack, names: Sequence[str], folder: Path, way: Way) -> None:
    name = archive_name(known)
    address = f"{way.mirror.rstrip('/')}/{name}" if way.mirror else known.urls[0]
    if way.offline:
        raise _offline(known, [address])
    archive = home() / "downloads" / name
    download(address, archive, max_bytes=MAX_ARCHIVE_BYTES, progress=way.progress, patience=way.patience)
    try:
        extract(archive, names, folder)
    finally:
        archive.unlink()  # used or of no use; a broken one must not be found again


def _one_by_one(
    known: ModelPack, item: Download, spec: EncoderSpec | DetectorSpec, folder: Path, way: Way
) -> None:
    """Fetch one file from the first of its addresses that has the published one."""
    arrived = home() / "downloads" / f"{known.name}-{item.file}"
    addresses = [_address(way, item)] if way.mirror else list(item.urls)
    for address in addresses:
        try:
            download(
                address,
                arrived,
                max_bytes=item.size or MAX_FILE_BYTES,
                progress=way.progress,
                patience=way.patience,
            )
            _check(spec, arrived, address)
        except ModelError as fault:
            arrived.unlink(missing_ok=True)
            if address == addresses[-1]:
                raise
            log.warning("%s Trying the next address.", fault.message)
        else:
            arrived.replace(folder / item.file)
            return


def _address(way: Way, item: Download) -> str:
    return f"{way.mirror.rstrip('/')}/{item.file}" if way.mirror else item.urls[0]


def _check(spec: EncoderSpec | DetectorSpec, path: Path, where: str) -> None:
    actual = sha256_of(path)
    if spec.sha256 and actual != spec.sha256:
        raise ModelError(
            f"{where} is not the published file: its sha256 is {actual}, not {spec.sha256}.",
            hint="Nothing of it was kept. Get it from another place: --mirror URL_OR_FOLDER",
        )


def _offline(known: ModelPack, addresses: Sequence[str]) -> ModelError:
    them = "it" if len(addresses) == 1 else "them"
    return ModelError(
        f"{known.name} is not on this machine, and the network is not to be used (offline).",
        hint=f"Fetch {' and '.join(addresses)} where you can, put {them} into a folder, and run: "
        f"facerec models pull {known.name} --mirror FOLDER",
    )
