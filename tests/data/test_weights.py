"""Weights of a list: read, kept by what writes lists, and what batches make of them."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.data import join_datasets, open_dataset
from facerec_cli.data.formats.folder import FolderDataset
from facerec_cli.data.loading.identity_pool import IdentityPool
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.loading.samplers import Branches, Identities, Shuffled
from facerec_cli.data.tools.convert import convert
from facerec_cli.data.tools.pairs import split
from facerec_cli.errors import InputError

WEIGHTS = np.array([0.0, 1.0, 1.0, 2.0, 4.0])


def write_weighted(people, target, weights=None, heading="path\tlabel\tweight"):
    source = FolderDataset(people)
    weights = np.arange(len(source)) % 3 if weights is None else weights
    lines = [
        f"people/{source.name(i)}\t{source.labels[i]}\t{weight}"
        for i, weight in zip(range(len(source)), weights, strict=False)
    ]
    target.write_text("\n".join([heading, *lines]) + "\n", "utf-8")
    return target


def test_a_list_is_read_with_its_weights_and_says_nothing_of_it(people, tmp_path):
    dataset = open_dataset(write_weighted(people, tmp_path / "w.txt"))
    assert dataset.weights.tolist() == [i % 3 for i in range(16)] and dataset.warnings == ()
    assert len(dataset) == 16 and dataset.num_classes == 5 and dataset.image(3).shape[2] == 3
    plain = tmp_path / "plain.txt"
    plain.write_text("".join(f"{line.rsplit(chr(9), 1)[0]}\n" for line in (tmp_path / "w.txt").open()))
    assert open_dataset(plain).weights is None
    joined = join_datasets(open_dataset(plain), [dataset])
    assert joined.weights.tolist() == [1.0] * 16 + dataset.weights.tolist()


@pytest.mark.parametrize("heading", ["path,label,weight", "path label weight", "weight\tpath\tlabel"])
def test_the_heading_says_which_column_it_is(people, tmp_path, heading):
    separator = next(sign for sign in "\t, " if sign in heading)
    files = {"0.v1.jpg": 2, "1.v1.png": ""}
    rows = [{"path": f"people/bob/{name}", "label": "bob", "weight": w} for name, w in files.items()]
    if separator != ",":  # an empty field at an end is no field there
        rows[1]["weight"] = 1
    names = heading.split(separator)
    lines = [heading, *(separator.join(str(row[name]) for name in names) for row in rows)]
    (tmp_path / "w.csv").write_text("\n".join(lines))
    dataset = open_dataset(tmp_path / "w.csv")
    assert dataset.weights.tolist() == [2.0, 1.0] and dataset.name(1) == "people/bob/1.v1.png"


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "much", "1e9"])
def test_a_weight_that_is_none_is_named_with_its_line(people, tmp_path, weight):
    path = write_weighted(people, tmp_path / "w.txt", [1, weight, 1])
    with pytest.raises(InputError, match=f"Line 3 of .*w.txt has the weight '{weight}'"):
        open_dataset(path)


@pytest.mark.parametrize("line", ["people/bob/1.v1.png\tbob", "people/bob/1.v1.png\tbob\t"])
def test_a_line_without_its_weight_is_named(people, tmp_path, line):
    path = tmp_path / "w.txt"
    path.write_text(f"path\tlabel\tweight\npeople/bob/0.v1.jpg\tbob\t2\n{line}\n")
    with pytest.raises(InputError, match=r"Line 3 of .*w.txt has no weight"):
        open_dataset(path)


def test_weights_that_are_all_zero_are_refused(people, tmp_path):
    with pytest.raises(InputError, match=r"All photos of .* have the weight 0"):
        open_dataset(write_weighted(people, tmp_path / "w.txt", [0, 0, 0]))


def test_lists_that_are_made_of_it_keep_the_weights_and_others_say_that_they_do_not(people, tmp_path, caplog):
    dataset = open_dataset(write_weighted(people, tmp_path / "w.txt"))
    assert convert(dataset, tmp_path / "again.txt") == "list"
    np.testing.assert_array_equal(open_dataset(tmp_path / "again.txt").weights, dataset.weights)
    split(dataset, tmp_path / "lists", test_identities=2)
    sides = [open_dataset(tmp_path / "lists" / f"{side}.txt") for side in ("train", "test")]
    assert sorted(w for side in sides for w in side.weights.tolist()) == sorted(dataset.weights.tolist())
    assert not caplog.records
    convert(dataset, tmp_path / "x.rec")
    assert "weights of" in caplog.text


def test_an_epoch_shows_each_photo_as_often_as_its_weight_says():
    shown = np.zeros(5)
    for epoch in range(200):
        sampler = Shuffled(np.zeros(5, np.int64), 5, seed=1, weights=WEIGHTS)
        rows = sampler.plan(epoch, 0).layout.indices
        assert len(rows) == 5 and set(np.bincount(rows, minlength=5)[[1, 2]]) <= {0, 1}
        shown += np.bincount(rows, minlength=5)
    np.testing.assert_allclose(shown / 200, WEIGHTS * 5 / 8, atol=0.1)
    assert shown[0] == 0 and shown.sum() == 1000


def test_equal_weights_are_none():
    labels = np.arange(64) % 8
    for kind in (Shuffled, Identities, Branches):
        plain, even = (kind(labels, 16, seed=3, weights=w) for w in (None, np.full(64, 0.5)))
        for step in range(2):
            a, b = plain.plan(1, step).layout.indices, even.plan(1, step).layout.indices
            assert sorted(a.tolist()) == sorted(set(a.tolist())) or len(a) == len(b)
        if kind is Shuffled:
            shown = np.concatenate([even.plan(1, s).layout.indices for s in range(even.steps)])
            assert sorted(shown.tolist()) == list(range(64))


def test_people_are_drawn_by_the_mean_weight_of_their_photos():
    labels = np.repeat(np.arange(4), 3)
    weights = np.array([1, 1, 1, 3, 3, 3, 0, 0, 0, 4, 4, 0], float)  # 1, 3, never, 4 (of two)
    pool = IdentityPool(labels, np.arange(12), "these", weights)
    random, drawn = np.random.default_rng(0), np.zeros(4)
    for _ in range(2000):
        photos = pool.pick(random, 1, 2)
        drawn += np.bincount(labels[photos[:, 0]], minlength=4)
        assert (weights[photos] > 0).all() and pool.photos == 8
    np.testing.assert_allclose(drawn / 2000, np.array([1, 3, 0, 4]) / 8, atol=0.04)


def test_the_loader_hands_the_weights_on(people, tmp_path):
    dataset = open_dataset(write_weighted(people, tmp_path / "w.txt"))
    loader = build_loader(dataset, batch_size=8, seed=2)
    seen = np.concatenate([batch.indices.numpy() for epoch in range(6) for batch in loader.epoch(epoch)])
    assert set(dataset.weights[seen].tolist()) == {1.0, 2.0}
    counts = [(dataset.weights[seen] == w).sum() / (dataset.weights == w).sum() for w in (1.0, 2.0)]
    assert counts[1] / counts[0] == pytest.approx(2, abs=0.5)
