"""Tensors out of plans: the same whatever the workers, with broken photos replaced and counted."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facerec_cli.data import join_datasets, open_dataset
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.data.loading.augment import COLUMNS, DEGRADATIONS, Augment, degradation, uniform_rows
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.loading.workers import prepare_worker
from facerec_cli.errors import InputError, TrainingError, UsageError

EVERYTHING = Augment(flip=0.5, crop=0.5, lowres=0.5, photometric=0.5, occlusion=0.5)


def batches(dataset, *, epoch=0, start=0, **settings):
    loader = build_loader(dataset, batch_size=12, seed=7, **settings)
    return list(loader.epoch(epoch, start=start))


def assert_same(ones, others):
    assert len(ones) == len(others) > 0
    for one, other in zip(ones, others, strict=True):
        for name in ("images", "labels", "branch", "pair", "indices", "clean"):
            left, right = getattr(one, name), getattr(other, name)
            assert (left is None and right is None) or torch.equal(left, right)


@pytest.mark.parametrize("sampler", ["shuffled", "identities", "branches"])
def test_workers_and_resuming_change_nothing(sampler):
    dataset = SyntheticDataset(6, 8)
    given = {"sampler": sampler, "augment": EVERYTHING, "degraded": 0.5, "keep_clean": True}
    alone = batches(dataset, **given)
    assert_same(alone, batches(dataset, **given, workers=2))
    assert_same(alone[2:], batches(dataset, **given, start=2))
    first = alone[0]
    assert first.images.shape == (12, 3, 112, 112)
    assert first.images.dtype == torch.uint8
    assert first.images.is_contiguous(memory_format=torch.channels_last)
    assert first.labels.dtype == torch.int64
    np.testing.assert_array_equal(first.labels, dataset.labels[first.indices])


@pytest.mark.parametrize("sampler", ["shuffled", "branches"])
def test_photos_kept_in_memory_are_read_once_and_give_the_same_batches(sampler, monkeypatch):
    dataset, read = SyntheticDataset(6, 8), []
    given = {"sampler": sampler, "augment": EVERYTHING, "degraded": 0.5, "keep_clean": True}
    reference = batches(dataset, epoch=0, **given), batches(dataset, epoch=1, **given)
    image = SyntheticDataset.image
    monkeypatch.setattr(SyntheticDataset, "image", lambda self, i: read.append(i) or image(self, i))
    loader = build_loader(dataset, batch_size=12, seed=7, in_memory=True, **given)
    for epoch, expected in enumerate(reference):  # what was kept is not what augmentation wrote to
        assert_same(expected, list(loader.epoch(epoch)))
    assert len(read) == len(set(read)) <= len(dataset)


def test_an_epoch_can_be_left_and_another_begun_with_workers():
    loader = build_loader(SyntheticDataset(6, 8), batch_size=12, seed=7, workers=2)
    reference = batches(SyntheticDataset(6, 8), epoch=1)
    next(iter(loader.epoch(0)))
    assert_same(reference, list(loader.epoch(1)))


def test_two_ranks_hold_the_batch_of_one_photo_for_photo():
    dataset = SyntheticDataset(6, 8)
    whole = next(iter(build_loader(dataset, batch_size=12, augment=EVERYTHING).epoch(0)))
    halves = [
        next(iter(build_loader(dataset, batch_size=6, rank=r, world_size=2, augment=EVERYTHING).epoch(0)))
        for r in range(2)
    ]
    assert torch.equal(whole.images, torch.cat([half.images for half in halves]))


def test_without_augmentation_the_photos_are_the_photos():
    dataset = SyntheticDataset(3, 4)
    batch = batches(dataset, augment=Augment(flip=0))[0]
    for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0), dataset.image(index))
    flipped = batches(dataset, augment=Augment(flip=1))[0]
    assert torch.equal(flipped.images, batch.images.flip(3))


def test_other_sizes_are_resized(tmp_path: Path):
    for person in "ab":
        (tmp_path / person).mkdir()
        cv2.imwrite(str(tmp_path / person / "1.png"), np.full((50, 80, 3), 99, np.uint8))
    batch = batches(open_dataset(tmp_path))[0]
    assert batch.images.shape == (12, 3, 112, 112)
    assert (batch.images == 99).all()


class Spoilt(SyntheticDataset):
    """Synthetic photos of which some cannot be read."""

    broken: frozenset[int] = frozenset()

    def image(self, index):
        if index in self.broken:
            raise InputError(f"{self.name(index)} cannot be decoded.")
        return super().image(index)


@pytest.mark.parametrize("sampler", ["shuffled", "identities", "branches"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_photo_is_replaced_counted_and_named_once(sampler, workers, caplog):
    dataset = Spoilt(6, 8)
    dataset.broken = frozenset({5, 17})
    loader = build_loader(dataset, batch_size=24, sampler=sampler, workers=workers, max_broken=0.1)
    with caplog.at_level(logging.WARNING, "facerec"):
        made = [batch for epoch in range(3) for batch in loader.epoch(epoch)]
    assert set(loader.broken) == {5, 17}
    assert sorted(record.getMessage() for record in caplog.records) == [
        "skipped: 0/000005.png cannot be decoded.",
        "skipped: 2/000001.png cannot be decoded.",
    ]
    for batch in made:
        assert len(batch.images) == 24
        assert not set(batch.indices.tolist()) & {5, 17}
        np.testing.assert_array_equal(batch.labels, dataset.labels[batch.indices])
        if batch.pair is not None:
            for pair in set(batch.pair.tolist()) - {-1}:
                assert len(set(batch.labels[batch.pair == pair].tolist())) == 1


def test_too_many_broken_photos_stop_the_run():
    dataset = Spoilt(5, 20)
    dataset.broken = frozenset({3, 50})
    with pytest.raises(InputError, match=r"2 of 100 photos cannot be read, more than the 1\.00%") as caught:
        list(build_loader(dataset, batch_size=10).epoch(0))
    assert "The first: 2/000010.png cannot be decoded" in caught.value.message
    dataset.broken = frozenset({3})
    assert len(list(build_loader(dataset, batch_size=10).epoch(0))) == 10
    dataset.broken = frozenset(range(100))
    with pytest.raises(InputError, match="All 10 photos of a batch"):
        list(build_loader(dataset, batch_size=10).epoch(0))


class Deadly(SyntheticDataset):
    def image(self, index):
        os._exit(1)


def test_a_worker_that_dies_is_told_readably():
    with pytest.raises(TrainingError, match="process that reads photos died"):
        list(build_loader(Deadly(2, 20), batch_size=10, workers=1).epoch(0))


@pytest.mark.skipif(not hasattr(os, "setpgrp"), reason="Windows has no process groups")
def test_a_signal_to_the_whole_process_group_passes_the_workers_by():
    """As `timeout` and a terminal send it: the main process has a step to finish and needs its workers."""
    loader = build_loader(SyntheticDataset(6, 60), batch_size=10, workers=2)
    others = set(multiprocessing.active_children())
    iterator = loader.epoch(0)
    next(iterator), next(iterator)  # one from each worker, so that both have come up
    workers = set(multiprocessing.active_children()) - others
    assert len(workers) == 2
    assert all(os.getpgid(worker.pid) != os.getpgid(0) for worker in workers)
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(iterator)) == 34
    del iterator, loader
    gc.collect()
    for worker in workers:
        worker.join(10)
        assert worker.exitcode == 0


@pytest.mark.parametrize("length", [10, 150])
def test_batches_arrive_where_the_folder_for_temporary_files_has_a_long_name(tmp_path: Path, length):
    """They are handed over through a socket in it, whose name may have about a hundred letters."""
    folder = tmp_path / ("a" * length)
    folder.mkdir()
    code = """
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.formats.synthetic import SyntheticDataset
print(len(list(build_loader(SyntheticDataset(2, 20), batch_size=10, workers=1).epoch(0))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr, list(folder.iterdir())) == ("4\n", "", [])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="nothing is forked here")
def test_a_fork_of_a_process_with_threads_of_opencv_works():
    """Its threads are not in a worker, and must not be waited for there."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        cv2.GaussianBlur(np.zeros((999, 999, 3), np.uint8), (0, 0), 5)  # its threads begin to run
        process = multiprocessing.get_context("fork").Process(target=prepare_worker, args=(0,))
        process.start()
        process.join(20)
        assert process.exitcode == 0
    finally:
        process.kill()
        cv2.setNumThreads(before)


def test_a_program_that_leaves_an_epoch_half_read_ends():
    code = """
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.formats.synthetic import SyntheticDataset
iterator = build_loader(SyntheticDataset(6, 60), batch_size=10, workers=2).epoch(0)
next(iterator)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_hard_branches_are_degraded_easy_photos():
    dataset = SyntheticDataset(8, 6)
    loader = build_loader(
        dataset, batch_size=40, sampler="branches", degradations=["lowres", "dark"], augment=Augment(flip=0)
    )
    batch = next(iter(loader.epoch(0)))
    easy = {
        int(i): image for i, image, b in zip(batch.indices, batch.images, batch.branch, strict=True) if b == 0
    }
    brightness = [batch.images[batch.branch == b].float().mean().item() for b in range(3)]
    assert brightness[2] < 0.4 * brightness[0]
    assert abs(brightness[1] - brightness[0]) < 5
    for index, image, branch in zip(batch.indices, batch.images, batch.branch, strict=True):
        assert (branch == 0) == torch.equal(image, easy[int(index)])


