"""Models from other people: links that lead out of them, and files that are damaged in any way."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.packs.catalog import installed
from facerec_cli.packs.manifest_toml import write_manifest
from facerec_cli.packs.model_card import model_card
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.packs.resolve import open_pack
from facerec_cli.packs.rules import possible_name
from facerec_cli.store.archive import extract
from facerec_cli.store.install import register

ARCFACE = PackOverrides(color="rgb", mean=(127.5,) * 3, std=(127.5,) * 3, template="arcface")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "file", ["evaluations/p.json", "LICENSE.txt", "encoder.onnx", "detector.onnx", "pack.toml"]
)
def test_a_link_out_of_a_folder_is_refused_and_nothing_is_copied(tiny, tmp_path: Path, file: str) -> None:
    folder = tmp_path / "pack"
    tiny.pack(folder)
    outside = tmp_path / "private"
    place = folder / file
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(outside)
    else:
        outside.write_text('{"password": 1}')
    place.symlink_to(outside)
    with pytest.raises(ModelError, match=r"is a link out of its folder") as caught:
        register(folder, "mine")
    assert str(place) in caught.value.message and "cp -rL" in caught.value.hint
    assert "mine" not in [pack.name for pack in installed()]


def test_a_folder_that_leads_out_is_refused_and_its_card_does_not_read_there(tiny, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    tiny.pack(folder)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "p.json").write_text('{"accuracy": "SECRET"}')
    (folder / "evaluations").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link out of its folder"):
        register(folder)
    assert "SECRET" not in model_card(open_pack(folder))


def test_links_out_of_a_folder_without_a_manifest_are_refused(tiny, tmp_path: Path) -> None:
    folder = tmp_path / "buffalo"
    tiny.detector(folder / "det.onnx")
    tiny.encoder(tmp_path / "w600k.onnx")
    (folder / "w600k.onnx").symlink_to(tmp_path / "w600k.onnx")
    with pytest.raises(ModelError, match="is a link out of its folder"):
        register(folder)


def test_links_inside_hard_links_and_a_linked_folder_are_fine(tiny, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    tiny.pack(folder)
    (folder / "real.onnx").write_bytes((folder / "encoder.onnx").read_bytes())
    (folder / "encoder.onnx").unlink()
    (folder / "encoder.onnx").symlink_to("real.onnx")
    (tmp_path / "text").write_text("terms")
    (folder / "LICENSE.txt").unlink()
    os.link(tmp_path / "text", folder / "LICENSE.txt")
    (tmp_path / "link").symlink_to(folder)
    made = register(tmp_path / "link", "mine")
    assert not made.encoder_path.is_symlink()
    assert (made.folder / "LICENSE.txt").read_text() == "terms"
    single = tmp_path / "one.onnx"
    single.symlink_to(folder / "real.onnx")
    assert register(single, "one", overrides=ARCFACE).name == "one"


def test_what_lies_beside_a_single_file_is_not_taken_along(tiny, tmp_path: Path) -> None:
    import dataclasses

    from facerec_cli.packs.metadata import seal

    pack = tiny.pack(tmp_path / "source")
    (tmp_path / "private.key").write_text("secret")
    license = dataclasses.replace(pack.license, files=("private.key",))
    seal(pack.encoder_path, dataclasses.replace(pack, license=license, detector=None), tmp_path / "m.onnx")
    made = register(tmp_path / "m.onnx", "mine")
    assert not (made.folder / "private.key").exists() and made.license.files == ()


@pytest.mark.parametrize(
    "name",
    ["con.onnx", "NUL", "lpt1.txt", "a.onnx ", "a.", "a?b", 'a"b', "a|b", "..", "a/b", "a\\b", "c:a", "\n"],
)
def test_names_that_no_system_or_not_every_system_has(name: str) -> None:
    assert not possible_name(name)


def zipped(path: Path, *entries: tuple[str, int]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind in (("det.onnx", stat.S_IFREG), *entries):
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, b"D")
    return path


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("rec.onnx", stat.S_IFIFO, "a device or a pipe"),
        ("rec.onnx", stat.S_IFCHR, "a device or a pipe"),
        ("rec.onnx", stat.S_IFBLK, "a device or a pipe"),
        ("DET.onnx", stat.S_IFREG, "capitals"),
        ("det.onnx", stat.S_IFREG, "twice"),
        ("a/aux.onnx", stat.S_IFREG, "no name for a file everywhere"),
        ("a/b. ", stat.S_IFREG, "no name for a file everywhere"),
    ],
)
def test_an_archive_that_is_more_than_files_is_refused(
    tmp_path: Path, name: str, kind: int, reason: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError, match=reason):
        extract(zipped(tmp_path / "a.zip", (name, kind)), ["det.onnx"], out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_a_model_error_wherever_it_is_damaged(tmp_path: Path, method: int) -> None:
    content = np.random.default_rng(0).integers(0, 9, 3000, np.uint8).tobytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("det.onnx", content)
    whole = buffer.getvalue()
    refused = 0
    for at in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        (tmp_path / "a.zip").write_bytes(damaged)
        (tmp_path / f"out{at}").mkdir()
        try:
            extract(tmp_path / "a.zip", ["det.onnx"], tmp_path / f"out{at}")
        except ModelError as fault:
            assert "a.zip" in fault.message
            refused += 1
    assert refused > len(whole) // 5 * 0.9  # the rest are bytes that nobody reads, such as the date


def test_a_damaged_network_is_one_of_our_errors_wherever_it_is_damaged(tiny, tmp_path: Path) -> None:
    whole = tiny.encoder(tmp_path / "whole.onnx", dimension=8).read_bytes()
    path = tmp_path / "m.onnx"
    seen = set()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            register(path, "mine", overrides=ARCFACE, force=True)
        except FacerecError as fault:
            seen.add(fault.exit_code)
            assert "ONNXRuntimeError" not in str(fault)
    assert seen == {ModelError.exit_code}


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = 1" + "0" * 5000, "a = 2026-13-45", "a = 1\na = 2", "\ufeffa = [", "a = \x00"],
)
def test_a_damaged_manifest_is_a_model_error(tiny, tmp_path: Path, text: str) -> None:
    tiny.pack(tmp_path / "pack")
    (tmp_path / "pack" / "pack.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"pack\.toml"):
        open_pack(tmp_path / "pack")
    done = CliRunner().invoke(build_app(["models"]), ["models", "show", str(tmp_path / "pack")])
    assert done.exit_code == ModelError.exit_code


def test_a_file_larger_than_protobuf_can_hold_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as stream:
        stream.write(b"\x08\x08")
        stream.truncate(3 << 30)  # a hole, which takes no disk
    with pytest.raises(ModelError, match=r"larger than|not an ONNX file"):
        open_pack(path, overrides=ARCFACE)


def test_a_detector_is_added_alone_and_with_a_network(tiny, tmp_path: Path) -> None:
    detector = tiny.detector(tmp_path / "det_10g.onnx")
    alone = register(detector, "scrfd")
    assert alone.encoder.sha256 == open_pack("sface").encoder.sha256
    assert alone.detector and alone.detector.kind == "scrfd" and alone.detector.mean == (127.5,) * 3
    assert (
        alone.threshold is None
        and not alone.license.commercial
        and "detector unknown" in alone.license.weights
    )
    assert "det_10g.onnx is not known" in alone.license.notice
    assert "replaced by det_10g.onnx" in alone.provenance.source
    assert alone.provenance.training_data.endswith("of det_10g.onnx unknown")
    assert not (alone.folder / "evaluations").exists() and (alone.folder / "LICENSE.sface").is_file()
    network = tiny.encoder(tmp_path / "net.onnx")
    both = register(network, "both", overrides=ARCFACE, detector=detector)
    assert both.detector and both.detector.sha256 == alone.detector.sha256
    other = register(detector, "other", encoder="both")
    assert other.encoder.sha256 == both.encoder.sha256
    with pytest.raises(ModelError, match="not a detector that facerec can read"):
        register(network, "wrong", overrides=ARCFACE, detector=network)
    with pytest.raises(FacerecError, match="goes with a detector's file"):
        register(network, "wrong", overrides=ARCFACE, encoder="sface")
    with pytest.raises(ModelError, match=r"is not a detector that facerec can read") as caught:
        register(network, "wrong", overrides=ARCFACE, detector=tiny.detector(tmp_path / "no.onnx", outputs=6))
    assert "without landmarks" in caught.value.hint


def test_a_detector_of_no_known_kind_is_told_so(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["image", "shape"], ["cells"]),
        ],
        "odd",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["n", "cells", 14])],
        [helper.make_tensor("shape", TensorProto.INT64, [3], [0, -1, 14])],
    )
    path = tmp_path / "centers.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ModelError) as caught:
        register(path, "centers")
    assert "face detector, it is of no kind" in caught.value.hint and "SCRFD" in caught.value.hint


def test_a_detector_that_does_not_run_is_refused(tiny, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(tiny.detector(tmp_path / "det.onnx"))
    model.graph.node[2].input[1] = "w2"  # ten columns where one was promised
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    model.ir_version = 99
    onnx.save(model, str(tmp_path / "det.onnx"))
    with pytest.raises(ModelError, match="IR version 99"):
        register(tmp_path / "det.onnx", "det")


def test_manifests_with_an_output_name_are_kept(tiny, tmp_path: Path) -> None:
    import dataclasses

    pack = tiny.pack(tmp_path / "pack")
    named = dataclasses.replace(pack, encoder=dataclasses.replace(pack.encoder, output_name="embedding"))
    write_manifest(named)
    assert open_pack(tmp_path / "pack").encoder.output_name == "embedding"
    assert (
        "output_name"
        not in (register(tiny.pack(tmp_path / "b").folder, "b").folder / "pack.toml").read_text()
    )


def test_names_that_differ_in_capitals_alone_are_refused_or_changed(tiny, tmp_path: Path) -> None:
    import dataclasses

    pack = tiny.pack(tmp_path / "pack")
    (tmp_path / "pack" / "ENCODER.onnx").write_bytes(pack.detector_path.read_bytes())
    same = dataclasses.replace(pack.detector, file="ENCODER.onnx")
    write_manifest(dataclasses.replace(pack, detector=same))
    with pytest.raises(ModelError, match="capitals"):
        register(tmp_path / "pack", "mine")
    network, detector = tiny.encoder(tmp_path / "a" / "net.onnx"), tiny.detector(tmp_path / "b" / "NET.onnx")
    made = register(network, "both", overrides=ARCFACE, detector=detector)
    assert (made.encoder.file, made.detector.file) == ("net.onnx", "detector-NET.onnx")
