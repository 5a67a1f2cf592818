"""Which photos make up each batch: pure functions of (seed, epoch, step), so that any step can be resumed.

A sampler lays out the *global* batch, the same on every rank, and hands each rank its own rows. With the
same global batch size the order does not depend on how many processes share it.

Weights say how often a photo is shown, for every loss alike: an epoch of N photos shows photo i about
N w_i / sum(w) times (systematic sampling). People who are drawn with several photos, for otface and ddl, are
drawn by the mean weight of their photos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.loading.identity_pool import IdentityPool
from facerec_cli.errors import UsageError

Ints = NDArray[np.int64]
Weights = NDArray[np.float64]

_ORDER, _BATCH = 0, 1  # keep the random streams of an epoch's order and of a single batch apart


@dataclass(frozen=True, slots=True)
class BatchRows:
    """The rows of one batch.

    Attributes:
        indices: (B,) int64, photos of the data set.
        branch: (B,) int64, 0 easy, k = hard group k; None for samplers without branches.
        pair: (B,) int64, -1 for a single, else the id that two photos of one person share; or None.
        degradation: (B,) int64, 0 as it is, k = made hard with the k-th degradation; or None.
    """

    indices: Ints
    branch: Ints | None = None
    pair: Ints | None = None
    degradation: Ints | None = None

    def take(self, rows: Ints) -> BatchRows:
        """Some rows of this batch."""
        columns = (self.indices, self.branch, self.pair, self.degradation)
        return BatchRows(*(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One rank's part of one step: all that a worker needs to build the batch.

    Attributes:
        epoch: 0-based.
        step: 0-based within the epoch.
        rows: (B,) int64, which rows of the global batch these are.
        global_size: Rows of the global batch.
        layout: The rows.
    """

    epoch: int
    step: int
    rows: Ints
    global_size: int
    layout: BatchRows


class Shuffled:
    """Every photo once an epoch, in random order; what is left over after the last whole batch is dropped.

    A data set smaller than a batch is repeated to fill one.

    Args:
        labels: (N,) int64, class of each photo.
        batch_size: Rows per rank.
        seed: Not negative.
        rank: This process.
        world_size: All processes.
        weights: (N,) how often each photo is shown, 0 for never; None: all alike.
    """

    def __init__(
        self,
        labels: Ints,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Weights | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"--batch-size {batch_size} is not possible.", hint="It must be at least 1.")
        self.labels = labels
        self.weights = weights
        self.batch_size = batch_size
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.global_size = batch_size * world_size
        self._rows = self._slices([batch_size])
        self._order: tuple[int, NDArray[np.int32]] | None = None

    @property
    def steps(self) -> int:
        """Steps in an epoch, at least one."""
        return max(1, len(self.labels) // self.global_size)

    def plan(self, epoch: int, step: int) -> BatchPlan:
        """This rank's rows of one step."""
        layout = self._layout(epoch, step).take(self._rows)
        return BatchPlan(epoch, step, self._rows, self.global_size, layout)

    def stream_plan(self, epoch: int, step: int) -> BatchPlan:
        """This rank's part of a step whose photos are known only as they arrive (their indices are -1)."""
        unknown = BatchRows(np.full(self.batch_size, -1, np.int64))
        return BatchPlan(epoch, step, self._rows, self.global_size, unknown)

    def _layout(self, epoch: int, step: int) -> BatchRows:
        """All ranks' rows of one step."""
        return BatchRows(self._shuffled(epoch, step, self.global_size))

    def _slices(self, parts: Sequence[int]) -> Ints:
        """This rank's rows where the global batch has, one after the other, ``parts`` rows per rank."""
        starts = np.cumsum([0, *parts[:-1]]) * self.world_size
        return np.concatenate(
            [start + self.rank * part + np.arange(part) for start, part in zip(starts, parts, strict=True)]
        ).astype(np.int64)

    def _shuffled(self, epoch: int, step: int, count: int) -> Ints:
        """The next ``count`` photos of the epoch's order."""
        if self._order is None or self._order[0] != epoch:
            random = np.random.default_rng([self.seed, _ORDER, epoch])
            numbers = np.arange(len(self.labels), dtype=np.int32)
            if self.weights is not None:
                numbers = _repeated(self.weights, random.random()).astype(np.int32)
            random.shuffle(numbers)
            self._order = epoch, numbers
        order = self._order[1]
        return order[np.arange(step * count, (step + 1) * count) % len(order)].astype(np.int64)

    def _random(self, epoch: int, step: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, _BATCH, epoch, step])


def _repeated(weights: Weights, start: float) -> Ints:
    """(N,) photos, each about N w / sum(w) times: systematic sampling from a random ``start`` in [0, 1)."""
    edges = np.cumsum(weights * (len(weights) / weights.sum()))
    last = np.flatnonzero(weights)[-1]  # the last edge may be rounded to below N
    places = np.searchsorted(edges, np.arange(len(weights)) + start, side="right")
    return np.asarray(np.minimum(places, last), np.int64)


