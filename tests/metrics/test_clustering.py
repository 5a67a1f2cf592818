"""Figures of groups against counting pairs and faces one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics.clustering import FIGURES, evaluate_clustering


def by_hand(labels: list[int], people: list[int]) -> dict[str, float]:
    pairs = list(combinations(range(len(labels)), 2))
    linked = [(a, b) for a, b in pairs if labels[a] == labels[b]]
    same = [(a, b) for a, b in pairs if people[a] == people[b]]
    hit = len(set(linked) & set(same))
    precision, recall, pure = [], [], 0
    for face in range(len(labels)):
        mates = [i for i in range(len(labels)) if labels[i] == labels[face]]
        own = [i for i in range(len(labels)) if people[i] == people[face]]
        both = len(set(mates) & set(own))
        precision.append(both / len(mates))
        recall.append(both / len(own))
    for label in set(labels):
        inside = [people[i] for i in range(len(labels)) if labels[i] == label]
        pure += max(inside.count(one) for one in inside)
    p, r = np.mean(precision), np.mean(recall)
    return {
        "pairwise_precision": hit / len(linked),
        "pairwise_recall": hit / len(same),
        "pairwise_f": 2 * hit / (len(linked) + len(same)),
        "bcubed_precision": p,
        "bcubed_recall": r,
        "bcubed_f": 2 * p * r / (p + r),
        "purity": pure / len(labels),
    }


@pytest.mark.parametrize("seed", range(8))
def test_figures_are_those_of_counting_by_hand(seed: int) -> None:
    random = np.random.default_rng(seed)
    people = random.integers(0, 9, 60)
    labels = np.where(random.random(60) < 0.7, people * 3, random.integers(0, 12, 60))
    found = evaluate_clustering(labels, people)
    for name, value in by_hand(labels.tolist(), people.tolist()).items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name


def test_perfect_groups_and_all_in_one_and_all_alone() -> None:
    people = [0, 0, 0, 1, 1, 2]
    right = evaluate_clustering([5, 5, 5, 2, 2, 9], people)
    assert all(right[name].value == 1 for name in FIGURES)
    assert (right.clusters, right.singles, right.people_with_one, right.moves, right.merges) == (
        3,
        1,
        1,
        0,
        0,
    )
    one = evaluate_clustering([0] * 6, people)
    assert one["pairwise_recall"].value == 1 and one["pairwise_precision"].value == pytest.approx(4 / 15)
    assert one.moves == 3 and one.merges == 0
    alone = evaluate_clustering([-1] * 6, people)
    assert alone["pairwise_precision"].value is None and alone["pairwise_f"].value == 0
    assert alone["bcubed_precision"].value == 1 and alone["bcubed_recall"].value == pytest.approx(0.5)
    assert alone.clusters == alone.singles == 6 and alone.merges == 3


def test_intervals_hold_the_value_and_are_those_of_drawing_people() -> None:
    random = np.random.default_rng(1)
    people = random.integers(0, 200, 1000)
    labels = np.where(random.random(1000) < 0.9, people, random.integers(0, 200, 1000))
    found = evaluate_clustering(labels, people, rounds=400)
    for name in FIGURES:
        assert found[name].low < found[name].value < found[name].high
    recall = np.array(
        [sum((labels == labels[i]) & (people == people[i])) / sum(people == people[i]) for i in range(1000)]
    )
    draws = []
    for _ in range(400):
        who = random.integers(0, 200, 200)
        weight = np.bincount(who, minlength=200)[people]
        draws.append((weight * recall).sum() / weight.sum())
    low, high = np.percentile(draws, [2.5, 97.5])
    assert found["bcubed_recall"].low == pytest.approx(low, abs=0.004)
    assert found["bcubed_recall"].high == pytest.approx(high, abs=0.004)
    assert evaluate_clustering(labels, people, rounds=400) == found
    few = evaluate_clustering([0, 1, 1], [0, 1, 2], rounds=50)
    assert few["bcubed_f"].low is None


def test_no_face_is_refused() -> None:
    for labels, people in (([], []), ([0, 1], [0])):
        with pytest.raises(InputError):
            evaluate_clustering(labels, people)
