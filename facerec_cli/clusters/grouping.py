"""Vectors in, groups out: nodes, their graph, linkage, numbers that no order of the input changes, margins.

A face's margin says how surely it is where it is. In a group it is its mean similarity to the group's other
faces, less the greater of the threshold and its mean similarity to the best other group among those of its
nearest faces. Of a single face it is the threshold less that best mean similarity. Near 0, or below, a human
should look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.clusters.linkage import Linkage, Tags
from facerec_cli.clusters.neighbors import NeighborGraph, NeighborSearch, build_graph
from facerec_cli.clusters.nodes import Nodes, make_nodes
from facerec_cli.errors import InputError
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.pairs.pairlist import distinct
from facerec_cli.verify.settings import Steps, no_steps

NEIGHBORS = 10
"""Neighbors of a face in the graph. More change next to nothing (docs/cluster.md)."""

_AT_ONCE = 1 << 11  # nodes whose neighbors' groups are compared at a time
Pairs = NDArray[np.int64]


def no_pairs() -> Pairs:
    """(0, 2) int64, nothing is said of any two faces."""
    return np.zeros((0, 2), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which faces go together.

    Attributes:
        labels: (F,) int64, the group of each face, from 0: the largest first, of equal ones the one whose
            lowest vector comes first. Groups that were there before keep their numbers.
        margins: (F,) float32; NaN where there is nothing to compare with.
    """

    labels: NDArray[np.int64]
    margins: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """What is known of faces before their vectors are compared.

    Attributes:
        photos: The photo of each face, of which no two are one person; None where that may be.
        numbers: (F,) int64, which face of its photo each is, -1 where not known; a face listed twice is one.
        must_link: (L, 2) int64, faces that are of one person.
        cannot_link: (L, 2) int64, faces that are not.
        earlier: (F,) int64, groups that are there, -1 for new faces. None of them is changed, and no two of
            them become one but by ``must_link``: new faces join them, or each other.
    """

    photos: Sequence[str] | None = None
    numbers: NDArray[np.int64] | None = None
    must_link: Pairs | None = None
    cannot_link: Pairs | None = None
    earlier: NDArray[np.int64] | None = None


def group_faces(
    vectors: Vectors,
    threshold: float,
    constraints: Constraints | None = None,
    *,
    neighbors: int = NEIGHBORS,
    first_number: int = 0,
    search: NeighborSearch = top_k,
    work: Path | None = None,
    steps: Steps = no_steps,
) -> Grouping:
    """Group faces by average linkage over their neighbor graph.

    Args:
        vectors: (F, D) float32 of unit length.
        threshold: The mean similarity from which on two groups are one.
        constraints: What is known of them.
        neighbors: Of a face in the graph.
        first_number: Of groups that were not there before; none that was has a higher one.
        search: What finds them.
        work: Where finished parts of the graph are kept; None keeps nothing.
        steps: Watches the work.

    Raises:
        InputError: Links contradict each other.
        UsageError: ``work`` is of another graph.
    """
    known = constraints or Constraints()
    must = no_pairs() if known.must_link is None else known.must_link
    cannot = no_pairs() if known.cannot_link is None else known.cannot_link
    linked = np.unique(np.concatenate([must, cannot]).reshape(-1))
    nodes = make_nodes(vectors, known.photos, known.numbers, alone=linked, labels=known.earlier)
    start = _start(nodes, must, known.earlier)
    _refuse_contradictions(start[nodes.of_face], cannot, known.photos)
    with steps("Comparing faces", "faces") as progress:
        graph = build_graph(nodes.vectors, neighbors, search=search, work=work, progress=progress)
    with steps("Grouping", "links") as progress:
        tags = _tags(nodes, known, cannot)
        linkage = Linkage(nodes.vectors, nodes.sizes, threshold, start=start, tags=tags)
        group = linkage.run(graph, progress)
        del linkage
    number = _numbered(group, nodes, known.earlier, first_number)
    return Grouping(number[nodes.of_face], margins_of(nodes, number, graph, threshold)[nodes.of_face])


