"""Two photos: which threshold judges them."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.packs.manifest_toml import write_manifest
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.threshold import Threshold


@pytest.fixture
def pack(tiny_pack):
    """The tiny pack with a threshold of 0.4 that was measured without flip."""
    made = replace(tiny_pack, threshold=Threshold(0.4, 0.001, "pairs; no flip", 3000))
    write_manifest(made)
    return made


@pytest.fixture
def verify(pack, tmp_path):
    cv2.imwrite(str(tmp_path / "face.png"), np.full((112, 112, 3), 200, np.uint8))

    def run(*flags):
        words = ["verify", *[str(tmp_path / "face.png")] * 2, "--aligned", "-m", str(pack.folder), *flags]
        done = CliRunner().invoke(build_app(["verify"]), [*words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["threshold"], done.stderr

    return run


def test_a_model_without_a_threshold_gives_a_similarity_and_says_how_to_measure_one(tiny_pack, tmp_path):
    cv2.imwrite(str(tmp_path / "face.png"), np.full((112, 112, 3), 200, np.uint8))
    assert tiny_pack.threshold is None
    words = ["verify", *[str(tmp_path / "face.png")] * 2, "--aligned", "-m", str(tiny_pack.folder)]
    done = CliRunner().invoke(build_app(["verify"]), words)
    assert done.exit_code == 0, done.output
    assert done.stdout == "similarity 1.0000; no verdict: this model has no threshold\n"
    measure = f"facerec verify pairs.txt --model {tiny_pack.encoder_path} --save-threshold card.toml"
    assert measure in done.stderr
    document = json.loads(CliRunner().invoke(build_app(["verify"]), [*words, "--json"]).stdout)
    assert document["similarity"] == pytest.approx(1)
    assert document["same"] is document["verdict"] is document["threshold"] is None
    given = json.loads(
        CliRunner().invoke(build_app(["verify"]), [*words, "--threshold", "0.9", "--json"]).stdout
    )
    assert given["same"] is True and given["threshold"]["value"] == 0.9 and given["how"] == ""


def test_a_threshold_without_flip_is_not_used_for_flip_in_silence(verify):
    threshold, told = verify()
    assert (threshold["value"], threshold["source"], told) == (0.4, "the model's default", "")
    threshold, told = verify("--flip")
    assert threshold["value"] == 0.4
    assert "measured without --flip" in told and "--save-threshold" in told
    assert verify("--flip", "--threshold", "0.2")[1] == ""


def test_what_the_threshold_stands_for_is_short_and_the_rest_for_those_who_ask(pack, tmp_path):
    write_manifest(replace(pack, threshold=Threshold(0.4, 0.001, "LFW, 6,000 pairs; the largest face", 3000)))
    cv2.imwrite(str(tmp_path / "face.png"), np.full((112, 112, 3), 200, np.uint8))
    words = ["verify", *[str(tmp_path / "face.png")] * 2, "--aligned", "-m", str(pack.folder)]
    done = CliRunner().invoke(build_app(["verify"]), words)
    stands = "which accepts 1 in 1,000 pairs of different people (LFW)"
    assert done.stdout.splitlines()[1] == f"threshold: the model's default, {stands}"
    assert "6,000" not in done.output
    told = CliRunner().invoke(build_app(["verify"]), [*words, "--verbose"])
    assert told.stdout == done.stdout
    assert "LFW, 6,000 pairs; the largest face (3,000 pairs of different people)" in told.stderr


def test_the_pack_s_evaluation_with_flip_gives_the_threshold_for_flip(verify, pack):
    evaluation = {
        "model": {"sha256": pack_hash(pack)},
        "source": "LFW",
        "settings": {"flip": False},
        "different_pairs": 2999,
        "tar_at_far": [{"far": 0.01, "threshold": 0.1}, {"far": 0.001, "threshold": 0.31}],
    }
    folder = pack.folder / "evaluations"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(evaluation))
    assert "without --flip" in verify("--flip")[1]  # that one has no flip either
    (folder / "b.json").write_text(json.dumps({**evaluation, "settings": {"flip": True}}))
    threshold, told = verify("--flip")
    assert told == ""
    assert threshold == {
        "value": 0.31,
        "source": "the model's evaluation with --flip",
        "far": 0.001,
        "data": "LFW, flip",
        "different_pairs": 2999,
    }
    assert verify()[0]["value"] == 0.4
