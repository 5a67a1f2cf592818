"""Labels that are suspected to be wrong: what a search among the labeled people says of each face.

The bounds follow from the model's impostor tail and from how many people there are, and not from the faces at
hand, which are said to be partly wrong. Where people here look more like each other than those of the tail,
as children or faces of one camera do, a bound for names is raised to where their own scores, by their middle
alone, have it; it is never lowered.

* ``other_person``: searched for among all people, with its own face left out of its person's mean, the face
  gets somebody else's name and would not get its own, at the threshold that lets one in 1,000 searches for
  strangers name anybody; and it is less like its own person by the deviation of impostor scores or more.
* ``not_alike``: it is less like its person's other faces than one in 20 other people would be. So the right
  person may be nobody here. Of a person with two faces nobody knows which one is meant: both are told.
* ``same_people``: the two people's means reach that threshold: one person under two names. Of these two the
  one with fewer faces is told, face by face.

Faces that are nearer to another person are taken out of the means, and all are scored again, until no more
are found: a wrong face spoils the mean that it was put into.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.doubtful import doubtful_people
from facerec_cli.metrics.face_scores import FaceScores, face_scores, sums_of, unit_means
from facerec_cli.metrics.fpir import per_comparison
from facerec_cli.metrics.impostor_tail import for_templates, score_at, z
from facerec_cli.metrics.lookalikes import FEWEST, SIGMAS
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress
from facerec_cli.threshold import ImpostorTail
from facerec_cli.verify.settings import Steps, no_steps

OTHER_PERSON, NOT_ALIKE, SAME_PEOPLE = "other_person", "not_alike", "same_people"
NAMED_FPIR = 1e-3
"""The share of searches for strangers that give a name at the score from which a face is somebody else's."""
ALONE_RATE = 0.05
"""A face is not like its person if this share of other people would be more like them."""

_ROUNDS = 5
_SAMPLED = 2000  # faces and people whose scores tell what is usual here


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """What was found of F faces.

    Attributes:
        reasons: (F,) texts, one of the three above; "" where nothing speaks against the label.
        suggested: (F,) int64, whose face it rather is; -1 where nobody's here.
        scores: Of all faces, means being made of those without a reason.
        named: The score of a face with a person from which on a search gives a name.
        same: The score of two people from which on they look like one.
        alone: The score below which a face is not like its person.
        deviation: Of impostor scores, by which a face has to be nearer to another person.
    """

    reasons: NDArray[np.object_]
    suggested: NDArray[np.int64]
    scores: FaceScores
    named: float
    same: float
    alone: float
    deviation: float


def find_suspects(
    vectors: Vectors, people: NDArray[np.int64], tail: ImpostorTail, *, steps: Steps = no_steps
) -> Suspects:
    """Find labels that are rather wrong.

    Args:
        vectors: (F, D) float32, unit length.
        people: (F,) int64 from 0, whom each face is said to show.
        tail: Of the model, of single photos.
        steps: Watches the work.
    """
    sums, count = sums_of(vectors, people, 1 + int(people.max(initial=-1)))
    there = count > 0
    templates, owner = unit_means(sums[there]), np.flatnonzero(there)
    rate = per_comparison(NAMED_FPIR, len(owner))
    raised = for_templates(tail, count[there])
    named = max(score_at(raised, rate), _own_level(vectors, people, templates, owner, rate))
    alike = for_templates(replace(raised, genuine_mean=tail.genuine_mean), count[there])  # of both sides
    same = max(score_at(alike, rate), _own_level(templates, owner, templates, owner, rate))
    alone = score_at(raised, ALONE_RATE)
    with steps("Comparing faces with people", "faces") as progress:
        scores, wrong = _other_people(vectors, people, named, tail.deviation, progress)
    reasons = np.full(len(people), "", object)
    with np.errstate(invalid="ignore"):
        reasons[scores.own < alone] = NOT_ALIKE
    reasons[wrong] = OTHER_PERSON
    suggested = np.where(wrong, scores.nearest, -1)
    with steps("Comparing people with each other", "people") as progress:
        for smaller, larger in _same_people(vectors, people, reasons == "", same, progress).items():
            rows = np.flatnonzero((people == smaller) & (reasons == ""))
            reasons[rows], suggested[rows] = SAME_PEOPLE, larger
    return Suspects(reasons, suggested, scores, named, same, alone, tail.deviation)


def _own_level(
    vectors: Vectors,
    people: NDArray[np.int64],
    templates: Vectors,
    owner: NDArray[np.int64],
    rate: float,
) -> float:
    """The score that this share of comparisons with other people reach, by the middle of those that are here.

    Below 20 people too few can be made to know what is usual: -1.
    """
    if len(owner) < FEWEST:
        return -1.0
    some = np.linspace(0, len(vectors) - 1, min(len(vectors), _SAMPLED)).astype(np.int64)
    those = np.linspace(0, len(owner) - 1, min(len(owner), _SAMPLED)).astype(np.int64)
    scores = vectors[some] @ templates[those].T
    others = scores[people[some, None] != owner[None, those]]
    low, middle, high = (float(score) for score in np.quantile(others, SIGMAS))
    return middle + (high - low) / 2 * z(rate)


def _other_people(
    vectors: Vectors, people: NDArray[np.int64], named: float, deviation: float, progress: Progress
) -> tuple[FaceScores, NDArray[np.bool_]]:
    """The scores, and which faces are nearer to another person, whose faces make no mean in the end."""
    wrong = np.zeros(len(people), bool)
    with_all = None
    for _ in range(_ROUNDS):
        scores = face_scores(vectors, people, ~wrong, progress=progress)
        if with_all is None:
            with_all = scores.own
        own = np.where(np.isnan(scores.own), with_all, scores.own)  # all others of the person are wrong, too
        with np.errstate(invalid="ignore"):
            found = (scores.other >= named) & (own < named) & (scores.other - own >= deviation)
        if (found == wrong).all():
            break
        wrong = found
    return scores, wrong


def _same_people(
    vectors: Vectors, people: NDArray[np.int64], used: NDArray[np.bool_], same: float, progress: Progress
) -> dict[int, int]:
    """Of two people whose means reach ``same``: the one with fewer faces -> the other, the most alike first.

    Nobody is told twice, and nobody who was told is the one who stays.
    """
    sums, faces = sums_of(vectors[used], people[used], 1 + int(people.max(initial=-1)))
    there = np.flatnonzero(faces)
    told: dict[int, int] = {}
    for pair in doubtful_people(
        unit_means(sums[there]), np.arange(len(there)), same, limit=len(there) or 1, progress=progress
    ):
        first, second = int(there[pair.first]), int(there[pair.second])
        smaller, larger = (second, first) if faces[first] >= faces[second] else (first, second)
        if smaller not in told and larger not in told:
            told[smaller] = larger
    return told
