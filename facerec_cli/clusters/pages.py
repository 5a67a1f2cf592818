"""Groups of faces as a page on which a person reviews them: what is most doubtful comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from facerec_cli.clusters.clustering import Clustering
from facerec_cli.metrics.search import top_k
from facerec_cli.review.decisions import Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.page import MOST_FACES, ReviewFace, ReviewGroup, ReviewPage, ReviewQuestion
from facerec_cli.review.pictures import FacePictures
from facerec_cli.wording import counted

MOST_QUESTIONS = 300  # of each kind
_NEAR = 6  # other groups that are offered to merge one with
_FAR = 0.12  # a pair of groups whose score is so much below the threshold is no question
_SURE = 0.1  # nor is a face with such a margin


def review_page(
    found: Clustering, *, apply: str, decisions: Decisions | None = None, most: int | None = MOST_FACES
) -> ReviewPage:
    """The page of groups.

    Args:
        found: The groups, before any decisions.
        apply: The command that carries decisions out, with FILE for their file.
        decisions: What was decided before.
        most: How many faces are on the page; of more, the groups that are most doubtful. None takes all.
    """
    groups = list(found.groups.values())
    means = _means(found, groups)
    others, scores = _nearest(means)
    photos = [{found.path(face) for face in faces.tolist()} for faces in groups]
    pairs = _pairs(others, scores, photos, found.threshold.value)
    doubt = _doubt(found, groups, pairs)
    order = np.argsort(doubt, kind="stable")
    sizes = np.array([len(groups[at]) for at in order], np.int64)
    shown = order if most is None else order[np.cumsum(sizes) <= most]
    place = {int(at): index for index, at in enumerate(shown)}
    junk = [] if most is not None and len(shown) < len(order) else np.flatnonzero(found.labels < 0).tolist()
    kept = [face for at in shown for face in _by_margin(found, groups[at])] + junk
    where = {face: index for index, face in enumerate(kept)}
    keys = face_keys(found.faces.vectors[kept]) if kept else []
    left = len(found) - len(kept)
    return ReviewPage(
        title=f"Groups of {counted(len(found), 'face')}"
        + (f", the {len(kept):,} most doubtful" if left else ""),
        kind="clusters",
        source=found.faces.source,
        model=found.faces.model.sha256,
        faces=[
            ReviewFace(found.path(face), found.number(face), key, float(found.margin[face]))
            for face, key in zip(kept, keys, strict=True)
        ],
        groups=[
            ReviewGroup(
                tuple(where[face] for face in _by_margin(found, groups[at])),
                found.person[int(groups[at][0])],
                int(found.labels[groups[at][0]]),
                tuple(
                    (place[int(other)], float(score))
                    for other, score in zip(others[at], scores[at], strict=True)
                    if int(other) in place
                ),
            )
            for at in shown
        ],
        questions=[*_of_pairs(pairs, place, found.threshold.value), *_of_faces(found, groups, place, where)],
        pictures=FacePictures([found.path(face) for face in kept], found.faces.boxes[kept]),
        apply=apply,
        threshold=found.threshold.value,
        decisions=decisions or Decisions(()),
    )


def _means(found: Clustering, groups: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """(G, D) the mean vector of each group, whose products are the mean similarities of their faces."""
    means = [found.faces.vectors[faces].mean(axis=0) for faces in groups]
    return np.stack(means).astype(np.float32) if means else np.zeros((0, 1), np.float32)


def _nearest(means: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(G, K) the nearest other groups of each, and their scores."""
    count = len(means)
    if count < 2:
        return np.zeros((count, 0), np.int64), np.zeros((count, 0), np.float32)
    rows, scores = top_k(means, means, min(count, _NEAR + 1))
    other = rows != np.arange(count)[:, None]
    other[other.all(axis=1), -1] = False  # a group that is not among its own nearest: the last gives way
    keep = rows.shape[1] - 1
    return rows[other].reshape(count, keep), scores[other].reshape(count, keep)


def _pairs(
    others: NDArray[np.int64], scores: NDArray[np.float32], photos: list[set[str]], threshold: float
) -> dict[tuple[int, int], float]:
    """Pairs of groups -> their score, the nearest to the threshold; two on one photo are two people."""
    found: dict[tuple[int, int], float] = {}
    for at in range(len(others)):
        for other, score in zip(others[at].tolist(), scores[at].tolist(), strict=True):
            if score >= threshold - _FAR and photos[at].isdisjoint(photos[other]):
                found[min(at, other), max(at, other)] = score
    nearest = sorted(found.items(), key=lambda pair: (abs(pair[1] - threshold), pair[0]))
    return dict(nearest[:MOST_QUESTIONS])


def _doubt(
    found: Clustering, groups: list[NDArray[np.int64]], pairs: Mapping[tuple[int, int], float]
) -> NDArray[np.float64]:
    """(G,) the least margin of each group's faces, or how near to the threshold it is to another group."""
    margin = np.where(np.isfinite(found.margin), found.margin, np.inf)
    doubt = np.array([margin[faces].min() for faces in groups], np.float64)
    for pair, score in pairs.items():
        for group in pair:
            doubt[group] = min(doubt[group], abs(score - found.threshold.value))
    return doubt


def _by_margin(found: Clustering, faces: NDArray[np.int64]) -> list[int]:
    """The faces of a group, the least margin first."""
    margin = found.margin[faces]
    return [
        int(face) for face in faces[np.argsort(np.where(np.isfinite(margin), margin, np.inf), kind="stable")]
    ]


def _of_pairs(
    pairs: Mapping[tuple[int, int], float], place: Mapping[int, int], threshold: float
) -> Iterator[ReviewQuestion]:
    """Are two groups one person?"""
    for (first, second), score in pairs.items():
        if first in place and second in place:
            yield ReviewQuestion(place[first], place[second], score, abs(score - threshold))


def _of_faces(
    found: Clustering,
    groups: list[NDArray[np.int64]],
    place: Mapping[int, int],
    where: Mapping[int, int],
) -> Iterator[ReviewQuestion]:
    """Does a face belong to its group? Those with the least margin."""
    unsure = [
        (float(found.margin[face]), place[at], where[face])
        for at, faces in enumerate(groups)
        if at in place and len(faces) > 1
        for face in faces.tolist()
        if found.margin[face] < _SURE
    ]
    for margin, group, face in sorted(unsure)[:MOST_QUESTIONS]:
        yield ReviewQuestion(group, -1, margin, abs(margin), face)
