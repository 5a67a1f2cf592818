"""Split, conditions, subsets and the choice of the interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.errors import InputError, UsageError
from facerec_cli.study.comparison import MeanOverSeeds
from facerec_cli.study.conditions import CONDITIONS, apply
from facerec_cli.study.first_weights import choose
from facerec_cli.study.intervals import mean_over_seeds
from facerec_cli.study.protocol import SplitSettings, ValidationSettings
from facerec_cli.study.split import split_people
from facerec_cli.study.subsets import conditions_of, gradients, make_pairs, score_subset

WANTED = {"train": (0, 3), "validation": (0, 3), "test": (9, 2)}


@pytest.mark.parametrize("seed", range(5))
def test_everybody_is_in_exactly_one_part(people, seed):
    dataset = open_dataset(people)
    split = split_people(dataset, SplitSettings(seed=seed, train=0.5, validation=0.2), WANTED)
    names = [name for part in split.people.values() for name in part]
    assert sorted(names) == sorted(dataset.class_names)
    assert [len(part) for part in split.people.values()] == [15, 6, 9]
    for part, rows in split.photos.items():
        own = dataset.labels[rows]
        assert {dataset.class_names[i] for i in own} <= set(split.people[part])
        counts = np.bincount(own)
        assert counts[counts > 0].min() >= 2 and counts.max() <= WANTED[part][1]
        assert len(set(rows.tolist())) == len(rows)
    assert len(split.photos["test"]) <= 9


def test_another_seed_draws_other_people(people):
    dataset = open_dataset(people)
    one, two = (split_people(dataset, SplitSettings(seed=s), WANTED).people["test"] for s in (0, 1))
    assert set(one) != set(two)


def test_too_few_people(people):
    with pytest.raises(InputError, match=r"validation part .* people with two photos"):
        split_people(open_dataset(people), SplitSettings(validation=0.04), WANTED)


def test_conditions_are_fixed_by_the_name_and_change_what_they_should():
    image = np.full((2, 112, 112, 3), 128, np.uint8)
    image[:, ::2] = 200
    for name in CONDITIONS:
        once, again = apply(name, image, ["a", "b"]), apply(name, image, ["a", "b"])
        assert once.shape == image.shape and once.dtype == np.uint8
        assert (once == again).all()
        assert (once != image).any() == (name != "clean")
    masked, glasses = apply("mask", image, ["a", "b"]), apply("sunglasses", image, ["a", "b"])
    assert (masked[:, :50] == image[:, :50]).all() and (
        masked[:, 85:95, 40:70] != image[:, 85:95, 40:70]
    ).any()
    assert (glasses[:, 70:] == image[:, 70:]).all() and glasses[:, 50, 38].max() < 60
    assert apply("dark", image, ["a", "b"]).mean() < 20
    assert np.ptp(apply("px16", image, ["a", "b"])[:, 20:90, 20:90]) < 20
    with pytest.raises(UsageError, match="no condition 'fog'"):
        apply("fog", image, ["a", "b"])


def test_all_pairs_both_ways_round_where_sides_differ():
    people, crops = np.array([0, 0, 1]), np.zeros((3, 112, 112, 3), np.uint8)
    one = make_pairs("clean clean", people, crops, 0.2)
    assert list(zip(one.first, one.second, one.same, strict=True)) == [
        (0, 1, True),
        (0, 2, False),
        (1, 2, False),
    ]
    two = make_pairs("clean px16", people, crops, 0.2)
    assert len(two.same) == 6 and two.same.sum() == 2 and (two.first != two.second).all()
    rows = {"clean": np.eye(3, 4, dtype=np.float32), "px16": np.eye(3, 4, k=1, dtype=np.float32)}
    table = rows["clean"] @ rows["px16"].T
    assert (score_subset("clean px16", two, rows) == table[two.first, two.second]).all()
    assert conditions_of(["px16 px16", "natural"]) == ("clean", "px16")


def test_natural_pairs_are_the_same_pairs_that_look_least_alike():
    random = np.random.default_rng(0)
    base = random.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    other = random.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    crops = np.stack([base, base, other, other])
    pairs = make_pairs("natural", np.array([0, 0, 0, 1]), crops, 0.67)
    same = set(zip(pairs.first[pairs.same].tolist(), pairs.second[pairs.same].tolist(), strict=True))
    assert same == {(0, 2), (1, 2)}
    assert (~pairs.same).sum() == 3
    looks = gradients(crops)
    assert np.linalg.norm(looks, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert looks[0] @ looks[1] == pytest.approx(1.0, abs=1e-5) and looks[0] @ looks[2] < 0.99


def test_interpolation_goes_as_far_as_the_clean_pairs_allow():
    settings = ValidationSettings(
        interpolate=(0.5, 1.0), subsets=("clean clean", "clean px16"), clean_loss=0.01
    )

    def tried(half, full):
        return {
            "0": {"clean clean": 0.9, "clean px16": 0.5},
            "0.5": {"clean clean": half[0], "clean px16": half[1]},
            "1": {"clean clean": full[0], "clean px16": full[1]},
        }

    assert choose(tried((0.89, 0.6), (0.90, 0.7)), settings) == 1.0
    assert choose(tried((0.89, 0.6), (0.88, 0.7)), settings) == 0.5
    assert choose(tried((0.90, 0.6), (0.91, 0.55)), settings) == 0.5
    assert choose(tried((0.80, 0.6), (0.85, 0.7)), settings) == 1.0  # none is harmless: the least harm


def test_student_interval():
    assert mean_over_seeds([0.5]) == MeanOverSeeds(mean=0.5, seeds=(0.5,))
    found = mean_over_seeds([0.1, 0.2, 0.3])
    assert found.mean == pytest.approx(0.2) and found.low is None
    assert found.half == pytest.approx(4.302653 * 0.1 / 3**0.5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY\x01\x00"])
def test_damaged_embeddings_of_a_run_are_told_with_what_to_do(tmp_path, content):
    from facerec_cli.errors import InputError
    from facerec_cli.study.compare import _embeddings

    (tmp_path / "embeddings.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"damaged.*--resume"):
        _embeddings(tmp_path / "embeddings.npz")
