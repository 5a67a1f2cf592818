"""What a study found, in sentences: whether a loss beats the baseline by more than chance explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facerec_cli.study.intervals import MIN_SEEDS
from facerec_cli.study.protocol import BEFORE
from facerec_cli.wording import one_in


def finding(results: Mapping[str, Any]) -> list[str]:
    """The answer first: arms that differ from the baseline beyond their interval, or that none does.

    Judged by the mean of the hard subsets; without one by the first hard subset that is measured.
    """
    protocol = results["protocol"]
    baseline, rate = protocol["study"]["baseline"], protocol["test"]["far"]
    subset = _deciding(results)
    where = "in the mean of the hard subsets" if subset == "hard" else f"on the subset {subset!r}"
    found = {
        arm: by[subset][f"{rate:g}"]
        for arm, by in results["differences"].get(baseline, {}).items()
        if f"{rate:g}" in by.get(subset, {})
    }
    if not found:
        alone = not results["differences"].get(baseline)
        reason = results["subsets"].get(subset, {}).get("reason", "too few photos to measure it")
        why = "there is no other arm" if alone else reason
        return [f"Nothing can be said of {baseline} and the others {where}: {why}."]
    known = {arm: one for arm, one in found.items() if "low" in one and one["seeds"] >= MIN_SEEDS}
    better = [arm for arm, one in known.items() if one["low"] > 0]
    worse = [arm for arm, one in known.items() if one["high"] < 0]
    first = f"At a false accept rate of {one_in(rate)}, {where},"
    sentences = []
    for arm in sorted(better, key=lambda name: -found[name]["mean"]):
        sentences.append(f"{first} {arm} is better than {baseline} by {_apart(found[arm])}.")
    if not better and known:
        best = max(known, key=lambda name: float(known[name]["mean"]))
        sentences.append(
            f"{first} no loss beats {baseline} beyond its interval; the nearest is {best}, "
            f"{_points(found[best])}."
        )
    for arm in sorted(worse, key=lambda name: found[name]["mean"]):
        sentences.append(f"{arm} is worse than {baseline} by {_apart(found[arm])}.")
    lacking = [arm for arm in found if arm not in known]
    if lacking:
        sentences.append(_unknown({arm: found[arm] for arm in lacking}, baseline, "" if sentences else first))
    return [*sentences, *_against_start(results, subset, f"{rate:g}")]


def _deciding(results: Mapping[str, Any]) -> str:
    """The subset that the study is decided by."""
    if results["hard"]:
        return "hard"
    measured = [name for name, own in results["subsets"].items() if "reason" not in own]
    hard = [name for name in measured if name != "clean clean"]
    return str(next(iter([*hard, *measured, *results["subsets"]])))


def _unknown(found: Mapping[str, Mapping[str, Any]], baseline: str, first: str) -> str:
    """Arms of which it cannot be said whether they differ, and why."""
    arms = ", ".join(f"{arm} ({100 * one['mean']:+.1f} points)" for arm, one in found.items())
    few = min(one["seeds"] for one in found.values()) < MIN_SEEDS
    why = (
        f"it takes {MIN_SEEDS} seeds to say what another seed would give"
        if few
        else "the test has too few people for an interval"
    )
    opening = f"{first} it" if first else "It"
    differ = "differs" if len(found) == 1 else "differ"
    return f"{opening} cannot be told whether {arms} {differ} from {baseline}: {why}."


def _against_start(results: Mapping[str, Any], subset: str, far: str) -> list[str]:
    """How the baseline fares against the network before training."""
    baseline = results["protocol"]["study"]["baseline"]
    by = results["differences"].get(BEFORE, {}).get(baseline, {}).get(subset, {})
    if far not in by or "low" not in by[far]:
        return []
    return [f"Training with {baseline} itself changed it by {_points(by[far])}."]


def _points(value: Mapping[str, float]) -> str:
    """``+2.1 points of TAR (95 % interval -0.8 to +3.4)``."""
    ends = f"{100 * value['low']:+.1f} to {100 * value['high']:+.1f}"
    return f"{100 * value['mean']:+.1f} points of TAR (95 % interval {ends})"


def _apart(value: Mapping[str, float]) -> str:
    """The same of a difference whose sign is said in words: ``2.1 points of TAR (...)``."""
    low, high = sorted(abs(100 * value[end]) for end in ("low", "high"))
    return f"{abs(100 * value['mean']):.1f} points of TAR (95 % interval {low:.1f} to {high:.1f})"
