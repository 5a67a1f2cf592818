"""What a verification measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import BootstrapInterval, people_in
from facerec_cli.metrics.calibration_card import CalibrationCard
from facerec_cli.metrics.counted_scores import of_distributions
from facerec_cli.metrics.discard_curve import DiscardReport
from facerec_cli.metrics.doubtful_labels import DoubtfulLabels
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.group_report import GroupReport
from facerec_cli.metrics.impostor_pairs import measure_impostor_tail
from facerec_cli.metrics.likelihood import Method, parameters
from facerec_cli.metrics.likelihood_card import LikelihoodCard
from facerec_cli.metrics.likelihood_evaluation import (
    LikelihoodEvaluation,
    evaluate_counted,
    evaluate_likelihood,
)
from facerec_cli.metrics.quality_card import QualityCard
from facerec_cli.metrics.roc import OperatingPoint
from facerec_cli.metrics.thresholds import choose
from facerec_cli.metrics.transfer import ThresholdTransfer
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import ImpostorTail, Threshold
from facerec_cli.verify.discard import discard_of
from facerec_cli.verify.photo_vectors import PhotoVectors

TAIL_RATE, TAIL_PEOPLE = 1e-3, 78
"""The false match rate that an impostor tail has to reach, and the people who make the 3,000 pairs for it."""


@dataclass(frozen=True)  # without slots, so that what is seldom asked for is measured once and then kept
class Verification:
    """A list of pairs or a folder, measured.

    Attributes:
        source: The list or folder.
        pairs: The pairs with their photos; photos alone where all pairs of a folder were too many to list.
        embeddings: The photos' vectors.
        evaluation: The figures, and both classes' scores.
        chosen: The operating point for cards and groups, or None when none is measurable.
        scores: (P,) float32, 0 where ``failed``; None where the pairs are not listed.
        failed: (P,) bool, pairs without a score; None likewise.
        fold: (P,) int64, the folds that were used, or None.
        groups: Rates per group.
        bootstrap: Intervals over people.
        model_threshold: The rates at the threshold that the model comes with; None where it has none, or the
            model is not known.
        doubtful_labels: Pairs of different labels that look like one person; None where there are too few
            pairs to tell.
        calibration: How likelihood ratios are calibrated, ``logistic`` or ``isotonic``.
        discarded: The share of the same pairs that the limit of a quality card discards.
    """

    source: str
    pairs: PairList
    embeddings: PhotoVectors
    evaluation: Evaluation
    chosen: OperatingPoint | None
    scores: NDArray[np.float32] | None = None
    failed: NDArray[np.bool_] | None = None
    fold: NDArray[np.int64] | None = None
    groups: GroupReport | None = None
    bootstrap: tuple[BootstrapInterval, ...] = ()
    model_threshold: ThresholdTransfer | None = None
    doubtful_labels: DoubtfulLabels | None = None
    calibration: Method = "logistic"
    discarded: float = 0.1

    @property
    def names(self) -> tuple[str, ...]:
        """What the list calls its photos."""
        return self.pairs.names

    def people_of_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Who is on both sides of each scored pair: as the list says, else photos joined by same pairs."""
        pairs, people = self.pairs, people_in(self.pairs)
        scored = slice(None) if self.failed is None else ~self.failed
        return people[pairs.first[scored]], people[pairs.second[scored]]

    @cached_property
    def likelihood(self) -> LikelihoodEvaluation | str:
        """What the scores are worth, or why nobody can say."""
        pairs = self.pairs
        if self.scores is None or self.failed is None:
            assert pairs.identity is not None  # a folder's, whose pairs are too many to list
            photos = np.unique(pairs.identity[~self.embeddings.failed], return_counts=True)[1]
            counted = of_distributions(self.evaluation.genuine, self.evaluation.impostor)
            pairs_of_people = photos.size * (photos.size - 1) // 2
            return evaluate_counted(counted, int((photos > 1).sum()), pairs_of_people, self.calibration)
        scored = ~self.failed
        return evaluate_likelihood(
            self.scores[scored],
            pairs.same[scored],
            self.people_of_pairs(),
            folds=None if pairs.fold is None else pairs.fold[scored],
            method=self.calibration,
        )

    @cached_property
    def discard(self) -> DiscardReport | str:
        """Which quality foretells false rejects at the chosen FAR, or why nobody can say."""
        scored = None
        if self.scores is not None and self.failed is not None:
            scored = (self.scores, self.failed, self.people_of_pairs()[0])
        return discard_of(self.chosen, self.pairs, self.embeddings, scored)

    def threshold(self) -> Threshold:
        """The threshold at the chosen FAR, bound to the model, for a card.

        Raises:
            InputError: The FAR is not measurable on this list, or nobody knows the model.
        """
        far = None if self.chosen is None else self.chosen.far
        threshold = choose(self.evaluation, far, data=Path(self.source).name)
        if isinstance(threshold, str):
            raise InputError(
                f"There is no threshold to save: {threshold}.", hint="Choose a larger --far or a larger list."
            )
        return replace(threshold, **self._bound_to("threshold"))

    def likelihood_card(self) -> LikelihoodCard:
        """The calibration, bound to the model, for a card.

        Raises:
            InputError: There is none on this list, or nobody knows the model.
        """
        found = self.likelihood
        if isinstance(found, str):
            raise InputError(
                f"There is no likelihood ratio to save: {found}.", hint="Take a larger list of labeled pairs."
            )
        return LikelihoodCard(
            method=found.method,
            low=found.model.low,
            high=found.model.high,
            **parameters(found.model),
            cllr=found.cllr,
            min_cllr=found.min_cllr,
            same_pairs=found.same_pairs,
            different_pairs=found.different_pairs,
            people=found.people,
            person_pairs=found.person_pairs,
            data=Path(self.source).name,
            **self._bound_to("likelihood ratio"),
        )

    def quality_card(self) -> QualityCard:
        """The limit of the best measure at ``discarded``, bound to the model, for a card.

        Raises:
            InputError: No measure foretells false rejects here, or nobody knows the model.
        """
        found = self.discard
        best = () if isinstance(found, str) else found.predicting
        if isinstance(found, str) or not best:
            reason = found if isinstance(found, str) else found.sentence()
            raise InputError(
                f"There is no limit of quality to save: {reason}.",
                hint="Take a larger list of labeled pairs, or a smaller --far, which rejects more of them.",
            )
        curve = best[0]
        point = curve.at(round(self.discarded, 2))
        if point.limit is None or curve.gain is None or curve.low is None or curve.high is None:
            raise InputError(
                f"There is no limit of quality to save: more than {self.discarded:.0%} of the pairs have the "
                f"worst {curve.measure}.",
                hint="Choose a larger --discard.",
            )
        return QualityCard(
            measure=curve.measure,
            limit=point.limit,
            discarded=point.discarded,
            far=found.far,
            fnmr=curve.at(0).fnmr,
            fnmr_left=point.fnmr,
            gain=curve.gain,
            low=curve.low,
            high=curve.high,
            same_pairs=curve.same_pairs,
            people=curve.people,
            data=Path(self.source).name,
            **self._bound_to("limit of quality"),
        )

    def calibration_card(self) -> CalibrationCard:
        """Threshold, likelihood ratio and, where it is measurable, the impostor tail, bound to the model.

        Raises:
            InputError: The first two are not both measurable on this list, or nobody knows the model.
        """
        tail = self.impostor_tail
        return CalibrationCard(
            self.threshold(), self.likelihood_card(), None if isinstance(tail, str) else tail
        )

    @cached_property
    def impostor_tail(self) -> ImpostorTail | str:
        """How high the scores of two people come, each two once; or why nobody can say."""
        people, embeddings = self.pairs.identity, self.embeddings
        if self.pairs.format != "all-pairs" or people is None:
            return "not measurable from a list of pairs; it takes all pairs of a folder (--all-pairs)"
        there = ~embeddings.failed
        count = np.unique(people[there]).size
        if count * (count - 1) / 2 * TAIL_RATE < 3:
            return f"not measurable with {count:,} people; it takes {TAIL_PEOPLE}"
        flip = bool(embeddings.settings.get("flip", False))
        data = Path(self.source).name
        return measure_impostor_tail(embeddings.vectors[there], people[there], data=data, flip=flip)

    def _bound_to(self, what: str) -> dict[str, Any]:
        """What a card is bound to.

        Raises:
            InputError: Nobody knows the model.
        """
        model, settings = self.embeddings.model, self.embeddings.settings
        if not model.sha256:
            raise InputError(
                f"There is no {what} to save: the embeddings do not say which model made them.",
                hint="Keep the .json of `facerec embed` beside them.",
            )
        return {
            "model": model.name,
            "model_sha256": model.sha256,
            "flip": bool(settings.get("flip", False)),
            "aligned": bool(settings.get("aligned", False)),
        }
