"""What a study found, as results.json has it: figures of each run, means over the seeds, differences of arms.

Keys of dictionaries are the names of arms and of subsets, and FARs as text (``"0.001"``). A field that has a
default is left out of the JSON where it is None; the others are null there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from facerec_cli.study.protocol import Protocol

CLEAN = "clean clean"
HARD = "hard"  # the mean over the measured subsets but the clean one, as if it were a subset
#: Fewer seeds than this say nothing about what another seed would give.
MIN_SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOverSeeds:
    """A rate, 0..1, of one arm.

    Attributes:
        mean: Over the seeds.
        half: Half of Student's 95 % interval over the seeds; None below ``MIN_SEEDS``.
        seeds: The rate of each seed.
        low: Lower end of the 95 % interval over people and seeds; None where there are too few people.
        high: Upper end.
    """

    mean: float
    half: float | None = None
    seeds: tuple[float, ...]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more TAR, -1..1, one arm has than another.

    Attributes:
        mean: Difference of the means over the seeds.
        seeds: How many seeds the arm with fewer of them has.
        low: Lower end of the 95 % interval over people and seeds; None where there are too few people.
        high: Upper end.
    """

    mean: float
    seeds: int
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval over people and seeds; None where people or seeds are too few for one."""
        if self.low is None or self.high is None or self.seeds < MIN_SEEDS:
            return None
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class SubsetFigures:
    """One run on one subset: FAR -> TAR, and the rest, None where it has too few pairs (tpir: searches)."""

    tar: dict[str, float]
    eer: float | None
    auc: float | None
    d_prime: float | None
    tpir: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """One run.

    Attributes:
        arm: Name of its arm.
        seed: Its seed.
        interpolate: How far it went from the first weights to the trained ones, 0..1.
        steps: Of training.
        seconds: For everything.
        seconds_training: For training; None for the network before training.
        validation: Value of ``interpolate`` as text -> subset -> TAR of the validation people.
        recipe: Of training.
        accuracy: On the pair list; None where it has too few pairs.
        subsets: Its figures, by subset.
    """

    arm: str
    seed: int
    interpolate: float | None = None
    steps: int | None = None
    seconds: float | None = None
    seconds_training: float | None = None
    validation: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    accuracy: float | None
    subsets: dict[str, SubsetFigures]


@dataclass(frozen=True, slots=True)
class ArmSubset:
    """One arm on one subset: FAR -> TAR, and the rest; None where it has too few pairs (tpir: searches)."""

    tar: dict[str, MeanOverSeeds]
    eer: MeanOverSeeds | None
    auc: MeanOverSeeds | None
    tpir: MeanOverSeeds | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm, over its seeds: by subset, and accuracy on the pair list."""

    subsets: dict[str, ArmSubset]
    accuracy: MeanOverSeeds | None


@dataclass(frozen=True, slots=True)
class Subset:
    """What was compared.

    Attributes:
        photos: How many.
        people: How many.
        same: Genuine pairs.
        different: Impostor pairs.
        fars: False accept rates that they can measure.
        reason: Why they can measure nothing.
        few_people: How many people have a genuine pair, where these are too few for an interval.
    """

    photos: int
    people: int
    same: int
    different: int
    fars: tuple[float, ...]
    reason: str | None = None
    few_people: int | None = None


@dataclass(frozen=True, slots=True)
class HardSubsets:
    """The subsets whose mean decides, and the false accept rates that all of them can measure."""

    subsets: tuple[str, ...]
    fars: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AccuracyPairs:
    """The pairs of the accuracy: how many of each kind, and which accuracy that asks for."""

    same: int
    different: int
    accuracy: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Curves:
    """Mean ROC curves: subset -> arm -> TAR at each FAR, None below one impostor pair."""

    far: tuple[float, ...]
    tar: dict[str, dict[str, tuple[float | None, ...]]]


@dataclass(frozen=True, slots=True)
class Shares:
    """Share of the genuine and of the impostor pairs in each bin, 0..1; None of no pairs."""

    same: tuple[float | None, ...]
    different: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Similarities:
    """Histograms of the scores: subset -> arm -> shares between these edges."""

    edges: tuple[float, ...]
    shares: dict[str, dict[str, Shares]]


@dataclass(frozen=True, slots=True)
class HardestPair:
    """A genuine pair with a low score: its two crops, and each arm's mean score."""

    photos: tuple[str, str]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The results of a study.

    Attributes:
        protocol: What was asked, without the arms' recipes.
        parts: Part of the people -> what of it was used -> how many.
        subsets: What was compared.
        hard: What the study is decided by; None where fewer than two hard subsets can be measured.
        pairs: Of the accuracy.
        runs: Each of them.
        arms: Means of each.
        differences: Reference -> arm -> subset -> FAR -> difference.
        curves: For figures; None in the results that docs/study/ keeps.
        similarities: The same.
        hardest: The same.
        tpir_differences: As ``differences``, of TPIR at FPIR 0.01; None where no search was measured.
        no_searches: Why not; None where it was, and in results of earlier versions.
    """

    protocol: Protocol
    parts: dict[str, dict[str, int]]
    subsets: dict[str, Subset]
    hard: HardSubsets | None
    pairs: AccuracyPairs
    runs: tuple[RunFigures, ...]
    arms: dict[str, Arm]
    differences: dict[str, dict[str, dict[str, dict[str, Difference]]]]
    curves: Curves | None = None
    similarities: Similarities | None = None
    hardest: tuple[HardestPair, ...] | None = None
    tpir_differences: dict[str, dict[str, dict[str, Difference]]] | None = None
    no_searches: str | None = None

    @property
    def far(self) -> str:
        """The FAR that the study is decided at, as the keys have it."""
        return f"{self.protocol.test.far:g}"

    @property
    def measured(self) -> list[str]:
        """The subsets with pairs enough for figures."""
        return [name for name, subset in self.subsets.items() if subset.reason is None]

    @property
    def deciding(self) -> str:
        """The subset that the study is decided by: the mean of the hard ones, or the first hard one."""
        if self.hard:
            return HARD
        hard = [name for name in self.measured if name != CLEAN]
        return next(iter([*hard, *self.measured, *self.subsets]))

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**_plain(self), "protocol": _plain(self.protocol.document())}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Comparison:
        """What :meth:`document` gave; keys that it does not have are ignored."""
        comparison: Comparison = _typed(cls, document)
        return comparison


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    if not dataclasses.is_dataclass(value):
        return value
    values = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {
        field.name: _plain(inner)
        for field, inner in values.items()
        if inner is not None or field.default is dataclasses.MISSING
    }


def _typed(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _typed(hints[name], value[name]) for name in hints if name in value})  # type: ignore[operator]
    origin, inner = get_origin(kind), get_args(kind)
    if value is None or not inner:
        return value
    if origin is dict:
        return {key: _typed(inner[1], one) for key, one in value.items()}
    if origin is tuple:
        return tuple(_typed(inner[0], one) for one in value)
    return _typed(inner[0], value)  # of a type or None
