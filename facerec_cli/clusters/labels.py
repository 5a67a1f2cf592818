"""Groups of vectors for programs: ``facerec_cli.cluster``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.clusters.grouping import NEIGHBORS, Constraints, Pairs, group_faces
from facerec_cli.clusters.threshold import LinkThreshold, link_threshold
from facerec_cli.errors import InputError, UsageError
from facerec_cli.metrics.impostor_tail import tail_of
from facerec_cli.metrics.scores import unit_vectors
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack
from facerec_cli.threshold import ImpostorTail
from facerec_cli.verify.settings import Steps, no_steps


@dataclass(frozen=True, slots=True, eq=False)
class FaceGroups:
    """Which faces go together, and how surely.

    Attributes:
        labels: (F,) int64, the group of each face, from 0, the largest first; a face alone has its own.
        margins: (F,) float32, near 0 or below where it is doubtful; NaN where nothing is to compare with.
        threshold: The mean similarity from which on two groups are one.
    """

    labels: NDArray[np.int64]
    margins: NDArray[np.float32]
    threshold: LinkThreshold


def cluster(
    vectors: ArrayLike,
    *,
    threshold: float | None = None,
    false_links: float | None = None,
    tail: ImpostorTail | ModelPack | str | None = None,
    photos: Sequence[str | int] | None = None,
    must_link: ArrayLike = (),
    cannot_link: ArrayLike = (),
    neighbors: int = NEIGHBORS,
    steps: Steps = no_steps,
) -> FaceGroups:
    """Put faces together by person; the same groups for any order of the faces.

    Args:
        vectors: (F, D) embeddings of any length.
        threshold: The mean cosine from which on two groups are one; or
        false_links: the expected false neighbors of a face, 0.1 where neither is given, with
        tail: how high scores of two people come with the model: its impostor tail, or the model.
        photos: The photo of each face, of which no two are one person; None where that may be.
        must_link: (L, 2) numbers of faces that are of one person.
        cannot_link: (L, 2), of faces that are not.
        neighbors: Neighbors of a face that are looked at.
        steps: Watches the work.

    Raises:
        InputError: Vectors are not finite or zero, links contradict each other, or nothing says a threshold.
        UsageError: Both a threshold and a rate of false links are given, or a number is out of range.
    """
    table = _checked(vectors)
    if threshold is not None and false_links is not None:
        raise UsageError("threshold and false_links are two ways to say one thing.", hint="Give one of them.")
    if isinstance(tail, str):
        tail = open_pack(tail)
    model = tail.name if isinstance(tail, ModelPack) else ""
    known = tail_of(tail, flip=False) if isinstance(tail, ModelPack) else tail
    rate = 0.1 if false_links is None else false_links
    if not rate > 0:
        raise UsageError(f"false_links {rate:g} does not fit.", hint="It must be above 0, such as 0.1.")
    if threshold is not None and not -1 <= threshold <= 1:
        raise UsageError(f"threshold {threshold:g} is not a cosine between -1 and 1.")
    if photos is not None and len(photos) != len(table):
        raise InputError(f"{len(table)} faces have {len(photos)} photos.", hint="Give a photo for each face.")
    value = link_threshold(len(table), threshold=threshold, false_links=rate, tail=known, model=model)
    constraints = Constraints(
        photos=None if photos is None else tuple(map(str, photos)),
        must_link=_pairs(must_link, len(table), "must_link"),
        cannot_link=_pairs(cannot_link, len(table), "cannot_link"),
    )
    found = group_faces(table, value.value, constraints, neighbors=max(1, neighbors), steps=steps)
    return FaceGroups(found.labels, found.margins, value)


def _checked(vectors: ArrayLike) -> NDArray[np.float32]:
    """(F, D) float32 of unit length."""
    table = np.asarray(vectors, np.float32)
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(f"Embeddings are (F, D) numbers, not of shape {table.shape}.")
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        raise InputError(f"The embedding of face {int(np.argmin(finite))} is not finite.")
    if not (there := table.any(axis=1)).all():
        raise InputError(f"The embedding of face {int(np.argmin(there))} is all zero.")
    return unit_vectors(table)


def _pairs(links: ArrayLike, count: int, name: str) -> Pairs:
    pairs = np.asarray(links, np.int64).reshape(-1, 2) if np.size(links) else np.zeros((0, 2), np.int64)
    if ((pairs < 0) | (pairs >= count)).any():
        raise InputError(f"{name} names a face that is not there.", hint=f"Faces are 0 to {count - 1}.")
    return pairs
