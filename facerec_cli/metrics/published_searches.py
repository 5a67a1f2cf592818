"""The rule by which most tables of IJB-B and IJB-C 1:N were made between 2018 and 2022, kept to compare with.

It is wrong, and its figures are not TPIR at FPIR: both galleries are joined, so that everybody who is
searched for is enrolled and there is not one search for a stranger. What it calls the false accept rate is
the number of single comparisons with other people that are accepted, a search having thousands, over the
number of searches; and the mate need not be first. A figure of this rule must not stand beside one of
``evaluate_identification`` without its name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.cosine_blocks import CosineBlocks
from facerec_cli.metrics.labeled_searches import enroll_rows, label_searches
from facerec_cli.metrics.scores import Scores, Vectors, unit_vectors
from facerec_cli.metrics.searches import COLUMNS, ROWS, ScoreBlock
from facerec_cli.metrics.templates import mean_templates
from facerec_cli.progress import Progress, silent

IJB_2018 = (
    "ijb-2018: all galleries joined, every search mated; the threshold is the ceil(FAR x searches)-th "
    "highest of all scores with other people; a mate's score above it is accepted, whatever its rank"
)


@dataclass(frozen=True, slots=True)
class Ijb2018Point:
    """What published tables call TPIR at FPIR.

    Attributes:
        far: The wanted rate.
        threshold: Accept when score > threshold.
        tpir: Share of searches whose mate is accepted.
    """

    far: float
    threshold: float
    tpir: float


def evaluate_ijb_2018(
    gallery: Vectors,
    people: ArrayLike,
    probes: Vectors,
    identity: ArrayLike,
    *,
    failed_gallery: ArrayLike | None = None,
    failed_probes: ArrayLike | None = None,
    fars: Sequence[float] = (0.01, 0.1),
    progress: Progress = silent,
) -> tuple[Ijb2018Point, ...]:
    """TPIR by the rule of insightface's ``ijb_1n.py`` before September 2021 (see insightface#1373, PR #1739).

    Args:
        gallery: (G, D) float32 templates of all galleries together, raw or unit length; of a person with
            several the normalized mean.
        people: (G,) int, who each shows.
        probes: (M, D) float32.
        identity: (M,) int, all of them enrolled.
        failed_gallery: (G,) bool, templates without an embedding.
        failed_probes: (M,) bool; a search without a score is not accepted, and counts among the searches.
        fars: Above 0.
        progress: Told the searches done.

    Raises:
        InputError: A probe shows somebody who is not enrolled; there are fewer scores than asked for.
    """
    owner, who = np.asarray(people, np.int64), np.asarray(identity, np.int64)
    missed = [
        np.zeros(len(labels), bool) if failed is None else np.asarray(failed, bool)
        for labels, failed in ((owner, failed_gallery), (who, failed_probes))
    ]
    enrolled = enroll_rows(owner, missed[0], 0)
    searches = label_searches(enrolled, who, missed[1])
    if searches.counts.non_mated:
        raise InputError(
            f"{searches.counts.non_mated} probes show somebody who is not enrolled; the rule of 2018 "
            "has only mated searches.",
            hint="Join the galleries, or use `evaluate_identification`.",
        )
    columns = mean_templates(unit_vectors(gallery[enrolled.columns]), enrolled.starts)
    score = CosineBlocks(unit_vectors(probes[searches.made]), columns)
    wanted = [math.ceil(len(who) * far) for far in fars]
    most = min(max(wanted, default=0), len(searches.made) * (len(columns) - 1))
    mates, others = _mates_and_highest(score, searches.person, len(columns), most, progress)
    for far, number in zip(fars, wanted, strict=True):
        if not 0 < number <= len(others):
            raise InputError(
                f"FAR {far} asks for {number:,} scores with other people; there are {len(others):,}."
            )
    thresholds = [others[number - 1] for number in wanted]
    return tuple(
        Ijb2018Point(far, float(t), float((mates > t).sum() / len(who)))
        for far, t in zip(fars, thresholds, strict=True)
    )


def _mates_and_highest(
    score: ScoreBlock, person: NDArray[np.int64], columns: int, count: int, progress: Progress
) -> tuple[Scores, Scores]:
    """(S,) the score of each mate, and the ``count`` highest of all others, from high to low."""
    mates, highest = np.full(len(person), -np.inf, np.float32), np.zeros(0, np.float32)
    for at in range(0, len(person), ROWS):
        rows = np.arange(at, min(at + ROWS, len(person)))
        for first in range(0, columns, COLUMNS):
            scores = score(rows, first, min(first + COLUMNS, columns))
            here = np.flatnonzero((person[rows] >= first) & (person[rows] < first + COLUMNS))
            mates[rows[here]] = scores[here, person[rows[here]] - first]
            scores[here, person[rows[here]] - first] = -np.inf
            if not count:
                continue
            least = highest[-1] if len(highest) == count else np.float32(-np.inf)
            highest = np.concatenate([highest, scores[scores > least]])
            if len(highest) > count:
                highest = np.partition(highest, len(highest) - count)[len(highest) - count :]
            highest = np.sort(highest)[::-1]
        progress(at + len(rows), len(person))
    return mates, highest
