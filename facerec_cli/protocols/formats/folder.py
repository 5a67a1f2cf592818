"""Two folders of people: the gallery and the probes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.images import find_images
from facerec_cli.pairs.names import is_folder
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.people import DISTRACTOR, NOBODY, number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat


class PeopleFolders(ProtocolFormat):
    """A subfolder a person in both, of the same name where the person is the same.

    Photos of the probes that lie in no subfolder, or in one named ``unknown``, show nobody of the gallery. A
    subfolder ``distractors`` of the gallery has people who are nobody's mates.
    """

    description = "two folders, the gallery and the probes, with a subfolder a person"
    inputs = 2

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether both are folders."""
        return all(head.is_folder for head in heads)

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Take what is below the two folders; the first level says who it is."""
        gallery, probes = (_photos(path) for path in paths)
        loose = next((path for path, folder in gallery if not folder), None)
        if loose is not None:
            raise InputError(
                f"{str(loose)!r} lies directly in the gallery, so nobody knows whom it shows.",
                hint="Put the photos of each person into a folder of their own.",
            )
        enrolled = [None if folder.lower() in DISTRACTOR else folder for _, folder in gallery]
        wanted = [None if folder.lower() in NOBODY else folder for _, folder in probes]
        people, identity = number_people([*enrolled, *wanted])
        images = tuple(path for path, _ in (*gallery, *probes))
        items = np.arange(len(images), dtype=np.int64)
        return SearchProtocol(
            images=images,
            names=tuple(str(image) for image in images),
            people=people,
            identity=identity,
            trials=(SearchTrial("search", items[: len(gallery)], items[len(gallery) :]),),
        )

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """The photos were found when the folders were read."""
        return protocol.images


def _photos(folder: Path) -> list[tuple[Path, str]]:
    """Each photo below a folder, and the subfolder of the first level that it is in; "" for none.

    Raises:
        InputError: There is no photo, or no folder.
    """
    if not is_folder(folder):
        raise InputError(f"{str(folder)!r} is not a folder.", hint="Name a folder with a subfolder a person.")
    photos = [Path(path) for path in find_images([folder])]
    if not photos:
        raise InputError(f"There is no photo in {str(folder)!r}.", hint="Name a folder of people's photos.")
    parts = [photo.relative_to(folder).parts for photo in photos]
    return [(photo, part[0] if len(part) > 1 else "") for photo, part in zip(photos, parts, strict=True)]
