"""Batches for training: plans in, tensors out, by a torch DataLoader; of stored photos or of a stream."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any
from zlib import crc32

import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler, get_worker_info

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.decode import decode_rgb
from facerec_cli.data.formats.stream import TarStream
from facerec_cli.data.loading.augment import Augment
from facerec_cli.data.loading.batches import Batch, BatchBuilder, TrainingPhoto
from facerec_cli.data.loading.samplers import SAMPLERS, BatchPlan, Shuffled
from facerec_cli.data.loading.workers import prepare_worker
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
    versions: Sequence[FaceDataset] = (),
    keep_clean: bool = False,
    in_memory: bool = False,
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
        degraded: Part of the photos that is made hard with one of them at random, 0..1; "branches" chooses
            by itself.
        versions: Data sets of the same photos made hard, which stand beside ``degradations``.
        keep_clean: Whether batches carry the photos as they were before they were made hard, too.
        in_memory: Whether each worker keeps what it has decoded; not for a stream.
        pin_memory: Page-locked batches for a faster copy to a GPU; None: where CUDA is there.
        max_broken: Part of all photos that may be unreadable before the run stops.
        **settings: Of the sampler: ``share``, ``per_identity`` (identities), ``singles`` (branches).

    Raises:
        UsageError: An unknown sampler or degradation, or a batch size that cannot hold the layout.
        InputError: The data cannot serve that sampler.
    """
    builder = BatchBuilder(
        dataset,
        seed=seed,
        size=image_size,
        augment=augment or Augment(),
        degradations=tuple(degradations),
        degraded=degraded,
        versions=tuple(versions),
        keep_clean=keep_clean,
        in_memory=in_memory,
    )
    order = _make_sampler(sampler, builder, batch_size, rank, world_size, settings)
    options = _loader_options(workers, prefetch, pin_memory)
    source = _StreamBatches if isinstance(dataset, TarStream) else _StoredBatches
    return Loader(dataset, order.steps, source(builder, order, options).epoch, max_broken)


def _loader_options(workers: int, prefetch: int, pin_memory: bool | None) -> dict[str, Any]:
    return {
        "batch_size": None,  # one item is a whole batch, built by one worker: nothing has to be collated
        "num_workers": workers,
        "prefetch_factor": prefetch if workers else None,
        "pin_memory": torch.cuda.is_available() if pin_memory is None else pin_memory,
        "worker_init_fn": prepare_worker,
    }


def _make_sampler(
    name: str, builder: BatchBuilder, batch_size: int, rank: int, world_size: int, settings: dict[str, Any]
) -> Shuffled:
    if name not in SAMPLERS:
        raise unknown_name(name, dict(SAMPLERS), "sampler")
    dataset = builder.dataset
    if isinstance(dataset, TarStream):
        if name != "shuffled":
            raise UsageError(
                f"A stream of tar shards gives shuffled batches only, and this loss needs {name}.",
                hint="Copy the shards to a disk, where they serve every loss, or use arcface, npt or epl.",
            )
        settings = {}
    if name == "branches":
        group = getattr(dataset, "group", None)
        settings = {"group": group, "degradations": builder.hard_kinds, **settings}
    place = {
        "seed": builder.seed,
        "rank": rank,
        "world_size": world_size,
        "weights": None if isinstance(dataset, TarStream) else dataset.weights,
    }
    return SAMPLERS[name](dataset.labels, batch_size, **place, **settings)


class _StoredBatches:
    """Batches of photos in random access, by workers that live as long as the loader."""

    def __init__(self, builder: BatchBuilder, order: Shuffled, options: dict[str, Any]) -> None:
        self._plans = _Plans(order)
        self._batches: DataLoader[Any] = DataLoader(
            builder,  # type: ignore[arg-type]  # has __getitem__ for plans
            sampler=self._plans,
            persistent_workers=options["num_workers"] > 0,
            **options,
        )

    def epoch(self, epoch: int, start: int) -> Iterator[Batch | FacerecError]:
        """The batches of ``epoch`` from ``start`` on."""
        self._plans.epoch, self._plans.start = epoch, start
        return iter(self._batches)


class _Plans(Sampler[BatchPlan]):
    """The plans of the epoch that was asked for last."""

    def __init__(self, sampler: Shuffled) -> None:
        self.sampler = sampler
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[BatchPlan]:
        return (self.sampler.plan(self.epoch, step) for step in range(self.start, self.sampler.steps))

    def __len__(self) -> int:
        return self.sampler.steps - self.start


class _StreamBatches(IterableDataset[Any]):
    """Batches of a stream; each worker reads its own shards and makes every W-th batch."""

    def __init__(self, builder: BatchBuilder, order: Shuffled, options: dict[str, Any]) -> None:
        self._builder, self._order, self._options = builder, order, options
        self._epoch, self._start = 0, 0

    def epoch(self, epoch: int, start: int) -> Iterator[Batch | FacerecError]:
        """The batches of ``epoch`` from ``start`` on; by new workers, as theirs is a copy of this object."""
        self._epoch, self._start = epoch, start
        return (batch for batch in DataLoader(self, **self._options) if batch is not None)

    def __iter__(self) -> Iterator[Batch | FacerecError | None]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        order, stream = self._order, self._builder.dataset
        assert isinstance(stream, TarStream)
        try:
            samples = stream.samples(
                seed=order.seed,
                epoch=self._epoch,
                reader=order.rank * workers + worker,
                readers=order.world_size * workers,
            )
            photos = (
                TrainingPhoto(crc32(name.encode()), label, partial(decode_rgb, data, name))
                for name, data, label in samples
            )
            for step in range(worker, order.steps, workers):
                taken = islice(photos, order.batch_size)
                if step < self._start:  # read over what a resumed run has seen, and keep the workers' turns
                    deque(taken, maxlen=0)
                    yield None
                else:
                    yield self._builder.build(order.stream_plan(self._epoch, step), taken)
        except FacerecError as fault:
            yield fault
