"""Groups at the threshold that comes with the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import Threshold
from facerec_cli.verify.group_errors import measure_groups
from facerec_cli.verify.settings import no_steps


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
    evaluation = evaluate(scores, same, fars=(0.1,))
    own = evaluation.point(0.1)
    model = Threshold(0.3, far=0.2, data="pairs", impostor_pairs=1000)
    report = measure_groups(
        table, evaluation, 0.1, pairs, scores, np.zeros(len(same), bool), model=model, steps=no_steps
    )
    other = report.at_model_threshold
    assert (report.threshold, report.far) == (own.threshold, 0.1)
    assert (other.threshold, other.far) == (0.3, 0.2)
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
        table, evaluation, 0.1, pairs, scores, np.zeros(len(same), bool), model=None, steps=no_steps
    ) == replace(report, at_model_threshold=None)
