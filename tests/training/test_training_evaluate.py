"""Held-out pairs that are mostly of one kind are judged by balanced accuracy, under its name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facerec_cli.backbones import build
from facerec_cli.errors import UsageError
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.training.devices import World
from facerec_cli.training.evaluate import best_metric, evaluate_pairs, metric_name
from facerec_cli.verify.pair_crops import PairCrops


def _pairs(same: int, different: int) -> PairCrops:
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (24, 112, 112, 3), np.uint8)
    first, second = random.integers(0, 24, (2, same + different))
    labels = np.arange(same + different) < same
    return PairCrops("own", PairList(first, second, labels), crops, np.zeros(24, bool))


@pytest.mark.parametrize(("same", "different", "key"), [(40, 40, "accuracy"), (12, 300, "balanced_accuracy")])
def test_the_metric_is_called_by_its_name(same, different, key):
    torch.manual_seed(0)
    network = build("mobilefacenet", width=0.125, embedding_size=16)
    sets = [_pairs(same, different)]
    found = evaluate_pairs(network, sets, World(0, 1, torch.device("cpu"), None, False), dtype=torch.float32)
    assert {name for name in found if name.endswith("accuracy")} == {f"own/{key}"}
    assert best_metric("accuracy", sets, found) == found[f"own/{key}"]
    assert metric_name("accuracy", found) == key


def test_a_metric_that_was_not_measured_is_refused():
    with pytest.raises(UsageError, match=r"accuracy is not measured on own .5 different pairs"):
        best_metric("accuracy", [_pairs(1, 5)], {"own/auc": 0.5})
    assert metric_name("TAR@1e-3", {"own/tar@0.001": 0.5}) == "tar@0.001"
