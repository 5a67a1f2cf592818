"""What the evaluation of a search protocol came to, over its trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.identify.transfer import AppliedThreshold, sentence
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.published_searches import IJB_2018, Ijb2018Point
from facerec_cli.metrics.trials import TrialsFigure, mean_and_sd, over_trials
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
        applied: The rates at ``--threshold``, or at those that a search would use; empty where there is no
            such search, as of photos that are enrolled in turn.
    """

    trial: SearchTrial
    search: IdentificationEvaluation
    verification: Evaluation | None = None
    applied: tuple[AppliedThreshold, ...] = ()


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
        without_alike: The trials without these people; empty where there are none. Leaving out who is most
            alike makes every figure better, also where they are two people: the truth lies between.
        published: The figures by the rule of IJB's older tables; empty where they were not asked for.
    """

    source: str
    protocol: SearchProtocol
    embeddings: PhotoVectors
    trials: tuple[TrialEvaluation, ...]
    alike: tuple[tuple[str, str, float], ...] = ()
    without_alike: tuple[IdentificationEvaluation, ...] = ()
    published: tuple[Ijb2018Point, ...] = ()

    def figures(self) -> Iterator[TrialsFigure]:
        """CMC, TPIR at FPIR and TAR at FAR of the 1:1 comparisons, over the trials."""
        yield from over_trials([one.search for one in self.trials])
        verified = [one.verification for one in self.trials if one.verification is not None]
        for points in zip(*(one.tar_at_far for one in verified), strict=True):
            yield mean_and_sd("tar", points[0].far, [point.tar for point in points])

    def transfer(self) -> tuple[str, ...]:
        """What thresholds that were not chosen on these searches met: a sentence for each wished rate."""
        return tuple(sentence(of) for of in zip(*(one.applied for one in self.trials), strict=False))

    def figures_without_alike(self) -> tuple[TrialsFigure, ...]:
        """CMC and TPIR at FPIR over the trials without the people who look like one."""
        return over_trials(self.without_alike)

    def document(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        reasons, names = self.embeddings.reasons, self.protocol.names
        document: dict[str, Any] = {
            "facerec": __version__,
            "source": self.source,
            "format": self.protocol.format,
            "published_as": self.protocol.rule,
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
                    "at_threshold": [applied.document() for applied in one.applied],
                    "verification": None if one.verification is None else one.verification.document(),
                }
                for one in self.trials
            ],
            "at_threshold": list(self.transfer()),
            "over_trials": [asdict(figure) for figure in self.figures()],
        }
        if self.without_alike:
            without = [asdict(figure) for figure in self.figures_without_alike()]
            document["without_alike_people"] = {"over_trials": without}
        if self.published:
            document["published_rule"] = {
                "rule": IJB_2018,
                "points": [asdict(point) for point in self.published],
            }
        return document
