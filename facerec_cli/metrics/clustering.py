"""How good groups of faces are, by labels that say who is on each: pairwise, B-cubed, purity, edits.

Pairwise: of the pairs of faces in one group, the share of one person (precision); of the pairs of one person,
the share in one group (recall). A person with 500 photos has more pairs than all with a few, so they are
mostly about that person. B-cubed (Bagga and Baldwin 1998) asks the same of each face: the share of its group
that is of its person, and of its person's faces that are in its group; all faces count alike. F is the
harmonic mean.

Every figure is a ratio of sums over people, so an interval comes of drawing people with replacement. A pair
of two people in one group counts half for each; what a face's group holds stays as it was measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE

FIGURES = (
    "pairwise_precision", "pairwise_recall", "pairwise_f",
    "bcubed_precision", "bcubed_recall", "bcubed_f", "purity",
)  # fmt: skip
_ROUNDS_AT_ONCE = 1 << 22  # people of all rounds that are drawn together


@dataclass(frozen=True, slots=True)
class ClusteringFigure:
    """One figure.

    Attributes:
        value: 0 to 1; None where there is nothing to count, such as no pair of one person.
        low: Lower end of its 95 % interval over people; None where it was not measured.
        high: Upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ClusteringQuality:
    """How good groups are.

    Attributes:
        faces: How many faces have a label.
        people: How many people they show.
        clusters: How many groups there are.
        singles: How many groups have one face.
        people_with_one: How many people have one face.
        figures: The figures by their names, ``FIGURES``.
        moves: Faces that are not of the person whom most of their group are of: each has to be moved.
        merges: Groups, by that person, that have to be put together.
    """

    faces: int
    people: int
    clusters: int
    singles: int
    people_with_one: int
    figures: dict[str, ClusteringFigure]
    moves: int
    merges: int

    def __getitem__(self, name: str) -> ClusteringFigure:
        return self.figures[name]

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def evaluate_clustering(
    labels: ArrayLike, people: ArrayLike, *, rounds: int = 0, seed: int = 0
) -> ClusteringQuality:
    """Compare groups with who is on each face.

    Args:
        labels: (F,) whole numbers, the group of each face; those below 0 are groups of one face each.
        people: (F,) whole numbers, the person of each.
        rounds: Of the bootstrap over people; 0 gives no intervals, and fewer than 10 people give none.
        seed: Of the random numbers.

    Raises:
        InputError: There is no face, or the two are not of one length.
    """
    group, person = _numbered(labels, people)
    cells, count = np.unique(np.stack([group, person]), axis=1, return_counts=True)
    groups, everybody = int(group.max()) + 1, int(person.max()) + 1
    in_group, in_person = np.bincount(group), np.bincount(person)
    sums = np.zeros((everybody, 7))

    def add(at: int, values: NDArray[Any]) -> None:
        sums[:, at] += np.bincount(cells[1], weights=values, minlength=everybody)

    together = count * (count - 1) / 2
    across = count * (in_group[cells[0]] - count) / 2
    add(0, together)
    add(1, together + across)
    sums[:, 2] = in_person * (in_person - 1) / 2
    add(3, count * count / in_group[cells[0]])
    add(4, count * count / in_person[cells[1]])
    sums[:, 5] = in_person
    order = np.lexsort((cells[1], -count, cells[0]))
    _, first = np.unique(cells[0][order], return_index=True)
    main = order[first]
    sums[:, 6] = np.bincount(cells[1][main], weights=count[main], minlength=everybody)
    values = _figures(sums.sum(axis=0)[None])[0]
    low = high = np.full(len(FIGURES), np.nan)
    if rounds and everybody >= MIN_PEOPLE:
        drawn = _figures(_draw(sums, rounds, np.random.default_rng(seed)))
        drawn[:, np.isnan(values)] = np.nan
        counted = ~np.isnan(drawn).all(axis=0)
        low, high = np.full((2, len(FIGURES)), np.nan)
        low[counted], high[counted] = np.nanpercentile(drawn[:, counted], [2.5, 97.5], axis=0)
    figures = {
        name: ClusteringFigure(*(None if np.isnan(one) else float(one) for one in (value, a, b)))
        for name, value, a, b in zip(FIGURES, values, low, high, strict=True)
    }
    return ClusteringQuality(
        faces=len(group),
        people=everybody,
        clusters=groups,
        singles=int((in_group == 1).sum()),
        people_with_one=int((in_person == 1).sum()),
        figures=figures,
        moves=len(group) - int(count[main].sum()),
        merges=groups - len(np.unique(cells[1][main])),
    )


def _numbered(labels: ArrayLike, people: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups and people as numbers from 0."""
    group, person = np.array(labels), np.asarray(people)
    if group.ndim != 1 or group.shape != person.shape or not len(group):
        raise InputError(f"{group.shape} groups and {person.shape} people are not those of some faces.")
    group = group.astype(np.int64)
    alone = np.flatnonzero(group < 0)
    group[alone] = group.max() + 1 + np.arange(len(alone))
    return (
        np.unique(group, return_inverse=True)[1].reshape(-1).astype(np.int64),
        np.unique(person, return_inverse=True)[1].reshape(-1).astype(np.int64),
    )


def _figures(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rounds, figures) of (rounds, sums); NaN where nothing was counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs_p, pairs_r = sums[:, 0] / sums[:, 1], sums[:, 0] / sums[:, 2]
        faces_p, faces_r = sums[:, 3] / sums[:, 5], sums[:, 4] / sums[:, 5]
        pairs_f = 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2])
        faces_f = 2 * faces_p * faces_r / (faces_p + faces_r)
        purity = sums[:, 6] / sums[:, 5]
    return np.stack([pairs_p, pairs_r, pairs_f, faces_p, faces_r, faces_f, purity], axis=1)


def _draw(sums: NDArray[np.float64], rounds: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(rounds, sums) over people who are drawn with replacement."""
    people = len(sums)
    step = max(1, _ROUNDS_AT_ONCE // people)
    drawn = np.empty((rounds, sums.shape[1]))
    for start in range(0, rounds, step):
        part = min(step, rounds - start)
        who = random.integers(0, people, (part, people)) + people * np.arange(part)[:, None]
        weight = np.bincount(who.ravel(), minlength=part * people).reshape(part, people)
        drawn[start : start + part] = weight @ sums
    return drawn
