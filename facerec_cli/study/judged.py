"""The pairs that a study's runs are judged by, and which rates they can measure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.study.comparison import CLEAN, HARD, HardSubsets, Subset
from facerec_cli.study.crops import read_crops
from facerec_cli.study.prepare import Materials
from facerec_cli.study.protocol import Protocol, TestSettings
from facerec_cli.study.searches import JudgedSearches, judged_searches
from facerec_cli.study.subsets import NATURAL, make_pairs, measurable

MIN_GENUINE = 20  # genuine pairs; fewer are no subset to judge by: one pair would be more than five points


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """The pairs of each subset and what they can measure.

    Attributes:
        people: (N,) int64 person of each photo, without gaps.
        pairs: Subset -> its pairs.
        subsets: Subset -> counts and rates.
        hard: The subsets whose mean decides.
        searches: Of the same photos.
    """

    people: NDArray[np.int64]
    pairs: dict[str, PairList]
    subsets: dict[str, Subset]
    hard: HardSubsets | None
    searches: JudgedSearches

    @property
    def fars(self) -> dict[str, tuple[float, ...]]:
        """The rates that can be measured on each subset, and on the mean of the hard ones."""
        fars = {name: subset.fars for name, subset in self.subsets.items()}
        return fars | ({HARD: self.hard.fars} if self.hard else {})

    def has_intervals(self, name: str) -> bool:
        """Whether there are people enough to say what others would give."""
        names = self.hard.subsets if self.hard and name == HARD else (name,)
        return all(self.subsets[one].few_people is None for one in names)

    @property
    def shown(self) -> str:
        """The subset of which the hardest pairs are shown."""
        return NATURAL if NATURAL in self.pairs else next(iter(self.pairs))


def judged_pairs(materials: Materials, test: TestSettings) -> JudgedPairs:
    """The pairs of every subset of the judged photos.

    Raises:
        InputError: A crop cannot be read.
    """
    photos = materials.judged
    people = np.unique(np.array(photos.people), return_inverse=True)[1].astype(np.int64)
    crops = read_crops(materials.crops, photos.paths)
    pairs = {name: make_pairs(name, people, crops, test.natural) for name in test.subsets}
    subsets = {name: _subset(own, people, test.fars) for name, own in pairs.items()}
    hard = tuple(name for name, subset in subsets.items() if name != CLEAN and subset.reason is None)
    fars = tuple(far for far in test.fars if all(far in subsets[name].fars for name in hard))
    mean = HardSubsets(hard, fars) if len(hard) > 1 else None
    return JudgedPairs(people, pairs, subsets, mean, judged_searches(people))


def check_rates(protocol: Protocol, materials: Materials) -> None:
    """Refuse a verdict for which there are too few different pairs, before anything is trained.

    Raises:
        InputError: There are too few.
    """
    test, judged, people = protocol.test, protocol.study.judge, materials.judged.people
    most = math.comb(len(people), 2) - sum(math.comb(count, 2) for count in Counter(people).values())
    if any(len(set(subset.split(" "))) > 1 for subset in test.subsets):  # compared both ways round
        most *= 2
    if not measurable([test.far], most):
        lowest = next((far for far in (0.001, 0.01, 0.1) if measurable([far], most)), None)
        settle = ""
        if lowest is not None:
            settle = f", or settle for a higher rate: --set test.far={lowest:g} --set test.fars=[{lowest:g}]"
        raise InputError(
            f"TAR at FAR {test.far:g} cannot be measured: {len(people)} photos of {judged} people give "
            f"{most:,} different pairs, and it takes {math.ceil(3 / test.far):,}.",
            hint=f"Raise test.photos or give photos of more people{settle}.",
        )


def _subset(pairs: PairList, people: NDArray[np.int64], fars: Sequence[float]) -> Subset:
    """What the pairs of a subset can measure."""
    genuine = int(pairs.same.sum())
    having = len(np.unique(people[pairs.first[pairs.same]]))  # each of them has a say in TAR
    few = genuine < MIN_GENUINE
    return Subset(
        photos=len(people),
        people=int(people.max()) + 1,
        same=genuine,
        different=pairs.impostors,
        fars=() if few else measurable(fars, pairs.impostors),
        reason=f"{genuine} same pairs are too few; it takes {MIN_GENUINE}" if few else None,
        few_people=having if having < MIN_PEOPLE else None,
    )
