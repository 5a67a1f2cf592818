"""Batches for training: plans in, tensors out, by a torch DataLoader."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Sampler

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.formats.stream import TarStream
from facerec_cli.data.loading.augment import Augment, degradation
from facerec_cli.data.loading.fetch import Batch, Fetch
from facerec_cli.data.loading.samplers import SAMPLERS, Plan, Shuffled
from facerec_cli.errors import FacerecError, InputError, TrainingError, UsageError
from facerec_cli.registry import unknown_name

logger = logging.getLogger("facerec")


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
        from facerec_cli.data.loading.stream_batches import StreamBatches

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
