"""Who is trained on, who chooses settings, who is tested: drawn by a seed, and nobody twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.errors import InputError
from facerec_cli.study.protocol import SplitSettings

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """People by name, and the photos of each part that are used.

    Attributes:
        people: Part -> names; every person of the data is in exactly one part.
        photos: Part -> photo numbers of the data set, a person's next to each other.
    """

    people: Mapping[str, tuple[str, ...]]
    photos: Mapping[str, NDArray[np.int64]]

    def document(self, dataset: FaceDataset, seed: int) -> dict[str, Any]:
        """``split.json``: enough to recompute that nobody is in two parts."""
        return {
            "seed": seed,
            "data": dataset.spec,
            "people": {part: list(names) for part, names in self.people.items()},
            "photos": {part: [dataset.name(int(i)) for i in rows] for part, rows in self.photos.items()},
        }


def split_people(
    dataset: FaceDataset,
    settings: SplitSettings,
    wanted: Mapping[str, tuple[int, int]],
) -> Split:
    """Cut the people into three parts, and choose photos of each.

    Only people with two photos are trained on or give same pairs; the part of a person with one photo is
    drawn all the same, so that pair lists can use them.

    Args:
        dataset: All photos.
        settings: Seed and shares.
        wanted: Part -> (photos, photos of one person) at most; 0 photos: all.

    Raises:
        InputError: There are too few people.
    """
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    order = np.random.default_rng([settings.seed, 0]).permutation(dataset.num_classes)
    first = round(settings.train * len(order))
    second = first + round(settings.validation * len(order))
    sides = dict(zip(PARTS, (order[:first], order[first:second], order[second:]), strict=True))
    for part, people in sides.items():
        paired = int((counts[people] >= 2).sum())
        if paired < 2:
            raise InputError(
                f"The {part} part of {dataset.spec} has {paired} people with two photos or more "
                f"({len(people)} of {dataset.num_classes} people are in it).",
                hint="A study needs two such people in each part: give more people, or change [split].",
            )
    return Split(
        {part: tuple(dataset.class_names[i] for i in np.sort(people)) for part, people in sides.items()},
        {
            part: _choose(
                dataset.labels, sides[part], counts, *wanted[part], seed=[settings.seed, 1 + number]
            )
            for number, part in enumerate(PARTS)
        },
    )


def _choose(
    labels: NDArray[np.int64],
    people: NDArray[np.int64],
    counts: NDArray[np.int64],
    most: int,
    each: int,
    seed: Sequence[int],
) -> NDArray[np.int64]:
    """Photos of people in random order, those with two photos first, each up to ``each``, up to ``most``."""
    random = np.random.default_rng(seed)
    own = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[own], np.arange(len(counts) + 1))
    chosen: list[NDArray[np.int64]] = []
    total = 0
    paired = people[counts[people] >= 2]
    for person in paired:
        photos = own[starts[person] : starts[person + 1]]
        if len(photos) > each:
            photos = np.sort(random.choice(photos, each, replace=False))
        if most and total + len(photos) > most:
            if not chosen:  # a bound below one person's photos
                chosen.append(photos[:most])
            break
        chosen.append(photos)
        total += len(photos)
    return np.concatenate(chosen).astype(np.int64) if chosen else np.zeros(0, np.int64)
