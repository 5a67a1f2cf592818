"""Which faces of photos are enrolled already, for whom, and who says so in this run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.look_alikes import SAME


class SameFace(NamedTuple):
    """A face that is enrolled under another name: whose, how alike, and whether one run has both names."""

    person: str
    score: float
    disputed: bool


class EnrolledFaces:
    """The faces of photos that a gallery has; two names for one of them in a run are kept apart.

    Args:
        gallery: Open.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._claims: dict[int, str] = {}  # face -> whose this run says it is

    def claim(self, faces: Iterable[int], names: Iterable[str]) -> None:
        """Keep in mind whose faces they are, by this run."""
        self._claims.update(zip(faces, names, strict=True))

    def known(self, photos: Sequence[str], names: Sequence[str]) -> list[bool]:
        """Which photos, each named by its sha256 or path, their person has, or has earlier among these."""
        known = []
        seen = set()
        for photo, name in zip(photos, names, strict=True):
            own = [face.id for face, owner in self._gallery.faces_of_photo(photo) if owner == name]
            self.claim(own, [name] * len(own))
            known.append(bool(own) or (name, photo) in seen)
            seen.add((name, photo))
        return known

    def same_face(self, photo: str, name: str, vector: NDArray[np.float32]) -> SameFace | None:
        """Whose a face of a photo is, where it is enrolled under another name.

        So is that of a person who was renamed, merged or split since. ``disputed`` says that this run names
        both of them, so that one label is wrong.

        Args:
            photo: Its sha256, or else its path; may be "".
            name: Whose it is said to be.
            vector: (D,) float32 of unit length.
        """
        found = self._gallery.faces_of_photo(photo) if photo else ()
        if not found:
            return None
        scores = self._gallery.vectors([face for face, _ in found]) @ vector
        at = int(scores.argmax())
        face, owner = found[at]
        if scores[at] < SAME or owner == name:
            return None
        return SameFace(owner, float(scores[at]), self._claims.setdefault(face.id, name) != name)
