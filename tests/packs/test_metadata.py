"""The manifest inside an ONNX file: it survives other programs, and no single byte can change unnoticed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_cli.errors import ModelError
from facerec_cli.packs.metadata import (
    DIGEST_KEY,
    MANIFEST_KEY,
    SEAL_KEY,
    graph_digest,
    pack_from_metadata,
    pack_to_metadata,
    read_metadata,
    read_pack,
    seal,
)
from facerec_cli.packs.resolve import open_pack
from facerec_cli.threshold import ImpostorTail


@pytest.fixture
def sealed(tiny, tmp_path):
    pack = dataclasses.replace(tiny.pack(tmp_path / "source"), detector=None)
    file = tmp_path / "r50.onnx"
    seal(pack.encoder_path, pack, file)
    return file


def test_a_sealed_file_opens_as_the_pack_that_was_written(tiny, tmp_path):
    pack = dataclasses.replace(tiny.pack(tmp_path / "source"), detector=None, training={"loss": "epl"})
    file = tmp_path / "r50.onnx"
    opened = seal(pack.encoder_path, pack, file)
    assert opened == open_pack(file) == open_pack(str(file))
    expected = dataclasses.replace(pack.encoder, file="r50.onnx", sha256=opened.encoder.sha256)
    assert opened == dataclasses.replace(pack, folder=tmp_path, encoder=expected)


def test_the_file_still_computes_the_same_and_onnxruntime_shows_the_metadata(tiny, tmp_path, sealed):
    image = np.random.default_rng(0).random((2, 3, 112, 112), np.float32)
    before = onnxruntime.InferenceSession(str(tmp_path / "source" / "encoder.onnx"))
    after = onnxruntime.InferenceSession(str(sealed))
    np.testing.assert_array_equal(before.run(None, {"input": image})[0], after.run(None, {"input": image})[0])
    onnx.checker.check_model(str(sealed))
    shown = after.get_modelmeta().custom_metadata_map
    assert shown == read_metadata(sealed)
    assert json.loads(shown[MANIFEST_KEY])["encoder"]["embedding_size"] == 128
    assert pack_from_metadata(shown, sealed).name == "tiny"


def test_our_entries_are_those_that_the_onnx_package_reads(sealed):
    model = onnx.load(sealed)
    assert {entry.key: entry.value for entry in model.metadata_props} == read_metadata(sealed)


def test_saving_with_another_program_and_foreign_entries_do_no_harm(sealed):
    model = onnx.load(sealed)
    note = model.metadata_props.add()
    note.key, note.value = "owner", "somebody"
    onnx.save(model, sealed)
    assert open_pack(sealed).name == "tiny"
    assert read_metadata(sealed)["owner"] == "somebody"


def test_sealing_again_replaces_ours_and_keeps_foreign_entries(sealed):
    model = onnx.load(sealed)
    note = model.metadata_props.add()
    note.key, note.value = "owner", "somebody"
    onnx.save(model, sealed)
    digest = graph_digest(sealed)
    pack = seal(sealed, dataclasses.replace(read_pack(sealed), name="other"))
    assert pack.name == "other" and graph_digest(sealed) == digest
    keys = [entry.key for entry in onnx.load(sealed).metadata_props]
    assert sorted(keys) == sorted({*keys}) and "owner" in keys


def test_every_single_changed_byte_is_noticed(tiny, tmp_path):
    """All bytes of a small file, one at a time: refused, each with a reason."""
    source = tiny.encoder(tmp_path / "small.onnx", dimension=2)
    pack = tiny.pack(tmp_path / "p")
    pack = dataclasses.replace(
        pack, description="", detector=None, encoder=dataclasses.replace(pack.encoder, embedding_size=2)
    )
    seal(source, pack)
    whole = source.read_bytes()
    unnoticed = []
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x08
        source.write_bytes(changed)
        try:
            read_pack(source)
        except ModelError as fault:
            assert str(source) in fault.message
        else:
            unnoticed.append(position)
    assert unnoticed == []


@pytest.mark.parametrize("cut", [1, 10, 1000])
def test_a_file_that_is_cut_short_is_refused(sealed, cut):
    sealed.write_bytes(sealed.read_bytes()[:-cut])
    with pytest.raises(ModelError):
        open_pack(sealed)


def test_the_reason_tells_metadata_from_network(sealed):
    model = onnx.load(sealed)
    entry = next(e for e in model.metadata_props if e.key == MANIFEST_KEY)
    entry.value = entry.value.replace('"rgb"', '"bgr"')
    onnx.save(model, sealed)
    with pytest.raises(ModelError, match="metadata was changed"):
        open_pack(sealed)


def test_a_changed_weight_is_a_changed_network(sealed):
    model = onnx.load(sealed)
    weight = model.graph.initializer[0]
    weight.raw_data = bytes([weight.raw_data[0] ^ 1]) + weight.raw_data[1:]
    onnx.save(model, sealed)
    with pytest.raises(ModelError, match="network was changed"):
        open_pack(sealed)


@pytest.mark.parametrize("key", [MANIFEST_KEY, SEAL_KEY, DIGEST_KEY])
def test_a_missing_entry_is_a_change(sealed, key):
    model = onnx.load(sealed)
    kept = [entry for entry in model.metadata_props if entry.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, sealed)
    with pytest.raises(ModelError, match="changed after it was written"):
        open_pack(sealed)


def test_a_newer_schema_asks_for_an_update(sealed):
    from facerec_cli.packs.metadata import _seal

    entries = read_metadata(sealed)
    del entries[SEAL_KEY]
    document = json.loads(entries[MANIFEST_KEY])
    entries[MANIFEST_KEY] = json.dumps({**document, "schema": 7})
    with pytest.raises(ModelError, match="schema 7") as caught:
        pack_from_metadata({**entries, SEAL_KEY: _seal(entries)}, sealed)
    assert "pip install --upgrade" in caught.value.hint


def test_the_detector_and_the_sha256_stay_out_of_a_single_file(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "p")
    document = json.loads(pack_to_metadata(pack)[MANIFEST_KEY])
    assert "detector" not in document and document["encoder"]["sha256"] == ""


@pytest.mark.parametrize("content", [b"", b"hello, I am text\n" * 50, b"\x80\x02]q\x00.", b"\xff" * 4000])
def test_other_files_are_not_onnx(tmp_path, content):
    file = tmp_path / "x.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.onnx"):
        open_pack(file)


@pytest.mark.parametrize(
    ("content", "name", "advice"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>Sign in", "a web page", "download the file again"),
        (b"PK\x03\x04" + bytes(40), "a PyTorch file", "facerec export"),
        (b"\x1f\x8b\x08" + bytes(40), "a compressed file", "Unpack it first."),
        (b"\x1c\0\0\0TFL3" + bytes(40), "a TensorFlow Lite file", "tf2onnx"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "a Keras or HDF5 file", "tf2onnx"),
        (b"\x28\0\0\0ORTM" + bytes(40), "own .ort form", "Use the .onnx file"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "a JPEG photo", "Get or export"),
        (b"hello, I am text\n", "", "Get or export"),
    ],
)
def test_what_is_in_the_place_of_an_onnx_file_is_named(tmp_path, content, name, advice):
    file = tmp_path / "x.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.onnx is not an ONNX file, or it is cut short") as caught:
        read_metadata(file)
    assert caught.value.message.endswith("cut short." if not name else ".")
    assert name in caught.value.message and advice in caught.value.hint


@given(st.binary(max_size=200))
def test_whatever_the_bytes_reading_ends_with_entries_or_a_reason(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.onnx"
    file.write_bytes(content)
    try:
        assert isinstance(read_metadata(file), dict)
        assert len(graph_digest(file)) == 64
    except ModelError as fault:
        assert "any.onnx" in fault.message


def test_sealing_leaves_nothing_half_written(sealed, monkeypatch):
    from facerec_cli.packs import metadata

    before = sealed.read_bytes()

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metadata, "write_file", full)
    with pytest.raises(OSError, match="No space"):
        seal(sealed, read_pack(sealed))
    assert sealed.read_bytes() == before and [p.name for p in sealed.parent.glob("*.tmp")] == []


def test_impostor_tails_stay_out_of_the_file_whose_bytes_are_the_pack_s_identity(tiny, tmp_path):
    pack = dataclasses.replace(tiny.pack(tmp_path / "source"), detector=None)
    tail = ImpostorTail("pairs", 100, 4950, 0.1, 0.1, (0.1, 0.01), (0.2, 0.3))
    files = [tmp_path / "without.onnx", tmp_path / "with.onnx"]
    for file, tails in zip(files, ((), (tail,)), strict=True):
        opened = seal(pack.encoder_path, dataclasses.replace(pack, impostor_tails=tails), file)
        assert opened.impostor_tails == ()
    assert files[0].read_bytes() == files[1].read_bytes()
