"""What all runs of a study share: plain values, so that they go to other processes and into a hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Photos:
    """Crops that are compared with each other.

    Attributes:
        paths: N crops, relative to the folder of crops.
        people: N person numbers.
    """

    paths: tuple[str, ...]
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Materials:
    """What is trained on and what is judged by.

    Attributes:
        crops: Folder of the crops.
        train: List of the crops to train on.
        train_hash: sha256 of what that list says and of its crops.
        first_hash: sha256 of the weights that all arms start from; "" for fresh ones.
        crops_hash: sha256 of the crops that are compared.
        judged: Photos of the verdict.
        validation: Photos that the interpolation is chosen on.
        pairs: Crops of the pair list.
        subsets: Of the verdict.
        natural: Part of the same pairs that is naturally hard.
        means: ``.npy`` of the means that class weights start at, once it is made (``start.py``).
        first: What the validation says of the network before training, once it is known.
    """

    crops: Path
    train: Path
    train_hash: str
    first_hash: str
    crops_hash: str
    judged: Photos
    validation: Photos
    pairs: tuple[str, ...]
    subsets: tuple[str, ...]
    natural: float
    means: Path | None = None
    first: Mapping[str, float] | None = None
