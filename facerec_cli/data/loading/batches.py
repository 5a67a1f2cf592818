"""Batches of photos: decode, resize, mirror, cut out, make hard; what the reading processes do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.loading.augment import Augment, degradation, random_kinds, uniform_rows
from facerec_cli.data.loading.samplers import BatchPlan
from facerec_cli.data.loading.versions import PhotoVersions
from facerec_cli.errors import FacerecError, InputError, UsageError

_DEGRADATION_COLUMNS = slice(33, None)  # of a row of uniform numbers; Augment uses those before


class Batch(NamedTuple):
    """One rank's photos of a step.

    Attributes:
        images: (B, 3, S, S) uint8 RGB, channels-last in memory.
        labels: (B,) int64.
        branch: (B,) int64, 0 easy, k = hard group k; None unless the sampler makes branches.
        pair: (B,) int64, -1 single, else the id that two photos share; None unless there are branches.
        indices: (B,) int64, photo numbers in the data set (of the replacement, where one was broken); of a
            stream checksums of their names.
        broken: Per broken photo its number and what is wrong with it.
        clean: (B, 3, S, S) uint8 RGB, the same photos mirrored and cut out the same way but not made hard;
            None unless asked for.
    """

    images: torch.Tensor
    labels: torch.Tensor
    branch: torch.Tensor | None
    pair: torch.Tensor | None
    indices: torch.Tensor
    broken: list[tuple[int, str]]
    clean: torch.Tensor | None = None


class TrainingPhoto(NamedTuple):
    """A photo that a batch is to hold.

    Attributes:
        number: Of the photo in the data set.
        label: Its class.
        decode: Gives (H, W, 3) uint8 RGB; raises InputError where it is broken.
    """

    number: int
    label: int
    decode: Callable[[], NDArray[np.uint8]]


class BatchBuilder:
    """Builds batches from photos at hand (:meth:`__getitem__`) or as they arrive (:meth:`build`).

    A batch follows from the plan and its photos alone. Objects live in the loader's workers.

    Args:
        dataset: Whose photos they are.
        seed: Of augmentation and degradation.
        size: S, side of the photos in pixels.
        augment: Random augmentation.
        degradations: What makes photos hard, keys of ``augment.DEGRADATIONS``.
        degraded: Part of the photos that is made hard, 0..1.
        versions: Data sets of the same photos made hard, which a photo is exchanged for as often as one of
            ``degradations`` is applied; a photo without a version stays as it is.
        keep_clean: Whether batches carry the photos as they were before, too.
        in_memory: Whether decoded photos are kept, so that each is read once by each worker.

    Raises:
        UsageError: There is no such degradation, or ``degraded`` is out of range.
        InputError: A data set of versions has none of any photo.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        *,
        seed: int,
        size: int,
        augment: Augment,
        degradations: tuple[str, ...],
        degraded: float = 0.0,
        versions: tuple[FaceDataset, ...] = (),
        keep_clean: bool = False,
        in_memory: bool = False,
    ) -> None:
        for name in degradations:
            degradation(name)
        if not 0 <= degraded <= 1:
            raise UsageError(f"data.degraded = {degraded} is not a part.", hint="Give a number from 0 to 1.")
        if degraded and not (degradations or versions):
            raise UsageError(
                f"data.degraded = {degraded} makes photos hard, but no degradation is named.",
                hint="Name one in data.degradations.",
            )
        self.dataset = dataset
        self.seed = seed
        self.size = size
        self.augment = augment
        self.degradations = degradations
        self.degraded = degraded
        self.versions = tuple(PhotoVersions(dataset, version) for version in versions)
        self.keep_clean = keep_clean
        self._kept: dict[int, NDArray[np.uint8]] | None = {} if in_memory else None
        self._geometry = replace(augment, lowres=0.0, photometric=0.0, occlusion=0.0)

    def __getitem__(self, plan: BatchPlan) -> Batch | FacerecError:
        """The batch; or the error that ends the run, which a worker could only raise with its traceback."""
        labels, image = self.dataset.labels, self._image
        indices = plan.layout.indices.tolist()
        try:
            return self.build(plan, (TrainingPhoto(i, int(labels[i]), partial(image, i)) for i in indices))
        except FacerecError as fault:
            return fault

    def _image(self, index: int) -> NDArray[np.uint8]:
        """A photo of the data set, from memory where it is kept; nothing writes to it."""
        if self._kept is None:
            return self.dataset.image(index)
        if index not in self._kept:
            self._kept[index] = self.dataset.image(index)
        return self._kept[index]

    def build(self, plan: BatchPlan, photos: Iterable[TrainingPhoto]) -> Batch:
        """The batch of ``photos``, as many as the plan has rows.

        Raises:
            InputError: None of them can be read.
        """
        layout, count = plan.layout, len(plan.rows)
        numbers = uniform_rows(self.seed, plan.epoch, plan.step, plan.global_size)[plan.rows]
        kinds = self._kinds(plan)
        images = np.empty((count, self.size, self.size, 3), np.uint8)
        clean = np.empty_like(images) if self.keep_clean else None
        indices, labels = np.empty(count, np.int64), np.empty(count, np.int64)
        broken: list[tuple[int, str]] = []
        good = np.ones(count, bool)
        for row, photo in enumerate(photos):
            indices[row], labels[row] = photo.number, photo.label
            try:
                image = resized(photo.decode(), self.size)
                hard = self._hard(image, photo.number, int(kinds[row]), numbers[row])
            except InputError as fault:
                broken.append((photo.number, fault.message))
                good[row] = False
                continue
            if clean is not None:
                clean[row] = self._geometry(image, numbers[row])
            images[row] = self.augment(hard, numbers[row])
        if broken:
            source = self._replacements(plan, labels, good, broken[0][1])
            images, indices, labels = images[source], indices[source], labels[source]
            clean = None if clean is None else clean[source]
        return Batch(
            images=torch.from_numpy(images).permute(0, 3, 1, 2),
            labels=torch.from_numpy(labels),
            branch=None if layout.branch is None else torch.from_numpy(layout.branch),
            pair=None if layout.pair is None else torch.from_numpy(layout.pair),
            indices=torch.from_numpy(indices),
            broken=broken,
            clean=None if clean is None else torch.from_numpy(clean).permute(0, 3, 1, 2),
        )

    @property
    def hard_kinds(self) -> int:
        """In how many ways photos are made hard."""
        return len(self.degradations) + len(self.versions)

    def _hard(
        self, image: NDArray[np.uint8], number: int, kind: int, numbers: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """A photo made hard in the ``kind``-th way, the degradations first; 0 leaves it as it is."""
        if not kind:
            return image
        if kind <= len(self.degradations):
            return degradation(self.degradations[kind - 1])(image, numbers[_DEGRADATION_COLUMNS])
        version = self.versions[kind - 1 - len(self.degradations)].image(number)
        return image if version is None else resized(version, self.size)

    def _kinds(self, plan: BatchPlan) -> NDArray[np.int64]:
        """(B,) which rows are made hard, and how: 0 as it is, k = in the k-th way."""
        layout = plan.layout
        if layout.branch is not None:  # branches say themselves what is hard
            return np.zeros(len(plan.rows), np.int64) if layout.degradation is None else layout.degradation
        kinds = max(self.hard_kinds, 1)
        place = (self.seed, plan.epoch, plan.step, plan.global_size)
        return random_kinds(*place, share=self.degraded, kinds=kinds)[plan.rows]

    def _replacements(
        self, plan: BatchPlan, labels: NDArray[np.int64], good: NDArray[np.bool_], reason: str
    ) -> NDArray[np.int64]:
        """For each row the row to use: itself, or for a broken one the best good one of the same batch.

        Best is its pair's other half, then the same person, then whatever comes next; always of the same
        branch where there is one. So the batch keeps its size and its pairs stay pairs.
        """
        if not good.any():
            streamed = self.dataset.format == "stream"
            raise InputError(
                f"All {len(good)} photos of a batch are unreadable. The first: {reason}",
                hint="Check the shards." if streamed else "Run `facerec data check` on the data.",
            )
        layout = plan.layout
        source = np.arange(len(good))
        for row in np.flatnonzero(~good):
            score = 2 * (labels == labels[row]).astype(int)
            if layout.branch is not None and layout.pair is not None:
                score += 8 * (layout.branch == layout.branch[row])
                score += 4 * ((layout.pair == layout.pair[row]) & (layout.pair >= 0))
            score[~good] = -1
            best = np.flatnonzero(score == score.max())
            source[row] = best[np.argmin((best - row) % len(good))]
        return source


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 of an image (H, W, 3), by area where it shrinks and linearly where it grows."""
    if image.shape[:2] == (size, size):
        return image
    way = cv2.INTER_AREA if min(image.shape[:2]) >= size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=way)  # type: ignore[return-value]
