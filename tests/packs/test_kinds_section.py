"""What a model card says of the kinds of photos that a threshold was, and was not, measured on."""

from __future__ import annotations

from dataclasses import replace

from facerec_cli.packs.kinds_section import warning
from facerec_cli.packs.manifest_toml import from_document, to_document
from facerec_cli.packs.model_card import model_card
from facerec_cli.packs.resolve import open_pack
from facerec_cli.threshold import MeasuredKind
from facerec_cli.verify.photos import cautions

PACK = open_pack("pack:sface")
GOOD = MeasuredKind(
    kind="press photos", data="LFW", people=500, photos=850, pairs=360_000,
    far=0.0011, far_low=0.0009, far_high=0.0014, tar=0.99, tar_low=0.98, tar_high=0.995,
)  # fmt: skip
BAD = MeasuredKind(
    kind="small faces", data="made small", people=50, photos=90, failed=3, pairs=4000,
    far=0.04, far_low=0.03, far_high=0.05, faces_to=33,
)  # fmt: skip
MADE = replace(PACK, measured=(GOOD, BAD), unmeasured=("infrared photos",))


def test_the_card_has_each_kind_and_says_where_the_threshold_does_not_hold():
    card = model_card(MADE)
    assert "| press photos | 0.11 % | 0.09 % to 0.14 % | 99 % | 98 % to 99.5 % |" in card
    assert "90 photos of 50 people, 4,000 different pairs, 3 more without a face" in card
    told = "small faces: FAR 4 % (3 % to 5 %) instead of 0.1 %: do not use this threshold there"
    assert f"* {told}" in card and warning(BAD, 0.001) == told
    assert "press photos: FAR" not in card
    assert "**Not measured**, and not expected to hold, on:\n\n* infrared photos" in card


def test_a_pack_without_measured_kinds_says_that_nobody_measured_them():
    for pack in (replace(MADE, measured=(), unmeasured=()), replace(MADE, threshold=None)):
        assert "Not measured on any kind of photos." in model_card(pack)


def test_a_manifest_keeps_them_in_its_newest_layout():
    document = to_document(MADE)
    assert document["schema"] == 4
    assert from_document(document, PACK.folder, where="it") == MADE
    old = to_document(replace(PACK, measured=(), unmeasured=(), likelihoods=()))
    assert old["schema"] <= 4 and "measured" not in old


def test_two_photos_are_warned_of_by_the_smaller_face_alone():
    small, large = (10.0, 10.0, 43.0, 60.0), (0.0, 0.0, 90.0, 120.0)
    assert cautions(MADE, (small, large)) == (warning(BAD, 0.001),)
    assert cautions(MADE, (large, large)) == cautions(MADE, (None, None)) == ()
    assert cautions(replace(MADE, threshold=None), (small, small)) == ()
    assert cautions(replace(MADE, measured=(replace(BAD, far_low=0.0005),)), (small, small)) == ()
