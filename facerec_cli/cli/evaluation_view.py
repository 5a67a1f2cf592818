"""What the evaluation of a search looks like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console
from facerec_cli.wording import counted, percent
from facerec_cli.wording import people as counted_people

if TYPE_CHECKING:
    from facerec_cli.identify.evaluation import ProtocolEvaluation, TrialEvaluation

_PAIRS_SHOWN = 10
_TRIALS_SHOWN = 4  # of more only the mean is told


def show_evaluation(outcome: ProtocolEvaluation) -> None:
    """The figures: of one trial with intervals, of several their mean and deviation."""
    embeddings, protocol = outcome.embeddings, outcome.protocol
    console.result(
        f"{protocol.format}: {counted(len(outcome.trials), 'trial')}, "
        f"{counted(len(protocol.names), 'photo')} of {counted_people(len(protocol.people))}, "
        f"model {embeddings.model.name or 'unknown'}"
    )
    failed = counted(len(embeddings.reasons), "photo")
    console.result(f"failures to enroll: {failed} without an embedding")
    if protocol.rule:
        console.note(protocol.rule)
    _show_alike(outcome)
    if len(outcome.trials) <= _TRIALS_SHOWN:
        for one in outcome.trials:
            _show_trial(one, named=len(outcome.trials) > 1)
    if len(outcome.trials) > 1:
        _show_trials(outcome)
    for sentence in outcome.transfer():
        console.result(sentence)
    _show_without_alike(outcome)
    _show_curve(outcome.trials[0])
    _show_published(outcome)
    console.note(f"rule: {outcome.trials[0].search.rule}")


def _show_alike(outcome: ProtocolEvaluation) -> None:
    """Before any rate: names that may be one person."""
    if not outcome.alike:
        return
    console.warn(
        f"{counted(len(outcome.alike), 'pair')} of people who look like one; if they are, every false "
        "positive rate below is too high:"
    )
    for first, second, score in outcome.alike[:_PAIRS_SHOWN]:
        console.warn(f"  {first} and {second}: {score:.3f}")
    if len(outcome.alike) > _PAIRS_SHOWN:
        console.warn(f"  and {len(outcome.alike) - _PAIRS_SHOWN:,} more, which --json and --report name")


def _show_without_alike(outcome: ProtocolEvaluation) -> None:
    """What these pairs do to the figures; the truth lies between, since some may be two people."""
    for figure in outcome.figures_without_alike():
        if figure.figure == "tpir" and figure.mean is not None:
            rate = f"{percent(figure.at)}: {_percentage(figure.mean)}"
            console.result(f"without the people who look like one, TPIR at FPIR {rate}")


def _show_trial(one: TrialEvaluation, *, named: bool) -> None:
    search = one.search
    counts = search.counts
    mated = counted(counts.mated, "mated search", "mated searches")
    non_mated = counted(counts.non_mated, "non-mated search", "non-mated searches")
    of = f"{one.trial.name}: " if named else ""
    console.result(f"{of}{counted_people(counts.people)} enrolled, {mated}, {non_mated}")
    if search.mean_average_precision is not None:
        console.result(f"mean average precision: {_percentage(search.mean_average_precision)}")
    console.result_table(
        [
            (
                point.rank,
                _percentage(point.rate),
                _interval(point.low, point.high),
                _percentage(point.rate_with_failures),
            )
            for point in search.cmc
        ],
        columns=["rank", "CMC", "95 % interval", "with failures as misses"],
        right=["rank", "CMC", "with failures as misses"],
    )
    points = [point for point in search.tpir_at_fpir if point.tpir is not None]
    if points:
        console.result_table(
            [
                (
                    percent(point.fpir),
                    _percentage(point.tpir),
                    _interval(point.low, point.high),
                    "–" if point.threshold is None else f"{point.threshold:.4f}",
                    _percentage(point.measured_fpir, 3),
                    _interval(point.fpir_low, point.fpir_high, 3),
                    _percentage(point.tpir_with_failures),
                )
                for point in points
            ],
            columns=[
                *("FPIR", "TPIR", "95 % interval", "threshold", "measured FPIR", "its 95 % interval"),
                "TPIR, failures as misses",
            ],
            right=["FPIR", "TPIR", "threshold", "measured FPIR", "TPIR, failures as misses"],
        )
    for point in search.tpir_at_fpir:
        if point.reason:
            console.result(f"FPIR {percent(point.fpir)}: {point.reason}")
    for interval in search.bootstrap:
        told = interval.reason if interval.low is None else _interval(interval.low, interval.high)
        console.result(f"TPIR at FPIR {percent(interval.far)}, 95 % interval over people (bootstrap): {told}")


def _show_trials(outcome: ProtocolEvaluation) -> None:
    counts = [one.search.counts for one in outcome.trials]
    console.result(
        f"each: {_range([c.people for c in counts])} people enrolled, {_range([c.mated for c in counts])} "
        f"mated and {_range([c.non_mated for c in counts])} non-mated searches"
    )
    words = {
        "cmc": ("rank", "CMC"),
        "tpir": ("FPIR", "TPIR (DIR)"),
        "tar": ("FAR", "TAR (VR), all pairs 1:1"),
    }
    if len(outcome.trials) > _TRIALS_SHOWN:
        reasons = {point.reason for one in outcome.trials for point in one.search.tpir_at_fpir}
        for reason in sorted(filter(None, reasons))[:_TRIALS_SHOWN]:
            console.result(reason)
    rows = []
    for figure in outcome.figures():
        of, name = words[figure.figure]
        at = f"{figure.at:.0f}" if figure.figure == "cmc" else percent(figure.at)
        rates = (figure.mean, figure.sd, figure.mean_less_sd)
        rows.append((name, f"{of} {at}", *map(_percentage, rates)))
    console.result_table(
        rows,
        columns=["figure", "at", "mean", "sd", "mean - sd"],
        right=["mean", "sd", "mean - sd"],
    )


def _show_curve(one: TrialEvaluation) -> None:
    """The same searches among fewer people, with the threshold that each number of people takes."""
    curve = one.search.curve
    if len(curve) < 2 or not curve[0].rates:
        return
    columns = ["people", "rank 1", *(f"TPIR at FPIR {percent(rate.fpir)}" for rate in curve[0].rates)]
    console.result_table(
        [
            (
                f"{point.people:,}",
                _percentage(point.rank_1),
                *(f"{_percentage(rate.own_tpir)} (T {rate.own_threshold:.3f})" for rate in point.rates),
            )
            for point in curve
        ],
        columns=columns,
        right=columns,
        title=f"the same searches among fewer people ({one.trial.name})",
    )


def _show_published(outcome: ProtocolEvaluation) -> None:
    for point in outcome.published:
        console.result(f"by the published rule, FAR {percent(point.far)}: {point.tpir:.2%}")
    if outcome.published:
        console.note("the published rule joins both galleries, so that no search is for a stranger")


def _percentage(share: float | None, digits: int = 2) -> str:
    return "–" if share is None else f"{share:.{digits}%}"


def _interval(low: float | None, high: float | None, digits: int = 2) -> str:
    return "–" if low is None or high is None else f"{low:.{digits}%} – {high:.{digits}%}"


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
