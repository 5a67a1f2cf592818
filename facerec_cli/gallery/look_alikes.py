"""Faces that look like somebody else who is enrolled, before they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.calibrate import gallery_tail
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.info import GalleryInfo
from facerec_cli.gallery.settings import LOOK_ALIKE_FPIR
from facerec_cli.metrics.search_threshold import from_tail

SAME = 0.99
"""The score of one photo with itself, saved anew; what counts where the model has no impostor tail."""

_CANDIDATES = 2


def look_alike_threshold(info: GalleryInfo, people: int) -> float:
    """The score from which on a face looks like somebody else, among so many people.

    It is the threshold at which one of 1,000 strangers would get a name.
    """
    tail = gallery_tail(info)
    if tail is None:
        return SAME
    return min(SAME, from_tail(tail, max(1, people), LOOK_ALIKE_FPIR).value or SAME)


def look_alikes(
    enrolled: EnrolledPeople, names: Sequence[str], vectors: NDArray[np.float32], threshold: float
) -> list[tuple[str, float] | None]:
    """Whom each face looks like, other than the person whose it is said to be.

    A face that looks more like its own person's others is not told of: brothers and sisters may be alike.
    Faces of one call are compared with those before them that look like nobody else.

    Args:
        enrolled: Who is enrolled, also those whose date has expired.
        names: F, the person of each face.
        vectors: (F, D) float32, unit length.
        threshold: From :func:`look_alike_threshold`.

    Returns:
        For each face the name and the score, or None.
    """
    others = _best_others(enrolled, names, vectors)
    own = _own(enrolled, names, vectors)
    told: list[tuple[str, float] | None] = []
    kept: list[int] = []
    for at, name in enumerate(names):
        mine, (other, best) = own[at], others[at]
        if kept:
            scores = vectors[kept] @ vectors[at]
            for earlier, score in zip(kept, scores.tolist(), strict=True):
                if names[earlier] == name:
                    mine = max(mine, score)
                elif score > best:
                    other, best = names[earlier], score
        if best >= threshold and best >= mine:
            told.append((other, best))
        else:
            told.append(None)
            kept.append(at)
    return told


def _best_others(
    enrolled: EnrolledPeople, names: Sequence[str], vectors: NDArray[np.float32]
) -> list[tuple[str, float]]:
    if not len(enrolled):
        return [("", -np.inf)] * len(names)
    people, scores = enrolled.search(vectors, _CANDIDATES)
    best = []
    for name, candidates, row in zip(names, people.tolist(), scores.tolist(), strict=True):
        found = [(enrolled.names[one], score) for one, score in zip(candidates, row, strict=True) if one >= 0]
        best.append(next((one for one in found if one[0] != name), ("", -np.inf)))
    return best


def _own(enrolled: EnrolledPeople, names: Sequence[str], vectors: NDArray[np.float32]) -> list[float]:
    """The score of each face with the template of its own person, -inf for people who are new."""
    number = {name: person for person, name in enumerate(enrolled.names)}
    row_of = np.full(len(enrolled) + 1, -1, np.int64)
    live = np.flatnonzero(enrolled.person >= 0)
    row_of[enrolled.person[live]] = live
    scores = [-np.inf] * len(names)
    starts = np.cumsum([0, *(len(block) for block in enrolled.templates)])
    for at, name in enumerate(names):
        if name in number:
            row = int(row_of[number[name]])
            block = int(np.searchsorted(starts, row, side="right")) - 1
            scores[at] = float(np.dot(enrolled.templates[block][row - starts[block]], vectors[at]))
    return scores
