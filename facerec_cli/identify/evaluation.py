"""What the evaluation of a search protocol came to, over its trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facerec_cli._version import __version__
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.verify.photo_vectors import PhotoVectors

MAX_FAILED_PHOTOS = 1000  # in the document


@dataclass(frozen=True, slots=True)
class TrialEvaluation:
    """One trial, measured.

    Attributes:
        trial: What was searched in and for.
        search: The figures of its searches.
        verification: The figures of its 1:1 comparisons; None where it has none.
    """

    trial: SearchTrial
    search: IdentificationEvaluation
    verification: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class FigureOverTrials:
    """One figure over the trials.

    Attributes:
        figure: ``rank``, ``tpir`` or ``tar``.
        at: The rank, the FPIR or the FAR.
        values: One a trial in which it is measurable.
        trials: How many trials there are.
    """

    figure: str
    at: float
    values: tuple[float, ...]
    trials: int

    @property
    def mean(self) -> float | None:
        """Of the trials; None where one of them has no value."""
        return float(np.mean(self.values)) if len(self.values) == self.trials else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a sample (n - 1); None of one trial."""
        enough = self.mean is not None and self.trials > 1
        return float(np.std(self.values, ddof=1)) if enough else None

    @property
    def mean_less_deviation(self) -> float | None:
        """Mean less one standard deviation, which BLUFR reports."""
        return None if self.mean is None or self.deviation is None else self.mean - self.deviation


@dataclass(frozen=True, slots=True)
class PeoplePoint:
    """How good a search is among some of the people.

    Attributes:
        people: How many, N.
        rank_one: Share of mated searches whose mate is first.
        tpir: FPIR -> TPIR, None where it is not measurable.
        thresholds: FPIR -> threshold, likewise.
    """

    people: int
    rank_one: float | None
    tpir: dict[float, float | None]
    thresholds: dict[float, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class ProtocolEvaluation:
    """A protocol, measured.

    Attributes:
        source: What the user calls it.
        protocol: Who is enrolled and what is searched for.
        embeddings: The photos' vectors.
        trials: One or more.
        alike: Pairs of people who look like one, with their score: names that should be looked at before any
            rate is believed.
        over_people: The first trial among fewer people.
    """

    source: str
    protocol: SearchProtocol
    embeddings: PhotoVectors
    trials: tuple[TrialEvaluation, ...]
    alike: tuple[tuple[str, str, float], ...] = ()
    over_people: tuple[PeoplePoint, ...] = ()

    def figures(self) -> Iterator[FigureOverTrials]:
        """CMC, TPIR at FPIR and TAR at FAR over the trials."""
        count = len(self.trials)
        first = self.trials[0].search
        for place, point in enumerate(first.cmc):
            rates = [one.search.cmc[place].rate for one in self.trials]
            yield FigureOverTrials("rank", point.rank, _there(rates), count)
        for place, wanted in enumerate(first.tpir_at_fpir):
            rates = [one.search.tpir_at_fpir[place].tpir for one in self.trials]
            yield FigureOverTrials("tpir", wanted.fpir, _there(rates), count)
        verified = [one.verification for one in self.trials if one.verification is not None]
        for place, far in enumerate(verified[0].tar_at_far if verified else ()):
            yield FigureOverTrials(
                "tar", far.far, _there([one.tar_at_far[place].tar for one in verified]), count
            )

    def document(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        reasons = self.embeddings.reasons
        names = self.protocol.names
        return {
            "facerec": __version__,
            "source": self.source,
            "format": self.protocol.format,
            "published_rule": self.protocol.rule,
            "model": asdict(self.embeddings.model),
            "settings": self.embeddings.settings,
            "photos": len(names),
            "people": len(self.protocol.people),
            "failed_photos": len(reasons),
            "failures": {names[i]: reasons[i] for i in sorted(reasons)[:MAX_FAILED_PHOTOS]},
            "alike_people": [{"first": a, "second": b, "score": round(s, 6)} for a, b, s in self.alike],
            "trials": [
                {
                    "name": one.trial.name,
                    **one.search.document(),
                    "verification": None if one.verification is None else one.verification.document(),
                }
                for one in self.trials
            ],
            "over_trials": [
                {
                    "figure": figure.figure,
                    "at": figure.at,
                    "mean": figure.mean,
                    "deviation": figure.deviation,
                    "mean_less_deviation": figure.mean_less_deviation,
                }
                for figure in self.figures()
            ],
            "over_people": [
                {
                    "people": point.people,
                    "rank_one": point.rank_one,
                    "tpir_at_fpir": [
                        {"fpir": fpir, "tpir": tpir, "threshold": point.thresholds[fpir]}
                        for fpir, tpir in point.tpir.items()
                    ],
                }
                for point in self.over_people
            ],
        }


def _there(values: list[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)
