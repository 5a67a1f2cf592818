"""The aligned crops of an evaluation set, of which each process reads and holds its own share."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.faces.align import similarity, template, warp
from facerec_cli.images import read_image
from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores
from facerec_cli.training.devices import World

logger = logging.getLogger("facerec")

SIDE = 112  # pixels of a crop
HELD = 30_000  # crops of a share that are held, 1.1 GB; a larger share is read anew in each evaluation
_AT_ONCE = 2_000  # crops that are read together where a share is not held
_SAMPLE = 8  # photos by which it is known whether a list's photos are crops

Crop = NDArray[np.uint8]
Chunk = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""(M, 112, 112, 3) uint8 BGR crops, and (M,) bool: those without one, which are zeros."""


class EvaluationCrops:
    """One process's share of the crops of a list's photos.

    A photo is cut by the landmarks that the list has of it. Without landmarks, or where a sample of the
    photos has 112 x 112 pixels, photos are crops already.

    Args:
        source: What the user calls the list.
        images: N photos, as paths or as encoded bytes.
        names: N, for messages.
        aligned: Whether they are crops of any size, as a ``.bin`` has them.
        landmarks: (N, 5, 2) pixels, or None.
        world: The processes.
        unit: Crops that are embedded together. Shares are multiples of it, so that what is embedded together
            does not depend on the number of processes.
        progress: Told of the photos that are read.

    Attributes:
        count: N.
        share: Crops of each process but the last ones.
        mine: Which are this process's.
        missing: How many photos of the share could not be read.

    Raises:
        InputError: Photos are no aligned crops, or none can be read.
    """

    def __init__(
        self,
        source: str,
        images: Sequence[Path | bytes],
        names: Sequence[str],
        *,
        aligned: bool,
        landmarks: NDArray[np.float32] | None,
        world: World,
        unit: int,
        progress: Progress = silent,
    ) -> None:
        self.source, self.count = source, len(images)
        together = math.ceil(self.count / unit)
        self.share = math.ceil(together / world.size) * unit
        start = min(world.rank * self.share, self.count)
        self.mine = range(start, min(start + self.share, self.count))
        self.missing = 0
        self._images, self._names = images[self.mine.start : self.mine.stop], names
        self._aligned, self._landmarks = aligned, None if aligned else landmarks
        self._chunk = max(_AT_ONCE // unit, 1) * unit
        self._threads = max(1, min(usable_cores() // world.size, 8))
        self._held: Chunk | None = None
        if self._landmarks is not None and self._are_crops(images):
            self._landmarks = None
        self._in_step(world, lambda: self._open(images, progress))
        if not world.any(self.missing < len(self.mine)):
            raise InputError(
                f"None of the photos of {source} can be read.",
                hint="Correct the list's paths, or give another --eval.",
            )

    def chunks(self) -> Iterator[Chunk]:
        """The share, in pieces of a multiple of ``unit``."""
        if self._held is not None:
            yield self._held
            return
        for start in range(0, len(self.mine), self._chunk):
            yield self._read(range(start, min(start + self._chunk, len(self.mine))), silent)

    def _open(self, images: Sequence[Path | bytes], progress: Progress) -> None:
        """Read the share, or where it is too large to be held, a few photos of the list."""
        if len(self.mine) <= HELD:
            self._held = self._read(range(len(self.mine)), progress)
            self.missing = int(self._held[1].sum())
            self._images = ()
            return
        self._read(range(0, len(self.mine), max(len(self.mine) // _SAMPLE, 1)), progress)

    def _in_step(self, world: World, work: Callable[[], None]) -> None:
        """Do what every process does; where one cannot, none goes on and waits for it."""
        fault: InputError | None = None
        try:
            work()
        except InputError as found:
            fault = found
        if world.any(fault is not None):
            raise fault or InputError(
                f"Another process cannot use its photos of {self.source}.", hint="Its own message says why."
            )

    def _are_crops(self, images: Sequence[Path | bytes]) -> bool:
        """Whether those of a few photos that can be read all have the size of a crop."""
        sizes = set()
        for place in np.unique(np.linspace(0, len(images) - 1, _SAMPLE).astype(int)).tolist():
            try:
                sizes.add(read_image(images[place]).shape[:2])
            except InputError:  # told of when it is its turn
                continue
        return sizes == {(SIDE, SIDE)}

    def _read(self, places: range, progress: Progress) -> Chunk:
        """The crops at these places of the share."""
        crops = np.zeros((len(places), SIDE, SIDE, 3), np.uint8)
        missing = np.zeros(len(places), bool)
        with ThreadPoolExecutor(self._threads) as threads:
            for number, crop in enumerate(threads.map(self._crop, places)):
                if crop is None:
                    missing[number] = True
                else:
                    crops[number] = crop
                progress(number + 1, len(places))
        return crops, missing

    def _crop(self, place: int) -> Crop | None:
        """The crop of a photo; None where it cannot be read, which is told of.

        Raises:
            InputError: It is no aligned crop.
        """
        number = self.mine.start + place
        try:
            image = read_image(self._images[place])
            if self._landmarks is not None:
                matrix = similarity(self._landmarks[number], template("arcface", (SIDE, SIDE)))
                return warp(image, matrix, (SIDE, SIDE))
        except InputError as fault:
            logger.warning("%s: %s", self.source, fault.message)
            return None
        if image.shape[:2] == (SIDE, SIDE):
            return image
        if not self._aligned:
            raise InputError(
                f"{self.source}: {self._names[number]} is no aligned crop, it has {image.shape[1]} x "
                f"{image.shape[0]} pixels.",
                hint=f"Crop the photos to {SIDE} x {SIDE} with `facerec data align`, and list those.",
            )
        return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
