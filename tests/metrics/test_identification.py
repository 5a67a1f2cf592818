"""Searches against plain loops over all scores: ties, failures, duplicates and constants included."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_searches import assert_equal, plain_figures

from facerec_cli.errors import InputError
from facerec_cli.metrics import searches
from facerec_cli.metrics.identification import evaluate_identification, evaluate_scores

FPIRS = (0.5, 0.25, 0.1)
RANKS = (1, 2, 5)


@st.composite
def drawn_searches(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Scores with many ties, people with several rows, failures on both sides."""
    kind = draw(st.sampled_from([np.float32, np.float64]))
    grain = draw(st.sampled_from([1, 2, 5, 1000]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns, rows = draw(st.integers(1, 25)), draw(st.integers(1, 40))
    scores = (random.integers(-grain, grain + 1, (rows, columns)) / grain).astype(kind)
    people = random.integers(0, draw(st.integers(1, 12)), columns) * 7
    identity = np.where(random.random(rows) < 0.5, random.choice(people, rows), random.integers(-1, 90, rows))
    share = draw(st.sampled_from([0.0, 0.3]))
    failed = random.random(columns) < share
    failed[0] = False
    return {
        "scores": scores,
        "people": people,
        "identity": identity,
        "failed_gallery": failed,
        "failed_probes": random.random(rows) < share,
    }


@given(drawn_searches(), st.sampled_from(["max", "images"]), st.sampled_from([(512, 2048), (3, 4), (7, 1)]))
@settings(max_examples=150, deadline=None)
def test_figures_equal_those_of_plain_loops(drawn, template, tile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "ROWS", tile[0])
        patch.setattr(searches, "COLUMNS", tile[1])
        found = evaluate_scores(**drawn, fpirs=FPIRS, ranks=RANKS, template=template)
    assert_equal(found, plain_figures(**drawn, fpirs=FPIRS, ranks=RANKS, template=template), RANKS)
    json.dumps(found.document(), allow_nan=False)


def vectors(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("template", ["mean", "max", "images"])
def test_vectors_give_the_figures_of_their_scores(template, monkeypatch):
    monkeypatch.setattr(searches, "ROWS", 64)
    monkeypatch.setattr(searches, "COLUMNS", 128)
    random = np.random.default_rng(1)
    people = random.integers(0, 150, 500)
    identity = random.integers(0, 300, 700)
    centers = vectors(300, 16)
    gallery = centers[people] + 0.3 * vectors(500, 16, 2)
    probes = centers[identity] + 0.3 * vectors(700, 16, 3)
    failures = {"failed_gallery": random.random(500) < 0.2, "failed_probes": random.random(700) < 0.1}
    gallery[failures["failed_gallery"]] = np.nan
    asked = {"fpirs": FPIRS, "ranks": RANKS}
    found = evaluate_identification(gallery, people, probes, identity, **failures, template=template, **asked)
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (gallery, probes)]
    owner = people
    if template == "mean":
        keep = ~failures["failed_gallery"]
        owner = np.unique(people)
        units[0] = np.stack([units[0][keep & (people == g)].sum(axis=0) for g in owner])
        failures["failed_gallery"] = ~np.array([keep[people == g].any() for g in owner])
        with np.errstate(invalid="ignore"):
            units[0] = units[0] / np.linalg.norm(units[0], axis=1, keepdims=True)
    scores = units[1].astype(np.float64) @ units[0].astype(np.float64).T
    assert_equal(found, plain_figures(scores, owner, identity, **failures, **asked, template=template), RANKS)
    assert found.counts.people_without_template > 0


@pytest.mark.parametrize("template", ["mean", "max", "images"])
@pytest.mark.parametrize("dimensions", [3, 128, 129])
def test_a_model_that_gives_everybody_one_vector_finds_nobody(template, dimensions):
    people = np.arange(1003)
    one = np.repeat(vectors(1, dimensions), 1403, axis=0)
    found = evaluate_identification(
        one[:1003], people, one[:1400], np.arange(1400), fpirs=(0.1,), template=template
    )
    assert [point.hits for point in found.cmc] == [0] * 5
    assert found.tied == found.tied_first == 1003
    assert set(found.outcomes.rank[found.outcomes.mated]) == {1003}
    point = found.point(0.1)
    assert (point.tpir, point.measured_fpir) == (0.0, 0.0)


def test_one_photo_under_two_names_is_found_under_neither_at_rank_1(monkeypatch):
    monkeypatch.setattr(searches, "COLUMNS", 64)  # so that the two lie in tiles of their own
    gallery = vectors(300, 32)
    gallery[299] = gallery[3]
    found = evaluate_identification(gallery, np.arange(300), gallery, np.arange(300), ranks=(1, 2), fpirs=())
    assert [point.hits for point in found.cmc] == [298, 300]
    assert found.tied == found.tied_first == 2


def test_a_person_with_more_photos_than_a_tile_has_columns(monkeypatch):
    monkeypatch.setattr(searches, "COLUMNS", 64)
    people = np.array([5] * 300 + [1] * 3 + [2])
    gallery, probes = vectors(304, 8), vectors(50, 8, 1)
    asked = {"fpirs": FPIRS, "ranks": RANKS, "template": "images"}
    identity = np.arange(50) % 4
    found = evaluate_identification(gallery, people, probes, identity, **asked)
    none = {"failed_gallery": np.zeros(304, bool), "failed_probes": np.zeros(50, bool)}
    scores = probes.astype(np.float64) @ gallery.astype(np.float64).T
    assert_equal(found, plain_figures(scores, people, identity, **none, **asked), RANKS)


def test_a_stranger_alone_is_not_measurable_and_says_how_many_it_takes():
    found = evaluate_scores([[0.5, 0.1], [0.2, 0.1]], [1, 2], [1, -1], fpirs=(0.01,))
    assert found.point(0.01).reason == ("not measurable with 1 non-mated search; needs 300 (3 / FPIR)")
    assert found.point(0.5) is None
    assert found.cmc[0].rate == 1.0
    assert found.counts.non_mated_people == 1


def test_each_probe_of_nobody_known_is_a_person_of_their_own():
    found = evaluate_scores(np.zeros((5, 1)), [3], [-1, -1, 8, 8, 3])
    assert (found.counts.non_mated, found.counts.non_mated_people) == (4, 3)
    assert len(set(found.searches.identity.tolist())) == 4


def test_searches_in_a_gallery_without_strangers_or_without_mates():
    closed = evaluate_scores(np.eye(4), np.arange(4), np.arange(4))
    assert closed.cmc[0].rate == 1.0 and not any(point.measurable for point in closed.tpir_at_fpir)
    strangers = evaluate_scores(np.zeros((40, 4)), np.arange(4), np.full(40, -1), fpirs=(0.1,))
    assert strangers.cmc[0].rate is None
    assert strangers.point(0.1).reason == "there is no mated search that could be made"


def test_a_threshold_from_elsewhere_has_the_rates_of_these_searches():
    random = np.random.default_rng(0)
    scores, identity = random.integers(0, 50, (300, 12)) / 50, np.arange(300) % 20
    failed = np.arange(300) % 7 == 0
    found = evaluate_scores(scores, np.arange(12), identity, failed_probes=failed, fpirs=(0.3,))
    best, mated = scores.max(axis=1), identity < 12
    made, strangers = mated & ~failed, ~mated & ~failed
    mate = scores[np.arange(300), np.where(mated, identity, 0)]
    first = (scores >= mate[:, None]).sum(axis=1) == 1
    for threshold in (0.0, 0.5, 0.96, 2.0):
        rates = found.at(threshold)
        hits, alarms = (made & first & (mate >= threshold)).sum(), (strangers & (best >= threshold)).sum()
        assert (rates.accepted_mated, rates.accepted_non_mated) == (hits, alarms)
        assert (rates.tpir, rates.fpir) == (hits / made.sum(), alarms / strangers.sum())
        assert rates.tpir_with_failures == hits / mated.sum()
        assert rates.fpir_with_failures == alarms / (~mated).sum()
        assert rates.fpir_low <= rates.fpir <= rates.fpir_high
    point = found.point(0.3)
    assert found.at(point.threshold).fpir == point.measured_fpir
    closed = evaluate_scores(np.eye(3), np.arange(3), np.arange(3)).at(0.5)
    assert (closed.tpir, closed.fpir, closed.fpir_with_failures) == (1.0, None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": [1]}, "must be 2 each"),
        ({"people": [1, -1]}, "no person"),
        ({"people": ["Ann", "Bob"]}, "gallery are not whole numbers"),
        ({"identity": [np.nan]}, "probes are not whole numbers"),
        ({"failed_gallery": [True, True]}, "gallery is empty"),
        ({"probes": [[0.0, 1.0]]}, "3 dimensions, the probes' 2"),
        ({"probes": [[np.nan, 0.0, 1.0]]}, "1 of 1 embeddings of the probes"),
        ({"fpirs": (1.0,)}, "between 0 and 1"),
        ({"ranks": (0,)}, "no rank 0"),
        ({"template": "median"}, "'median' is no way"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, message):
    given = {"gallery": np.eye(2, 3), "people": [1, 2], "probes": np.eye(1, 3), "identity": [1]}
    with pytest.raises(InputError, match=message):
        evaluate_identification(**{**given, **change})


def test_scores_have_no_mean_of_vectors():
    with pytest.raises(InputError, match="no mean"):
        evaluate_scores([[1.0]], [1], [1], template="mean")
    with pytest.raises(InputError, match="NaN"):
        evaluate_scores([[np.nan]], [1], [1])
