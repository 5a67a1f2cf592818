"""SCface: mugshots in the gallery, surveillance cameras at three distances as probes.

Source: Grgic, Delac, Grgic, "SCface - surveillance cameras face database", Multimedia Tools and Applications
51 (2011). The names are those of the database.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.people import number_people
from facerec_cli.protocols.photo_folders import files_below
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_MUGSHOT, _CAMERA = re.compile(r"(\d{3})_frontal"), re.compile(r"(\d{3})_cam([1-5])_([1-3])")
_MOST = 1_000_000


class SCface(ProtocolFormat):
    """``001_frontal.jpg`` is the mugshot of person 001, ``001_cam1_3.jpg`` the person before camera 1.

    The last number is the distance: 1 is 4.20 m, 2 is 2.60 m, 3 is 1.00 m. The trials are d1, d2 and d3, each
    with the five cameras of daylight; the infrared ones (6 to 8) and turned mugshots are left out.
    """

    description = "SCface's photos: a folder with 001_frontal.jpg, 001_cam1_1.jpg and so on"

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether a folder has mugshots and photos of cameras, named so."""
        if not heads[0].is_folder:
            return False
        stems = [path.stem for path in files_below(heads[0].path)]
        return any(map(_MUGSHOT.fullmatch, stems)) and any(map(_CAMERA.fullmatch, stems))

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Take the photos that are named so, wherever they lie below the folder."""
        photos = _photos(paths[0])
        people, identity = number_people(found[1] for _, found in photos)
        is_mugshot = np.array([found.re is _MUGSHOT for _, found in photos], bool)
        gallery = np.flatnonzero(is_mugshot).astype(np.int64)
        if not gallery.size or is_mugshot.all():
            raise InputError(
                f"{str(paths[0])!r} has {counted(gallery.size, 'mugshot')} and "
                f"{counted(len(photos) - gallery.size, 'photo')} of cameras.",
                hint="SCface's are named 001_frontal.jpg and 001_cam1_1.jpg.",
            )
        distances = {
            f"d{number}": [
                at for at, (_, found) in enumerate(photos) if found.re is _CAMERA and found[3] == number
            ]
            for number in "123"
        }
        images = tuple(path for path, _ in photos)
        return SearchProtocol(
            images=images,
            names=tuple(str(image) for image in images),
            people=people,
            identity=identity,
            trials=tuple(
                SearchTrial(name, gallery, np.array(probes, np.int64))
                for name, probes in distances.items()
                if probes
            ),
            rule="Published as rank-1 at d1 (4.20 m), d2 (2.60 m), d3 (1.00 m) and their mean: of all 130 "
            "people, or of 50 where a model was trained on the other 80; which 50 is not published.",
        )

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """The photos were found when the folder was read."""
        return protocol.images


def _photos(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """The photos that are named as SCface's, each name once, with what its name says."""
    photos: dict[str, tuple[Path, re.Match[str]]] = {}
    again = 0
    for path in files_below(folder, _MOST):
        found = _MUGSHOT.fullmatch(path.stem) or _CAMERA.fullmatch(path.stem)
        if found:
            again += path.stem in photos
            photos.setdefault(path.stem, (path, found))
    if again:
        log.warning("%s of a name that is there before; the first by folder counts", counted(again, "photo"))
    return list(photos.values())
