"""What a study found, in sentences: whether a loss beats the baseline by more than chance explains."""

from __future__ import annotations

from collections.abc import Mapping

from facerec_cli.study.comparison import HARD, MIN_SEEDS, Comparison, Difference
from facerec_cli.study.protocol import BEFORE
from facerec_cli.study.searches import SEARCH_FPIR
from facerec_cli.wording import one_in


def finding(results: Comparison) -> list[str]:
    """The answer first: arms that differ from the baseline beyond their interval, or that none does.

    Decided by the mean of the hard subsets; without one by the first hard subset that is measured.
    """
    baseline, subset = results.protocol.study.baseline, results.deciding
    where = "in the mean of the hard subsets" if subset == HARD else f"on the subset {subset!r}"
    others = results.differences.get(baseline, {})
    differences = {
        arm: by_subset[subset][results.far]
        for arm, by_subset in others.items()
        if results.far in by_subset.get(subset, {})
    }
    if not differences:
        why = "there is no other arm"
        if others:
            about = results.subsets.get(subset)
            why = about.reason if about and about.reason else "too few photos to measure it"
        return [f"Nothing can be said of {baseline} and the others {where}: {why}."]
    first = f"At a false accept rate of {one_in(results.protocol.test.far)}, {where},"
    sentences = _known(differences, baseline, first)
    lacking = {arm: one for arm, one in differences.items() if one.interval is None}
    if lacking:
        sentences.append(_unknown(lacking, baseline, "" if sentences else first))
    sentences += _in_searches(results, baseline, subset)
    before = results.differences.get(BEFORE, {}).get(baseline, {}).get(subset, {}).get(results.far)
    if before and before.low is not None:
        sentences.append(f"Training with {baseline} itself changed it by {_points(before)}.")
    return sentences


def _in_searches(results: Comparison, baseline: str, subset: str) -> list[str]:
    """Which arms find more people, or fewer, where people are searched for."""
    others = (results.tpir_differences or {}).get(baseline, {})
    found = {arm: by_subset[subset] for arm, by_subset in others.items() if subset in by_subset}
    known = {arm: one for arm, one in found.items() if one.interval}
    if not known:
        return []
    sure = {arm: one for arm, one in known.items() if (one.low or 0) > 0 or (one.high or 0) < 0}
    if not sure:
        return [f"In searches (at FPIR {SEARCH_FPIR:g}) no arm differs from {baseline} beyond its interval."]
    words = (f"{arm} {_points(one).replace('TAR', 'TPIR')}" for arm, one in sure.items())
    return [f"In searches (at FPIR {SEARCH_FPIR:g}), against {baseline}: {'; '.join(words)}."]


def _known(differences: Mapping[str, Difference], baseline: str, first: str) -> list[str]:
    """The arms that are better, or the nearest to it, and those that are worse."""
    ends = {arm: one.interval for arm, one in differences.items() if one.interval}
    by_mean = sorted(ends, key=lambda arm: -differences[arm].mean)
    better = [arm for arm in by_mean if ends[arm][0] > 0]
    worse = [arm for arm in reversed(by_mean) if ends[arm][1] < 0]
    sentences = [f"{first} {arm} is better than {baseline} by {_apart(differences[arm])}." for arm in better]
    if ends and not better:
        best = by_mean[0]
        sentences.append(
            f"{first} no loss beats {baseline} beyond its interval; the nearest is {best}, "
            f"{_points(differences[best])}."
        )
    return sentences + [f"{arm} is worse than {baseline} by {_apart(differences[arm])}." for arm in worse]


def _unknown(differences: Mapping[str, Difference], baseline: str, first: str) -> str:
    """Arms of which it cannot be said whether they differ, and why."""
    arms = ", ".join(f"{arm} ({100 * one.mean:+.1f} points)" for arm, one in differences.items())
    few = min(one.seeds for one in differences.values()) < MIN_SEEDS
    why = (
        f"it takes {MIN_SEEDS} seeds to say what another seed would give"
        if few
        else "the test has too few people for an interval"
    )
    opening = f"{first} it" if first else "It"
    differ = "differs" if len(differences) == 1 else "differ"
    return f"{opening} cannot be told whether {arms} {differ} from {baseline}: {why}."


def _points(value: Difference) -> str:
    """``+2.1 points of TAR (95 % interval -0.8 to +3.4)``."""
    ends = f"{100 * (value.low or 0):+.1f} to {100 * (value.high or 0):+.1f}"
    return f"{100 * value.mean:+.1f} points of TAR (95 % interval {ends})"


def _apart(value: Difference) -> str:
    """The same of a difference whose sign is said in words: ``2.1 points of TAR (...)``."""
    low, high = sorted(abs(100 * (end or 0)) for end in (value.low, value.high))
    return f"{abs(100 * value.mean):.1f} points of TAR (95 % interval {low:.1f} to {high:.1f})"
