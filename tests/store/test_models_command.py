"""`facerec models`: results on stdout, the rest on stderr, exit codes as documented."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerec_cli.cli.models import app
from facerec_cli.home import home
from facerec_cli.packs.metadata import seal
from facerec_cli.packs.model_card import model_card
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.store.install import register


@pytest.fixture
def facerec(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object, code: int = 0, **settings):
        done = CliRunner().invoke(app, [str(word) for word in arguments], **settings)
        assert done.exit_code == code, done.output
        return done

    return run


def documents(done):
    return json.loads(done.stdout)


def test_list_fits_80_columns_and_says_how_to_get_more(facerec, tiny, tmp_path):
    register(tiny.pack(tmp_path / "p").folder)
    done = facerec("list")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert re.search(r"tiny +registered +CC0-1\.0 / MIT +none", done.stdout)
    assert re.search(r"buffalo_l +to pull +non-commercial-research / MIT +WebFace600K", done.stdout)
    assert re.search(r"auraface +to pull +Apache-2\.0 / not published +not named", done.stdout)
    assert "facerec models pull NAME" in done.stderr and "pull NAME" not in done.stdout


def test_list_as_json_and_by_licence(facerec):
    found = documents(facerec("list", "--json"))["models"]
    embedded = [(m["name"], m["commercial"]) for m in found if m["status"] == "embedded"]
    assert embedded == [("sface", True), ("sface-degraded", False)] and len(found) == 26
    allowed = facerec("list", "--json", "--commercial")
    assert documents(allowed)["models"] == [m for m in found if m["commercial"]]
    assert {m["name"] for m in documents(allowed)["models"]} == {
        "sface",
        "auraface",
        "sface-2021dec",
        "sface-yunet-n",
    }
    entry = next(m["manifest"] for m in found if m["name"] == "edgeface-s")
    terms = entry["license"]["weights"], entry["license"]["code"], entry["provenance"]["training_data"][:11]
    assert terms == ("CC-BY-NC-SA-4.0", "BSD-3-Clause", "WebFace260M")
    assert entry["evidence"]["license"][0].startswith("https://huggingface.co/Idiap/EdgeFace-S-GAMMA")


def test_show_tells_the_whole_manifest(facerec, tiny, tmp_path):
    pack = register(tiny.pack(tmp_path / "p").folder)
    text = facerec("show", "tiny").stdout
    assert pack.encoder.sha256 in text and pack_hash(pack) in text and "CC0-1.0" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    found = documents(facerec("show", "tiny", "--json"))
    assert found["pack_hash"] == pack_hash(pack) and found["encoder"]["color"] == "rgb"
    assert found["status"] == "registered"


def test_show_a_pack_that_is_not_here(facerec):
    done = facerec("show", "buffalo_l", "--json")
    assert documents(done)["folder"] is None and documents(done)["pack_hash"] is None
    assert "non-commercial" in facerec("show", "buffalo_l").stdout


def test_add_show_remove(facerec, tiny, tmp_path):
    pack = tiny.pack(tmp_path / "p")
    seal(pack.encoder_path, pack, tmp_path / "r50_otface.onnx")
    done = facerec("add", tmp_path / "r50_otface.onnx", "--name", "r50_otface")
    assert done.stdout.startswith("added r50_otface in ") and "--model r50_otface" in done.stderr
    again = facerec("add", tmp_path / "r50_otface.onnx", "--name", "r50_otface", "--json", code=4)
    assert "--overwrite" in documents(again)["error"]["hint"]
    facerec("add", tmp_path / "r50_otface.onnx", "--name", "r50_otface", "--force")
    assert documents(facerec("remove", "r50_otface", "--json"))["removed"] == "r50_otface"
    facerec("remove", "r50_otface", code=4)


def test_the_flags_of_a_refusal_can_be_pasted(facerec, tiny, tmp_path):
    file = tiny.encoder(tmp_path / "bare.onnx", size="side", dimension=64)
    refused = facerec("add", file, code=4)
    flags = re.search(r"^Add: (.*)$", refused.stderr, flags=re.M)[1].split()
    facerec("add", file, *flags)
    encoder = open_pack("bare").encoder
    assert (encoder.embedding_size, encoder.input_size, encoder.template) == (64, (112, 112), "arcface")


def test_one_triple_may_differ_by_channel(facerec, tiny, tmp_path):
    file = tiny.encoder(tmp_path / "bare.onnx")
    facerec(
        "add", file, "--color", "bgr", "--mean", "1,2,3", "--std", "4,5,6.5", "--template", "arcface",
        "--normalized",
    )  # fmt: skip
    encoder = open_pack("bare").encoder
    assert encoder.mean == (1.0, 2.0, 3.0) and encoder.std == (4.0, 5.0, 6.5) and encoder.normalized


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mean", "a"], "--mean 'a' does not fit.\nIt must be one number or three"),
        (["--std", "0"], "--std 0.0 does not fit.\nIt must be a number above 0"),
        (["--mean", "1,2"], "one number or three"),
        (["--size", "112,112"], "It must be WIDTHxHEIGHT"),
        (["--mean", "nan"], "a number from -1,024 to 1,024"),
    ],
)
def test_misspelt_flags_are_usage_errors(facerec, tiny, tmp_path, flags, message):
    done = facerec("add", tiny.encoder(tmp_path / "bare.onnx"), *flags, code=2)
    assert message in done.stderr


def test_check_exits_with_4_on_a_mismatch_and_prints_one_document(facerec, tiny, tmp_path):
    pack = register(tiny.pack(tmp_path / "p").folder)
    assert documents(facerec("check", "--json"))["models"][-1]["status"] == "ok"
    pack.encoder_path.write_bytes(pack.encoder_path.read_bytes()[:-1] + b"\0")
    found = documents(facerec("check", "--json", code=4))["models"]
    embedded = [("sface", "ok"), ("sface-degraded", "ok")]
    assert [(m["name"], m["status"]) for m in found] == [*embedded, ("tiny", "broken")]
    assert "broken" in facerec("check", "tiny", code=4).stdout
    facerec("check", "sface")
    found = documents(facerec("check", "nobody", "--json", code=4))["error"]
    assert found["kind"] == "ModelError" and "no model 'nobody'" in found["message"]
    facerec("remove", "nobody", code=4)


def test_pull_without_agreement_is_refused_with_the_flag(facerec):
    done = facerec("pull", "buffalo_l", code=4)
    assert "--accept-license" in done.stderr and "non-commercial" in done.stderr
    assert not (home() / "licences").exists()


def test_pull_offline_records_the_agreement_and_says_what_to_do(facerec):
    done = facerec("pull", "buffalo_l", "--accept-license", "--offline", code=4)
    assert "buffalo_l.zip" in done.stderr and "--mirror FOLDER" in done.stderr
    assert (home() / "licences" / "buffalo_l.toml").is_file()
    assert documents(facerec("show", "buffalo_l", "--json"))["license_accepted"].startswith("20")


def test_an_agreement_that_cannot_be_recorded_names_the_folder_to_change(facerec, monkeypatch, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))
    told = facerec("pull", "buffalo_l", "--accept-license", "--offline", code=8).stderr.replace("\n", " ")
    assert "cannot be written" in told and "set FACEREC_HOME" in told


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_terminal_is_asked_for_agreement(facerec, monkeypatch, answer):
    from facerec_cli.cli import models

    monkeypatch.setattr(models, "_can_ask", lambda: True)
    done = facerec("pull", "buffalo_l", "--offline", code=4 if answer == "y" else 2, input=answer + "\n")
    assert "non-commercial" in done.stderr and "Do you agree" in done.stderr
    assert (home() / "licences" / "buffalo_l.toml").exists() == (answer == "y")


def test_a_card_says_not_measured_where_nothing_was(tiny, tmp_path):
    card = model_card(tiny.pack(tmp_path / "p"))
    assert card.startswith("# tiny\n") and card.count("not measured") == 3
    assert "CC0-1.0" in card and "made by a test" in card and not re.search(r"\d %", card)


def test_a_card_claims_no_more_of_commercial_use_than_show_does(facerec):
    assert "Commercial use | not allowed, or not known |" in model_card(open_pack("sface-degraded"))
    assert "not allowed, or not known" in facerec("show", "sface-degraded").stdout


def test_a_card_shows_the_evaluations_beside_the_pack(facerec, tiny, tmp_path):
    pack = register(tiny.pack(tmp_path / "p").folder)
    folder = pack.folder / "evaluations"
    folder.mkdir()
    evaluation = {
        "model": {"name": "tiny", "sha256": pack_hash(pack)},
        "source": "pairs.txt",
        "settings": {"flip": False},
        "different_pairs": 3000,
        "accuracy": {"mean": 0.99383, "standard_error": 0.0011},
        "eer": 0.0071,
        "auc": 0.99876,
        "pairs": 6000,
        "failures": 2,
        "tar_at_far": [
            {"far": 1e-3, "tar": 0.989, "low": 0.984, "high": 0.993, "threshold": 0.41, "measured_far": 9e-4},
            {"far": 1e-6, "tar": None, "low": None, "high": None, "threshold": None, "measured_far": None},
        ],
    }
    (folder / "lfw.json").write_text(json.dumps(evaluation))
    (folder / "broken.json").write_text("{")
    other = {**evaluation, "model": {"name": "tiny", "sha256": "0" * 64}, "eer": 0.5}
    (folder / "other.json").write_text(json.dumps(other))
    done = facerec("card", "tiny")
    assert "99.38 % ± 0.11 %" in done.stdout and "| Pairs | 6,000 |" in done.stdout
    assert "| 1 in 1,000 (0.1 %) | 98.90 % | 98.40 % to 99.30 % | 0.4100 |" in done.stdout
    assert (
        "At FAR 1 in 1,000,000 (0.0001 %): not measurable with so few pairs." in done.stdout
        and "### lfw" in done.stdout
    )
    assert "| Accuracy | 99.38 %" in done.stdout
    uneven = evaluation | {"accuracy": {"mean": 0.9, "standard_error": 0.01, "kind": "balanced accuracy"}}
    (folder / "uneven.json").write_text(json.dumps(uneven))
    assert "| Balanced accuracy | 90.00 % ± 1.00 %" in facerec("card", "tiny").stdout
    (folder / "uneven.json").unlink()
    assert "broken.json is left out" in done.stderr and "other.json is left out" in done.stderr
    assert "| Data | pairs.txt |" in done.stdout and "50.00 %" not in done.stdout
    facerec("card", "tiny", "-o", tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text() == done.stdout
    assert facerec("card", "tiny", "-o", "-").stdout == done.stdout
    assert not Path("-").exists()


def test_a_card_is_written_to_a_file_only(facerec, tmp_path):
    done = facerec("card", "sface", "-o", tmp_path, code=2)
    assert "is a folder" in done.stderr and "Add the file's name" in done.stderr
    (tmp_path / "file").write_text("mine")
    told = facerec("card", "sface", "-o", tmp_path / "file", code=2).stderr.replace("\n", " ")
    assert "exists and is no model card" in told and (tmp_path / "file").read_text() == "mine"
    for _ in range(2):  # its like is replaced
        facerec("card", "sface", "-o", tmp_path / "card.md")
    assert "cannot be written" in facerec("card", "sface", "-o", tmp_path / "file" / "card.md", code=8).stderr
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "is a device, pipe" in facerec("card", "sface", "-o", tmp_path / "pipe", code=2).stderr
        assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("words", ["embed", "verify", "models add", "models show"])
def test_commands_that_take_a_model_take_every_flag_for_a_bare_file(words):
    from typer.main import get_command

    from facerec_cli.cli import build_app
    from facerec_cli.packs.overrides import FLAGS

    node = get_command(build_app([words.split()[0]]))
    for word in words.split():
        node = node.commands[word]
    assert {flag for parameter in node.params for flag in parameter.opts} >= set(FLAGS.values())
