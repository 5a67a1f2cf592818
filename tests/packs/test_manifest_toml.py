"""Manifests: what is written is what is read, and nothing misspelt or out of range gets through."""

from __future__ import annotations

import dataclasses
import tomllib

import pytest
import tomli_w

from facerec_cli.errors import ModelError
from facerec_cli.packs import manifest
from facerec_cli.packs import manifest_toml as document
from facerec_cli.packs.manifest_toml import (
    check_name,
    from_document,
    read_manifest,
    to_document,
    write_manifest,
)
from facerec_cli.packs.published import Download, Evidence
from facerec_cli.settings import options
from facerec_cli.threshold import ImpostorTail, Threshold


@pytest.fixture
def pack(tiny, tmp_path):
    made = tiny.pack(tmp_path / "tiny")
    return dataclasses.replace(
        made,
        threshold=Threshold(value=0.36, far=1e-3, data="pairs of a test", impostor_pairs=3000),
        training={"loss": "otface"},
        urls=("https://example.org/tiny.zip",),
        detector=dataclasses.replace(made.detector, input_size=(640, 480)),
    )


def test_a_pack_survives_writing_and_reading(pack):
    path = write_manifest(pack)
    assert read_manifest(pack.folder) == pack
    text = path.read_text()
    assert "input_size = [112, 112]" in text and "mean = [127.5, 127.5, 127.5]" in text


def test_what_is_none_is_left_out_and_comes_back_as_none(tiny, tmp_path):
    plain = dataclasses.replace(tiny.pack(tmp_path / "p"), detector=None)
    written = to_document(plain)
    assert "detector" not in written and "threshold" not in written
    assert from_document(written, plain.folder, where="test") == plain


BAD = [
    (["encoder", "colors"], "rgb", "no setting 'encoder.colors'", "'encoder.color'"),
    (["encoder", "color"], "rbg", "[encoder] color cannot be 'rbg'", "'rgb'"),
    (["encoder", "std"], [127.5, 0, 127.5], "above 0", ""),
    (["encoder", "mean"], [127.5], "a list of 3", ""),
    (["encoder", "mean"], [127.5, float("nan"), 1.0], "each a number", ""),
    (["encoder", "mean"], 127.5, "must be a list of 3", ""),
    (["encoder", "embedding_size"], 0, "from 2", ""),
    (["encoder", "embedding_size"], 512.0, "whole number", ""),
    (["encoder", "embedding_size"], True, "whole number", ""),
    (["encoder", "normalized"], "yes", "true or false", ""),
    (["encoder", "sha256"], "abc", "64 hexadecimal", ""),
    (["encoder", "file"], "../secret.onnx", "plain name", ""),
    (["encoder", "file"], "/etc/passwd", "plain name", ""),
    (["encoder", "file"], "..\\x.onnx", "plain name", ""),
    (["encoder", "file"], "c:x.onnx", "plain name", ""),
    (["encoder", "file"], "..", "plain name", ""),
    (["license", "files"], ["../../LICENSE"], "plain name", ""),
    (["license", "commercial"], 1, "true or false", ""),
    (["detector", "kind"], "scrfb", "cannot be 'scrfb'", "'scrfd'"),
    (["detector", "min_score"], 1.5, "from 0 to 1", ""),
    (["threshold", "value"], 1.2, "from -1 to 1", ""),
    (["threshold", "far"], 0, "above 0", ""),
    (["name"], "../evil", "must be a model's name", ""),
    (["urls"], ["file:///etc/passwd"], "http", ""),
    (["training"], {"loss": 3}, "table of texts", ""),
    (["schema"], 99, "schema 99", "pip install --upgrade"),
    (["schema"], "1", "whole number", ""),
    (["licnce"], {}, "no table [licnce]", "'license'"),
    (["encoder"], 3, "encoder is not a table", ""),
]


@pytest.mark.parametrize(("keys", "value", "message", "hint"), BAD, ids=lambda v: str(v)[:40])
def test_a_bad_value_is_refused_by_name(pack, keys, value, message, hint):
    bad = to_document(pack)
    table = bad
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = value
    with pytest.raises(ModelError) as caught:
        from_document(bad, pack.folder, where="pack.toml")
    assert message in str(caught.value) and caught.value.message.startswith("pack.toml")
    assert hint in caught.value.hint
    assert all(key in str(caught.value) for key in keys)


@pytest.mark.parametrize("keys", [["encoder"], ["encoder", "file"], ["license", "weights"], ["name"]])
def test_a_missing_key_is_named(pack, keys):
    bad = to_document(pack)
    table = bad
    for key in keys[:-1]:
        table = table[key]
    del table[keys[-1]]
    with pytest.raises(ModelError, match=f"'{keys[-1]}' is missing"):
        from_document(bad, pack.folder, where="pack.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"schema = ", "not valid TOML"), (b"\xff\xfe", "not UTF-8"), (b"x" * (2 << 20), "larger than")],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content, message):
    (tmp_path / "pack.toml").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".x", "-x", "a b", "x" * 65, "con", "NUL.1", "r50.onnx", "ünal", "a.", "a\n"]
)
def test_names_that_are_not_possible_everywhere_are_refused(name):
    with pytest.raises(ModelError):
        check_name(name)


@pytest.mark.parametrize("name", ["sface", "r50_otface", "buffalo-l", "v1.2", "7"])
def test_ordinary_names_are_taken(name):
    assert check_name(name) == name


def test_nothing_is_written_that_would_be_refused(pack, tmp_path):
    bad = dataclasses.replace(pack, encoder=dataclasses.replace(pack.encoder, std=(0.0, 1.0, 1.0)))
    with pytest.raises(ModelError, match="above 0"):
        write_manifest(bad, tmp_path)
    assert list(tmp_path.glob("pack.toml")) == []


