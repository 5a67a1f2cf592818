"""Batches for training: plans in, tensors out, by a torch DataLoader."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

from facerec_cli.datasets.augment import Augment, degradation, random_kinds, uniform_rows
from facerec_cli.datasets.base import FaceDataset
from facerec_cli.datasets.samplers import SAMPLERS, Plan, Shuffled
from facerec_cli.datasets.stream import TarStream
from facerec_cli.errors import FacerecError, InputError, TrainingError, UsageError
from facerec_cli.registry import unknown_name

logger = logging.getLogger("facerec")

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


class Loader:
    """Batches of one rank, epoch by epoch; made by :func:`build_loader`.

    Attributes:
        steps: Batches in an epoch.
        broken: Photos that could not be read so far in this process, by number, with the reason.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        steps: int,
        batches: Callable[[int, int], Iterator[Batch | FacerecError]],
        max_broken: float,
    ) -> None:
        self.steps = steps
        self.broken: dict[int, str] = {}
        self._dataset = dataset
        self._batches = batches
        self._max_broken = max_broken

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` (0-based) from step ``start`` on, always the same ones.

        Raises:
            InputError: More photos are broken than ``max_broken`` allows.
            TrainingError: A worker process died.
        """
        batches = self._batches(epoch, start)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as fault:
                if lost := lost_reader(fault):
                    raise lost from fault
                raise
            if isinstance(batch, FacerecError):
                raise batch
            self._note_broken(batch.broken)
            yield batch

    def _note_broken(self, broken: Sequence[tuple[int, str]]) -> None:
        for number, reason in broken:
            if number not in self.broken:
                self.broken[number] = reason
                logger.warning("skipped: %s", reason)
        if len(self.broken) > math.ceil(self._max_broken * len(self._dataset)):
            raise InputError(
                f"{len(self.broken):,} of {len(self._dataset):,} photos cannot be read, more than the "
                f"{self._max_broken:.2%} that are allowed. The first: {next(iter(self.broken.values()))}",
                hint="List them with `facerec data check`, then fetch them again or remove them.",
            )


def lost_reader(fault: BaseException) -> TrainingError | None:
    """The error for a photo-reading process that is gone, if ``fault`` says so.

    PyTorch raises it from a signal handler, so in whatever the main process is doing at that moment.
    """
    if "DataLoader worker" not in str(fault):
        return None
    return TrainingError(
        f"A process that reads photos died ({str(fault).splitlines()[0]}).",
        hint="Most often memory ran out: use fewer --workers, or a smaller --batch-size. "
        "In a container, also enlarge /dev/shm.",
    )


def build_loader(
    dataset: FaceDataset,
    *,
    batch_size: int,
    sampler: str = "shuffled",
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    prefetch: int = 4,
    image_size: int = 112,
    augment: Augment | None = None,
    degradations: Sequence[str] = ("lowres",),
    degraded: float = 0.0,
    keep_clean: bool = False,
    pin_memory: bool | None = None,
    max_broken: float = 0.01,
    **settings: Any,
) -> Loader:
    """Build the batches of one rank.

    Args:
        dataset: From ``open_dataset`` (or ``join_datasets`` for ``--hard-data``).
        batch_size: Rows per rank; every batch has exactly that many.
        sampler: "shuffled", "identities" or "branches": ``Loss.batches``.
        seed: Fixes order and augmentation.
        rank: This process.
        world_size: All processes.
        workers: Processes that decode; 0 decodes in this one.
        prefetch: Batches each worker prepares ahead.
        image_size: Side of the photos in pixels; others are resized to it.
        augment: Probabilities; None: flip half of the photos.
        degradations: What makes photos hard. "branches" without hard data has one hard branch each.
        degraded: Part of the photos that is made hard with one of them at random, 0..1; "branches" makes its
            own choice.
        keep_clean: Whether batches carry the photos as they were before they were made hard, too.
        pin_memory: Page-locked batches for a faster copy to a GPU; None: where CUDA is there.
        max_broken: Part of all photos that may be unreadable before the run stops.
        **settings: Of the sampler: ``share``, ``per_identity`` (identities), ``singles`` (branches).

    Raises:
        UsageError: An unknown sampler or degradation, or a batch size that cannot hold the layout.
        InputError: The data cannot serve that sampler.
    """
    if sampler not in SAMPLERS:
        raise unknown_name(sampler, dict(SAMPLERS), "sampler")
    for name in degradations:
        degradation(name)
    if not 0 <= degraded <= 1:
        raise UsageError(f"data.degraded = {degraded} is not a part.", hint="Give a number from 0 to 1.")
    if degraded and not degradations:
        raise UsageError("There is no way to make photos hard.", hint="Name one in data.degradations.")
    fetch = Fetch(
        dataset, seed, image_size, augment or Augment(), tuple(degradations), degraded, keep_clean=keep_clean
    )
    options: dict[str, Any] = {
        "batch_size": None,  # one item is a whole batch, built by one worker: nothing has to be collated
        "num_workers": workers,
        "prefetch_factor": prefetch if workers else None,
        "pin_memory": torch.cuda.is_available() if pin_memory is None else pin_memory,
        "worker_init_fn": _quiet_worker,
    }
    if isinstance(dataset, TarStream):
        if sampler != "shuffled":
            raise UsageError(
                f"A stream of tar shards gives shuffled batches only, and this loss needs {sampler}.",
                hint="Copy the shards to a disk, where they serve every loss, or use arcface, npt or epl.",
            )
        order = Shuffled(dataset.labels, batch_size, seed=seed, rank=rank, world_size=world_size)
        from facerec_cli.datasets.loader_stream import StreamBatches

        stream = StreamBatches(fetch, dataset, order)
        return Loader(dataset, order.steps, stream.opener(options), max_broken)
    if sampler == "branches":
        settings = {"group": getattr(dataset, "group", None), "degradations": len(degradations), **settings}
    order = SAMPLERS[sampler](
        dataset.labels, batch_size, seed=seed, rank=rank, world_size=world_size, **settings
    )
    plans = _Plans(order)
    batches: DataLoader[Any] = DataLoader(
        fetch,  # type: ignore[arg-type]  # has __getitem__ for plans
        sampler=plans,
        persistent_workers=workers > 0,
        **options,
    )

    def opened(epoch: int, start: int) -> Iterator[Batch | FacerecError]:
        plans.epoch, plans.start = epoch, start
        return iter(batches)

    return Loader(dataset, order.steps, opened, max_broken)


class _Plans(Sampler[Plan]):
    """The plans of the epoch that was asked for last."""

    def __init__(self, sampler: Shuffled) -> None:
        self.sampler = sampler
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[Plan]:
        return (self.sampler.plan(self.epoch, step) for step in range(self.start, self.sampler.steps))

    def __len__(self) -> int:
        return self.sampler.steps - self.start


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


def _quiet_worker(worker: int) -> None:
    """One thread per worker, as the workers are the parallelism; signals are the main process's to answer."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # Ctrl-C and the SIGTERM of `timeout` reach the whole process group while the main process has a step to
    # finish and a checkpoint to write, so a worker leaves the group. SIGTERM itself keeps its meaning: it is
    # how Python ends the workers that are left when the main process exits, and then it waits for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
