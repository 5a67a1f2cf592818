"""What is measured while a network is trained, by its name ``SET/metric``, declared without torch."""

from __future__ import annotations

from collections.abc import Mapping

_RATES = ("tar", "tpir")  # at a rate: tar@0.001
_SHOWN = ("accuracy", "balanced_accuracy", "tar", "rank-1", "tpir", "map")


def is_shown(key: str) -> bool:
    """Whether ``SET/metric`` is one of those that are shown while a network is trained, and drawn."""
    return key.rpartition("/")[2].partition("@")[0] in _SHOWN and "/" in key


def metric_name(name: str, metrics: Mapping[str, float]) -> str:
    """What ``--best`` means among ``metrics``: ``tar@0.001`` for ``TAR@1e-3``, ``rank-1`` for ``Rank1``.

    ``accuracy`` is the balanced accuracy of a first set whose pairs are mostly of one kind.
    """
    text = name.lower()
    kind, at, rate = text.partition("@")
    if at and kind in _RATES:
        try:
            return f"{kind}@{float(rate):g}"
        except ValueError:
            return name
    if kind.startswith("rank") and kind.removeprefix("rank").lstrip("-_ ").isdecimal():
        return f"rank-{kind.removeprefix('rank').lstrip('-_ ')}" + name[len(kind) :]
    first = next(iter(metrics), "").rpartition("/")[0]
    balanced = text == "accuracy" and f"{first}/accuracy" not in metrics
    return "balanced_accuracy" if balanced and f"{first}/balanced_accuracy" in metrics else text
