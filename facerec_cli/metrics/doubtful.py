"""Two people who look like one, listed before an error rate is stated.

A spelling variant of a name, or a photo under the wrong name, makes an impostor score that no model can get
right, and low error rates are about little else: on LFW, 89 of 5,749 people move the threshold of a false
match rate of 1e-6 from 0.514 to 0.719 (with the default pack).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.scores import Vectors, unit_vectors
from facerec_cli.progress import Progress, silent

_AT_ONCE = 128  # rows of a tile that are looked through together: 16 MB where all of them are alike


@dataclass(frozen=True, slots=True)
class DoubtfulPair:
    """Two people whose best photos, or templates, are more alike than two people are.

    Attributes:
        first: A person, the lower number.
        second: The other.
        score: Of the two rows that are most alike.
        rows: Which rows these are, of ``first`` and of ``second``.
    """

    first: int
    second: int
    score: float
    rows: tuple[int, int]


def doubtful_people(
    vectors: Vectors,
    people: NDArray[np.int64],
    bound: float,
    *,
    failed: NDArray[np.bool_] | None = None,
    limit: int = 1000,
    progress: Progress = silent,
) -> tuple[DoubtfulPair, ...]:
    """Pairs of people of whom two rows have a score of ``bound`` or more.

    Args:
        vectors: (R, D) float32, raw or unit length: photos, or one template a person.
        people: (R,) int64, who each row shows; rows of one number are never compared.
        bound: A cosine that two people hardly reach; of a model, and of a number of people.
        failed: (R,) bool, rows without an embedding.
        limit: How many pairs are given at most, 1 or more: those with the highest scores.
        progress: Told the rows done.

    Returns:
        The highest score first; of equal ones the pair that comes first.
    """
    rows = np.arange(len(people)) if failed is None else np.flatnonzero(~failed)
    units, who = unit_vectors(vectors[rows]), people[rows]
    kept = np.zeros(0, _PAIR)
    least = np.float32(bound)
    for tile in tiles(units):
        for start in range(0, len(tile.scores), _AT_ONCE):
            part = tile.scores[start : start + _AT_ONCE]
            i, j = np.nonzero(part >= least)
            first, second = i + tile.rows.start + start, j + tile.columns.start
            use = (first < second) & (who[first] != who[second])
            if use.any():
                found = np.empty(int(use.sum()), _PAIR)
                found["score"] = part[i[use], j[use]]
                found["first"], found["second"] = first[use], second[use]
                kept = _highest(np.concatenate([kept, found]), who, limit)
                if len(kept) == limit:  # equal scores that come later are not listed
                    least = np.nextafter(kept["score"][-1], np.float32(np.inf))
        progress(tile.rows.stop, len(units))
    return _as_pairs(kept, who, rows)


def doubtful_pairs(
    scores: NDArray[np.float32],
    sides: tuple[NDArray[np.int64], NDArray[np.int64]],
    people: NDArray[np.int64],
    bound: float,
    *,
    limit: int = 1000,
) -> tuple[DoubtfulPair, ...]:
    """The same of pairs that are listed.

    Args:
        scores: (P,) of pairs of two people.
        sides: (P,) the rows of each pair.
        people: (N,) who each row shows.
        bound: As for :func:`doubtful_people`.
        limit: Likewise.
    """
    use = np.flatnonzero(scores >= bound)
    found = np.empty(use.size, _PAIR)
    found["score"], found["first"], found["second"] = scores[use], sides[0][use], sides[1][use]
    return _as_pairs(_highest(found, people, limit), people, np.arange(len(people)))


def _as_pairs(
    pairs: NDArray[np.void], who: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[DoubtfulPair, ...]:
    """``rows`` says which row each number of ``pairs`` is."""
    found = []
    for score, a, b in pairs.tolist():
        a, b = (a, b) if who[a] < who[b] else (b, a)
        found.append(DoubtfulPair(int(who[a]), int(who[b]), score, (int(rows[a]), int(rows[b]))))
    return tuple(found)


_PAIR = np.dtype([("score", np.float32), ("first", np.int64), ("second", np.int64)])


def _highest(pairs: NDArray[np.void], who: NDArray[np.int64], limit: int) -> NDArray[np.void]:
    """The best two rows of each two people, of the ``limit`` that are most alike."""
    pairs = pairs[np.lexsort((pairs["second"], pairs["first"], -pairs["score"]))]
    sides = np.sort(np.stack([who[pairs["first"]], who[pairs["second"]]], axis=1), axis=1)
    once = np.unique(sides, axis=0, return_index=True)[1]
    return pairs[np.sort(once)[:limit]]
