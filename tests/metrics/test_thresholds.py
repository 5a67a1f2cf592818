"""One rule chooses a threshold, and what is kept of it is found again."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.impostor_tail import tail_of
from facerec_cli.metrics.thresholds import (
    check_card,
    choose,
    chosen_point,
    default_threshold,
    read_card,
    resolve,
    save_card,
    threshold_with_flip,
)
from facerec_cli.packs.resolve import open_pack
from facerec_cli.threshold import Threshold

DIGEST = "5" * 64


def scored(impostors: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    same = np.arange(300 + impostors) < 300
    return np.clip(random.normal(0.6 * same, 0.2), -1, 1).astype(np.float32), same


CARD = Threshold(
    value=0.3,
    far=0.01,
    data="list.txt",
    impostor_pairs=400,
    genuine_pairs=300,
    measured_far=0.0075,
    tar=0.9,
    model="toy",
    model_sha256=DIGEST,
    flip=False,
    aligned=True,
)


def test_without_a_rate_the_smallest_measurable_one_is_taken_in_whatever_order_they_stand():
    scores, same = scored()
    for fars in ((1e-4, 1e-3, 1e-2, 1e-1), (1e-1, 1e-2, 1e-3)):
        chosen = choose(evaluate(scores, same, fars=fars))
        assert isinstance(chosen, Threshold) and chosen.far == 1e-2  # 400 pairs: 3 / 0.01, not 3 / 0.001


def test_a_threshold_says_what_it_stands_for():
    scores, same = scored()
    chosen = choose(evaluate(scores, same, fars=(0.01, 0.1)), 0.1, data="list")
    assert isinstance(chosen, Threshold)
    assert (chosen.far, chosen.data, chosen.model) == (0.1, "list", None)
    assert (chosen.impostor_pairs, chosen.genuine_pairs) == (400, 300)
    assert (scores[~same] >= chosen.value).mean() == chosen.measured_far == 0.1
    assert (scores[same] >= chosen.value).mean() == chosen.tar


def test_pairs_without_a_score_do_not_count():
    scores, same = scored()
    failed = np.arange(700) % 7 == 0
    chosen = choose(evaluate(scores, same, failed=failed, fars=(0.1,)))
    assert isinstance(chosen, Threshold)
    assert chosen.impostor_pairs == (~same & ~failed).sum() and chosen.genuine_pairs == (same & ~failed).sum()


def test_why_there_is_no_threshold():
    scores, same = scored()
    evaluation = evaluate(scores, same, fars=(1e-4, 1e-3))
    assert choose(evaluation) == "no FAR is measurable on this list"
    assert chosen_point(evaluation) is None
    told = choose(evaluation, 1e-3)
    assert isinstance(told, str) and "needs 3,000" in told
    assert choose(evaluation, 0.5) == "FAR 0.5 was not measured"


def test_a_card_is_read_as_it_was_written_with_the_keys_that_cards_always_had(tmp_path):
    save_card(CARD, tmp_path / "c.toml")
    assert read_card(tmp_path / "c.toml") == CARD
    assert tomllib.loads((tmp_path / "c.toml").read_text()) == {
        "version": 1,
        "threshold": 0.3,
        "far": 0.01,
        "measured_far": 0.0075,
        "tar": 0.9,
        "different_pairs": 400,
        "same_pairs": 300,
        "data": "list.txt",
        "model": "toy",
        "model_sha256": DIGEST,
        "flip": False,
        "aligned": True,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "nan"),
        ("threshold", "inf"),
        ("threshold", "1" + "0" * 400),
        ("threshold", "true"),
        ("far", "0"),
        ("tar", "1.5"),
        ("same_pairs", "3.5"),
        ("flip", "0"),
    ],
)
def test_a_card_without_a_usable_value_is_refused(tmp_path, name, value):
    card = tmp_path / "card.toml"
    save_card(CARD, card)
    card.write_text(re.sub(f"^{name} = .*", f"{name} = {value}", card.read_text(), flags=re.MULTILINE))
    with pytest.raises(InputError, match=f"threshold card .*: {name} = .* does not fit"):
        read_card(card)


def test_a_card_fits_its_model_and_setting_only():
    check_card(CARD, model="toy", sha256=DIGEST, flip=False)
    with pytest.raises(ModelError, match="--model"):
        check_card(CARD, model="other", sha256="6" * 64, flip=False)
    with pytest.raises(ModelError, match="Leave --flip out"):
        check_card(CARD, model="toy", sha256=DIGEST, flip=True)
    with pytest.raises(ModelError, match="Add --flip"):
        check_card(replace(CARD, flip=True), model="toy", sha256=DIGEST, flip=False)


class Model:
    """What ``resolve`` looks at."""

    def __init__(self, pack):
        self.pack, self.hash = pack, DIGEST


def test_a_given_number_a_card_and_the_model_s_own(tiny_pack, tmp_path):
    model = Model(replace(tiny_pack, threshold=None))
    assert resolve(None, model) is None
    given = resolve("0.35", model)
    assert (given.value, given.far, given.source) == (0.35, None, "given")
    with pytest.raises(UsageError, match="not a cosine"):
        resolve(1.5, model)
    save_card(CARD, tmp_path / "c.toml")
    assert resolve(str(tmp_path / "c.toml"), model) == replace(CARD, source=f"card {tmp_path / 'c.toml'}")
    own = Threshold(0.4, 0.001, "pairs; no flip", 3000)
    model = Model(replace(tiny_pack, threshold=own))
    assert resolve(None, model) == replace(own, source="the model's default")


@pytest.mark.parametrize("name", ["sface", "sface-degraded"])
def test_the_thresholds_of_the_packs_are_those_of_their_tails(name):
    pack = open_pack(f"pack:{name}")
    for flip, source in ((False, "the model's default"), (True, "the model's impostor tail with --flip")):
        tail, own = tail_of(pack, flip=flip), default_threshold(pack, flip=flip)
        assert tail is not None and own is not None
        assert own.value == pytest.approx(tail.scores[tail.rates.index(0.001)], abs=5e-5)
        assert (own.far, own.impostor_pairs, own.data, own.source) == (0.001, tail.pairs, tail.data, source)


def test_without_a_tail_with_flip_an_evaluation_with_flip_says_the_threshold():
    pack = open_pack("pack:sface")
    own = default_threshold(replace(pack, impostor_tails=pack.impostor_tails[:1]), flip=True)
    assert own is not None and own.value == pytest.approx(0.3395, abs=1e-4)
    assert own.source == "the model's evaluation with --flip"


def test_the_default_pack_has_a_threshold_for_flip():
    measured = threshold_with_flip(open_pack("pack:sface"), 0.001)
    assert measured is not None and measured.impostor_pairs == 3000
    assert measured.value == pytest.approx(0.3395, abs=1e-4)  # three of 3,000 different pairs of LFW
