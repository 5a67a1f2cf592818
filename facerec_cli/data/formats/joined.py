"""Several data sets as one: sets that are trained on together, and the hard photos of ``--hard-data``.

The people of *separate* sets are other people: the classes of one follow those of the other. In *shared* sets
people with the same class name are the same person, which for sets without names is the class number.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.formats.joined_people import Numbering
from facerec_cli.errors import InputError, UsageError
from facerec_cli.suggest import guess_or_list
from facerec_cli.wording import counted

LABELS = ("separate", "shared")
_LARGEST_WEIGHT = 1_000_000


class JoinedDataset(FaceDataset):
    """Data sets one after the other, numbered by :func:`join_sets`.

    Args:
        sets: The sets that are trained on.
        hard: Hard photos, one group each.
        labels: (N,) int64, the class of each photo of all sets and groups, in their order.
        class_names: Of the classes.
        weights: (N,) float64, or None where all photos are alike.
        warnings: What is odd about the join.

    Attributes:
        group: (N,) int64, 0 for photos that are trained on, k for those of the k-th hard group; None where
            there is no such group.
    """

    format = "joined"

    def __init__(
        self,
        sets: Sequence[FaceDataset],
        hard: Sequence[FaceDataset],
        labels: NDArray[np.int64],
        class_names: Sequence[str],
        weights: NDArray[np.float64] | None,
        warnings: Sequence[str],
    ) -> None:
        parts = [*sets, *hard]
        self.spec = " + ".join(part.spec for part in parts)
        self.labels, self.class_names, self.weights = labels, class_names, weights
        self.group: NDArray[np.int64] | None = None
        if hard:
            sizes = [sum(map(len, sets)), *map(len, hard)]
            self.group = np.repeat(np.arange(len(sizes)), sizes)
        several = len(sets) > 1
        told = (f"{part.spec}: {text}" if several else text for part in parts for text in part.warnings)
        self.warnings = (*told, *warnings)
        self._parts, self._named_by_set = parts, several
        self._starts = np.cumsum([0, *map(len, parts)]).tolist()

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        part, place = self._part(index)
        return part.read(place)

    def image(self, index: int):  # type: ignore[no-untyped-def]  # as in the parts, which may not decode
        """The photo as (H, W, 3) uint8 RGB."""
        part, place = self._part(index)
        return part.image(place)

    def name(self, index: int) -> str:
        """The part's name for it, below the set's where there are several sets."""
        part, place = self._part(index)
        return f"{part.spec}/{part.name(place)}" if self._named_by_set else part.name(place)

    def _part(self, index: int) -> tuple[FaceDataset, int]:
        number = bisect_right(self._starts, index) - 1
        return self._parts[number], index - self._starts[number]


def join_sets(
    sets: Sequence[FaceDataset],
    *,
    labels: Sequence[str] = ("separate",),
    weights: Sequence[float] = (),
    hard: Sequence[FaceDataset] = (),
) -> FaceDataset:
    """Make one data set of several.

    Args:
        sets: The sets to train on, one or more.
        labels: ``separate`` or ``shared``, one word for all sets or one for each. All shared sets share
            their people; a separate set shares them with none.
        weights: How often a photo of each set is shown against one of the others; it multiplies what the set
            itself says of its photos. None of them: all alike.
        hard: Hard photos of the same people, one group each; people are matched by class name, those of no
            set are classes of their own.

    Raises:
        InputError: Shared sets call their people by names and by numbers, a set has two classes of one name,
            a hard group's name is that of two separate sets' people, or a set is a stream.
        UsageError: The words or weights are not as many as the sets, or the weights let nothing be shown.
    """
    check_settings([one.spec for one in sets], labels, weights)
    if len(sets) == 1 and not hard:
        return sets[0]
    _refuse_streams([*sets, *hard])
    words = list(labels) if len(labels) == len(sets) else [labels[0]] * len(sets)
    numbering = Numbering(sets, words)
    numbers = [numbering.labels(number) for number in range(len(sets))]
    for group in hard:
        numbers.append(numbering.hard(group))
    factors = [*(weights or [1.0] * len(sets)), *[1.0] * len(hard)]
    return JoinedDataset(
        sets,
        hard,
        np.concatenate(numbers),
        numbering.class_names(),
        _weights([*sets, *hard], factors),
        [*numbering.warnings, *_never_shown(sets, weights)],
    )


def join_datasets(easy: FaceDataset, hard: Sequence[FaceDataset]) -> FaceDataset:
    """Add hard photos to a data set, one group per data set in ``hard``; see :func:`join_sets`."""
    return join_sets([easy], hard=hard)


def check_settings(specs: Sequence[str], labels: Sequence[str], weights: Sequence[float]) -> None:
    """Refuse what cannot be meant of data sets ``specs``, before they are opened.

    Raises:
        UsageError: See :func:`join_sets`.
    """
    for what, given, most in (("--data-labels", labels, "one for all"), ("--data-weight", weights, "none")):
        if len(given) != len(specs) and len(given) != (1 if what == "--data-labels" else 0):
            raise UsageError(
                f"{what} says {counted(len(given), 'thing')} of {counted(len(specs), 'data set')}.",
                hint=f"Give one for each --data, in their order, or {most}.",
            )
    if unknown := next((word for word in labels if word not in LABELS), None):
        raise UsageError(f"--data-labels cannot be {unknown!r}.", hint=guess_or_list(unknown, LABELS))
    for spec, weight in zip(specs, weights, strict=False):
        if not 0 <= weight <= _LARGEST_WEIGHT:
            raise UsageError(
                f"--data-weight {weight} of {spec} does not fit.",
                hint=f"It must be a number from 0 (its photos are never shown) to {_LARGEST_WEIGHT:,}.",
            )
    if weights and not any(weights):
        raise UsageError("All data sets have the weight 0, so nothing is shown.", hint="Raise one of them.")


def refuse_twice(specs: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse a data set that is named twice with people of its own each time.

    Raises:
        UsageError: There is one.
    """
    own = [spec for spec, word in zip(specs, cycle(labels), strict=False) if word == "separate"]
    places = [spec if spec.startswith("synthetic:") else os.path.realpath(spec) for spec in own]
    if twice := next(
        (spec for spec, place in zip(own, places, strict=True) if places.count(place) > 1), None
    ):
        raise UsageError(
            f"--data {twice} is named twice, so each of its people would be two.",
            hint="Name it once. --data-weight shows its photos more often.",
        )


def _refuse_streams(parts: Iterable[FaceDataset]) -> None:
    streamed = next((part for part in parts if part.format == "stream"), None)
    if streamed is not None:
        raise InputError(
            f"{streamed.spec} is a stream, whose photos come in the order of its shards and whose people are "
            "not known before; it cannot be joined with other data.",
            hint="Copy the shards to a disk and name them there.",
        )


def _weights(parts: Sequence[FaceDataset], factors: Sequence[float]) -> NDArray[np.float64] | None:
    """How often each photo is shown: what its set says, times the weight of the set."""
    if all(part.weights is None for part in parts) and len(set(factors)) == 1:
        return None
    weights = np.concatenate(
        [
            factor * (np.ones(len(part)) if part.weights is None else part.weights)
            for part, factor in zip(parts, factors, strict=True)
        ]
    )
    if not weights.any():
        raise UsageError(
            "All photos have the weight 0, so nothing is shown.",
            hint="Raise --data-weight of a set whose photos have weights above 0.",
        )
    return weights


def _never_shown(sets: Sequence[FaceDataset], weights: Sequence[float]) -> list[str]:
    return [
        f"{one.spec} has the weight 0: none of its photos is shown"
        for one, weight in zip(sets, weights, strict=False)
        if not weight
    ]