class Identities(Shuffled):
    """A share of each batch is P people with K photos each (P x K), the rest is shuffled photos.

    A person with fewer than K photos repeats some; people with a single photo come in the rest only.

    Args:
        labels, batch_size, seed, rank, world_size, weights: As of :class:`Shuffled`.
        share: Part of the batch that is P x K, 0..1.
        per_identity: K.
    """

    def __init__(
        self,
        labels: Ints,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Weights | None = None,
        share: float = 0.5,
        per_identity: int = 4,
    ) -> None:
        super().__init__(labels, batch_size, seed=seed, rank=rank, world_size=world_size, weights=weights)
        if not 0 < share <= 1 or per_identity < 2:
            raise UsageError(
                f"A share of {share:g} with {per_identity} photos per person is not possible.",
                hint="The share lies in (0, 1] and each person needs at least 2 photos in the batch.",
            )
        people = int(share * batch_size / per_identity + 1e-9)
        if people == 0:
            raise UsageError(
                f"{share:.0%} of a batch of {batch_size} has no room for {per_identity} photos of a person.",
                hint="Raise --batch-size or the share, or lower the photos per person.",
            )
        self.per_identity = per_identity
        self.people = people * world_size
        self._pool = IdentityPool(labels, np.arange(len(labels)), "the data set", weights)
        self._pool.require_pairs()
        grouped = people * per_identity
        self._rest = (batch_size - grouped) * world_size
        self._rows = self._slices([grouped, batch_size - grouped])

    def _layout(self, epoch: int, step: int) -> BatchRows:
        people = self._pool.pick(self._random(epoch, step), self.people, self.per_identity)
        rest = self._shuffled(epoch, step, self._rest)
        return BatchRows(np.concatenate([people.ravel(), rest]))


class Branches(Shuffled):
    """Batches of DDL: for the easy and each hard branch, singles of different people, then pairs.

    Within a branch the singles' people all differ over the whole global batch, so every two of them are a
    true impostor pair. Hard photos are the easy branch's rows degraded (``degradations``), or come from data
    sets of their own (``group``).

    Args:
        labels, batch_size, seed, rank, world_size, weights: As of :class:`Shuffled`.
        degradations: How many hard branches are made by degrading the easy rows.
        group: (N,) integers, 0 for easy photos, k for photos of hard group k; None: no hard data.
        singles: Part of each branch that is singles, 0..1; the rest is pairs.
    """

    def __init__(
        self,
        labels: Ints,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Weights | None = None,
        degradations: int = 1,
        group: NDArray[np.integer] | None = None,
        singles: float = 1 / 3,
    ) -> None:
        super().__init__(labels, batch_size, seed=seed, rank=rank, world_size=world_size, weights=weights)
        hard = degradations if group is None else int(group.max())
        if hard < 1:
            raise UsageError("Branch batches need hard photos.", hint="Name a degradation or --hard-data.")
        self.branches = 1 + hard
        self._degraded = group is None
        per_branch = batch_size // self.branches
        pairs = int(per_branch * (1 - singles) / 2 + 1e-9)
        if pairs < 1 or per_branch - 2 * pairs < 1:
            raise UsageError(
                f"A batch of {batch_size} is too small for {self.branches} branches of singles and pairs.",
                hint=f"Use a --batch-size of at least {5 * self.branches}.",
            )
        self._singles = [per_branch - 2 * pairs] * self.branches
        self._singles[0] += batch_size - per_branch * self.branches  # the easy branch takes what is left
        self._pairs = pairs
        self._pools = [
            IdentityPool(
                labels,
                np.flatnonzero(group == number),
                f"hard group {number}" if number else "the data set",
                weights,
            )
            if group is not None
            else IdentityPool(labels, np.arange(len(labels)), "the data set", weights)
            for number in range(self.branches if group is not None else 1)
        ]
        for pool, count in zip(self._pools, self._singles, strict=False):
            pool.require_pairs()
            pool.require_people(count * world_size)
        self._rows = self._slices([part for count in self._singles for part in (count, pairs, pairs)])

    @property
    def steps(self) -> int:
        """Steps that show as many different easy photos as there are."""
        easy = self._singles[0] + 2 * self._pairs
        photos = self._pools[0].photos
        return max(1, photos // (easy * self.world_size))

    def _layout(self, epoch: int, step: int) -> BatchRows:
        random = self._random(epoch, step)
        parts: list[Ints] = []
        branches: list[Ints] = []
        pair_columns: list[Ints] = []
        pairs = self._pairs * self.world_size
        easy: tuple[Ints, Ints] | None = None
        for branch, per_rank in enumerate(self._singles):
            singles = per_rank * self.world_size
            if easy is not None and self._degraded:  # the same photos, made hard
                single_photos, paired = easy[0][:singles], easy[1]
            else:
                single_photos = self._pools[branch].pick(random, singles, 1)[:, 0]
                paired = self._pools[branch].pick(random, pairs, 2)
                easy = easy or (single_photos, paired)
            parts += [single_photos, paired[:, 0], paired[:, 1]]
            pair_ids = branch * pairs + np.arange(pairs)
            branches.append(np.full(singles + 2 * pairs, branch, np.int64))
            pair_columns.append(np.concatenate([np.full(singles, -1), pair_ids, pair_ids]))
        branch_column = np.concatenate(branches)
        return BatchRows(
            np.concatenate(parts).astype(np.int64),
            branch_column,
            np.concatenate(pair_columns).astype(np.int64),
            branch_column if self._degraded else None,
        )


SAMPLERS: Mapping[str, Callable[..., Shuffled]] = {
    "shuffled": Shuffled,
    "identities": Identities,
    "branches": Branches,
}
