"""The pool of actors: Ray Data hands shards to workers and gives what they made, as they are done."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from facerec_cli.embed.engines.ray_worker import Order, ShardEmbedder

_MOST_BLOCKS = 4096  # of a data set: what Ray Data and its object table carry easily
_RESTARTS = 50  # of a worker that died: a photo that kills its worker must not do so for ever

Row = dict[str, Any]


def shards_done(shards: Sequence[Row], order: Order, actors: int, gpus: float) -> Iterator[Row]:
    """Embed shards, and give the columns of ``ray_worker.ShardEmbedder`` for each, in any order.

    Args:
        shards: Their ``shard`` and ``photos``.
        order: What the workers do.
        actors: Workers at most.
        gpus: Of a worker.
    """
    data = import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    blocks = data.from_items(shards, override_num_blocks=min(len(shards), _MOST_BLOCKS))
    pool = data.ActorPoolStrategy(
        min_size=1,
        max_size=actors,
        initial_size=actors,
        max_tasks_in_flight_per_actor=2,  # the next shard is there when one is done
    )
    with warnings.catch_warnings():  # Ray 2.60 announces another way to say the last two, and lacks it
        warnings.simplefilter("ignore", DeprecationWarning)
        done = blocks.map_batches(
            ShardEmbedder,
            fn_constructor_args=[order],
            batch_size=1,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=order.threads,
            num_gpus=gpus or None,
            max_restarts=_RESTARTS,
            max_task_retries=-1,  # each attempt to reach a lost machine counts as one
        )
    yield from done.iter_rows()


def shards_done_there(shards: Sequence[Row], order: Order, actors: int, gpus: float) -> Iterator[Row]:
    """The same from outside the cluster (``ray://``), where Ray Data cannot run: an actor is in charge."""
    ray = import_module("ray")
    inside = ray.remote(_InCharge).options(num_cpus=0).remote(shards, order, actors, gpus)
    while (row := ray.get(inside.next.remote())) is not None:
        yield row


class _InCharge:
    def __init__(self, shards: Sequence[Row], order: Order, actors: int, gpus: float) -> None:
        self._rows = shards_done(shards, order, actors, gpus)

    def next(self) -> Row | None:
        """What was made next; None at the end."""
        return next(self._rows, None)
