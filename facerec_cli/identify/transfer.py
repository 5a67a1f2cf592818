"""Whether the threshold of a search holds: its rates on searches that it was not chosen on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import FacerecError
from facerec_cli.identify.people import SearchedGallery, gallery_of
from facerec_cli.identify.settings import DEFAULT_FPIR, IdentifySettings
from facerec_cli.identify.threshold import find_thresholds
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.identification_points import RatesAtThreshold
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.protocols.protocol import SearchTrial
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.wording import percent


@dataclass(frozen=True, slots=True)
class AppliedThreshold:
    """The rates of one trial at a threshold that was given, or that ``identify`` would use for its gallery.

    Attributes:
        threshold: With the wished FPIR, None where it was given.
        rates: Those that the trial's searches have at it; None where there is no threshold.
    """

    threshold: SearchThreshold
    rates: RatesAtThreshold | None

    @property
    def miss_interval(self) -> tuple[float | None, float | None, float | None]:
        """FNIR at rank 1 with the ends of its 95 % Wilson interval; None without a mated search."""
        rates = self.rates
        if rates is None or rates.tpir is None or rates.low is None or rates.high is None:
            return None, None, None
        return 1 - rates.tpir, 1 - rates.high, 1 - rates.low

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        made = self.threshold
        fnir, low, high = self.miss_interval
        about = {"wished_fpir": made.fpir, "source": made.source, "data": made.data, "reason": made.reason}
        rates = {"threshold": None} if self.rates is None else asdict(self.rates)
        return {**about, **rates, "fnir": fnir, "fnir_low": low, "fnir_high": high}

    def sentence(self) -> str:
        """What it met, for users: one sentence."""
        return sentence([self])


def apply_thresholds(
    search: IdentificationEvaluation, gallery: SearchedGallery, settings: IdentifySettings
) -> tuple[AppliedThreshold, ...]:
    """The rates at ``settings.threshold``, or at what a search would use for each ``settings.fpir``.

    Args:
        search: The figures of the trial.
        gallery: Its people, as a search has them.
        settings: What was asked for; without a rate the default of a search.
    """
    try:
        found = find_thresholds(gallery, settings, settings.fpir or (DEFAULT_FPIR,))
    except FacerecError:
        if settings.threshold is not None:
            raise
        return ()
    return tuple(AppliedThreshold(one, None if one.value is None else search.at(one.value)) for one in found)


def gallery_of_trial(
    source: str, trial: SearchTrial, people: NDArray[np.int64], embeddings: PhotoVectors
) -> SearchedGallery:
    """The gallery of a trial as a search has it.

    Args:
        source: What the user calls the protocol.
        trial: Of which the gallery is taken.
        people: (G,) int64, who each row of its gallery shows.
        embeddings: The vectors, of which those that failed are left out.

    Raises:
        InputError: Nobody has a vector.
    """
    made = ~embeddings.failed[trial.gallery]
    rows = trial.gallery[made]
    names = [str(person) for person in people[made]]
    return gallery_of(source, embeddings.vectors[rows], names, (), embeddings.model, embeddings.settings, {})


def sentence(applied: Sequence[AppliedThreshold]) -> str:
    """What one threshold met, or the thresholds of one wished rate over several trials: one sentence."""
    made = [one for one in applied if one.rates is not None]
    first = applied[0].threshold
    if not made:
        wished = percent(first.fpir or 0)
        return f"identify would find no threshold for FPIR {wished}: {first.reason}"
    values = [one.rates.threshold for one in made if one.rates is not None]
    low, high = min(values), max(values)
    several = len(made) > 1
    what = f"thresholds {low:.4f} to {high:.4f}" if several and low < high else f"threshold {low:.4f}"
    start = (
        f"the {what}, as given,"
        if first.fpir is None
        else (f"the {what} that identify would use for FPIR {percent(first.fpir)}")
    )
    fpir = _told([(r.fpir, r.fpir_low, r.fpir_high) for one in made if (r := one.rates) is not None], several)
    tpir = _told([(r.tpir, r.low, r.high) for one in made if (r := one.rates) is not None], several)
    fnir = _told([one.miss_interval for one in made], several)
    return f"{start} met FPIR {fpir}; TPIR {tpir}, FNIR {fnir}"


def _told(rates: Sequence[tuple[float | None, float | None, float | None]], several: bool) -> str:
    """A rate with its 95 % interval, or the mean of several with the least and the greatest."""
    known = [rate for rate, _, _ in rates if rate is not None]
    if not known:
        return "nothing, without such a search"
    low, high = (min(known), max(known)) if several else rates[0][1:]
    mean = float(np.mean(known))
    if low is None or high is None:
        return f"{100 * mean:.2f} %"
    of = " in single trials" if several else ""
    return f"{100 * mean:.2f} % ({100 * low:.2f} to {100 * high:.2f} %{of})"
