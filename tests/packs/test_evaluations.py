"""Evaluations beside a pack: those of our own are read, damaged ones are named and left out."""

from __future__ import annotations

import json
import logging

import pytest

from facerec_cli.packs import open_pack
from facerec_cli.packs.evaluations import StoredRate, read_evaluations
from facerec_cli.packs.manifest_toml import EVALUATIONS
from facerec_cli.packs.model_card import model_card


@pytest.fixture
def stored(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "tiny")
    folder = pack.folder / EVALUATIONS
    folder.mkdir()
    return pack, folder / "x.json"


def test_the_default_packs_evaluations_are_read_by_their_figures():
    evaluations = dict(read_evaluations(open_pack("sface")))
    assert evaluations["lfw"].pairs == 6000 and evaluations["lfw"].accuracy.mean == pytest.approx(
        0.99367, abs=1e-5
    )
    assert evaluations["lfw-flip"].settings["flip"] is True
    assert all(rate.tar is None or 0 < rate.tar <= 1 for rate in evaluations["lfw"].tar_at_far)


def test_null_is_what_was_not_measured(stored):
    pack, path = stored
    path.write_text(json.dumps({"eer": None, "tar_at_far": [{"far": 0.001, "tar": None, "reason": "few"}]}))
    ((_, evaluation),) = read_evaluations(pack)
    assert evaluation.eer is None
    assert evaluation.tar_at_far == (StoredRate(0.001, others={"reason": "few"}),)
    assert "At FAR 1 in 1,000 (0.1 %): not measurable" in model_card(pack)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"accuracy": {"mean": [0.9]}}, "[accuracy] mean = [0.9] does not fit"),
        ({"tar_at_far": [{"far": 0.1}, {"far": "x"}]}, "[tar_at_far.1] far = 'x' does not fit"),
        ({"tar_at_far": [{"tar": 0.1}]}, "[tar_at_far.0] 'far' is missing"),
        ({"tar_at_far": 3}, "tar_at_far = 3 does not fit"),
        ({"accuracy": 0.9}, "accuracy is not a table"),
        ({"pairs": 1.5}, "pairs = 1.5 does not fit"),
        ([], "facerec verify --json"),
    ],
)
def test_what_verify_does_not_print_is_left_out_and_named(stored, caplog, document, place):
    pack, path = stored
    path.write_text(json.dumps(document))
    with caplog.at_level(logging.WARNING, "facerec"):
        assert read_evaluations(pack) == []
    assert place in caplog.text and "x.json is left out" in caplog.text
    assert "not measured" in model_card(pack)
