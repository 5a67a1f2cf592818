"""Groups at the threshold that comes with the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import Threshold
from facerec_cli.verify.group_errors import measure_groups, threshold_of
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.verify.settings import VerifySettings, no_steps


def test_the_threshold_is_that_of_the_model_that_made_the_vectors():
    pack = open_pack("sface")
    made = PhotoVectors(np.zeros((1, 128), np.float32), {}, ModelInfo("sface", pack_hash(pack), "cpu"))
    for settings in (VerifySettings(), VerifySettings(model="sface"), VerifySettings(model=pack)):
        assert threshold_of(settings, made) == pack.threshold
    with_flip = threshold_of(VerifySettings(), replace(made, settings={"flip": True}))
    assert with_flip is not None and with_flip.flip and with_flip.value != pack.threshold.value


@pytest.mark.parametrize(
    "model", [ModelInfo("sface", "0" * 64, "cpu"), ModelInfo("", "", ""), ModelInfo("toy")]
)
def test_vectors_of_another_model_have_no_threshold(model):
    assert threshold_of(VerifySettings(), PhotoVectors(np.zeros((1, 2), np.float32), {}, model)) is None


def test_both_thresholds_judge_the_same_pairs(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text(
        "path,group\n" + "".join(f"{p}/{i}.jpg,{'ab'[i % 2]}\n" for p in range(15) for i in range(6))
    )
    names = tuple(f"{p}/{i}.jpg" for p in range(15) for i in range(6))
    first, second = np.triu_indices(90, 1)
    same = first // 6 == second // 6
    pairs = PairList(first, second, same, names, names, format="labeled")
    random = np.random.default_rng(0)
    scores = np.float32(random.normal(np.where(same, 0.6, 0.1), 0.2))
    model = Threshold(0.3, far=0.1, data="pairs", impostor_pairs=1000)
    report = measure_groups(
        table, pairs, scores, np.zeros(len(same), bool), own=(0.5, 0.01), model=model, steps=no_steps
    )
    other = report.at_model_threshold
    assert (report.threshold, report.far, other.threshold, other.far) == (0.5, 0.01, 0.3, 0.1)
    for found in (report, other):
        for kind, rates in ((True, found.fnmr), (False, found.fmr)):
            assert [(rate.group, rate.other) for rate in rates] == [("a", "a"), ("a", "b"), ("b", "b")]
            assert sum(rate.pairs for rate in rates) == (same == kind).sum()
            wrong = (scores >= found.threshold) != same
            assert sum(rate.errors for rate in rates) == (wrong & (same == kind)).sum()
        assert found.ratios.fnmr.worst_over_best is None  # 45 same pairs a group
        assert [group.pairs for group in found.ratios.fnmr.refused] == [45, 45]
        assert found.ratios.fmr.worst_over_best.low < 1  # the groups are alike
    assert measure_groups(
        table, pairs, scores, np.zeros(len(same), bool), own=(0.5, 0.01), model=None, steps=no_steps
    ) == replace(report, at_model_threshold=None)