def _start(nodes: Nodes, must: Pairs, earlier: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """(N,) int64, the lowest node of those that each is one person with from the start."""
    first, second = nodes.of_face[must[:, 0]], nodes.of_face[must[:, 1]]
    if earlier is not None and (earlier >= 0).any():
        old = np.flatnonzero(earlier >= 0)
        _, lead, which = np.unique(earlier[old], return_index=True, return_inverse=True)
        first = np.concatenate([first, nodes.of_face[old]])
        second = np.concatenate([second, nodes.of_face[old[lead]][which.reshape(-1)]])
    root = np.arange(len(nodes))
    while True:
        a, b = root[first], root[second]
        if (a == b).all():
            return root
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while (root[root] != root).any():
            root = root[root]


def _refuse_contradictions(start: NDArray[np.int64], cannot: Pairs, photos: Sequence[str] | None) -> None:
    bad = np.flatnonzero(start[cannot[:, 0]] == start[cannot[:, 1]])
    if bad.size:
        one, other = cannot[bad[0]].tolist()
        named = f" of {photos[one]!r} and {photos[other]!r}" if photos is not None else f" {one} and {other}"
        raise InputError(
            f"The faces{named} are said to be of different people, and to be of one by other links.",
            hint="Take one of these links away.",
        )


def _tags(nodes: Nodes, known: Constraints, cannot: Pairs) -> Tags:
    """Photos of several faces, faces that are told to be of two people, and groups that were there."""
    node, tag, count = [], [], 0
    if known.photos is not None:
        names, photo = distinct(known.photos)
        pairs = np.unique(np.stack([photo, nodes.of_face], axis=1), axis=0)
        several = np.bincount(pairs[:, 0], minlength=len(names))[pairs[:, 0]] > 1
        node.append(pairs[several, 1])
        tag.append(pairs[several, 0])
        count = len(names)
    if len(cannot):
        node.append(nodes.of_face[cannot].reshape(-1))
        tag.append(np.repeat(count + np.arange(len(cannot)), 2))
        count += len(cannot)
    if known.earlier is not None:
        old = np.unique(nodes.of_face[known.earlier >= 0])
        node.append(old)
        tag.append(np.full(len(old), count))
    empty = np.zeros(0, np.int64)
    return Tags(np.concatenate([empty, *node]), np.concatenate([empty, *tag]))


def _numbered(
    group: NDArray[np.int64], nodes: Nodes, earlier: NDArray[np.int64] | None, first_number: int
) -> NDArray[np.int64]:
    """(N,) int64, the number of each node's group."""
    roots, place = np.unique(group, return_inverse=True)
    place = place.reshape(-1)
    sizes = np.bincount(place, weights=nodes.sizes)
    number = np.full(len(roots), -1, np.int64)
    if earlier is not None and (earlier >= 0).any():
        old = np.flatnonzero(earlier >= 0)
        lowest = np.full(len(roots), np.iinfo(np.int64).max)
        np.minimum.at(lowest, place[nodes.of_face[old]], earlier[old])
        number = np.where(lowest <= earlier.max(), lowest, -1)
    order = np.lexsort((roots, -sizes))
    new = order[number[order] < 0]
    number[new] = first_number + np.arange(len(new))
    return number[place]


def margins_of(
    nodes: Nodes, number: NDArray[np.int64], graph: NeighborGraph, threshold: float
) -> NDArray[np.float32]:
    """(N,) float32, the margin of each node; see above.

    Args:
        nodes: The faces.
        number: (N,) int64, the group of each, from 0.
        graph: Their neighbors.
        threshold: The mean similarity from which on groups are one.
    """
    used, place = np.unique(number, return_inverse=True)
    place = place.reshape(-1)
    sizes = np.bincount(place, weights=nodes.sizes)
    means = np.zeros((len(used), nodes.vectors.shape[1]), np.float32)
    margins = np.empty(len(nodes), np.float32)
    blocks = [slice(start, start + _AT_ONCE) for start in range(0, len(nodes), _AT_ONCE)]
    for part in blocks:
        np.add.at(means, place[part], nodes.vectors[part] * nodes.sizes[part, None].astype(np.float32))
    means /= sizes[:, None].astype(np.float32)
    for part in blocks:
        vectors, mine = nodes.vectors[part], place[part]
        near = place[graph.rows[part]]
        others = (near != mine[:, None]) & (graph.rows[part] >= 0)
        scores = np.einsum("nkd,nd->nk", means[near], vectors)
        best = np.where(others, scores, np.float32(-np.inf)).max(axis=1, initial=-np.inf)
        size = sizes[mine]
        mean = np.einsum("nd,nd->n", means[mine], vectors)
        with np.errstate(invalid="ignore", divide="ignore"):
            own = (mean * size - np.einsum("nd,nd->n", vectors, vectors)) / (size - 1)
        margins[part] = np.where(
            size > 1, own - np.maximum(best, threshold), np.where(np.isfinite(best), threshold - best, np.nan)
        )
    return margins
