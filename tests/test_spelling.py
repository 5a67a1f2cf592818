"""Names in the other spelling: manifests, sealed files, flags and code of before go on working."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import tiny_pack
from typer.testing import CliRunner

from facerec_cli.backbones.base import Preprocessing
from facerec_cli.errors import ModelError
from facerec_cli.export import ExportOptions
from facerec_cli.packs.manifest import EncoderSpec, ModelPack
from facerec_cli.packs.manifest_toml import from_document, to_document
from facerec_cli.packs.metadata import MANIFEST_KEY, SEAL_KEY, pack_from_metadata, pack_to_metadata
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.spelling import american
from facerec_cli.training import checkpoint

OTHER = {"color": "colour", "normalized": "normalised", "license": "licence"}


def of_before(document: object) -> object:
    """A manifest as schema 1 wrote it."""
    if not isinstance(document, dict):
        return document
    return {OTHER.get(k, k): 1 if k == "schema" else of_before(v) for k, v in document.items()}


@pytest.fixture
def pack(tmp_path: Path) -> ModelPack:
    return tiny_pack.write_tiny_pack(tmp_path / "tiny")


def test_words_are_replaced_and_nothing_inside_of_words() -> None:
    assert american("accept-licence") == "accept-license"
    assert american("optimiser.lr") == "optimizer.lr"
    assert american("colourful_normalise") == "colourful_normalize"


def test_a_manifest_of_before_is_the_same_pack_and_is_written_anew(pack: ModelPack) -> None:
    document = to_document(dataclasses.replace(pack, encoder=dataclasses.replace(pack.encoder, color="bgr")))
    before = of_before(document)
    assert isinstance(before, dict) and "licence" in before and before["encoder"]["colour"] == "bgr"
    opened = from_document(before, pack.folder, where="m")
    assert opened.encoder.color == "bgr" and opened.license == pack.license
    assert to_document(opened) == document


def test_both_spellings_of_one_key_are_refused(pack: ModelPack) -> None:
    document = to_document(pack)
    document["encoder"]["colour"] = "rgb"
    with pytest.raises(ModelError, match="'colour' and 'color' are one key"):
        from_document(document, pack.folder, where="m")


def test_a_sealed_file_of_before_opens(pack: ModelPack) -> None:
    entries = pack_to_metadata(pack)
    del entries[SEAL_KEY]
    entries[MANIFEST_KEY] = json.dumps(of_before(json.loads(entries[MANIFEST_KEY])))
    entries[SEAL_KEY] = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    opened = pack_from_metadata(entries, pack.encoder_path)
    assert opened.encoder == dataclasses.replace(pack.encoder, sha256="")


def test_caches_and_cards_of_before_still_know_the_model() -> None:
    hashes = {name: pack_hash(open_pack(name))[:12] for name in ("sface", "sface-degraded")}
    assert hashes == {"sface": "158856070142", "sface-degraded": "a901e662149a"}  # as schema 1 gave them


def test_python_code_and_checkpoints_of_before(pack: ModelPack) -> None:
    spec = EncoderSpec("x.onnx", "", 4, colour="bgr", normalised=True)  # type: ignore[call-arg]
    assert (spec.color, spec.normalized) == ("bgr", True)
    assert dataclasses.replace(spec, colour="rgb").color == "rgb"  # type: ignore[call-arg]
    assert spec.colour == "bgr" and pack.licence == pack.license  # type: ignore[attr-defined]
    assert ExportOptions(licence="MIT").license == "MIT"  # type: ignore[call-arg]
    saved = {"size": [112, 112], "colour": "bgr", "mean": [1.0] * 3, "std": [2.0] * 3}
    assert checkpoint._preprocessing(saved) == Preprocessing((1.0,) * 3, (2.0,) * 3, "bgr")


def test_flags_of_before_are_taken_and_not_shown(pack: ModelPack) -> None:
    from facerec_cli.cli import app

    flags = ["--colour", "bgr", "--mean=0", "--std=1", "--template=arcface", "--normalised"]
    done = CliRunner().invoke(app, ["models", "add", str(pack.encoder_path), "--name", "old", *flags])
    assert done.exit_code == 0, done.output
    encoder = open_pack("old").encoder
    assert (encoder.color, encoder.normalized) == ("bgr", True)
    for command in (["models", "add"], ["models", "pull"], ["export"], ["embed"], ["verify"]):
        shown = CliRunner().invoke(app, [*command, "--help"]).stdout.lower()
        assert "license" in shown or "color" in shown
        assert not any(
            word in shown for word in ("colour", "normalise", "licence", "recognised", "optimiser")
        )
