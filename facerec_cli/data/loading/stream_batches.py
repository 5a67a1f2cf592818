"""Batches of a stream of tar shards; what ``loader.py`` is for data in random access."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from facerec_cli.data.formats.stream import TarStream
from facerec_cli.data.loading.augment import uniform_rows
from facerec_cli.data.loading.decode import decode_rgb
from facerec_cli.data.loading.fetch import Batch, Fetch
from facerec_cli.data.loading.samplers import Shuffled
from facerec_cli.errors import FacerecError, InputError


class StreamBatches(IterableDataset[Any]):
    """Builds the batches of a stream; each worker reads its own shards and makes every W-th batch."""

    def __init__(self, fetch: Fetch, source: TarStream, order: Shuffled) -> None:
        self.fetch, self.source, self.order = fetch, source, order
        self.epoch, self.start = 0, 0

    def opener(self, options: dict[str, Any]) -> Callable[[int, int], Iterator[Batch | FacerecError]]:
        """What opens an epoch: new workers each time, as theirs is a copy of this object."""

        def opened(epoch: int, start: int) -> Iterator[Batch | FacerecError]:
            self.epoch, self.start = epoch, start
            return (batch for batch in DataLoader(self, **options) if batch is not None)

        return opened

    def __iter__(self) -> Iterator[Batch | FacerecError | None]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        order, rows = self.order, self.order.batch_size
        try:
            samples = self.source.samples(
                seed=order.seed,
                epoch=self.epoch,
                reader=order.rank * workers + worker,
                readers=order.world_size * workers,
            )
            for step in range(worker, order.steps, workers):
                if step < self.start:  # read over what a resumed run has seen, and keep the workers' turns
                    deque(islice(samples, rows), maxlen=0)
                    yield None
                else:
                    yield self._batch(step, samples)
        except FacerecError as fault:
            yield fault

    def _batch(self, step: int, samples: Iterator[tuple[str, bytes, int]]) -> Batch:
        order, fetch = self.order, self.fetch
        numbers = uniform_rows(order.seed, self.epoch, step, order.global_size)
        kinds = fetch.kinds(self.epoch, step, order.global_size)
        images = np.empty((order.batch_size, fetch.size, fetch.size, 3), np.uint8)
        clean = np.empty_like(images) if fetch.keep_clean else None
        labels = np.empty(order.batch_size, np.int64)
        keys = np.empty(order.batch_size, np.int64)
        broken: list[tuple[int, str]] = []
        for row, (name, data, label) in enumerate(islice(samples, order.batch_size)):
            keys[row], labels[row] = crc32(name.encode()), label
            try:
                image = fetch.resized(decode_rgb(data, name))
            except InputError as fault:
                broken.append((int(keys[row]), fault.message))
                keys[row] = -1
                continue
            place = order.rank * order.batch_size + row
            images[row] = fetch.seen(image, numbers[place], kinds[place])
            if clean is not None:
                clean[row] = fetch.unseen(image, numbers[place])
        good = np.flatnonzero(keys >= 0)
        if len(good) == 0:
            raise InputError(f"All {len(keys)} photos of a batch are unreadable.", hint="Check the shards.")
        source = np.arange(len(keys))
        source[keys < 0] = good[np.arange(len(keys) - len(good)) % len(good)]
        return Batch(
            images=torch.from_numpy(images[source]).permute(0, 3, 1, 2),
            labels=torch.from_numpy(labels[source]),
            branch=None,
            pair=None,
            indices=torch.from_numpy(keys[source]),
            broken=broken,
            clean=None if clean is None else torch.from_numpy(clean[source]).permute(0, 3, 1, 2),
        )
