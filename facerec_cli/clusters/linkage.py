"""Average linkage over a neighbor graph: the two groups whose faces are most alike on average become one.

The mean similarity of two groups is the dot product of the sums of their vectors over the product of their
sizes, so no matrix of pairs is needed. Average linkage is reducible (Bruynooghe 1978; Muellner 2011): a
merged group is never more like a third than the better of its halves was. So all pairs that are each other's
best are merged in one round, in NumPy, and it is the tree of one merge after the other.

Only pairs of groups whose mean similarity reaches the threshold are kept. Nothing is lost: where it does,
that of two of their halves does, and so on down to two faces. Those are neighbors, unless both have more
neighbors above the threshold than the graph has room for; groups of such faces are compared by their means
until none are left that belong together. So no two groups remain whose mean similarity reaches the
threshold, unless something forbids them to be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec_cli.clusters.neighbors import NeighborGraph
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent

_PAIRS_AT_ONCE = 1 << 12  # groups whose sums are multiplied at a time; a core's cache holds them
_MEANS = 16  # groups that each is compared with, by its mean
_MOST_MEANS = 1 << 10
_Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tags:
    """What forbids groups to be one: two groups that have a tag in common stay apart.

    A photo is a tag of its faces; two faces that are told to be of different people have a tag of their own.

    Attributes:
        node: (M,) int64.
        tag: (M,) int64, a tag of that node.
    """

    node: _Ids
    tag: _Ids


class _Edges(NamedTuple):
    """Pairs of groups, ``first`` below ``second``, and their mean similarity."""

    first: _Ids
    second: _Ids
    score: NDArray[np.float64]

    def take(self, which: NDArray[np.bool_]) -> _Edges:
        return _Edges(self.first[which], self.second[which], self.score[which])

    def joined(self, other: _Edges) -> _Edges:
        return _Edges(
            np.concatenate([self.first, other.first]),
            np.concatenate([self.second, other.second]),
            np.concatenate([self.score, other.score]),
        )


class Linkage:
    """Groups of nodes that grow; a group is named by its lowest node.

    Args:
        vectors: (N, D) float32 of unit length.
        sizes: (N,) int64, how many faces each node is.
        threshold: The mean similarity from which on two groups are one.
        start: (N,) int64, nodes of one number are one group from the start.
        tags: What forbids groups to be one.
    """

    def __init__(
        self,
        vectors: Vectors,
        sizes: _Ids,
        threshold: float,
        *,
        start: _Ids | None = None,
        tags: Tags | None = None,
    ) -> None:
        self._vectors, self._weights, self._threshold = vectors, sizes, threshold
        count = len(vectors)
        self._root = np.arange(count) if start is None else _lowest(start)
        self.sizes = np.bincount(self._root, weights=sizes, minlength=count).astype(np.int64)
        self._place = np.full(count, -1, np.int64)  # of a group's sum; few groups ever need one
        self._sums = np.zeros((0, vectors.shape[1]))
        self._tags = tags or Tags(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def labels(self) -> _Ids:
        """(N,) int64, the lowest node of the group of each node."""
        while True:  # a group that was merged points to another one that may have been merged since
            further = self._root[self._root]
            if (further == self._root).all():
                return further
            self._root = further

    def run(self, graph: NeighborGraph, progress: Progress = silent) -> _Ids:
        """Merge until no two groups are left that belong together; gives :meth:`labels`."""
        self.merge(*graph.edges(self._threshold), progress)
        full = np.flatnonzero(graph.saturated(self._threshold))
        nearest = _MEANS
        while full.size:
            groups = np.unique(self.labels()[full])
            nearest = min(nearest, len(groups) - 1)
            if nearest < 1:
                break
            first, second, crowded = self._alike(groups, nearest)
            if not self.merge(first, second, progress):
                if not crowded or nearest >= min(len(groups) - 1, _MOST_MEANS):
                    break
                nearest *= 4  # those that were found may not be one with it, and hide others
        return self.labels()

    def _alike(self, groups: _Ids, nearest: int) -> tuple[_Ids, _Ids, bool]:
        """Pairs of groups by their means, and whether some group has more than were looked for."""
        self._make_sums(groups)
        means = (self._sums[self._place[groups]] / self.sizes[groups, None]).astype(np.float32)
        rows, scores = top_k(means, means, nearest + 1)
        alike = (scores >= np.float32(self._threshold - 1e-6)) & (rows != np.arange(len(groups))[:, None])
        first, place = np.nonzero(alike)
        return groups[first], groups[rows[first, place]], bool((alike.sum(axis=1) >= nearest).any())

    def merge(self, first: _Ids, second: _Ids, progress: Progress = silent) -> int:
        """Merge along edges.

        Args:
            first: (E,) int64 nodes.
            second: (E,) int64, what each may be one with.
            progress: Told the edges that are settled.

        Returns:
            How many times two groups became one.
        """
        labels = self.labels()
        edges = self._scored(labels[first], labels[second], labels[self._tags.node])
        total, merged = len(edges.first), 0
        while edges.first.size:
            kept, gone = _best_of_each_other(edges, len(self._root))
            into = np.arange(len(self._root))
            into[gone] = kept
            self._root[gone] = kept
            self._sums[self._place[kept]] += self._sums[self._place[gone]]
            self.sizes[kept] += self.sizes[gone]
            changed = np.zeros(len(self._root), bool)
            changed[kept] = changed[gone] = True
            moved = changed[edges.first] | changed[edges.second]
            labels = into[labels]
            again = self._scored(into[edges.first[moved]], into[edges.second[moved]], labels[self._tags.node])
            edges = edges.take(~moved).joined(again)
            merged += len(kept)
            progress(total - len(edges.first), total)
        return merged

    def _scored(self, first: _Ids, second: _Ids, tagged: _Ids) -> _Edges:
        """The edges between different groups, each once, that reach the threshold and are not forbidden."""
        low, high = np.minimum(first, second), np.maximum(first, second)
        keys = np.unique((low * len(self._root) + high)[low != high])
        low, high = np.divmod(keys, len(self._root))
        self._make_sums(np.unique(np.concatenate([low, high])))
        scores = np.empty(len(keys))
        for start in range(0, len(keys), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            sides = (self._sums[self._place[side[part]]] for side in (low, high))
            scores[part] = np.einsum("pd,pd->p", *sides)
        scores /= self.sizes[low] * self.sizes[high]
        edges = _Edges(low, high, scores).take(scores >= self._threshold)
        return edges.take(~_share_a_tag(edges, tagged, self._tags.tag))

    def _make_sums(self, groups: _Ids) -> None:
        """Have the sum of the vectors of each of these groups at hand."""
        new = groups[self._place[groups] < 0]
        if not new.size:
            return
        place = np.full(len(self._root), -1, np.int64)
        place[new] = np.arange(len(new))
        at = place[self.labels()]
        member = np.flatnonzero(at >= 0)
        before = len(self._sums)
        self._place[new] = before + np.arange(len(new))
        sums = np.zeros((before + len(new), self._vectors.shape[1]))
        sums[:before] = self._sums
        for start in range(0, len(member), _PAIRS_AT_ONCE):
            part = member[start : start + _PAIRS_AT_ONCE]
            weighted = self._vectors[part].astype(np.float64) * self._weights[part, None]
            np.add.at(sums, before + at[part], weighted)
        self._sums = sums


def _best_of_each_other(edges: _Edges, count: int) -> tuple[_Ids, _Ids]:
    """The pairs that are each other's best, no group twice; of equal ones that of the lowest nodes."""
    best = np.full(count, -np.inf)
    np.maximum.at(best, edges.first, edges.score)
    np.maximum.at(best, edges.second, edges.score)
    at = np.flatnonzero((edges.score == best[edges.first]) & (edges.score == best[edges.second]))
    order = at[np.lexsort((edges.second[at], edges.first[at], -edges.score[at]))]
    ends = np.stack([edges.first[order], edges.second[order]], axis=1)
    _, foremost = np.unique(ends, return_index=True)
    counts = np.bincount(foremost // 2, minlength=len(order))
    chosen = order[counts == 2]
    return edges.first[chosen], edges.second[chosen]


def _share_a_tag(edges: _Edges, group: _Ids, tag: _Ids) -> NDArray[np.bool_]:
    """(E,) bool, edges whose groups have a tag in common; row i of the (M,) table is a tag of a group."""
    shared = np.zeros(len(edges.first), bool)
    if not tag.size or not shared.size:
        return shared
    groups, ends = np.unique(np.stack([edges.first, edges.second]), return_inverse=True)
    ends = ends.reshape(2, -1)
    place = np.searchsorted(groups, group)
    place[place == len(groups)] = 0
    inside = groups[place] == group
    width = int(tag.max()) + 1
    keys = np.unique(place[inside] * width + tag[inside])
    start = np.searchsorted(keys, np.arange(len(groups) + 1) * width)
    have = np.diff(start)
    few, many = np.where(have[ends[0]] <= have[ends[1]], ends, ends[::-1])
    count = have[few]
    edge = np.repeat(np.arange(len(few)), count)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    wanted = many[edge] * width + keys[start[few[edge]] + within] % width
    at = np.searchsorted(keys, wanted)
    at[at == len(keys)] = 0
    shared[edge[keys[at] == wanted]] = True
    return shared


def _lowest(start: _Ids) -> _Ids:
    """(N,) int64, for each node the lowest node of its number."""
    _, first, number = np.unique(start, return_index=True, return_inverse=True)
    return np.asarray(first[number.reshape(-1)], np.int64)
