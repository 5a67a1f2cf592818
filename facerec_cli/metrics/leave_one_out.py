"""Searches in which each photo of a person is enrolled in turn, among people who are all distractors.

This is challenge 1 of MegaFace (Kemelmacher-Shlizerman et al., CVPR 2016): of a person with n photos each is
enrolled alone, and the other n - 1 are searched for, n (n - 1) mated searches, all of them against the same
distractors. The matrix of probes against distractors is passed through once for all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.cosine_blocks import CosineBlocks
from facerec_cli.metrics.labeled_searches import LabeledSearches, SearchCounts
from facerec_cli.metrics.scores import Scores, Vectors, unit_vectors
from facerec_cli.metrics.searches import COLUMNS, ROWS, ScoreBlock, SearchOutcomes
from facerec_cli.progress import Progress, silent

LEAVE_ONE_OUT = (
    "leave one out: each photo of a person is enrolled in turn and the others are searched for; rank over "
    "the distractors, pessimistic on ties"
)


def leave_one_out(
    distractors: Vectors,
    probes: Vectors,
    identity: NDArray[np.int64],
    *,
    failed_distractors: NDArray[np.bool_],
    failed_probes: NDArray[np.bool_],
    progress: Progress = silent,
) -> tuple[LabeledSearches, SearchOutcomes]:
    """Search each probe for each other photo of its person.

    Args:
        distractors: (G, D) float32, raw or unit length; each a person of their own.
        probes: (M, D) float32.
        identity: (M,) int64.
        failed_distractors: (G,) bool, without an embedding; they are never returned.
        failed_probes: (M,) bool; their searches, and those for them, cannot be made.
        progress: Told the probes done.

    Returns:
        The searches, probe by probe, and what they returned.
    """
    columns = unit_vectors(distractors[~failed_distractors])
    if not len(columns):
        raise InputError(
            "The gallery is empty, or no photo in it gave an embedding.", hint="Enroll photos with a face."
        )
    usable = np.flatnonzero(~failed_probes)
    usable = usable[np.argsort(identity[usable], kind="stable")]
    who = identity[usable]
    units = unit_vectors(probes[usable])
    # Mates and distractors are columns of one table: equal photos have equal scores in it.
    score = CosineBlocks(units, np.concatenate([units, columns]))
    starts, stops = (np.searchsorted(who, who, side) for side in ("left", "right"))
    parts = []
    for at in range(0, len(who), ROWS):
        rows = np.arange(at, min(at + ROWS, len(who)))
        mates = _mates(score, rows, starts[rows], stops[rows])
        parts.append(_among_distractors(score, rows, mates, len(who), len(columns)))
        progress(at + len(rows), len(who))
    row, mate, best, before, ties = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    counts = _counts(identity, failed_probes, failed_distractors, len(row))
    searches = LabeledSearches(usable[row], row, who[row], np.ones(len(row)), counts)
    return searches, SearchOutcomes(row, mate, best, 1 + before, ties, np.zeros(0))


def _mates(
    score: ScoreBlock, rows: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> Scores:
    """(R, K) the scores of each probe with the other photos of its person, ascending; infinite beyond."""
    first = int(starts[0])
    scores = score(rows, first, int(stops[-1]))
    column = starts[:, None] + np.arange(int((stops - starts).max()))
    real = (column < stops[:, None]) & (column != rows[:, None])
    near = np.take_along_axis(scores, np.minimum(column, stops[-1] - 1) - first, axis=1)
    return np.sort(np.where(real, near, np.float32(np.inf)), axis=1)


def _among_distractors(
    score: ScoreBlock, rows: NDArray[np.int64], mates: Scores, first: int, count: int
) -> tuple[NDArray[np.int64], Scores, Scores, NDArray[np.int64], NDArray[np.int64]]:
    """Each search of some probes: its row, the mate's score, the best distractor's, those before it, ties."""
    best = np.full(len(rows), -np.inf, np.float32)
    before, above = np.zeros((2, *mates.shape), np.int64)
    for at in range(first, first + count, COLUMNS):
        scores = score(rows, at, min(at + COLUMNS, first + count))
        highest = scores.max(axis=1)
        np.maximum(best, highest, out=best)
        for row in np.flatnonzero(highest >= mates[:, 0]):
            near = np.sort(scores[row][scores[row] >= mates[row, 0]])
            before[row] += len(near) - np.searchsorted(near, mates[row], side="left")
            above[row] += len(near) - np.searchsorted(near, mates[row], side="right")
    real = np.isfinite(mates)
    searched = np.nonzero(real)[0]
    return rows[searched], mates[real], best[searched], before[real], (before - above)[real]


def _counts(
    identity: NDArray[np.int64],
    failed_probes: NDArray[np.bool_],
    failed_distractors: NDArray[np.bool_],
    made: int,
) -> SearchCounts:
    photos = np.unique(identity, return_counts=True)[1]
    searches = int((photos * (photos - 1)).sum())
    return SearchCounts(
        people=1 + int((~failed_distractors).sum()),
        people_without_template=int(failed_distractors.sum()),
        gallery_photos=1 + len(failed_distractors),
        gallery_photos_failed=int(failed_distractors.sum()),
        mated=searches,
        mated_failed=searches - made,
        mated_people=int((photos > 1).sum()),
        non_mated=0,
        non_mated_failed=0,
        non_mated_people=0,
    )
