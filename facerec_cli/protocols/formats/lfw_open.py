"""The open-set protocols O1, O2 and O3 on Labeled Faces in the Wild, made from its names alone.

Source: Günther, Cruz, Rudd, Boult, "Toward open-set face recognition", CVPR Workshops 2017 (1705.01567).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.images import find_images
from facerec_cli.pairs.names import is_folder
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.people import number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat

_ENROLLED = 3  # photos of a known person that are in the gallery
_NUMBERED = re.compile(r"(.+)_\d+")


class LfwOpen(ProtocolFormat):
    """A folder with a subfolder a person, or with photos that are named ``Ann_Lee_0001.jpg``.

    Who has four photos or more is known: the first three by name are the gallery, the others are probes. All
    photos of people with two or three are probes of known unknowns, the only photos of others of unknown
    unknowns. O1 has the first two kinds of probes, O2 the first and the last, O3 all.
    """

    description = "a folder of LFW, or of any people; its names make the open-set trials O1, O2 and O3"
    recognized = False

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Never: it is a folder of people, of which much else can be made."""
        return False

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Divide the people by how many photos they have."""
        folder = paths[0]
        if not is_folder(folder):
            raise InputError(f"{str(folder)!r} is not a folder.", hint="Name LFW's folder of photos.")
        images = tuple(
            sorted((Path(path) for path in find_images([folder])), key=lambda path: path.as_posix())
        )
        people, identity = number_people(_person(image, folder) for image in images)
        gallery, known, known_unknown, unknown = _kinds(identity, len(people))
        if not gallery.size:
            raise InputError(
                f"Nobody in {str(folder)!r} has more than {_ENROLLED} photos.",
                hint="O1 to O3 need people with four photos: three are enrolled, the others searched for.",
            )
        trials = {"O1": (known, known_unknown), "O2": (known, unknown), "O3": (known, known_unknown, unknown)}
        return SearchProtocol(
            images=images,
            names=tuple(str(image) for image in images),
            people=people,
            identity=identity,
            trials=tuple(
                SearchTrial(name, gallery, np.sort(np.concatenate(probes))) for name, probes in trials.items()
            ),
            rule="Published as the curve of DIR over FAR; here the first three photos by name are enrolled.",
        )

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """The photos were found when the folder was read."""
        return protocol.images


def _person(image: Path, folder: Path) -> str:
    """The folder that a photo lies in; where that is ``folder``, its name without the number."""
    if image.parent != folder:
        return image.parent.name
    found = _NUMBERED.fullmatch(image.stem)
    if found is None:
        raise InputError(
            f"{str(image)!r} does not say whom it shows.",
            hint="Put the photos of each person into a folder of their own, or name them Ann_Lee_0001.jpg.",
        )
    return found[1]


def _kinds(identity: NDArray[np.int64], people: int) -> tuple[NDArray[np.int64], ...]:
    """The items of the gallery, and the probes: known people, known unknowns, unknown unknowns."""
    count = np.bincount(identity, minlength=people)[identity]
    order = np.argsort(identity, kind="stable")
    starts = np.searchsorted(identity[order], np.arange(people))
    place = np.empty(identity.size, np.int64)  # the how manieth photo of its person each is
    place[order] = np.arange(identity.size) - starts[identity[order]]
    is_known = count > _ENROLLED
    kinds = (
        is_known & (place < _ENROLLED),
        is_known & (place >= _ENROLLED),
        (count > 1) & ~is_known,
        count == 1,
    )
    return tuple(np.flatnonzero(kind).astype(np.int64) for kind in kinds)
