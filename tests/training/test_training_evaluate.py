"""Evaluation sets: recognized by what they are, read in shares, measured under their own names."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from facerec_cli.backbones import build
from facerec_cli.cli.train_words import plan_rows
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.errors import InputError, UsageError
from facerec_cli.identify import evaluate as identify_evaluate
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.training import evaluation_crops
from facerec_cli.training.config import EvaluateSettings
from facerec_cli.training.devices import World
from facerec_cli.training.evaluate import (
    best_metric,
    evaluate_sets,
    found_metric,
    open_evaluation_sets,
    require_best,
)
from facerec_cli.training.evaluation_sets import PairSet, SearchSet, TemplatePairSet
from facerec_cli.training.metric_names import is_shown, metric_name, worth
from facerec_cli.training.report import Evaluated
from facerec_cli.training.train import plan, train
from facerec_cli.verify.pair_crops import PairCrops, evaluate_crops

ALONE = World(0, 1, torch.device("cpu"), None, False)
PEOPLE = SyntheticDataset(12, 6)


def crop(person: int, photo: int, side: int = 112) -> bytes:
    image = cv2.resize(PEOPLE.image(6 * person + photo)[..., ::-1], (side, side))
    return cv2.imencode(".png", image)[1].tobytes()


def write(folder, **names):
    """Files of crops: name=(person, photo)."""
    for name, (person, photo) in names.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(crop(person, photo))


def network(size: int = 16):
    torch.manual_seed(0)
    return build("mobilefacenet", width=0.125, embedding_size=size)


def open_sets(*paths, last=(), **settings):
    given = EvaluateSettings(sets=tuple(map(str, paths)), last=tuple(map(str, last)), **settings)
    return open_evaluation_sets(given, ALONE)


def measured(sets, **given):
    return evaluate_sets(network(), sets, ALONE, dtype=torch.float32, **given)


@pytest.fixture
def pairs(tmp_path):
    """A list of pairs of crops, so many of one person and of two."""

    def make(same: int, different: int):
        write(
            tmp_path, **{f"p{person}-{photo}": (person, photo) for person in range(12) for photo in range(2)}
        )
        random = np.random.default_rng(0)
        lines = [f"p{p}-0.png p{p}-1.png 1" for p in (np.arange(same) % 12)]
        for _ in range(different):
            a, b = random.choice(12, 2, replace=False)
            lines.append(f"p{a}-{random.integers(2)}.png p{b}-{random.integers(2)}.png 0")
        (tmp_path / "own.txt").write_text("\n".join(lines) + "\n")
        return tmp_path / "own.txt"

    return make


@pytest.mark.parametrize(("same", "different", "key"), [(40, 40, "accuracy"), (12, 300, "balanced_accuracy")])
def test_the_metric_is_called_by_its_name(pairs, same, different, key):
    sets = open_sets(pairs(same, different))
    assert isinstance(sets[0], PairSet) and len(sets[0]) == same + different
    found = measured(sets)
    assert {name for name in found if name.endswith("accuracy")} == {f"own/{key}"}
    assert best_metric("accuracy", sets, found) == best_metric("", sets, found) == f"own/{key}"
    assert metric_name("accuracy", [key]) == key


def test_a_metric_that_was_not_measured_is_refused(pairs):
    with pytest.raises(UsageError, match=r"rank-1 is not measured on own .5 different pairs."):
        best_metric("rank-1", open_sets(pairs(1, 5)), {"own/auc": 0.5})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("TAR@1e-3", "tar@0.001"), ("TPIR@1E-2", "tpir@0.01"), ("Rank1", "rank-1"), ("rank-5", "rank-5"),
     ("rank-1@d1", "rank-1@d1"), ("tar@much", "tar@much"), ("map", "map")],
)  # fmt: skip
def test_metrics_may_be_spelled_in_several_ways(typed, meant):
    assert metric_name(typed, ["tar@0.001"]) == meant


def test_what_is_shown_while_training():
    shown = [
        "a/accuracy",
        "a/tar@0.001",
        "a/rank-1",
        "a/rank-1@d1",
        "a/tpir@0.01",
        "a/map",
        "a/balanced_accuracy",
    ]
    assert all(map(is_shown, shown))
    assert not any(map(is_shown, ["a/rank-10", "a/auc", "loss", "accuracy", "a/eer", "grad_norm"]))


def test_crops_of_a_bin_are_scaled_and_broken_ones_fail_their_pairs(tmp_path):
    images = [crop(0, 0), crop(0, 1, 160), b"\x89PNG no photo", crop(1, 0)]
    (tmp_path / "set.bin").write_bytes(pickle.dumps((images, [True, False]), protocol=4))
    (one,) = open_sets(tmp_path / "set.bin")
    ((crops, missing),) = one.crops.chunks()
    assert (one.name, one.crops.missing, missing.tolist()) == ("set", 1, [False, False, True, False])
    assert crops.shape == (4, 112, 112, 3) and not crops[2].any()
    np.testing.assert_array_equal(
        crops[0], cv2.imdecode(np.frombuffer(images[0], np.uint8), cv2.IMREAD_COLOR)
    )
    assert one.pairs.images == () == one.crops._images  # the encoded photos are let go


def test_what_is_no_list_of_crops_is_refused(tmp_path):
    broken = pickle.dumps(([b"\x89PNG broken", b"\x89PNG too"], [True]), protocol=4)
    (tmp_path / "set.bin").write_bytes(broken)
    with pytest.raises(InputError, match="None of the photos"):
        open_sets(tmp_path / "set.bin")
    (tmp_path / "a.png").write_bytes(crop(0, 0, 50))
    (tmp_path / "list.txt").write_text("a.png a.png 1\n")
    with pytest.raises(InputError, match="no aligned crop, it has 50 x 50"):
        open_sets(tmp_path / "list.txt")
    with pytest.raises(InputError, match="no pair list"):
        open_sets(tmp_path / "missing.txt")


def test_the_result_is_the_one_of_the_library(pairs):
    """Read in chunks or held, it is what the pairs give by hand."""
    (one,) = open_sets(pairs(30, 60))
    ((crops, _),) = one.crops.chunks()
    from facerec_cli.backbones.encoder import TorchEncoder

    rows = TorchEncoder(network(), torch.device("cpu")).encode(crops)
    by_hand = evaluate_crops(PairCrops("own", one.pairs, crops, np.zeros(24, bool)), rows, (0.1,)).evaluation
    found = measured([one])
    assert found["own/tar@0.1"] == by_hand.tar_at_far[0].tar and found["own/auc"] == by_hand.auc


def test_a_share_that_is_too_large_to_hold_is_read_anew(pairs, monkeypatch):
    path = pairs(30, 60)
    held = measured(open_sets(path))
    monkeypatch.setattr(evaluation_crops, "HELD", 10)
    monkeypatch.setattr(evaluation_crops, "_AT_ONCE", 9)
    (one,) = open_sets(path)
    assert one.crops._held is None and len(list(one.crops.chunks())) == 3
    assert measured([one]) == held


@pytest.fixture
def searches(tmp_path):
    """A gallery of 6 people and probes of 9, as folders: 12 mated searches, 6 for strangers."""
    for person in range(6):
        write(tmp_path / "find" / "gallery" / f"p{person}", a=(person, 0), b=(person, 1))
    for person in range(9):
        write(tmp_path / "find" / "probes" / f"p{person}", c=(person, 2), d=(person, 3))
    return tmp_path / "find"


def test_searches_are_measured_as_identify_measures_them(searches):
    (one,) = sets = open_sets(searches)
    assert isinstance(one, SearchSet) and one.size == "18 searches, 6 of them for strangers"
    found = measured(sets)
    ((crops, _),) = one.crops.chunks()
    from facerec_cli.backbones.encoder import TorchEncoder

    rows = TorchEncoder(network(), torch.device("cpu"), normalize=True).encode(crops)
    trial, failed = one.protocol.trials[0], np.zeros(len(rows), bool)
    asked = IdentifySettings(bootstrap=0)
    by_hand = identify_evaluate.search_trial(
        rows, failed, one.protocol.identity, trial, "people", asked, lambda *_: None
    )
    assert {name.partition("/")[0] for name in found} == {"find"}
    assert found["find/rank-1"] == by_hand.cmc[0].rate_with_failures
    assert found["find/rank-5"] == by_hand.cmc[1].rate_with_failures
    assert best_metric("rank1", sets, found) == best_metric("", sets, found) == "find/rank-1"


def test_a_best_that_the_set_does_not_have_is_refused_before_training(searches):
    require_best("rank-5", open_sets(searches), ALONE)
    with pytest.raises(UsageError, match="--best rank-2 is not measured on find"):
        require_best("rank-2", open_sets(searches), ALONE)
    with pytest.raises(UsageError, match="--best auc is not measured on find"):
        require_best("auc", open_sets(searches), ALONE)


def test_the_first_set_that_has_the_metric_names_the_best(searches, pairs):
    sets = open_sets(pairs(40, 40), searches)
    found = measured(sets)
    names = [best_metric(name, sets, found) for name in ("", "auc", "rank-5", "eer")]
    assert names == ["own/accuracy", "own/auc", "find/rank-5", "own/eer"]
    assert (worth("own/eer", 0.1), worth("own/auc", 0.9)) == (-0.1, 0.9)
    assert best_metric("auc", [], {}) == "" and found_metric("map", sets, {}) == ""
    require_best("rank-5", sets, ALONE)
    with pytest.raises(UsageError, match=r"rank-2 is not measured on own .*, find .*Measured are: accuracy"):
        require_best("rank-2", sets, ALONE)


def test_a_folder_of_people_is_told_how_it_can_judge(searches):
    with pytest.raises(InputError, match=r"data pairs \S+gallery -o pairs.txt"):
        open_sets(searches / "gallery")


def test_a_metric_that_is_not_measured_is_refused_before_a_run_goes_on(small, tmp_path, searches, stop_at):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(small(out), observer=stop_at(2))
    before = {path.name: path.read_bytes() for path in out.glob("*.*")}
    given = {"evaluate__sets": [str(searches)], "evaluate__best": "auc"}
    with pytest.raises(UsageError, match="--best auc is not measured on find"):
        train(small(out, **given), resume=True)
    assert before == {path.name: path.read_bytes() for path in out.glob("*.*")}


def test_a_side_that_is_missing_is_named(searches):
    (searches / "probes").rename(searches / "others")
    with pytest.raises(InputError, match="probes or probe is missing"):
        open_sets(searches)


def test_a_photo_that_cannot_be_read_is_a_search_that_finds_nobody(searches):
    whole = measured(open_sets(searches))["find/rank-1"]
    for photo in ("c", "d"):
        for person in range(6):
            (searches / "probes" / f"p{person}" / f"{photo}.png").write_bytes(b"\x89PNG broken")
    assert whole > 0
    assert measured(open_sets(searches))["find/rank-1"] == 0


def test_lists_of_a_gallery_and_probes_are_searches_too(tmp_path):
    write(tmp_path, a=(0, 0), b=(1, 0), c=(0, 1), d=(1, 1), e=(5, 0))
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "gallery.csv").write_text("path,person\n../a.png,ann\n../b.png,bob\n")
    (tmp_path / "s" / "probes.csv").write_text("path,person\n../c.png,ann\n../d.png,bob\n../e.png,unknown\n")
    (one,) = open_sets(tmp_path / "s")
    assert one.name == "s" and one.size == "3 searches, 1 of them for strangers"


def test_scface_is_told_by_its_distances(tmp_path):
    for person in range(3):
        write(tmp_path / "scface", **{f"00{person + 1}_frontal": (person, 0)})
        for distance in (1, 2, 3):
            name = f"00{person + 1}_cam1_{distance}"
            write(tmp_path / "scface", **{name: (person, distance)})
    found = measured(open_sets(tmp_path / "scface"))
    each = [found[f"scface/rank-1@d{distance}"] for distance in (1, 2, 3)]
    assert found["scface/rank-1"] == pytest.approx(np.mean(each))


def test_tinyface_has_a_mean_average_precision(tmp_path):
    root = tmp_path / "Testing_Set"
    for person in range(4):
        write(root / "Gallery_Match", **{f"{person + 1}_1": (person, 0)})
        write(root / "Probe", **{f"{person + 1}_2": (person, 1)})
        write(root / "Gallery_Distractor", **{f"x{person}": (person + 5, 0)})
    found = measured(open_sets(root))
    assert {"Testing_Set/map", "Testing_Set/rank-1"} <= set(found) and 0 < found["Testing_Set/map"] <= 1


@pytest.fixture
def ijb(tmp_path):
    """IJB's files of made-up photos of 160 x 160 pixels with landmarks; each template has two of them."""
    folder = tmp_path / "ijbx"
    (folder / "loose_crop").mkdir(parents=True)
    points = evaluation_crops.template("arcface", (112, 112)) + 24  # the crop is the middle of the photo
    rows, lines = [], []
    for template in range(8):
        for photo in range(2):
            name = f"{2 * template + photo + 1}.png"
            image = np.zeros((160, 160, 3), np.uint8)
            image[24:136, 24:136] = PEOPLE.image(6 * (template // 2) + 2 * (template % 2) + photo)[..., ::-1]
            cv2.imwrite(str(folder / "loose_crop" / name), image)
            rows.append(f"{name} {template + 1} {photo}")
            lines.append(f"{name} {' '.join(f'{value:.4f}' for value in points.ravel())} 0.{photo + 4}")
    (folder / "ijbx_face_tid_mid.txt").write_text("\n".join(rows) + "\n")
    (folder / "ijbx_name_5pts_score.txt").write_text("\n".join(lines) + "\n")
    pairs = [(a, b, int(a // 2 == b // 2)) for a in range(8) for b in range(a)]
    text = "".join(f"{a + 1} {b + 1} {same}\n" for a, b, same in pairs)
    (folder / "ijbx_template_pair_label.txt").write_text(text)
    return folder


def test_templates_are_cut_by_their_landmarks_and_pooled_as_asked(ijb):
    (one,) = open_sets(ijb)
    assert isinstance(one, TemplatePairSet) and one.has_templates and len(one) == 28
    assert one.size == "24 different pairs of templates"
    ((crops, _),) = one.crops.chunks()
    np.testing.assert_array_equal(crops[0], PEOPLE.image(0)[..., ::-1])
    rows = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    plain = one.measure(rows)
    weighed = {pool: replace(one, pool=pool).measure(rows)["auc"] for pool in ("norm", "score", "norm-score")}
    assert len({plain["auc"], *weighed.values()}) > 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.linalg.norm(rows, axis=1) * np.tile([0.4, 0.5], 8)  # N1 D1
    pooled = (unit * weights[:, None]).reshape(8, 2, 8).sum(1)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    scores = (pooled[one.pairs.first] * pooled[one.pairs.second]).sum(1)
    wins = (scores[one.pairs.same][:, None] > scores[~one.pairs.same][None]).mean()
    assert weighed["norm-score"] == pytest.approx(wins, abs=1e-6)
    assert 0 <= measured([one])["ijbx/auc"] <= 1


def test_pooling_that_cannot_be_done_is_refused_before_training(ijb, pairs):
    with pytest.raises(UsageError, match="no --eval has any"):
        open_sets(pairs(5, 5), pool="norm")
    (ijb / "ijbx_name_5pts_score.txt").unlink()
    for photo in (ijb / "loose_crop").iterdir():
        cv2.imwrite(str(photo), np.zeros((112, 112, 3), np.uint8))  # crops that need no landmarks
    with pytest.raises(UsageError, match="score of the detection"):
        open_sets(ijb, pool="norm-score")
    assert open_sets(ijb, pool="norm")[0].has_templates


def test_ijb_searches_are_named_by_a_list_of_theirs(ijb):
    for gallery, templates in (("G1", (1, 5)), ("G2", (3, 7))):
        text = "".join(f"{t},{(t - 1) // 2}\n" for t in templates)
        (ijb / f"ijbx_1N_gallery_{gallery}.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n" + text)
    probes = "".join(f"{t},{(t - 1) // 2}\n" for t in (2, 4, 6, 8))
    (ijb / "ijbx_1N_probe_mixed.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n" + probes)
    one, other = open_sets(ijb, ijb / "ijbx_1N_gallery_G1.csv", pool="norm")
    assert isinstance(one, TemplatePairSet) and isinstance(other, SearchSet)
    found = measured([other])
    keys = ("rank-1", "rank-1@G1", "rank-1@G2")
    assert {f"ijbx_1N_gallery_G1/{key}" for key in keys} <= set(found)


def test_two_sets_of_one_name_are_refused(searches, pairs):
    path = pairs(5, 5)
    with pytest.raises(UsageError, match="the same name"):
        open_sets(path, last=[path])


def test_a_run_is_judged_by_a_search_and_looks_at_another_set_at_its_end(small, tmp_path, searches, pairs):
    last = pairs(20, 20)
    given = {"evaluate__sets": [str(searches)], "evaluate__last": [str(last)], "evaluate__best": "rank-1"}
    recipe = small(tmp_path / "run", **given, schedule__steps=12)
    planned = plan(recipe)
    assert ("evaluation", "find (18 searches), own (40 pairs)") in plan_rows(planned)
    seen = []
    outcome = train(recipe, observer=lambda e: seen.append(e) if isinstance(e, Evaluated) else None)
    assert [any(key.startswith("own/") for key in event.metrics) for event in seen] == [False, False, True]
    assert outcome.best == max(event.metrics["find/rank-1"] for event in seen[1:])
    assert outcome.best_name == "rank-1"
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sum("own/auc" in line for line in lines) == 1


def test_sets_of_the_end_alone_choose_no_checkpoint(small, tmp_path, pairs):
    recipe = small(tmp_path / "run", evaluate__last=[str(pairs(20, 20))], schedule__steps=7)
    outcome = train(recipe)
    assert outcome.best is None and "own/accuracy" in outcome.last and outcome.first == {}
    assert (tmp_path / "run" / "best.pt").is_file()
