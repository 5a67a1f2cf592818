"""What is said of the error rates of groups of people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupRate:
    """An error rate of one group, or between two.

    Attributes:
        group: The first side's group.
        other: The second side's; equal to ``group`` inside a group.
        rate: Share of wrong answers, or None without pairs.
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        errors: Wrong answers.
        pairs: Scored pairs.
        enough: False where there are too few pairs to read anything into the rate.
    """

    group: str
    other: str
    rate: float | None
    low: float
    high: float
    errors: int
    pairs: int
    enough: bool

    @property
    def label(self) -> str:
        """``A``, or ``A × B`` between two groups."""
        return self.group if self.group == self.other else f"{self.group} × {self.other}"


@dataclass(frozen=True, slots=True)
class GroupRatio:
    """One group's error rate over another's, or over the geometric mean of all.

    Attributes:
        group: Whose rate is divided.
        other: By whose; "" is the geometric mean.
        value: The ratio, or None where it is not measurable.
        low: Lower end of its 95 % interval over people; without ``value`` a lower bound.
        high: Upper end; None where nothing bounds it.
        reason: Why there is no value, else "".
    """

    group: str
    other: str
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""

    @property
    def label(self) -> str:
        """``A / B``, or ``A / geometric mean``."""
        return f"{self.group} / {self.other or 'geometric mean'}"

    @property
    def interval(self) -> str:
        """``1.20 – 3.40``, ``at least 1.20``, or a dash."""
        if self.low is None or (self.high is None and self.low < 0.005):
            return "–"
        return f"at least {self.low:.2f}" if self.high is None else f"{self.low:.2f} – {self.high:.2f}"


@dataclass(frozen=True, slots=True)
class RefusedGroup:
    """A group that is too small for ratios.

    Attributes:
        group: Its name.
        people: How many people its pairs have.
        pairs: How many pairs it has.
        reason: What is too few.
    """

    group: str
    people: int
    pairs: int
    reason: str


@dataclass(frozen=True, slots=True)
class RateRatios:
    """The ratios of one kind of error inside groups.

    Attributes:
        worst_over_best: Of the two groups that are named, its interval adjusted for having looked at all
            groups to find them (Bonferroni over all pairs of groups); None with fewer than two groups.
        over_mean: Each group over the geometric mean of all, each interval for itself.
        geometric_mean: Of the groups' rates; None where one is zero.
        refused: Groups that are left out, and why.
        reason: Why there are no ratios at all, else "".
    """

    worst_over_best: GroupRatio | None
    over_mean: tuple[GroupRatio, ...]
    geometric_mean: float | None
    refused: tuple[RefusedGroup, ...]
    reason: str = ""

    @property
    def all_ratios(self) -> tuple[GroupRatio, ...]:
        """Worst over best, then each group over the geometric mean."""
        return (*([] if self.worst_over_best is None else [self.worst_over_best]), *self.over_mean)

    def sentences(self) -> list[str]:
        """What has no ratio, and why."""
        refused = ", ".join(f"{group.group} ({group.reason})" for group in self.refused)
        found = [f"left out of the ratios: {refused}"] if refused else []
        reasons = {ratio.reason: None for ratio in self.all_ratios if ratio.reason}
        return [*found, *([self.reason] if self.reason else []), *reasons]


@dataclass(frozen=True, slots=True)
class GroupRatios:
    """Ratios of both kinds of error.

    Attributes:
        fnmr: Of false non-matches inside groups.
        fmr: Of false matches inside groups.
        rounds: How often people were drawn.
    """

    fnmr: RateRatios
    fmr: RateRatios
    rounds: int


@dataclass(frozen=True, slots=True)
class GroupReport:
    """Rates at one threshold.

    Attributes:
        threshold: Accept when score >= threshold; the same for everybody.
        far: The false accept rate that it stands for.
        fnmr: False non-matches inside each group, and between two that a person's photos are in, of genuine
            pairs.
        fmr: False matches inside each group and between each two, of impostor pairs.
        unknown: Photos that the table gives no group.
        ratios: Of the rates inside groups to each other.
        at_model_threshold: The same at the threshold that comes with the model; None where nobody knows one.
    """

    threshold: float
    far: float
    fnmr: tuple[GroupRate, ...]
    fmr: tuple[GroupRate, ...]
    unknown: int
    ratios: GroupRatios | None = None
    at_model_threshold: GroupReport | None = None
