"""What a list of labelled pairs is once it is read, and the names of its formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Format -> reader ``(path) -> (PairList whose images are relative paths, ways to complete a path)``.
FORMATS: dict[str, str] = {
    "lfw": "facerec_cli.pairs.formats.text:read_lfw",
    "labeled": "facerec_cli.pairs.formats.text:read_labelled",
    "calfw": "facerec_cli.pairs.formats.text:read_calfw",
    "bin": "facerec_cli.pairs.formats.bin:read_bin",
    "ijb": "facerec_cli.pairs.formats.ijb:read_ijb",
    "cfp": "facerec_cli.pairs.formats.cfp:read_cfp",
}


@dataclass(frozen=True, slots=True)
class Templates:
    """Sets of photos that are compared as one (IJB-B/C).

    Attributes:
        names: (T,) template ids as written.
        image: (R,) int64, photo of each row of the ``tid_mid`` file.
        template: (R,) int64, 0..T-1.
        media: (R,) int64; the photos of one media (frames of a video) are averaged before media are summed.
    """

    names: NDArray[np.int64]
    image: NDArray[np.int64]
    template: NDArray[np.int64]
    media: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairList:
    """Labelled pairs of photos or of templates.

    Attributes:
        format: A key of ``FORMATS``.
        images: N photos, as paths or as the bytes of an encoded image; a path need not exist.
        names: What the list calls each photo.
        first: (P,) int64 index into ``images``, or into ``templates.names``.
        second: (P,) int64, the other side.
        same: (P,) bool, True where both sides show one person.
        fold: (P,) int64, or None where the list has no folds.
        identity: (N,) int64, who is on each photo, or None where the list does not say.
        aligned: Whether the photos are aligned crops already, not to be detected again.
        landmarks: (N, 5, 2) float32 pixels where the list comes with them.
        templates: How photos make templates; None for pairs of photos.
    """

    format: str
    images: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64] | None = None
    identity: NDArray[np.int64] | None = None
    aligned: bool = False
    landmarks: NDArray[np.float32] | None = None
    templates: Templates | None = None

    def __len__(self) -> int:
        return int(self.same.size)


def list_of_photos(
    format: str,
    table: tuple[tuple[str, ...], NDArray[np.int64]],
    same: Sequence[bool] | NDArray[np.bool_],
    *,
    fold: NDArray[np.int64] | None = None,
    identity: NDArray[np.int64] | None = None,
) -> PairList:
    """The pairs of a list that names photos, two for each pair.

    Args:
        format: A key of ``FORMATS``.
        table: :func:`photo_table` of the photos, the two of a pair after one another.
        same: (P,) whether a pair is of one person.
        fold: (P,) as in :class:`PairList`.
        identity: (N,) likewise.
    """
    names, index = table
    return PairList(
        format=format,
        images=tuple(Path(name) for name in names),
        names=names,
        first=index[0::2],
        second=index[1::2],
        same=np.asarray(same, bool),
        fold=fold,
        identity=identity,
    )


def photo_table(names: Iterable[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Give each distinct name a number: (names, index of each given name)."""
    number: dict[str, int] = {}
    index = np.fromiter((number.setdefault(name, len(number)) for name in names), np.int64)
    return tuple(number), index
