"""Curves of errors against discard, against a plain program, and what they say of known measures."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces.quality_limits import goodness
from facerec_cli.metrics.discard import PairsAtThreshold, discard_curves, remaining
from facerec_cli.metrics.discard_curve import SHARES, DiscardReport
from facerec_cli.metrics.discard_pairs import judge_all, judge_list
from facerec_cli.metrics.quality_card import QualityCard, limits_for, read_quality, save_quality


def plain_curve(quality: list[float], rejected: list[bool], shares: tuple[float, ...]) -> list[float]:
    """The mean over all orders of pairs of equal quality, a pair at a time, the last one in part."""
    rates = []
    order = sorted(range(len(quality)), key=lambda i: quality[i])
    for share in shares:
        gone, errors = share * len(quality), float(sum(rejected))
        for value in sorted(set(quality)):
            alike = [i for i in order if quality[i] == value]
            taken = min(gone, len(alike))
            errors -= taken * sum(rejected[i] for i in alike) / len(alike)
            gone -= taken
        rates.append(errors / (len(quality) * (1 - share)))
    return rates


def people(photos: int, persons: int) -> NDArray[np.int64]:
    return np.sort(np.arange(photos) % persons)


def made(seed: int = 0, photos: int = 240, persons: int = 60) -> tuple[Any, ...]:
    """Photos whose vectors are noisier the lower their quality is, rounded so that there are ties."""
    random = np.random.default_rng(seed)
    who = people(photos, persons)
    quality = np.round(random.uniform(0, 1, photos) * 64) / 64
    centers = random.normal(size=(persons, 16))
    noise = random.normal(size=(photos, 16)) * (0.3 + 1.5 * (1 - quality[:, None]) ** 3)
    vectors = centers[who] + noise
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return vectors, who, quality, random


def listed(vectors: NDArray[np.float32], who: NDArray[np.int64]) -> tuple[Any, ...]:
    first, second = np.triu_indices(len(who), 1)
    scores = np.einsum("pd,pd->p", vectors[first], vectors[second])
    return scores, who[first] == who[second], first.astype(np.int64), second.astype(np.int64)


def test_curves_are_those_of_a_plain_program() -> None:
    vectors, who, quality, random = made()
    scores, same, first, second = listed(vectors, who)
    threshold = 0.55
    brightness = 127.5 + 100 * (1 - quality) * random.choice([-1, 1], len(quality))
    measures = {"norm": quality, "brightness": brightness, "yaw": random.normal(size=len(who))}
    judged = judge_list(scores, same, (first, second), who[first], threshold)
    found = discard_curves(judged, measures, threshold=threshold, far=0.01, rounds=40)
    for curve in found.curves:
        good = np.asarray(goodness(curve.measure, measures[curve.measure]))
        pair = np.minimum(good[first], good[second])
        expected = plain_curve(pair[same].tolist(), (scores[same] < threshold).tolist(), SHARES)
        assert [point.fnmr for point in curve.points] == pytest.approx(expected, abs=1e-12)
        area = np.trapezoid(expected, SHARES) / SHARES[-1]
        assert curve.gain == pytest.approx(1 - area / expected[0])
        assert curve.false_rejects == (scores[same] < threshold).sum() and curve.people == 60
        for point in curve.points:
            if point.limit is None:
                assert point.different_left == 1
                continue
            limit = point.limit if curve.measure == "norm" else -point.limit
            kept = pair >= limit
            assert point.fmr == pytest.approx((scores[~same & kept] >= threshold).mean(), abs=1e-12)
            assert point.different_left == pytest.approx(kept[~same].mean())
            assert (~kept[same]).mean() <= point.discarded + 1e-12
            next_worst = pair[same & kept].min()  # equal ones go together
            assert (pair[same] <= next_worst).mean() > point.discarded - 1e-12
    norm, brightness_curve, yaw = found.curves
    assert norm.predicts and norm.gain is not None and norm.gain > 0.3
    assert brightness_curve.gain == pytest.approx(norm.gain, abs=1e-9)  # the same order, in other units
    assert not yaw.predicts
    assert [curve.measure for curve in found.predicting] == ["norm", "brightness"]
    assert found.sentence().startswith("norm foretells false rejects here (also brightness): without")


def test_equal_pairs_are_discarded_in_the_mean_of_all_their_orders() -> None:
    rejected, shares = [True, False, False, True], (0.0, 0.25, 0.5)
    rates = []
    for order in permutations(range(1, 4)):  # the first is the worst, the others are alike
        kept = [rejected[0], *(rejected[i] for i in order)]
        rates.append([Fraction(sum(kept[gone:]), 4 - gone) for gone in (0, 1, 2)])
    expected = [float(sum(column) / len(rates)) for column in zip(*rates, strict=True)]
    sums = np.array([[[1, 1], [1, 3]]])  # false rejects and pairs of each quality
    assert remaining(sums, shares)[0].tolist() == pytest.approx(expected)


def test_all_pairs_of_photos_are_judged_as_their_list_is() -> None:
    vectors, who, quality, _ = made(1)
    failed = np.zeros(len(who), bool)
    failed[[3, 77]] = True
    scores, same, first, second = listed(vectors, who)
    use = ~failed[first] & ~failed[second]
    of_list = judge_list(scores[use], same[use], (first[use], second[use]), who[first[use]], 0.5)
    shuffled = np.random.default_rng(0).permutation(len(who))
    back = np.argsort(shuffled)
    of_all = judge_all(vectors[shuffled], who[shuffled], 0.5, failed=failed[shuffled])
    assert isinstance(of_all, PairsAtThreshold)
    reports = [
        discard_curves(of_list, {"norm": quality}, threshold=0.5, far=0.01, rounds=20),
        discard_curves(of_all, {"norm": quality[shuffled]}, threshold=0.5, far=0.01, rounds=20),
    ]
    assert reports[0].curves[0].points == reports[1].curves[0].points
    assert reports[0].curves[0].gain == reports[1].curves[0].gain and len(back) == 240


def test_a_measure_that_knows_nothing_is_seldom_believed_and_the_best_has_the_most() -> None:
    believed = 0
    for seed in range(12):
        vectors, who, _, random = made(seed)
        scores, same, first, second = listed(vectors, who)
        judged = judge_list(scores, same, (first, second), who[first], 0.55)
        noise = {"norm": random.normal(size=len(who)), "score": random.normal(size=len(who))}
        found = discard_curves(judged, noise, threshold=0.55, far=0.01, rounds=200)
        believed += bool(found.predicting)
    assert believed <= 2  # 5 % of 12 lists, for both measures together
    rejected = judged.rejected
    oracle = np.ones(len(who))
    oracle[np.concatenate([side[rejected] for side in judged.same])] = 0
    best = discard_curves(judged, {"norm": oracle}, threshold=0.55, far=0.01, rounds=50).curves[0]
    assert best.predicts and best.gain is not None and best.gain > max(abs(c.gain or 0) for c in found.curves)


def test_what_cannot_be_measured_has_a_reason() -> None:
    vectors, who, quality, _ = made()
    scores, same, first, second = listed(vectors, who)
    unknown = np.full(len(who), np.nan)
    half = quality.copy()
    half[:20] = np.nan
    judged = judge_list(scores, same, (first, second), who[first], 0.55)
    nothing, some = discard_curves(
        judged, {"size": unknown, "norm": half}, threshold=0.55, far=0.01, rounds=20
    ).curves
    assert nothing.reason == "it is not known of any same pair" and nothing.points == ()
    assert some.unknown == np.isnan(np.minimum(half[first], half[second])[same]).sum() > 0
    assert some.same_pairs + some.unknown == same.sum() and some.points[0].different_left == 1
    few = judge_list(scores, same, (first, second), who[first], float(np.sort(scores[same])[5]))
    report = discard_curves(few, {"norm": quality}, threshold=0.1, far=0.5)
    assert report.curves[0].reason == "there are 5 false rejects at this threshold; it takes 10"
    assert "not measurable: there are 5" in report.sentence() and report.predicting == ()
    use = who < 9
    nine = made()[0][use]
    of_nine = judge_all(nine, who[use], 0.9, failed=np.zeros(len(nine), bool))
    assert isinstance(of_nine, PairsAtThreshold)
    (curve,) = discard_curves(of_nine, {"norm": quality[use]}, threshold=0.9, far=0.01).curves
    assert curve.reason == "9 people have a same pair; it takes 10"


def test_a_measure_that_is_the_same_everywhere_changes_nothing() -> None:
    vectors, who, _, _ = made()
    scores, same, first, second = listed(vectors, who)
    judged = judge_list(scores, same, (first, second), who[first], 0.55)
    report: DiscardReport = discard_curves(
        judged, {"norm": np.ones(len(who))}, threshold=0.55, far=0.01, rounds=20
    )
    (curve,) = report.curves
    assert curve.gain == pytest.approx(0) and not curve.predicts
    assert {point.limit for point in curve.points} == {None}
    assert report.sentence() == "no measure of quality foretells false rejects here"


CARD = QualityCard(
    "norm", 11.3, 0.1, 1e-4, 0.0065, 0.0011, 0.8, 0.6, 0.9, 1000, 50, "a.txt", "toy", "5" * 64, False, False
)


def test_a_card_comes_back_and_is_for_its_model_and_flip_alone(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    save_quality(CARD, path)
    assert read_quality(path) == CARD
    assert limits_for(str(path), model="toy", sha256="5" * 64, flip=False).limits == {"norm": 11.3}
    assert limits_for("yaw=0.2", model="x", sha256="", flip=True).limits == {"yaw": 0.2}
    with pytest.raises(ModelError, match="quality card was measured with the model 'toy'"):
        limits_for(str(path), model="x", sha256="6" * 64, flip=False)
    with pytest.raises(ModelError, match="quality card was measured without --flip"):
        limits_for(str(path), model="toy", sha256="5" * 64, flip=True)
    for text, said in (
        ("quality_version = 2\n", "not a quality card of version 1"),
        (path.read_text().replace('"norm"', '"age"'), "measure"),
        (path.read_text().replace("limit = 11.3", ""), "limit"),
        ("limit = [", "card"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_quality(path)
    with pytest.raises(InputError, match="quality card"):
        read_quality(tmp_path / "none.toml")
