"""What is measured while a network is trained, by its name ``SET/metric``, declared without torch."""

from __future__ import annotations

from collections.abc import Container

_RATES = ("tar", "tpir")  # at a rate: tar@0.001
_SHOWN = ("accuracy", "balanced_accuracy", "tar", "rank-1", "tpir", "map")


def is_shown(key: str) -> bool:
    """Whether ``SET/metric`` is one of those that are shown while a network is trained, and drawn."""
    return key.rpartition("/")[2].partition("@")[0] in _SHOWN and "/" in key


def metric_name(name: str, measured: Container[str]) -> str:
    """What ``--best`` means of a set: ``tar@0.001`` for ``TAR@1e-3``, ``rank-1`` for ``Rank1``.

    Args:
        name: What the user typed; nothing means ``accuracy``, or ``rank-1`` of searches.
        measured: The metrics of the set. ``accuracy`` is the balanced accuracy where pairs are mostly of one
            kind.
    """
    if not name:
        name = "rank-1" if "rank-1" in measured else "accuracy"
    text = name.lower()
    kind, at, rate = text.partition("@")
    if at and kind in _RATES:
        try:
            return f"{kind}@{float(rate):g}"
        except ValueError:
            return name
    if kind.startswith("rank") and kind.removeprefix("rank").lstrip("-_ ").isdecimal():
        return f"rank-{kind.removeprefix('rank').lstrip('-_ ')}" + name[len(kind) :]
    balanced = text == "accuracy" and text not in measured and "balanced_accuracy" in measured
    return "balanced_accuracy" if balanced else text


def worth(key: str, value: float) -> float:
    """The value of ``SET/metric`` as one of which more is better."""
    return -value if key.rpartition("/")[2] == "eer" else value
