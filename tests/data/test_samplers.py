"""Batches are what their sampler promises, the same for every rank, resumable at any step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli.data.loading.samplers import SAMPLERS, Branches, Identities, Shuffled
from facerec_cli.errors import InputError, UsageError

LABELS = np.repeat(np.arange(40), np.arange(40) % 7 + 1)  # 1 to 7 photos each


def flat(sampler, epoch=0):
    return np.concatenate([sampler.plan(epoch, step).layout.indices for step in range(sampler.steps)])


def test_shuffled_shows_every_photo_once_and_in_another_order_each_epoch():
    sampler = Shuffled(LABELS, 5, seed=3)
    photos = flat(sampler)
    assert len(photos) == len(LABELS) // 5 * 5
    assert len(set(photos.tolist())) == len(photos)
    assert not np.array_equal(photos, flat(sampler, epoch=1))
    assert not np.array_equal(photos, flat(Shuffled(LABELS, 5, seed=4)))
    assert not np.array_equal(photos, np.sort(photos))


@given(count=st.integers(1, 50), batch=st.integers(1, 64), world=st.integers(1, 4))
@settings(deadline=None)
def test_shuffled_fills_every_batch_however_small_the_data(count, batch, world):
    samplers = [
        Shuffled(np.zeros(count, np.int64), batch, rank=rank, world_size=world) for rank in range(world)
    ]
    assert samplers[0].steps == max(1, count // (batch * world))
    rows = np.concatenate([sampler.plan(0, 0).layout.indices for sampler in samplers])
    assert len(rows) == batch * world
    assert np.bincount(rows, minlength=count).max() - np.bincount(rows, minlength=count).min() <= 1


@pytest.mark.parametrize("name", sorted(SAMPLERS))
@pytest.mark.parametrize("world", [1, 2, 3])
def test_a_step_is_the_same_whenever_and_by_whomever_it_is_asked_for(name, world):
    """Ranks together hold the rows of the global batch, each once, and no history matters."""
    rows = []
    for rank in range(world):
        first = SAMPLERS[name](LABELS, 24, seed=5, rank=rank, world_size=world)
        again = SAMPLERS[name](LABELS, 24, seed=5, rank=rank, world_size=world)
        flat(first)
        one, two = first.plan(2, 1), again.plan(2, 1)
        np.testing.assert_array_equal(one.layout.indices, two.layout.indices)
        assert len(one.rows) == 24
        assert one.global_size == 24 * world
        rows.append(one.rows)
    assert sorted(np.concatenate(rows).tolist()) == list(range(24 * world))


def test_shuffled_order_does_not_depend_on_the_number_of_processes():
    alone = Shuffled(LABELS, 12).plan(0, 3)
    ranks = [Shuffled(LABELS, 4, rank=rank, world_size=3).plan(0, 3) for rank in range(3)]
    np.testing.assert_array_equal(alone.layout.indices, np.concatenate([r.layout.indices for r in ranks]))


@pytest.mark.parametrize(("share", "each", "grouped"), [(0.5, 4, 12), (1.0, 3, 24), (0.25, 2, 6)])
def test_identities_hold_p_times_k(share, each, grouped):
    for rank in range(2):
        sampler = Identities(LABELS, 24, rank=rank, world_size=2, share=share, per_identity=each)
        for step in range(sampler.steps):
            indices = sampler.plan(0, step).layout.indices
            people = LABELS[indices[:grouped]].reshape(-1, each)
            assert (people == people[:, :1]).all()
            assert len(np.unique(people[:, 0])) == grouped // each
            for row, person in zip(indices[:grouped].reshape(-1, each), people[:, 0], strict=True):
                has = int((person == LABELS).sum())
                assert has >= 2
                assert len(set(row.tolist())) == min(each, has)


def test_identities_draw_all_people_and_photos():
    sampler = Identities(LABELS, 24, share=1.0, per_identity=4)
    drawn = {index for epoch in range(40) for index in flat(sampler, epoch).tolist()}
    assert drawn == set(np.flatnonzero(np.bincount(LABELS)[LABELS] > 1).tolist())


@pytest.mark.parametrize("world", [1, 2])
def test_branches_hold_singles_of_different_people_and_pairs(world):
    plans = [Branches(LABELS, 31, degradations=2, rank=r, world_size=world).plan(1, 0) for r in range(world)]
    column = {
        name: np.concatenate([getattr(plan.layout, name) for plan in plans])
        for name in ("indices", "branch", "pair", "degradation")
    }
    assert np.bincount(plans[0].layout.branch).tolist() == [11, 10, 10]
    np.testing.assert_array_equal(column["branch"], column["degradation"])
    for branch in range(3):
        own = column["branch"] == branch
        singles = column["indices"][own & (column["pair"] < 0)]
        assert len(np.unique(LABELS[singles])) == len(singles)
        assert len(singles) >= 4 * world
    pairs, counts = np.unique(column["pair"][column["pair"] >= 0], return_counts=True)
    assert (counts == 2).all()
    assert len(pairs) == 9 * world
    for pair in pairs:
        one, two = column["indices"][column["pair"] == pair]
        assert one != two
        assert LABELS[one] == LABELS[two]
        assert len(set(column["branch"][column["pair"] == pair])) == 1
    for plan in plans:  # both photos of a pair are on one rank
        own = plan.layout.pair[plan.layout.pair >= 0]
        assert (np.unique(own, return_counts=True)[1] == 2).all()


def test_degraded_branches_are_the_easy_photos():
    layout = Branches(LABELS, 20, degradations=1).plan(0, 0).layout
    easy, hard = layout.indices[layout.branch == 0], layout.indices[layout.branch == 1]
    np.testing.assert_array_equal(easy, hard)


def test_hard_data_fills_its_own_branch():
    group = (np.arange(len(LABELS)) % 3 == 0).astype(int)
    layout = Branches(LABELS, 20, group=group).plan(0, 0).layout
    np.testing.assert_array_equal(group[layout.indices], layout.branch)
    assert layout.degradation is None


def test_what_cannot_be_laid_out_is_refused():
    ones = np.arange(10)
    with pytest.raises(InputError, match="No person in the data set has two photos"):
        Identities(ones, 8)
    with pytest.raises(InputError, match="No person in the data set has two photos"):
        Branches(ones, 8)
    with pytest.raises(InputError, match="one photo each of 40 people"):
        Branches(np.repeat([0, 1, 2], 5), 240)
    with pytest.raises(UsageError, match="too small for 2 branches"):
        Branches(LABELS, 4)
    with pytest.raises(UsageError, match="no room for 4 photos"):
        Identities(LABELS, 4, share=0.5)
    with pytest.raises(UsageError, match="not possible"):
        Identities(LABELS, 16, share=0.0)
    with pytest.raises(UsageError, match="--batch-size 0"):
        Shuffled(LABELS, 0)


def test_six_million_photos_are_planned_in_bounded_memory():
    labels = np.arange(5_800_000) // 68
    sampler = Shuffled(labels, 512)
    plan = sampler.plan(0, sampler.steps - 1)
    assert sampler.steps == 11328
    assert plan.layout.indices.max() < 5_800_000
    assert sampler._order is not None
    assert sampler._order[1].dtype == np.int32
