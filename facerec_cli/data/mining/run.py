"""Mining: which labels are suspected, which photos are hard, and the lists that are made of that."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.mining.hard import hard_faces, hard_pairs
from facerec_cli.data.mining.labeled_faces import LabeledFaces
from facerec_cli.data.mining.never import left_out, read_never
from facerec_cli.data.mining.read import read_faces
from facerec_cli.data.mining.settings import MineSettings
from facerec_cli.data.mining.suspects import (
    NOT_ALIKE,
    OTHER_PERSON,
    SAME_PEOPLE,
    Suspects,
    find_suspects,
)
from facerec_cli.errors import InputError
from facerec_cli.gallery.calibrate import model_tail
from facerec_cli.gallery.check import ENOUGH, own_tail
from facerec_cli.metrics.face_scores import face_scores, sums_of, unit_means
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import ImpostorTail
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import people as counted_people

NEVER, FEW_PHOTOS, SMALL_MARGIN = "never", "few_photos", "small_margin"


@dataclass(frozen=True, slots=True, eq=False)
class Mined:
    """What was mined from F faces.

    Attributes:
        faces: The faces, without those of evaluations.
        suspects: What speaks against their labels.
        kept: (F,) bool, those that are trained on.
        hard: (F,) bool, those of them that are hard.
        counts: Why faces are not trained on -> how many; ``never`` are not among ``faces``.
        never_people: How many people the evaluations took away.
        tail: What the bounds rest on.
        pairs: The hardest pairs, of rows of ``faces``.
        pair_scores: (P,) their scores.
        hard_weight: Of a hard photo, against 1.
    """

    faces: LabeledFaces
    suspects: Suspects
    kept: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    counts: dict[str, int]
    never_people: int
    tail: ImpostorTail
    pairs: PairList
    pair_scores: NDArray[np.float32]
    hard_weight: float

    @property
    def weights(self) -> NDArray[np.float64]:
        """(F,) how often each face is shown against the others, 0 for those that are not trained on."""
        return np.where(self.hard, self.hard_weight, 1.0) * self.kept

    @property
    def crops_are_cut(self) -> bool:
        """Whether a face that is trained on has no crop yet."""
        return any(not self.faces.crops[row] for row in np.flatnonzero(self.kept))

    @property
    def same_people(self) -> list[tuple[str, str, float]]:
        """Two people who look like one: the one with fewer faces, the other, their score."""
        rows = np.flatnonzero(self.suspects.reasons == SAME_PEOPLE)
        pairs = {(int(self.faces.labels[row]), int(self.suspects.suggested[row])) for row in rows.tolist()}
        used = self.suspects.reasons != OTHER_PERSON
        count = len(self.faces.people)
        means = unit_means(sums_of(self.faces.vectors[used], self.faces.labels[used], count)[0])
        scored = [(a, b, float(means[a] @ means[b])) for a, b in sorted(pairs)]
        return [
            (self.faces.people[a], self.faces.people[b], score)
            for a, b, score in sorted(scored, key=lambda pair: -pair[2])
        ]

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        found, faces = self.suspects, self.faces
        reasons = {reason: int((found.reasons == reason).sum()) for reason in (OTHER_PERSON, NOT_ALIKE)}
        return {
            "source": faces.source,
            "model": faces.model.name,
            "faces": len(faces),
            "people": len(np.unique(faces.labels)),
            "bounds": {
                "named": found.named,
                "same_people": found.same,
                "not_alike": found.alone,
                "nearer_by": found.deviation,
                "source": self.tail.data,
            },
            "suspected": {**reasons, SAME_PEOPLE: len(self.same_people)},
            "left_out": self.counts,
            "never_people": self.never_people,
            "photos": int(self.kept.sum()),
            "people_kept": len(np.unique(faces.labels[self.kept])),
            "hard": int(self.hard.sum()),
            "hard_weight": self.hard_weight,
            "pairs": {
                "same": int(self.pairs.same.sum()),
                "different": self.pairs.impostors,
                "highest_same": _end(self.pair_scores[self.pairs.same], max),
                "lowest_different": _end(self.pair_scores[~self.pairs.same], min),
            },
        }


def mine(name: str | Path, settings: MineSettings | None = None, *, steps: Steps = no_steps) -> Mined:
    """Find suspected labels, hard photos and hard pairs; nothing is written.

    Args:
        name: A gallery, a file of groups, embeddings, a folder with a folder per person, or a list.
        settings: How.
        steps: Watches the work.

    Raises:
        InputError: It cannot be read, one person is all there is, nobody has two photos, an evaluation has
            nothing to do with it, or nothing says how alike strangers are to the model.
        ModelError: The model cannot be used.
    """
    settings = settings or MineSettings()
    evaluations = [read_never(path) for path in settings.never]
    every = read_faces(name, settings, steps)
    never = left_out(every, evaluations)
    faces = every.select(~never)
    _require_people(faces, after_never=bool(never.any()))
    tail = _tail(faces)
    suspects = find_suspects(faces.vectors, faces.labels, tail, steps=steps)
    reasons = np.where(settings.keep_suspects, "", suspects.reasons)
    with steps("Comparing what is left", "faces") as progress:
        scores = face_scores(faces.vectors, faces.labels, reasons == "", progress=progress)
    _leave_out(reasons, faces, scores.margin, settings, tail)
    kept = np.array([not reason for reason in reasons], bool)
    if len(np.unique(faces.labels[kept])) < 2:
        left = ", ".join(f"{count:,} {why}" for why, count in Counter(reasons.tolist()).items() if why)
        more = "" if settings.keep_suspects else ", or keep those with a suspected label: --keep-suspects"
        raise InputError(
            f"Fewer than two people of {faces.source} are left. Faces left out: {left or 'none'}.",
            hint=f"Give more photos{more}.",
        )
    rows = np.flatnonzero(kept)
    with steps("Comparing faces with each other", "faces") as progress:
        pairs, pair_scores = hard_pairs(
            faces.vectors[rows], faces.labels[rows], settings.pair_count, progress=progress
        )
    counts = {NEVER: int(never.sum())} if settings.never else {}
    counts |= {reason: int((reasons == reason).sum()) for reason in dict.fromkeys(reasons.tolist()) if reason}
    gone = np.setdiff1d(np.unique(every.labels), np.unique(faces.labels))
    return Mined(
        faces=faces,
        suspects=suspects,
        kept=kept,
        hard=hard_faces(scores, kept, settings.hard_share),
        counts=counts,
        never_people=len(gone),
        tail=tail,
        pairs=replace(pairs, first=rows[pairs.first], second=rows[pairs.second]),
        pair_scores=pair_scores,
        hard_weight=settings.hard_weight,
    )


def _require_people(faces: LabeledFaces, *, after_never: bool) -> None:
    """Refuse faces among which there is nothing to compare."""
    count = np.bincount(faces.labels, minlength=1)
    people = int((count > 0).sum())
    where = f"{faces.source}, without the people of --never," if after_never else faces.source
    if people < 2:
        raise InputError(
            f"{where} has {counted_people(people)}, and nobody else to compare with.",
            hint="Name photos of two people or more.",
        )
    if count.max() < 2:
        raise InputError(
            f"{where} has nobody with two photos, so no photo can be compared with others of its person.",
            hint="Give more photos of each person.",
        )


def _tail(faces: LabeledFaces) -> ImpostorTail:
    """Of the model; where it has none, that of the people here, whose means are compared with each other."""
    tail = model_tail(faces.model, flip=faces.flip)
    if tail is not None:
        return tail
    sums, count = sums_of(faces.vectors, faces.labels, len(faces.people))
    if int((count > 0).sum()) < ENOUGH:
        raise InputError(
            f"Nothing says how alike strangers are to the model {faces.model.name or 'unknown'!r} of "
            f"{faces.source}: it has no impostor tail here, and "
            f"{counted_people(int((count > 0).sum()))} are too few to measure one ({ENOUGH}).",
            hint="Use a model with an impostor tail, such as sface, or photos of more people.",
        )
    return own_tail(unit_means(sums[count > 0]))


def _leave_out(
    reasons: NDArray[np.object_],
    faces: LabeledFaces,
    margin: NDArray[np.float32],
    settings: MineSettings,
    tail: ImpostorTail,
) -> None:
    """Add to (F,) ``reasons`` why faces with a good label are not trained on either."""
    least = settings.min_margin
    if least is None:
        least = tail.deviation if faces.groups else None
    if least is not None:
        sure = np.fmin(margin, faces.margins)  # what the file of groups says, where it says less
        with np.errstate(invalid="ignore"):
            reasons[(reasons == "") & (sure < least)] = SMALL_MARGIN
    few = settings.min_photos or (2 if faces.groups else 1)
    left = np.bincount(faces.labels[reasons == ""], minlength=len(faces.people))
    reasons[(reasons == "") & (left[faces.labels] < few)] = FEW_PHOTOS


def _end(scores: NDArray[np.float32], which: Any) -> float | None:
    return round(float(which(scores)), 6) if len(scores) else None