def test_degraded_photos_come_with_their_clean_selves():
    """Mirrored alike; a part stays as it is; the rest is what the named degradations make of it."""
    dataset = SyntheticDataset(6, 8)
    names = ("lowres", "dark")
    found = batches(dataset, degradations=names, degraded=0.7, keep_clean=True, augment=Augment(flip=0.5))
    plain = batches(dataset, sampler="shuffled", augment=Augment(flip=0.5))
    same = torch.cat([(b.images == b.clean).flatten(1).all(1) for b in found])
    for hard, easy in zip(found, plain, strict=True):
        torch.testing.assert_close(hard.clean, easy.images, rtol=0, atol=0)
    assert 0.1 < same.float().mean() < 0.55
    brightness = torch.cat(
        [b.images.float().mean((1, 2, 3)) / b.clean.float().mean((1, 2, 3)) for b in found]
    )
    dark = brightness < 0.5
    assert dark.any()
    assert (~same & ~dark).any()


def test_hard_data_of_the_same_people(tmp_path: Path):
    easy, hard = SyntheticDataset(8, 6), SyntheticDataset(9, 3)
    joined = join_datasets(easy, [hard])
    assert (len(joined), joined.num_classes) == (48 + 27, 9)
    assert "1 person of the hard data" in joined.warnings[-1]
    np.testing.assert_array_equal(joined.image(48 + 5), hard.image(5))
    assert joined.labels[48 + 5] == hard.labels[5]
    batch = next(iter(build_loader(joined, batch_size=20, sampler="branches").epoch(0)))
    assert ((batch.indices >= 48).long() == batch.branch).all()