def test_a_manifest_written_by_hand_may_leave_out_defaults(tmp_path):
    text = tomli_w.dumps(
        {
            "schema": 1,
            "name": "mine",
            "description": "",
            "license": {"code": "MIT", "weights": "MIT", "commercial": True},
            "provenance": {"source": "me", "training_data": "my photos"},
            "encoder": {"file": "m.onnx", "sha256": "", "embedding_size": 128, "mean": [0, 0, 0]},
        }
    )
    pack = from_document(tomllib.loads(text), tmp_path, where="test")
    assert pack.encoder.mean == (0.0, 0.0, 0.0) and type(pack.encoder.mean[0]) is float
    assert pack.encoder.input_size == (112, 112) and pack.encoder.color == "rgb"


def test_the_example_in_the_documents_is_a_valid_manifest(repository, tmp_path):
    page = (repository / "docs" / "models.md").read_text(encoding="utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    pack = document.parse_manifest(text, tmp_path, where="docs/models.md")
    assert pack.name == "mine" and pack.detector and pack.threshold
    assert "= " in text and all(f"\n{field.name} = " in text for field in options(manifest.EncoderSpec))


def test_a_manifest_keeps_four_keys_of_a_threshold(pack):
    known = dataclasses.replace(pack.threshold, tar=0.9, measured_far=5e-4, source="a card")
    written = to_document(dataclasses.replace(pack, threshold=known))
    assert list(written["threshold"]) == ["value", "far", "data", "impostor_pairs"]
    written["threshold"]["tar"] = 0.9
    with pytest.raises(ModelError, match=r"no setting 'threshold\.tar'.*Known in \[threshold\]: value, far"):
        from_document(written, pack.folder, where="pack.toml")
    del written["threshold"]["tar"], written["threshold"]["impostor_pairs"]
    with pytest.raises(ModelError, match=r"\[threshold\] 'impostor_pairs' is missing"):
        from_document(written, pack.folder, where="pack.toml")


TAILS = tuple(
    ImpostorTail(
        data="pairs of a test",
        people=3000,
        pairs=4_000_000,
        mean=0.08,
        deviation=0.09,
        rates=(1e-1, 1e-3, 1e-6),
        scores=(0.197, 0.356, 0.51),
        flip=flip,
        genuine_mean=0.6,
    )
    for flip in (False, True)
)


def test_impostor_tails_survive_writing_and_reading(pack):
    with_tails = dataclasses.replace(pack, impostor_tails=TAILS)
    text = write_manifest(with_tails).read_text()
    assert read_manifest(pack.folder) == with_tails
    assert text.startswith("schema = 3\n") and text.count("[[impostor_tails]]") == 2
    assert "scores = [0.197, 0.356, 0.51]" in text and "raised" not in text


def test_without_tails_a_manifest_is_what_it_was(pack):
    text = write_manifest(pack).read_text()
    assert text.startswith("schema = 2\n") and "impostor_tails" not in text
    assert to_document(pack)["schema"] == 2


PUBLISHED = {
    "downloads": (
        Download("encoder.onnx", ("https://example.org/encoder.onnx",), 1234),
        Download("detector.onnx", ("https://example.com/a/detector.onnx", "https://example.net/b")),
    ),
    "evidence": Evidence(("who",), ("license",), ("data",), ("code",)),
}


def test_what_is_known_of_the_publisher_survives_writing_and_reading(pack):
    known = dataclasses.replace(pack, **PUBLISHED)
    text = write_manifest(known).read_text()
    assert read_manifest(pack.folder) == known and text.startswith("schema = 4\n")
    assert text.count("[[downloads]]") == 2 and text.count("\nsize =") == 1
    assert [about for about, _ in known.evidence.items()][1:3] == ["license", "training data"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("urls", ["ftp://example.org/x"], "an http(s) address"),
        ("file", "../x", "plain name"),
        ("size", 3 << 30, "a whole number from 1 to 2.1"),
        ("sha256", "0" * 64, "no setting 'downloads.0.sha256'"),
    ],
)
def test_a_download_that_cannot_be_is_refused(pack, key, value, message):
    bad = to_document(dataclasses.replace(pack, **PUBLISHED))
    bad["downloads"][0][key] = value
    with pytest.raises(ModelError) as caught:
        from_document(bad, pack.folder, where="pack.toml")
    assert message in f"{caught.value} {caught.value.hint}"


def test_an_older_facerec_is_told_of_the_schema_and_not_of_a_key(pack, monkeypatch):
    written = to_document(dataclasses.replace(pack, impostor_tails=TAILS))
    monkeypatch.setattr(document, "SCHEMA", 2)
    with pytest.raises(ModelError, match="manifest schema 3; this facerec reads up to 2") as caught:
        from_document(written, pack.folder, where="pack.toml")
    assert "pip install --upgrade" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rates", [0.1, 0.001], "2 rates and 3 scores"),
        ("scores", [0.5, 0.4, 0.3], "not in order"),
        ("pairs", 10, "takes 3,000,000 pairs"),
        ("deviation", 0, "above 0"),
        ("people", 1, "from 2"),
        ("score", [0.5], "no setting 'impostor_tails.0.score'"),
    ],
)
def test_a_tail_that_cannot_be_is_refused(pack, key, value, message):
    bad = to_document(dataclasses.replace(pack, impostor_tails=TAILS))
    bad["impostor_tails"][0][key] = value
    with pytest.raises(ModelError) as caught:
        from_document(bad, pack.folder, where="pack.toml")
    assert message in f"{caught.value} {caught.value.hint}" and caught.value.message.startswith("pack.toml")
