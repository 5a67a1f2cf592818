"""What a model says of itself, held against a list: its threshold, and how alike two people come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import FacerecError
from facerec_cli.metrics.bootstrap import people_in
from facerec_cli.metrics.doubtful import DoubtfulPair, doubtful_pairs, doubtful_people
from facerec_cli.metrics.doubtful_labels import MOST, DoubtfulLabels, doubtful_bound
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.impostor_tail import tail_of
from facerec_cli.metrics.people_interval import of_all_pairs, of_one_person, of_two_people
from facerec_cli.metrics.scores import lowest_accepted
from facerec_cli.metrics.thresholds import default_threshold
from facerec_cli.metrics.transfer import ThresholdTransfer, transfer
from facerec_cli.packs.catalog import find
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_installed, open_pack, pack_hash
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.threshold import ImpostorTail, Threshold
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.verify.settings import VerifySettings


def pack_of(embeddings: PhotoVectors, settings: VerifySettings) -> ModelPack | None:
    """The model that made the vectors, where it is on this machine; else None.

    Stored embeddings name a model: only one that is registered is looked at, and only with the same hash.
    """
    if isinstance(settings.model, ModelPack):
        return settings.model
    try:
        if settings.model is not None or settings.embeddings is None:
            return open_pack(settings.model or DEFAULT_PACK)
        entry = find(embeddings.model.name)
        pack = None if entry is None else open_installed(entry)
        return pack if pack is not None and pack_hash(pack) == embeddings.model.sha256 else None
    except FacerecError:
        return None


@dataclass(frozen=True, slots=True)
class ModelLevel:
    """What is known of a model's scores, with flip where the vectors were made with it.

    Attributes:
        threshold: The one that it comes with; None where it has none, or nobody knows the model.
        tail: Of the scores of two people; likewise.
    """

    threshold: Threshold | None = None
    tail: ImpostorTail | None = None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """For ``evaluate``, so that :meth:`transfer` can be asked."""
        return () if self.threshold is None else (self.threshold.value,)

    def transfer(
        self,
        evaluation: Evaluation,
        scores: NDArray[np.float32],
        same: NDArray[np.bool_],
        people: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> ThresholdTransfer | None:
        """The threshold held against the pairs of a list.

        Args:
            evaluation: Of the pairs.
            scores: (P,) of the pairs with a score.
            same: (P,) bool.
            people: (P,) int64 for each side, who it is.
        """
        if self.threshold is None:
            return None
        accepted = scores >= lowest_accepted(self.threshold.value, scores.dtype)
        genuine = of_one_person(accepted[same], people[0][same])
        impostor = of_two_people(accepted[~same], *(side[~same] for side in people))
        return transfer(self.threshold, evaluation, (genuine, impostor))

    def transfer_in(
        self, evaluation: Evaluation, people: NDArray[np.int64], embeddings: PhotoVectors, progress: Progress
    ) -> ThresholdTransfer | None:
        """The same of all pairs of a folder that are too many to list.

        Args:
            evaluation: Of all pairs.
            people: (N,) int64, who is on each photo.
            embeddings: The photos' vectors.
            progress: Told the photos done.
        """
        if self.threshold is None:
            return None
        there = ~embeddings.failed
        shared = of_all_pairs(
            embeddings.vectors[there], people[there], self.threshold.value, progress=progress
        )
        return transfer(self.threshold, evaluation, shared)

    def doubtful(
        self, evaluation: Evaluation, pairs: PairList, scores: NDArray[np.float32], failed: NDArray[np.bool_]
    ) -> DoubtfulLabels | None:
        """Pairs of a list whose label is doubtful; None where there are too few to tell.

        Args:
            evaluation: Of the pairs.
            pairs: The list.
            scores: (P,) of each pair.
            failed: (P,) bool, pairs without one.
        """
        bound = self._bound(evaluation)
        if bound is None:
            return None
        names = pairs.names if pairs.templates is None else tuple(map(str, pairs.templates.names.tolist()))
        use = ~failed & ~pairs.same & (scores >= bound)
        if not use.any():
            return DoubtfulLabels(bound, (), ())
        sides = pairs.first[use], pairs.second[use]
        return _named(bound, doubtful_pairs(scores[use], sides, people_in(pairs), bound, limit=MOST), names)

    def doubtful_in(
        self, evaluation: Evaluation, photos: PairList, embeddings: PhotoVectors, progress: Progress
    ) -> DoubtfulLabels | None:
        """The same of all pairs of a folder that are too many to list.

        Args:
            evaluation: Of all pairs.
            photos: Those of the folder, with ``identity``.
            embeddings: Their vectors.
            progress: Told the photos done.
        """
        bound, people = self._bound(evaluation), photos.identity
        if bound is None or people is None:
            return None
        if not evaluation.impostor.reaches(bound):
            return DoubtfulLabels(bound, (), ())
        vectors, failed = embeddings.vectors, embeddings.failed
        found = doubtful_people(vectors, people, bound, failed=failed, limit=MOST, progress=progress)
        return _named(bound, found, photos.names)

    def _bound(self, evaluation: Evaluation) -> float | None:
        """From which score on a label is doubtful."""
        threshold = None if self.threshold is None else self.threshold.value
        return doubtful_bound(evaluation.impostor, tail=self.tail, threshold=threshold)


def _named(bound: float, pairs: tuple[DoubtfulPair, ...], names: tuple[str, ...]) -> DoubtfulLabels:
    return DoubtfulLabels(bound, pairs, tuple((names[pair.rows[0]], names[pair.rows[1]]) for pair in pairs))


def level_of(embeddings: PhotoVectors, settings: VerifySettings) -> ModelLevel:
    """What is known of the model that made the vectors; nothing where it is not on this machine."""
    pack = pack_of(embeddings, settings)
    if pack is None:
        return ModelLevel()
    flip = bool(embeddings.settings.get("flip", False))
    return ModelLevel(default_threshold(pack, flip=flip), tail_of(pack, flip=flip))
