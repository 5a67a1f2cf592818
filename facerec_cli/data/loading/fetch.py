"""A batch from its plan: read, mirror, cut out, make hard; what the reading processes do."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.loading.augment import Augment, degradation, random_kinds, uniform_rows
from facerec_cli.data.loading.samplers import Plan
from facerec_cli.errors import FacerecError, InputError

_OWN = 33  # columns of a row of uniform numbers that Augment uses; the rest is for the degradation


class Batch(NamedTuple):
    """One rank's photos of a step.

    Attributes:
        images: (B, 3, S, S) uint8 RGB, channels-last in memory.
        labels: (B,) int64.
        branch: (B,) int64, 0 easy, k = hard group k; None unless the sampler makes branches.
        pair: (B,) int64, -1 single, else the id that two photos share; None unless there are branches.
        indices: (B,) int64, photo numbers in the data set (of the replacement, where one was broken).
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


class Fetch:
    """Builds the batch of a plan; lives in the workers."""

    def __init__(
        self,
        dataset: FaceDataset,
        seed: int,
        size: int,
        augment: Augment,
        degradations: tuple[str, ...],
        degraded: float = 0.0,
        *,
        keep_clean: bool = False,
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.size = size
        self.augment = augment
        self.degradations = degradations
        self.degraded = degraded
        self.keep_clean = keep_clean
        self._geometry = replace(augment, lowres=0.0, photometric=0.0, occlusion=0.0)

    def __getitem__(self, plan: Plan) -> Batch | FacerecError:
        """The batch; or the error that ends the run, which a worker could only raise with its traceback."""
        try:
            return self._batch(plan)
        except FacerecError as fault:
            return fault

    def _batch(self, plan: Plan) -> Batch:
        layout = plan.layout
        count = len(layout.indices)
        numbers = uniform_rows(self.seed, plan.epoch, plan.step, plan.global_size)[plan.rows]
        images = np.empty((count, self.size, self.size, 3), np.uint8)
        kinds = self.kinds(plan.epoch, plan.step, plan.global_size)[plan.rows]
        if layout.branch is not None:  # branches say themselves what is hard
            kinds = np.zeros_like(kinds) if layout.degradation is None else layout.degradation
        clean = np.empty_like(images) if self.keep_clean else None
        broken: list[tuple[int, str]] = []
        good = np.ones(count, bool)
        for row, index in enumerate(layout.indices):
            try:
                image = self.photo(int(index))
            except InputError as fault:
                broken.append((int(index), fault.message))
                good[row] = False
                continue
            if clean is not None:
                clean[row] = self.unseen(image, numbers[row])
            images[row] = self.seen(image, numbers[row], kinds[row])
        indices = layout.indices
        if broken:
            source = self._replacements(plan, good)
            images, indices = images[source], indices[source]
            clean = None if clean is None else clean[source]
        return Batch(
            images=torch.from_numpy(images).permute(0, 3, 1, 2),
            labels=torch.from_numpy(self.dataset.labels[indices]),
            branch=None if layout.branch is None else torch.from_numpy(layout.branch),
            pair=None if layout.pair is None else torch.from_numpy(layout.pair),
            indices=torch.from_numpy(indices),
            broken=broken,
            clean=None if clean is None else torch.from_numpy(clean).permute(0, 3, 1, 2),
        )

    def kinds(self, epoch: int, step: int, count: int) -> NDArray[np.int64]:
        """(count,) which rows of a global batch are made hard, and how; see ``augment.random_kinds``."""
        return random_kinds(
            self.seed, epoch, step, count, share=self.degraded, kinds=max(len(self.degradations), 1)
        )

    def seen(self, image: NDArray[np.uint8], numbers: NDArray[np.float64], kind: int) -> NDArray[np.uint8]:
        """The photo as the network sees it, made hard in the way ``kind`` and augmented."""
        if kind:
            image = degradation(self.degradations[kind - 1])(image, numbers[_OWN:])
        return self.augment(image, numbers)

    def unseen(self, image: NDArray[np.uint8], numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The same photo, mirrored and cut out the same way, with nothing done to its quality."""
        return self._geometry(image, numbers)

    def photo(self, index: int) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB, as it is in the data set."""
        return self.resized(self.dataset.image(index))

    def resized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(S, S, 3) uint8."""
        if image.shape[:2] == (self.size, self.size):
            return image
        shrinks = min(image.shape[:2]) >= self.size
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (self.size, self.size), interpolation=way)  # type: ignore[return-value]

    def _replacements(self, plan: Plan, good: NDArray[np.bool_]) -> NDArray[np.int64]:
        """For each row the row to use: itself, or for a broken one the best good one of the same batch.

        Best is its pair's other half, then the same person, then whatever comes next; always of the same
        branch where there is one. So the batch keeps its size and its pairs stay pairs.
        """
        if not good.any():
            raise InputError(
                f"All {len(good)} photos of a batch are unreadable.",
                hint="Run `facerec data check` on the data.",
            )
        layout = plan.layout
        labels = self.dataset.labels[layout.indices]
        rows = np.arange(len(good))
        source = rows.copy()
        for row in np.flatnonzero(~good):
            score = 2 * (labels == labels[row]).astype(int)
            if layout.branch is not None and layout.pair is not None:
                score += 8 * (layout.branch == layout.branch[row])
                score += 4 * ((layout.pair == layout.pair[row]) & (layout.pair >= 0))
            score[~good] = -1
            best = np.flatnonzero(score == score.max())
            source[row] = best[np.argmin((best - row) % len(good))]
        return source
