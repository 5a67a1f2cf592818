"""TPIR at FPIR in a study: who is enrolled and who is a stranger, and a count by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.formats.list import list_lines
from facerec_cli.errors import InputError
from facerec_cli.metrics.identification import evaluate_identification
from facerec_cli.study.arm_lists import own_lists
from facerec_cli.study.comparison import Comparison, MeanOverSeeds
from facerec_cli.study.finding import finding
from facerec_cli.study.protocol import parse_protocol
from facerec_cli.study.search_rates import mean_tpir, tpir_differences
from facerec_cli.study.searches import SEARCH_FPIR, judged_searches
from facerec_cli.study.split import split_people
from facerec_cli.study.tables import tables
from tests.study.conftest import STUDY


def units(count, people, seed):
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((people.max() + 1, 24))[people] + 0.9 * random.standard_normal(
        (count, 24)
    )
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


PEOPLE = np.repeat(np.arange(220), 3)


def test_everybody_is_enrolled_once_and_a_stranger_once():
    found = judged_searches(PEOPLE)
    assert found.reason == "" and found.has_intervals and found.measurable("clean px16")
    assert not found.measurable("natural")
    for number, half in enumerate(found.halves):
        assert half.gallery.tolist() == [3 * person for person in range(number, 220, 2)]
        assert set(PEOPLE[half.mated]) == set(range(number, 220, 2)) and len(half.mated) == 220
        assert set(PEOPLE[half.strangers]) == set(range(1 - number, 220, 2)) and len(half.strangers) == 330
        np.testing.assert_array_equal(PEOPLE[half.gallery[half.mate]], PEOPLE[half.mated])
        assert not set(half.gallery) & set(half.mated)


def test_tpir_is_that_of_the_evaluation_of_searches_in_both_galleries():
    embeddings = {"clean": units(660, PEOPLE, 1), "px16": units(660, PEOPLE, 1) * 0 + units(660, PEOPLE, 2)}
    embeddings["px16"][::2] = embeddings["clean"][::2]  # half of the probes are as they were
    found = judged_searches(PEOPLE)
    rate, rounds = found.measure("clean px16", embeddings, 200)
    expected = []
    for half in found.halves:
        probes = np.concatenate([half.mated, half.strangers])
        point = evaluate_identification(
            embeddings["clean"][half.gallery],
            PEOPLE[half.gallery],
            embeddings["px16"][probes],
            PEOPLE[probes],
            fpirs=(SEARCH_FPIR,),
        ).tpir_at_fpir[0]
        assert point.measured_fpir <= 0.01
        expected.append(point.tpir)
    assert rate == pytest.approx(np.mean(expected), abs=1e-12) and 0.1 < rate < 0.9
    assert rounds.shape == (200, 1) and abs(rounds.mean() - rate) < 0.1 and rounds.std() > 0.005
    again = found.measure("clean px16", embeddings, 200)[1]
    np.testing.assert_array_equal(again, rounds)


def test_too_few_strangers_or_people_have_a_reason():
    few = judged_searches(PEOPLE[:400])
    assert few.reason == "199 searches for strangers are too few; it takes 300"
    assert not few.measurable("clean clean")
    photos = np.concatenate([np.zeros(400), np.ones(400)]).astype(np.int64)
    assert judged_searches(photos).reason == "" and not judged_searches(photos).has_intervals


def test_means_and_differences_over_seeds():
    rounds = np.random.default_rng(0).normal(0.5, 0.02, (100, 1))
    a = [{"hard": (0.50 + step / 100, rounds + step / 100)} for step in range(3)]
    b = [{"hard": (0.40 + step / 100, rounds - 0.1)} for step in range(3)]
    mean = mean_tpir("a", a, "hard", intervals=True)
    assert mean.mean == pytest.approx(0.51) and mean.low < 0.5 < mean.high
    assert mean_tpir("a", a, "clean clean", intervals=True) is None
    [(name, one)] = tpir_differences("a", a, "b", b, intervals=True).items()
    assert name == "hard" and one.mean == pytest.approx(0.1) and one.low < 0.1 < one.high
    assert tpir_differences("a", a, "b", b, intervals=False)["hard"].low is None


def test_a_report_has_the_column_and_the_sentence(finished):
    document = json.loads(json.dumps(finished[1]))
    assert document["no_searches"].endswith("it takes 300") and "tpir_differences" not in document
    plain = Comparison.from_document(document)
    assert "TPIR at FPIR 0.01: not measurable" in tables(plain)[0].note
    for arm in document["arms"].values():
        for subset in arm["subsets"].values():
            subset["tpir"] = {"mean": 0.5, "half": 0.1, "seeds": [0.4, 0.5, 0.6], "low": 0.3, "high": 0.7}
    less = {"mean": -0.1, "seeds": 3, "low": -0.2, "high": -0.05}
    names = [*document["subsets"], "hard"]
    document["tpir_differences"] = {
        reference: {arm: dict.fromkeys(names, less) for arm in arms}
        for reference, arms in document["differences"].items()
    }
    document["no_searches"] = None
    results = Comparison.from_document(document)
    first, change, whole = tables(results)[:3]
    assert (
        first.head[1] == "TPIR at FPIR 0.01, mean of the hard ones"
        and first.rows[0][1] == "50.0 (30.0 to 70.0)"
    )
    assert change.head[1] == first.head[1] and change.rows[0][1] == "**-10.0** (-20.0 to -5.0)"
    assert whole.title == "TPIR at FPIR 0.01, %" and len(whole.head) == 1 + len(names)
    assert any(
        "In searches (at FPIR 0.01), against arcface: npt -10.0 points of TPIR" in s for s in finding(results)
    )
    assert isinstance(results.arms["npt"].subsets["hard"].tpir, MeanOverSeeds)


def write_mined(people, split, path):
    """All people's photos, those of ``person 00`` twice as often; a judged photo as a trained person's."""
    dataset = open_dataset(people)
    names = [dataset.name(i) for i in range(len(dataset))]
    weights = np.where(dataset.labels == 0, 2.0, 1.0)
    labels = dataset.labels.copy()
    judged = int(split.photos["test"][0])
    labels[judged] = dataset.class_names.index(split.people["train"][0])
    path.write_bytes(list_lines([str(people / name) for name in names], labels, weights))
    path.with_suffix(".classes.txt").write_text("".join(f"{name}\n" for name in dataset.class_names))
    return dataset, judged


def test_an_arm_trains_on_a_list_of_its_own_without_judged_people_and_photos(people, tmp_path):
    import tomllib

    document = tomllib.loads(STUDY.format(data=people.as_posix(), seed=0))
    document["arms"]["twice"]["data"] = {"path": str(tmp_path / "mined.txt")}
    protocol = parse_protocol(document, "here")
    dataset = open_dataset(people)
    wanted = dict.fromkeys(("train", "validation", "test"), (0, 4))
    split = split_people(dataset, protocol.split, wanted)
    _, judged = write_mined(people, split, tmp_path / "mined.txt")
    lists, files = own_lists(protocol, split, dataset, tmp_path / "out")
    assert list(lists) == ["twice"] and lists["twice"].path == tmp_path / "out" / "lists" / "twice.txt"
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    own = open_dataset(lists["twice"].path)
    assert set(own.class_names) == set(split.people["train"])
    assert len(own) == lists["twice"].photos == len(dataset) - lists["twice"].left_out
    assert dataset.name(judged).split("/")[-2:] not in [own.name(i).split("/")[-2:] for i in range(len(own))]
    heavy = own.weights == 2
    assert heavy.any() == ("person 00" in own.class_names) and set(own.weights) <= {1.0, 2.0}
    again, _ = own_lists(protocol, split, dataset, tmp_path / "elsewhere")
    assert again["twice"].photos == lists["twice"].photos
    (tmp_path / "mined.txt").write_text(f"{people / dataset.name(judged)}\tsomebody\n")
    (tmp_path / "mined.classes.txt").unlink()
    with pytest.raises(InputError, match="fewer than two people"):
        own_lists(protocol, split, dataset, tmp_path / "out")
