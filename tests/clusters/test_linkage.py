"""Groups by average linkage: those of scipy on the whole matrix, and what forbids and demands groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from facerec_cli.clusters.grouping import Constraints, group_faces
from facerec_cli.errors import InputError


def crowd(people: int, most: int, *, seed: int, spread: float = 0.09, dimensions: int = 32) -> tuple:
    """Unit vectors of people with 1 to ``most`` faces, and who each is, in random order."""
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), random.integers(1, most + 1, people))
    random.shuffle(who)
    centers = random.normal(size=(people, dimensions))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    vectors = centers[who] + spread * random.normal(size=(len(who), dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), who


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two lists of labels have the same faces together."""
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


def by_scipy(vectors: np.ndarray, threshold: float) -> np.ndarray:
    wide = vectors.astype(np.float64)
    distance = 1 - wide @ wide.T
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    return fcluster(tree, 1 - threshold, "distance")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_groups_are_those_of_average_linkage_on_the_whole_matrix(seed: int, threshold: float) -> None:
    vectors, _ = crowd(60, 6, seed=seed, spread=0.14)
    found = group_faces(vectors, threshold, neighbors=len(vectors))
    assert same_partition(found.labels, by_scipy(vectors, threshold))


@pytest.mark.parametrize("seed", range(3))
def test_few_neighbors_leave_no_two_groups_that_belong_together(seed: int) -> None:
    vectors, who = crowd(12, 60, seed=seed)
    found = group_faces(vectors, 0.45, neighbors=3)
    groups = np.unique(found.labels)
    means = np.stack([vectors[found.labels == one].astype(np.float64).mean(axis=0) for one in groups])
    between = means @ means.T
    np.fill_diagonal(between, -1)
    assert between.max() < 0.45
    assert same_partition(found.labels, who)


def test_numbers_and_margins_do_not_depend_on_the_order_of_faces() -> None:
    vectors, _ = crowd(80, 5, seed=1, spread=0.14)
    vectors = np.concatenate([vectors, vectors[:40]])  # equal vectors too
    photos = [f"{i % 90}.jpg" for i in range(len(vectors))]
    numbers = np.arange(len(vectors)) // 90
    first = group_faces(vectors, 0.4, Constraints(tuple(photos), numbers))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(vectors))
        known = Constraints(tuple(photos[i] for i in order), numbers[order])
        again = group_faces(vectors[order], 0.4, known)
        np.testing.assert_array_equal(again.labels, first.labels[order])
        np.testing.assert_array_equal(again.margins, first.margins[order])
    sizes = np.bincount(first.labels)
    assert (np.diff(sizes) <= 0).all()  # the largest first


def test_margins_are_what_they_are_defined_to_be() -> None:
    vectors, _ = crowd(30, 4, seed=5, spread=0.16)
    found = group_faces(vectors, 0.4, neighbors=len(vectors))
    wide = vectors.astype(np.float64)
    for face, label in enumerate(found.labels):
        others = [(wide[found.labels == one] @ wide[face]).mean() for one in set(found.labels) - {label}]
        mates = [i for i in np.flatnonzero(found.labels == label) if i != face]
        own = (wide[mates] @ wide[face]).mean() if mates else None
        expected = 0.4 - max(others) if own is None else own - max(*others, 0.4)
        assert found.margins[face] == pytest.approx(expected, abs=2e-6)


def test_ten_thousand_copies_are_one_group_and_near_copies_too() -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=16)
    copies = np.tile(one, (10_000, 1)).astype(np.float32)
    near = (one + 1e-4 * random.normal(size=(300, 16))).astype(np.float32)
    every = np.concatenate([copies, near, random.normal(size=(5, 16)).astype(np.float32)])
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    found = group_faces(every, 0.95)
    assert (found.labels[:10_300] == 0).all() and sorted(found.labels[10_300:]) == [1, 2, 3, 4, 5]


def test_faces_of_one_photo_stay_apart_and_a_face_that_is_listed_twice_does_not() -> None:
    face = np.array([[1, 0, 0], [1, 0, 0], [1, 0.01, 0], [1, 0, 0]], np.float32)
    face /= np.linalg.norm(face, axis=1, keepdims=True)
    photos = ("a", "a", "a", "b")
    found = group_faces(face, 0.5, Constraints(photos, np.array([0, 0, 1, 0])))
    assert found.labels.tolist() == [0, 0, 1, 0]
    assert group_faces(face, 0.5).labels.tolist() == [0, 0, 0, 0]
    apart = group_faces(face, 0.5, Constraints(photos, np.array([0, 1, 2, 0])))
    assert len(set(apart.labels[:3].tolist())) == 3


def test_links_are_kept_whatever_vectors_say() -> None:
    vectors, who = crowd(10, 5, seed=3)
    far = np.flatnonzero(who != who[0])[0]
    near = np.flatnonzero(who == np.argmax(np.bincount(who)))[:2]
    links = Constraints(must_link=np.array([[0, far]]), cannot_link=near[None])
    found = group_faces(vectors, 0.45, links)
    assert found.labels[0] == found.labels[far]
    assert found.labels[near[0]] != found.labels[near[1]]
    both = Constraints(must_link=near[None], cannot_link=near[None])
    with pytest.raises(InputError, match="different people, and to be of one"):
        group_faces(vectors, 0.45, both)
    chain = Constraints(must_link=np.array([[i, i + 1] for i in range(len(who) - 1)]))
    assert set(group_faces(vectors, 0.45, chain).labels) == {0}


def test_earlier_groups_stay_and_new_faces_join_the_best() -> None:
    vectors, who = crowd(20, 8, seed=4)
    earlier = np.where(np.arange(len(who)) % 3 == 0, -1, who * 10)
    split = np.flatnonzero((who == 2) & (earlier >= 0))
    earlier[split[: len(split) // 2]] = 5  # one person in two groups, as a user may want it
    found = group_faces(vectors, 0.45, Constraints(earlier=earlier), first_number=1000)
    old = earlier >= 0
    np.testing.assert_array_equal(found.labels[old], earlier[old])
    for face in np.flatnonzero(~old):
        homes = {int(one) for one in earlier[(who == who[face]) & old]}
        assert int(found.labels[face]) in homes if homes else found.labels[face] >= 1000


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_faces(count: int) -> None:
    vectors = np.eye(3, dtype=np.float32)[:count]
    found = group_faces(vectors, 0.5)
    assert sorted(found.labels.tolist()) == list(range(count))
    assert np.isnan(found.margins).all() if count < 2 else found.margins.tolist() == pytest.approx([0.5, 0.5])
