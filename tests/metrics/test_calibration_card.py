"""The one card: each part is read as a card of its own, and a pack can carry it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facerec_cli.errors import InputError, ModelError
from facerec_cli.metrics.calibration_card import (
    CalibrationCard,
    read_calibration,
    save_calibration,
    with_card,
)
from facerec_cli.metrics.likelihood_card import LikelihoodCard, has_likelihood, likelihood_of, read_likelihood
from facerec_cli.metrics.thresholds import read_card, save_card
from facerec_cli.packs.manifest_toml import from_document, to_document
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.threshold import ImpostorTail, Threshold

PACK = open_pack("pack:sface")
BOUND = {"model": "sface", "model_sha256": pack_hash(PACK), "flip": False, "aligned": False}
CARD = CalibrationCard(
    Threshold(0.4, 0.001, "people", 5000, 900, 0.001, 0.9, **BOUND),
    LikelihoodCard(
        method="logistic", slope=30.0, intercept=-9.0, low=-5.0, high=8.0, cllr=0.03, min_cllr=0.02,
        same_pairs=900, different_pairs=5000, people=100, person_pairs=4950, data="people", **BOUND,
    ),
    ImpostorTail("people", 100, 4950, 0.1, 0.09, (0.1, 0.01, 0.001), (0.2, 0.3, 0.4)),
)  # fmt: skip


def test_each_part_is_read_by_what_reads_that_card(tmp_path):
    place = tmp_path / "c.toml"
    save_calibration(CARD, place)
    assert read_calibration(place) == CARD
    assert (read_card(place), read_likelihood(place)) == (CARD.threshold, CARD.likelihood)
    assert has_likelihood(str(place)) and not has_likelihood("0.4") and not has_likelihood(None)
    save_calibration(replace(CARD, tail=None), place)
    assert read_calibration(place).tail is None
    save_card(CARD.threshold, place)
    assert not has_likelihood(str(place))
    with pytest.raises(InputError, match="not a likelihood card of version 1"):
        read_calibration(place)


@pytest.mark.parametrize("part", ["threshold", "likelihood"])
def test_half_a_card_is_refused(tmp_path, part):
    place = tmp_path / "c.toml"
    save_calibration(CARD, place)
    place.write_text(place.read_text().replace(f"[{part}]", "[other]"))
    with pytest.raises(InputError, match=f"is not a {part} card of version 1"):
        read_calibration(place)


def test_a_pack_carries_what_the_card_says(tmp_path):
    save_calibration(CARD, tmp_path / "c.toml")
    pack = with_card(PACK, tmp_path / "c.toml")
    assert pack.threshold is not None and (pack.threshold.value, pack.impostor_tails) == (0.4, (CARD.tail,))
    assert not pack.measured and not pack.unmeasured  # which was said of another threshold
    document = to_document(pack)
    assert document["schema"] == 4 and document["likelihoods"][0]["slope"] == 30.0
    again = from_document(document, PACK.folder, where="it")
    worth = likelihood_of(again, flip=False)
    assert worth is not None and (worth.slope, worth.high) == (30.0, 8.0)
    assert likelihood_of(again, flip=True) is None


def test_a_card_of_another_model_or_setting_is_refused(tmp_path):
    place = tmp_path / "c.toml"
    for change, message in (
        ({"model_sha256": "5" * 64}, "measured with the model"),
        ({"flip": True}, "with --flip"),
        ({"aligned": True}, "on aligned crops"),
    ):
        save_calibration(replace(CARD, threshold=replace(CARD.threshold, **change)), place)
        with pytest.raises(ModelError, match=message):
            with_card(PACK, place)
