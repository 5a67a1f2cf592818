"""Searches of which the right answer is known: the rank and score of each mate, and the best other person.

No matrix of all scores is kept. A block of probes is compared with the gallery tile by tile, and of each tile
only the highest score of each probe, and how many reach the score of its mate, are remembered. The mate's
score is read from the tile that it lies in, before the others are counted against it; probes are sorted by
mate, so that those of a block lie in one tile or two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Scores
from facerec_cli.progress import Progress, silent

ROWS, COLUMNS = 512, 2048  # probes and columns of a tile: 4 MB, which a core's cache holds

#: The scores of probes (R,) against columns [first, stop) of the gallery: (R, stop - first). They may be
#: written to, and last until the next call. A block is the same array in each call for it.
ScoreBlock = Callable[[NDArray[np.int64], int, int], Scores]


@dataclass(frozen=True, slots=True, eq=False)
class SearchOutcomes:
    """What each of S searches returned.

    Attributes:
        person: (S,) int64, position of the mate among the N people; -1 for a non-mated search.
        mate: (S,) score of the mate; -inf for a non-mated search.
        best: (S,) the highest score of another person; -inf where there is no other.
        rank: (S,) int64, 1 + the others whose score is >= the mate's; 0 for a non-mated search.
        ties: (S,) int64, how many of these others have exactly the mate's score.
        precision: (S,) float64 average precision over the mate's photos, where rank is over photos; else
            empty.
        subsets: n -> (S, draws): the highest score of another person in galleries of n people that were drawn
            from the N, with the mate in each of them.
    """

    person: NDArray[np.int64]
    mate: Scores
    best: Scores
    rank: NDArray[np.int64]
    ties: NDArray[np.int64]
    precision: NDArray[np.float64]
    subsets: dict[int, Scores] = field(default_factory=dict)

    @property
    def mated(self) -> NDArray[np.bool_]:
        """(S,) bool."""
        return self.person >= 0


def search_outcomes(
    score: ScoreBlock,
    starts: NDArray[np.int64],
    person: NDArray[np.int64],
    *,
    kind: type[np.floating[Any]] = np.float32,
    images: bool = False,
    subsets: Sequence[tuple[int, int]] = (),
    progress: Progress = silent,
) -> SearchOutcomes:
    """Search each probe among all people.

    Args:
        score: Gives the scores of a block.
        starts: (N + 1,) int64, the columns of person i are ``starts[i]:starts[i + 1]``, one or more. The
            score of a person is the highest of theirs.
        person: (S,) int64, the mate of each probe, 0..N-1; -1 for none.
        kind: Type of the scores.
        images: Whether the rank counts columns (photos) instead of people.
        subsets: (n, draws): what the outcome of the search would be among n people, the first, second ... n
            of the columns' order; n >= 2 and n * draws <= N.
        progress: Told the searches done.
    """
    found = SearchOutcomes(
        person,
        np.full(len(person), -np.inf, kind),
        np.full(len(person), -np.inf, kind),
        np.zeros(len(person), np.int64),
        np.zeros(len(person), np.int64),
        np.zeros(len(person) if images else 0),
        {n: np.empty((len(person), draws), kind) for n, draws in subsets},
    )
    gallery = _Columns(score, starts)
    order = np.argsort(person, kind="stable")
    for at in range(0, len(order), ROWS):
        rows = order[at : at + ROWS]
        _Block(gallery, rows, found, images, subsets).search()
        progress(at + len(rows), len(order))
    return found


class _Columns:
    """The gallery's columns, cut into tiles between people."""

    def __init__(self, score: ScoreBlock, starts: NDArray[np.int64]) -> None:
        self.score, self.starts = score, starts
        self.alone = len(starts) == starts[-1] + 1  # a column a person
        firsts = [0]
        while firsts[-1] < len(starts) - 1:  # as many people as fit, at least one
            last = int(np.searchsorted(starts, starts[firsts[-1]] + COLUMNS, side="right")) - 1
            firsts.append(max(last, firsts[-1] + 1))
        self.firsts = np.array(firsts)

    def tile_of(self, people: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tile of each person."""
        return np.searchsorted(self.firsts, people, side="right") - 1

    def tile(self, rows: NDArray[np.int64], t: int) -> Scores:
        """(R, columns of tile t)."""
        return self.score(rows, int(self.starts[self.firsts[t]]), int(self.starts[self.firsts[t + 1]]))

    def by_person(self, scores: Scores, t: int) -> Scores:
        """(R, people of tile t), the highest score of each person."""
        if self.alone:
            return scores
        starts = self.starts[self.firsts[t] : self.firsts[t + 1]]
        highest: Scores = np.maximum.reduceat(scores, starts - starts[0], axis=1)
        return highest


class _Block:
    """Some probes, searched together; writes what is found into ``found``."""

    def __init__(
        self,
        gallery: _Columns,
        rows: NDArray[np.int64],
        found: SearchOutcomes,
        images: bool,
        subsets: Sequence[tuple[int, int]],
    ) -> None:
        self.gallery, self.rows, self.found, self.images = gallery, rows, found, images
        self.person = found.person[rows]
        self.tiles = np.where(self.person >= 0, gallery.tile_of(self.person), -1)
        kind = found.mate.dtype
        self.mate = np.full(len(rows), np.inf, kind)  # which no score reaches where there is no mate
        self.best = np.full(len(rows), -np.inf, kind)
        self.before, self.ties = np.zeros((2, len(rows)), np.int64)
        starts = gallery.starts
        faces = np.where(self.person >= 0, starts[self.person + 1] - starts[self.person], 0)
        self.mates = np.full((len(rows), int(faces.max(initial=0)) if images else 0), np.inf, kind)
        self.beyond = np.zeros(self.mates.shape, np.int64)
        self.subsets = [_Subsets(n, draws, len(rows), kind) for n, draws in subsets]

    def search(self) -> None:
        mated = [int(t) for t in np.unique(self.tiles[self.tiles >= 0])]
        scores = None
        for t in mated:
            scores = self.gallery.tile(self.rows, t)
            self._read_mates(scores, t)
        self.mates.sort(axis=1)
        last = mated[-1:]
        for t in [*last, *(t for t in range(len(self.gallery.firsts) - 1) if t not in last)]:
            if scores is None:
                scores = self.gallery.tile(self.rows, t)
            self._count(scores, t)
            scores = None
        self._write()

    def _mate_columns(self, t: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the block and columns of the tile where mates lie, and which of their columns each is."""
        here = np.flatnonzero(self.tiles == t)
        starts, people = self.gallery.starts, self.person[here]
        faces = starts[people + 1] - starts[people]
        number = np.arange(int(faces.sum())) - np.repeat(np.cumsum(faces) - faces, faces)
        first = starts[people] - starts[self.gallery.firsts[t]]
        return np.repeat(here, faces), np.repeat(first, faces) + number, number

    def _read_mates(self, scores: Scores, t: int) -> None:
        rows, columns, number = self._mate_columns(t)
        values = scores[rows, columns]
        self.mate[rows] = -np.inf
        np.maximum.at(self.mate, rows, values)
        if self.images:
            self.mates[rows, number] = values

    def _count(self, scores: Scores, t: int) -> None:
        rows, columns, _ = self._mate_columns(t)
        scores[rows, columns] = -np.inf
        people = self.gallery.by_person(scores, t)
        best = people.max(axis=1)
        np.maximum(self.best, best, out=self.best)
        listed = scores if self.images else people
        rows = np.flatnonzero(best >= self.mate)
        counted, mate = listed[rows], self.mate[rows, None]
        self.before[rows] += np.count_nonzero(counted >= mate, axis=1)
        self.ties[rows] += np.count_nonzero(counted == mate, axis=1)
        if self.images:
            lowest = self.mates[:, 0] if self.mates.shape[1] else np.full(len(best), np.inf)
            for row in np.flatnonzero(best >= lowest):
                near = np.sort(scores[row][scores[row] >= lowest[row]])
                self.beyond[row] += len(near) - np.searchsorted(near, self.mates[row], side="left")
        for subset in self.subsets:
            subset.take(people, int(self.gallery.firsts[t]))

    def _write(self) -> None:
        found, mated = self.found, self.person >= 0
        found.mate[self.rows] = np.where(mated, self.mate, -np.inf)
        found.best[self.rows] = self.best
        found.rank[self.rows] = np.where(mated, 1 + self.before, 0)
        found.ties[self.rows] = np.where(mated, self.ties, 0)
        if self.images:
            found.precision[self.rows] = self._precision()
        for subset in self.subsets:
            found.subsets[subset.people][self.rows] = subset.best(self.person)

    def _precision(self) -> NDArray[np.float64]:
        """Average precision: the mean over the mate's photos of (mates up to it) / (photos up to it)."""
        real = np.isfinite(self.mates[:, ::-1])
        number = np.cumsum(real, axis=1)
        shares = np.where(real, number / np.maximum(number + self.beyond[:, ::-1], 1), 0.0)
        mean: NDArray[np.float64] = shares.sum(axis=1) / np.maximum(real.sum(axis=1), 1)
        return mean


class _Subsets:
    """Galleries of n people each, that lie one after the other: the best other score in each of them.

    A gallery holds the mate in any case. So where the mate is not one of the n, they are the mate and the
    first n - 1; for that the last person of the n is kept apart.
    """

    def __init__(self, people: int, draws: int, rows: int, kind: np.dtype[Any]) -> None:
        self.people = people
        ends = people * np.arange(1, draws + 1)
        self.edges = np.stack([ends - people, ends - 1], axis=1).reshape(-1)
        self.end = people * draws
        self.highest = np.full((rows, 2 * draws), -np.inf, kind)

    def take(self, scores: Scores, first: int) -> None:
        """The scores (R, P) of the people from ``first`` on."""
        stop = min(first + scores.shape[1], self.end)
        if stop <= first:
            return
        a = int(np.searchsorted(self.edges, first, side="right")) - 1
        b = int(np.searchsorted(self.edges, stop, side="left"))
        at = np.maximum(self.edges[a:b], first) - first
        part = self.highest[:, a:b]
        np.maximum(part, np.maximum.reduceat(scores[:, : stop - first], at, axis=1), out=part)

    def best(self, mate: NDArray[np.int64]) -> Scores:
        """(R, draws), the mates' own scores being -inf already."""
        but_last, last = self.highest[:, ::2], self.highest[:, 1::2]
        whole = np.arange(but_last.shape[1]) == (mate // self.people)[:, None]
        whole |= (mate < 0)[:, None]
        highest: Scores = np.where(whole, np.maximum(but_last, last), but_last)
        return highest