def test_unknown_names_are_refused_with_the_nearest():
    dataset = SyntheticDataset(3, 4)
    with pytest.raises(UsageError, match="'shuffled'"):
        build_loader(dataset, batch_size=4, sampler="shufled")
    with pytest.raises(UsageError, match="'lowres'"):
        build_loader(dataset, batch_size=4, degradations=["lores"])
    with pytest.raises(UsageError, match=r"^flip = 2\.0 does not fit"):
        Augment(flip=2.0)


def test_uniform_rows_are_the_batchs_own():
    rows = uniform_rows(1, 2, 3, 8)
    assert rows.shape == (8, COLUMNS)
    np.testing.assert_array_equal(rows, uniform_rows(1, 2, 3, 8))
    assert not np.array_equal(rows, uniform_rows(1, 2, 4, 8))
    assert rows.min() >= 0
    assert rows.max() < 1


@pytest.mark.parametrize("name", sorted(set(DEGRADATIONS) - {"mixed"}))
def test_degradations_do_what_they_say(name):
    # Fine detail on a bright ground, so that each loss of detail, area or light can be measured.
    image = np.random.default_rng(0).integers(100, 256, (112, 112, 3), dtype=np.uint8)
    kept = image.copy()

    def detail(photo):
        return cv2.Laplacian(photo.astype(np.float32), cv2.CV_32F).std()

    for row in np.random.default_rng(1).random((30, 7)):
        hard = degradation(name)(image, row)
        assert (hard.shape, hard.dtype) == (image.shape, np.uint8)
        np.testing.assert_array_equal(hard, degradation(name)(image, row))
        changed = (hard != image).any(axis=2).mean()
        if name == "occlusion":
            assert 0.08 < changed < 0.45
        elif name == "dark":
            assert 0.04 * image.mean() < hard.mean() < 0.3 * image.mean()
        else:
            assert detail(hard) < 0.5 * detail(image)
            assert abs(hard.mean() - image.mean()) < 8
    np.testing.assert_array_equal(image, kept)


def test_mixed_is_one_of_the_others_each_with_its_own_whole_range():
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    row = np.random.default_rng(1).random(7)
    for number, name in enumerate(["lowres", "blur", "occlusion", "dark"]):
        for rest in (0.25, 0.75):
            own = degradation(name)(image, np.array([rest, *row[1:]]))
            mixed = degradation("mixed")(image, np.array([(number + rest) / 4, *row[1:]]))
            np.testing.assert_array_equal(mixed, own)


@pytest.mark.parametrize("name", ["flip", "crop", "lowres", "photometric", "occlusion"])
def test_augmentations_come_as_often_as_asked(name):
    image = SyntheticDataset(2).image(3)
    kept = image.copy()
    half = Augment(**({"flip": 0.0} | {name: 0.5}))
    rows = uniform_rows(0, 0, 0, 400)
    changed = [not np.array_equal(half(image, row), image) for row in rows]
    assert 0.42 < np.mean(changed) < 0.58
    assert half(image, rows[0]).shape == image.shape
    np.testing.assert_array_equal(image, kept)
