"""A calibration in a card, and the sentence that it gives two photos."""

from __future__ import annotations

import logging
import re
import tomllib
from dataclasses import asdict, replace

import numpy as np
import pytest

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.metrics.likelihood_card import (
    LikelihoodCard,
    card_for,
    read_likelihood,
    save_likelihood,
    state,
)
from facerec_cli.metrics.thresholds import read_card

DIGEST = "5" * 64
CARD = LikelihoodCard(
    method="logistic",
    slope=30.0,
    intercept=-9.0,
    low=float(-np.log(250)),
    high=float(np.log(9_870)),
    cllr=0.03,
    min_cllr=0.02,
    same_pairs=3000,
    different_pairs=40_000,
    people=1500,
    person_pairs=39_000,
    data="pairs.txt",
    model="toy",
    model_sha256=DIGEST,
    flip=False,
    aligned=False,
)
USE = {"model": "toy", "sha256": DIGEST, "flip": False, "aligned": False}


def score(ratio: float) -> float:
    """The score that has this likelihood ratio."""
    return (float(np.log(ratio)) + 9) / 30


@pytest.mark.parametrize(
    ("ratio", "sentence"),
    [
        (4021, "this similarity is 4,000 times more likely for one person than for two"),
        (9_869, "this similarity is 9,900 times more likely for one person than for two"),
        (25.4, "this similarity is 25 times more likely for one person than for two"),
        (9.96, "this similarity is 10 times more likely for one person than for two"),
        (1.26, "this similarity is 1.3 times more likely for one person than for two"),
        (1.02, "this similarity is as likely for one person as for two"),
        (1 / 1.02, "this similarity is as likely for one person as for two"),
        (1 / 204, "this similarity is 200 times more likely for two people than for one"),
    ],
)
def test_within_the_data_a_ratio_is_told_by_two_figures(ratio, sentence):
    told = state(CARD, score(ratio))
    assert told.sentence() == f"{sentence}, among people like those of pairs.txt"
    assert told.llr == pytest.approx(np.log(ratio), abs=1e-9) and not told.beyond


def test_beyond_the_data_no_number_is_told_but_the_bound():
    high, low = state(CARD, 0.99), state(CARD, -0.2)
    assert high.sentence() == (
        "this similarity is more than 9,800 times more likely for one person than for two, among people like "
        "those of pairs.txt; how much more, its 39,000 pairs of two people do not say"
    )
    assert "more than 250 times more likely for two people than for one" in low.sentence()
    assert "its 1,500 people with several photos do not say" in low.sentence()
    assert (high.llr, low.llr, high.beyond, low.beyond) == (CARD.high, CARD.low, True, True)
    document = high.document()
    assert document["ratio"] == pytest.approx(9_870) and document["bounds"]["high"] == CARD.high
    assert document["data"] == "pairs.txt" and document["different_pairs"] == 40_000
    nothing = state(replace(CARD, high=0.0), 0.99)
    assert nothing.sentence() == "what this similarity is worth is not known: pairs.txt has too little data"


def test_a_card_is_read_as_it_was_written(tmp_path):
    save_likelihood(CARD, tmp_path / "c.toml")
    assert read_likelihood(tmp_path / "c.toml") == CARD
    assert tomllib.loads((tmp_path / "c.toml").read_text()) == {
        "likelihood_version": 1,
        **{key: value for key, value in asdict(CARD).items() if key not in ("starts", "steps")},
    }
    assert card_for(tmp_path / "c.toml", **USE) == CARD
    with pytest.raises(InputError, match="not a threshold card of version 1"):
        read_card(tmp_path / "c.toml")


STAIRS = replace(
    CARD,
    method="isotonic",
    slope=None,
    intercept=None,
    starts=(-0.4, 0.2, 0.5, 0.8),
    steps=(-1000.0, -1.0, float(np.log(30)), 1000.0),
)


def test_stairs_are_kept_and_told_likewise(tmp_path):
    save_likelihood(STAIRS, tmp_path / "c.toml")
    assert read_likelihood(tmp_path / "c.toml") == STAIRS
    assert "is 30 times more likely for one person" in state(STAIRS, 0.6).sentence()
    assert "is 2.7 times more likely for two people" in state(STAIRS, 0.2).sentence()
    assert "more than 9,800 times" in state(STAIRS, 0.8).sentence()
    assert "more than 250 times more likely for two" in state(STAIRS, -0.9).sentence()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": ()}, "starts and steps are missing"),
        ({"method": "logistic"}, "slope and intercept are missing"),
        ({"steps": (-1.0, 0.0, 1.0)}, "do not rise together"),
        ({"steps": (-1.0, 2.0, 1.0, 3.0)}, "do not rise together"),
        ({"starts": (0.1, 0.1, 0.2, 0.3)}, "do not rise together"),
    ],
)
def test_a_card_without_its_calibration_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        replace(STAIRS, **change)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slope", "0.0"),
        ("slope", "-3.0"),
        ("slope", "nan"),
        ("intercept", "inf"),
        ("low", "0.5"),
        ("high", "-1.0"),
        ("high", "1e6"),
        ("cllr", '"small"'),
        ("people", "0"),
        ("people", "2.5"),
        ("flip", "0"),
    ],
)
def test_a_card_without_a_usable_value_is_refused(tmp_path, name, value):
    card = tmp_path / "card.toml"
    save_likelihood(CARD, card)
    card.write_text(re.sub(f"^{name} = .*", f"{name} = {value}", card.read_text(), flags=re.MULTILINE))
    with pytest.raises(InputError, match=f"likelihood card .*: {name} = .* does not fit"):
        read_likelihood(card)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"slope = [", "cannot be read as TOML"),
        (b"\xff\xfe\x00", "cannot be read as TOML"),
        (b"version = 1\nthreshold = 0.3\n", "is not a likelihood card of version 1"),
        (b"likelihood_version = 2\n", "is not a likelihood card of version 1"),
        (b"likelihood_version = 1\n", "'method' is missing"),
        (b"likelihood_version = 1\nmethod = 'guess'\n", "method cannot be 'guess'"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path, content, message):
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_likelihood(tmp_path / "c.toml")
    assert "--save-likelihood" in caught.value.hint
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_likelihood(tmp_path / "gone.toml")


def test_a_card_fits_its_model_and_setting_only(tmp_path, caplog):
    place = tmp_path / "c.toml"
    save_likelihood(CARD, place)
    with pytest.raises(ModelError, match="likelihood card was measured with the model 'toy'") as caught:
        card_for(place, **{**USE, "model": "other", "sha256": "6" * 64})
    assert "--save-likelihood" in caught.value.hint
    with pytest.raises(ModelError, match="without --flip"):
        card_for(place, **{**USE, "flip": True})
    with caplog.at_level(logging.WARNING, "facerec"):
        assert card_for(place, **{**USE, "aligned": True}) == CARD
    assert "measured on photos, not on aligned crops" in caplog.text
