"""The part of a model card that says on which kinds of photos the threshold was measured, and holds."""

from __future__ import annotations

from facerec_cli.packs.manifest import ModelPack
from facerec_cli.threshold import MeasuredKind
from facerec_cli.wording import counted, people, percent


def kinds_section(pack: ModelPack) -> tuple[str, tuple[str, ...], list[tuple[str, ...]], str]:
    """Heading with what is known, a table, and the warnings.

    Returns:
        Markdown above the table, the table's head and rows (none without measured kinds), and Markdown below.
    """
    threshold = pack.threshold
    head = ("Photos", "FAR", "95 % interval", "TAR", "95 % interval", "data")
    title = "## On which photos the threshold was measured\n\n"
    if threshold is None or threshold.far is None or not (pack.measured or pack.unmeasured):
        return f"{title}{_NOBODY}", head, [], ""
    lead = (
        f"{title}At the default threshold {threshold.value:.4f}, which stands for FAR "
        f"{percent(threshold.far)}, without flip. Intervals know that pairs share people."
    )
    rows = [_row(kind) for kind in pack.measured]
    failing = [kind for kind in pack.measured if not kind.holds(threshold.far)]
    parts = []
    if failing:
        lines = [warning(kind, threshold.far) for kind in failing]
        parts.append("**The threshold does not hold there:**\n\n" + "\n".join(f"* {line}" for line in lines))
    refused = [kind for kind in pack.measured if kind.tar_high is not None and kind.tar_high < _FEW]
    if refused:
        lines = [f"* {kind.kind}: TAR {_rate(kind.tar or 0)}" for kind in refused]
        parts.append("**Many pairs of one person are refused there:**\n\n" + "\n".join(lines))
    if pack.unmeasured:
        lines = [f"* {kind}" for kind in pack.unmeasured]
        parts.append("**Not measured**, and not expected to hold, on:\n\n" + "\n".join(lines))
    parts.append(_ELSEWHERE)
    return lead, head, rows, "\n\n".join(parts)


def warning(kind: MeasuredKind, far: float) -> str:
    """``family photos ...: FAR 14 % instead of 0.1 %: do not use this threshold there``."""
    interval = f"{_rate(kind.far_low)} to {_rate(kind.far_high)}"
    advice = ": do not use this threshold there" if kind.far > _FAR_OFF * far else ""
    return f"{kind.kind}: FAR {_rate(kind.far)} ({interval}) instead of {percent(far)}{advice}"


def _row(kind: MeasuredKind) -> tuple[str, ...]:
    tar = ("", "")
    if kind.tar is not None and kind.tar_low is not None and kind.tar_high is not None:
        tar = _rate(kind.tar), f"{_rate(kind.tar_low)} to {_rate(kind.tar_high)}"
    failed = f", {kind.failed:,} more without a face" if kind.failed else ""
    data = f"{kind.data}: {counted(kind.photos, 'photo')} of {people(kind.people)}, "
    data += f"{kind.pairs:,} different pairs{failed}"
    return kind.kind, _rate(kind.far), f"{_rate(kind.far_low)} to {_rate(kind.far_high)}", *tar, data


def _rate(rate: float) -> str:
    return f"{100 * rate:.3g} %"


_FAR_OFF = 2  # times the documented rate
_FEW = 0.8  # of the pairs of one person

_NOBODY = (
    "Not measured on any kind of photos. Expect another false accept rate on photos that are not like those "
    "that the threshold was chosen on."
)
_ELSEWHERE = (
    "Where people or photos are more alike than those above (one origin, sex or age; one room, camera and "
    "light; small, dark or hidden faces), more pairs of two people are accepted. `facerec verify LIST` on "
    "pairs like yours says whether the threshold holds there, and `--calibrate` writes one that does. "
    "The same goes for the impostor tails, from which thresholds of a search follow, and for what a "
    "similarity is worth."
)
