"""Other versions of training photos: the same ones made hard before their faces were found and cut out."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.errors import InputError


class PhotoVersions:
    """For each photo of a data set the one of another that shows the same, by folder and name.

    Args:
        photos: What is trained on.
        versions: Crops of the same photos, e.g. of ``facerec data degrade`` and ``facerec data align``.

    Raises:
        InputError: No photo has a version there, or the photos are a stream.
    """

    def __init__(self, photos: FaceDataset, versions: FaceDataset) -> None:
        if photos.format == "stream":
            raise InputError(
                f"{photos.spec} is read as it comes, so versions cannot be found for its photos.",
                hint="Copy the shards to a disk, or leave data.versions out.",
            )
        number = {_key(versions.name(i)): i for i in range(len(versions))}
        found = [number.get(_key(photos.name(i)), -1) for i in range(len(photos))]
        self.versions = versions
        self.number = np.array(found, np.int64)
        found_of = np.flatnonzero(self.number >= 0)
        person = np.full(len(versions), -1)
        person[self.number[found_of]] = photos.labels[found_of]
        wrong = found_of[person[self.number[found_of]] != photos.labels[found_of]]
        if wrong.size:
            raise InputError(
                f"{versions.name(int(self.number[wrong[0]]))} of {versions.spec} is a version of photos of "
                f"two people; one of them is {photos.name(int(wrong[0]))}.",
                hint="Photos of several data sets need different names, or train on one of the sets.",
            )
        if (self.number < 0).all():
            raise InputError(
                f"{versions.spec} has no version of any photo of {photos.spec}; the first there is "
                f"{versions.name(0) if len(versions) else 'missing'!r}.",
                hint="A version lies in a folder of the same name, under the photo's name: person/photo.jpg.",
            )

    def image(self, number: int) -> NDArray[np.uint8] | None:
        """(H, W, 3) uint8 RGB of the version of photo ``number``; None where there is none.

        Raises:
            InputError: It cannot be decoded.
        """
        version = int(self.number[number])
        return None if version < 0 else self.versions.image(version)


def _key(name: str) -> str:
    """Folder and name without a suffix, which aligning changes."""
    path = PurePosixPath(name)
    return f"{path.parent.name}/{path.stem}"
