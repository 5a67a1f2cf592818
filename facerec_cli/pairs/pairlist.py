"""What a list of labeled pairs is once it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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


class ListedPhotos(Protocol):
    """The photos of a list of pairs or of a protocol of searches; see :class:`PairList`."""

    @property
    def images(self) -> tuple[Path | bytes, ...]:
        """Paths, or the bytes of encoded images."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the list calls each photo."""

    @property
    def aligned(self) -> bool:
        """Whether the photos are aligned crops already."""

    @property
    def landmarks(self) -> NDArray[np.float32] | None:
        """(N, 5, 2) pixels where the list comes with them."""

    @property
    def templates(self) -> Templates | None:
        """How photos make templates."""


@dataclass(frozen=True, slots=True)
class PairList:
    """Labeled pairs of photos or of templates: the only type for them.

    Attributes:
        first: (P,) int64 index into the photos, or into ``templates.names``.
        second: (P,) int64, the other side.
        same: (P,) bool, True where both sides show one person (genuine), False for two people (impostor).
        images: N photos, as paths or as the bytes of an encoded image; a path need not exist. Empty where
            the pairs are of photos that somebody else holds, such as those of a data set.
        names: N, what the list calls each photo; likewise.
        fold: (P,) int64, or None where the list has no folds.
        identity: (N,) int64, who is on each photo, or None where the list does not say.
        aligned: Whether the photos are aligned crops already, not to be detected again.
        landmarks: (N, 5, 2) float32 pixels where the list comes with them.
        detection_scores: (N,) float32, the score of each of these detections; likewise.
        templates: How photos make templates; None for pairs of photos.
        format: A key of ``registry.PAIR_FORMATS``; "" for pairs that were not read from a list.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    images: tuple[Path | bytes, ...] = ()
    names: tuple[str, ...] = ()
    fold: NDArray[np.int64] | None = None
    identity: NDArray[np.int64] | None = None
    aligned: bool = False
    landmarks: NDArray[np.float32] | None = None
    detection_scores: NDArray[np.float32] | None = None
    templates: Templates | None = None
    format: str = ""

    def __len__(self) -> int:
        return int(self.same.size)

    @classmethod
    def from_names(
        cls,
        sides: Iterable[str],
        same: Sequence[bool] | NDArray[np.bool_],
        *,
        fold: Sequence[int] | NDArray[np.int64] | None = None,
        person: Callable[[str], str] | None = None,
    ) -> PairList:
        """The pairs of a list that names photos.

        Args:
            sides: 2 P names, the two of a pair after one another; paths as the list has them.
            same: (P,) whether a pair is of one person.
            fold: (P,) the fold of each pair.
            person: Who a photo shows, by its name, where the list says so.
        """
        names, index = distinct(sides)
        return cls(
            first=index[0::2],
            second=index[1::2],
            same=np.asarray(same, bool),
            images=tuple(Path(name) for name in names),
            names=names,
            fold=None if fold is None else np.asarray(fold, np.int64),
            identity=None if person is None else distinct(person(name) for name in names)[1],
        )

    @property
    def impostors(self) -> int:
        """How many pairs are of two people."""
        return len(self) - int(self.same.sum())


def distinct(names: Iterable[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Each distinct name once, in order, and which of them each given name is, (N,) int64."""
    number: dict[str, int] = {}
    index = np.fromiter((number.setdefault(name, len(number)) for name in names), np.int64)
    return tuple(number), index
