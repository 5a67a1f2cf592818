"""What a user types after --model becomes the right pack, or a message that says what to type instead."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.home import home
from facerec_cli.packs.catalog import installed
from facerec_cli.packs.manifest_toml import write_manifest
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.store.install import register

ARCFACE = PackOverrides(color="rgb", mean=(127.5,) * 3, std=(127.5,) * 3, template="arcface")


@pytest.fixture
def insightface_home(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "dot-insightface"))
    return tmp_path / "dot-insightface" / "models"


def buffalo(tiny, folder: Path) -> Path:
    """insightface's layout: the two networks that matter, and three that do not."""
    tiny.detector(folder / "det_10g.onnx")
    tiny.encoder(folder / "w600k_r50.onnx")
    tiny.encoder(folder / "genderage.onnx", size=96, dimension=3)
    tiny.encoder(folder / "2d106det.onnx", size=192, dimension=212)
    tiny.encoder(folder / "1k3d68.onnx", size=192, dimension=3309)
    return folder


def test_the_default_is_the_embedded_pack():
    pack = open_pack()
    assert (pack.name, pack.encoder.embedding_size, pack.license.commercial) == ("sface", 128, True)
    assert pack == open_pack("pack:sface") and pack.encoder_path.is_file()


def test_a_folder_opens_by_path_in_any_spelling(tiny, tmp_path, monkeypatch):
    made = tiny.pack(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    found = [open_pack(ref) for ref in (tmp_path / "tiny", str(tmp_path / "tiny"), "./tiny", "tiny")]
    assert [dataclasses.replace(pack, folder=made.folder) for pack in found] == [made] * 4


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "here"))
    assert home() == tmp_path / "here" and not home().exists()
    monkeypatch.delenv("FACEREC_HOME")
    assert home().is_absolute() and "facerec" in home().name.lower()


def test_a_name_that_is_also_a_folder_is_refused_with_both_spellings(tiny, tmp_path, monkeypatch):
    register(tiny.pack(tmp_path / "elsewhere", "mine").folder)
    tiny.pack(tmp_path / "mine", "mine", seed=1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_pack("mine")
    assert "pack:mine" in caught.value.hint and "./mine" in caught.value.hint
    assert open_pack("pack:mine").encoder.sha256 != open_pack("./mine").encoder.sha256


def test_a_folder_without_models_does_not_make_a_name_unclear(tiny, tmp_path, monkeypatch):
    (tmp_path / "sface").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_pack("sface").name == "sface"


@pytest.mark.parametrize(
    ("ref", "message", "hint"),
    [
        ("sfce", "no model 'sfce'", "Did you mean 'sface'"),
        ("buffalo_l", "not on this machine", "facerec models pull buffalo_l"),
        ("missing.onnx", "no model at missing.onnx", "facerec models list"),
        ("./nothing", "no model at nothing", ""),
        ("x" * 5000, "no model 'xxx", ""),
        ("./" + "x" * 5000, "no model at xxx", ""),
        ("nul\0byte", "no model 'nul", ""),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(ref, message, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        open_pack(ref)
    assert message in caught.value.message and hint in caught.value.hint


def test_a_pipe_and_a_text_are_no_models(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ModelError, match=r"not an \.onnx file or a pack folder"):
        open_pack(tmp_path / "notes.txt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
        with pytest.raises(ModelError, match="not an"):
            open_pack(tmp_path / "pipe.onnx")


def test_a_link_that_leads_to_itself_is_no_model(tmp_path):
    (tmp_path / "loop.onnx").symlink_to(tmp_path / "loop.onnx")
    with pytest.raises(ModelError, match="no model at"):
        open_pack(tmp_path / "loop.onnx")


def test_one_changed_byte_of_a_file_is_refused_with_both_hashes(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "tiny")
    content = bytearray(pack.detector_path.read_bytes())
    content[-20] ^= 1
    pack.detector_path.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file") as caught:
        open_pack(pack.folder)
    assert pack.detector.sha256 in caught.value.message


def test_a_missing_file_is_named(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "tiny")
    pack.encoder_path.unlink()
    with pytest.raises(ModelError, match=r"encoder\.onnx.*missing"):
        open_pack(pack.folder)


def test_a_manifest_that_contradicts_a_sealed_file_is_refused(tiny, tmp_path):
    from facerec_cli.packs.metadata import seal

    pack = tiny.pack(tmp_path / "source")
    seal(pack.encoder_path, pack, tmp_path / "m.onnx")
    registered = register(tmp_path / "m.onnx", "m")
    manifest = registered.folder / "pack.toml"
    manifest.write_text(manifest.read_text().replace('color = "rgb"', 'color = "bgr"'))
    with pytest.raises(ModelError, match="says color = bgr"):
        open_pack("m")


def test_a_bare_file_is_refused_with_the_flags_that_make_it_work(tiny, tmp_path):
    from facerec_cli.packs.overrides import FLAGS  # every flag in the hint is one that commands take

    file = tiny.encoder(tmp_path / "r50.onnx")
    with pytest.raises(ModelError) as caught:
        open_pack(file)
    assert "112 x 112" in caught.value.message and "512 dimensions" in caught.value.message
    first = caught.value.hint.splitlines()[0]
    # The caller says nothing of taking flags, so only the command that takes them is named.
    flags = "--color rgb --mean 127.5 --std 127.5 --template arcface"
    assert first == f"Register it once: facerec models add {file} {flags}"
    with pytest.raises(ModelError) as caught:
        open_pack(file, overrides=PackOverrides())
    first, second, *_ = caught.value.hint.splitlines()
    assert first == f"Add: {flags}" and second.endswith(f"facerec models add {file} {flags}")
    assert {"color", "mean", "std", "template"} <= set(FLAGS)
    pack = open_pack(file, overrides=ARCFACE)
    assert (pack.encoder.embedding_size, pack.encoder.input_size) == (512, (112, 112))
    assert pack.encoder.sha256 and not pack.license.commercial


def test_only_the_missing_flags_are_asked_for(tiny, tmp_path):
    file = tiny.encoder(tmp_path / "open.onnx", size="side", dimension=64)
    with pytest.raises(ModelError) as caught:
        open_pack(file, overrides=dataclasses.replace(ARCFACE, template=None))
    assert caught.value.hint.splitlines()[0] == "Add: --template arcface --size 112x112"
    assert open_pack(
        file, overrides=dataclasses.replace(ARCFACE, input_size=(96, 112))
    ).encoder.input_size == (96, 112)


def test_a_network_that_scales_its_input_is_told_to_take_raw_pixels(tiny, tmp_path):
    with pytest.raises(ModelError) as caught:
        open_pack(tiny.encoder(tmp_path / "mx.onnx", raw=True))
    assert "--mean 0 --std 1" in caught.value.hint and "raw pixels in" in caught.value.message


def test_a_bare_file_that_is_no_face_network_is_refused_whatever_the_flags(tiny, tmp_path):
    with pytest.raises(ModelError, match="not a face recognition network"):
        open_pack(tiny.encoder(tmp_path / "grey.onnx", channels=1), overrides=ARCFACE)
    with pytest.raises(ModelError, match=r"is a face detector \(scrfd\)") as caught:
        open_pack(tiny.detector(tmp_path / "det.onnx"), overrides=ARCFACE)
    assert "models add" in caught.value.hint and "--encoder" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_size": (96, 96)}, "112 x 112, not 96 x 96"),
        ({"embedding_size": 128}, "512 dimensions, not 128"),
    ],
)
def test_flags_that_contradict_the_file_are_refused(tiny, tmp_path, change, message):
    with pytest.raises(ModelError, match=message):
        open_pack(tiny.encoder(tmp_path / "r50.onnx"), overrides=dataclasses.replace(ARCFACE, **change))


def test_flags_that_contradict_a_manifest_are_refused(tiny, tmp_path):
    folder = tiny.pack(tmp_path / "tiny").folder
    with pytest.raises(UsageError, match=r"--color.*color = rgb"):
        open_pack(folder, overrides=PackOverrides(color="bgr"))
    assert open_pack(folder, overrides=PackOverrides(color="rgb")).name == "tiny"


def test_external_weights_and_custom_operators_are_refused(tiny, tmp_path):
    file = tiny.encoder(tmp_path / "a.onnx")
    onnx.save(
        onnx.load(file), tmp_path / "b.onnx", save_as_external_data=True, location="b.bin", size_threshold=0
    )
    with pytest.raises(ModelError, match=r"second file, 'b\.bin'"):
        open_pack(tmp_path / "b.onnx", overrides=ARCFACE)
    model = onnx.load(file)
    model.graph.node[0].domain = "mine"
    model.opset_import.add(domain="mine", version=1)
    onnx.save(model, tmp_path / "c.onnx")
    with pytest.raises(ModelError, match="mine::GlobalAveragePool"):
        open_pack(tmp_path / "c.onnx", overrides=ARCFACE)


def nhwc_file(path: Path) -> Path:
    """uint8 pixels in, preprocessing inside: as `facerec export` can write it."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["image"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["image", "mean"], ["centred"]),
        helper.make_node("GlobalAveragePool", ["centred"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 112, 96, 3])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
    mean = numpy_helper.from_array(np.full((1, 1, 1, 1), 127.5, np.float32), "mean")
    graph = helper.make_graph(nodes, "nhwc", [pixels], [embedding], [mean])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_network_that_takes_pixels_last_is_told_by_its_shape(tmp_path):
    file = nhwc_file(tmp_path / "nhwc.onnx")
    with pytest.raises(ModelError) as caught:
        open_pack(file)
    assert "96 x 112" in caught.value.message and "--mean 0 --std 1" in caught.value.hint
    raw = PackOverrides(color="bgr", mean=(0.0,) * 3, std=(1.0,) * 3, template="arcface")
    encoder = register(file, overrides=raw).encoder
    assert (encoder.layout, encoder.input_size, encoder.embedding_size) == ("nhwc", (96, 112), 3)
    with pytest.raises(ModelError, match="not a face recognition network"):
        open_pack(file, overrides=dataclasses.replace(raw, layout="nchw"))


def test_insightface_folders_are_found_without_a_copy(tiny, insightface_home):
    buffalo(tiny, insightface_home / "buffalo_l")
    pack = open_pack("buffalo_l")
    assert pack.folder == insightface_home / "buffalo_l"
    assert (pack.encoder.file, pack.detector.file) == ("w600k_r50.onnx", "det_10g.onnx")
    assert pack.encoder.mean == (127.5,) * 3 and pack.encoder.std == (127.5,) * 3
    assert pack.detector.std == (128.0,) * 3 and pack.detector.color == pack.encoder.color == "rgb"
    assert not pack.license.commercial and len(pack.encoder.sha256) == 64
    assert [(p.name, p.origin) for p in installed()][2:] == [("buffalo_l", "insightface")]


def test_insightface_files_are_told_by_shape_not_by_name(tiny, tmp_path):
    folder = tmp_path / "mine"
    tiny.detector(folder / "z.onnx", outputs=15)
    tiny.encoder(folder / "y.onnx", raw=True)
    tiny.encoder(folder / "a.onnx", size=96, dimension=3)
    pack = open_pack(folder)
    assert (pack.encoder.file, pack.detector.file) == ("y.onnx", "z.onnx")
    assert (pack.encoder.mean, pack.encoder.std) == ((0.0,) * 3, (1.0,) * 3)


def test_a_nested_insightface_folder_opens(tiny, insightface_home):
    buffalo(tiny, insightface_home / "antelopev2" / "antelopev2")
    assert open_pack("antelopev2").folder == insightface_home / "antelopev2" / "antelopev2"


@pytest.mark.parametrize("keep", ["detector", "encoder"])
def test_half_an_insightface_folder_says_what_is_missing(tiny, insightface_home, keep):
    getattr(tiny, keep)(insightface_home / "buffalo_s" / "only.onnx")
    with pytest.raises(ModelError) as caught:
        open_pack("buffalo_s")
    assert ("recognition network" if keep == "detector" else "detector") in caught.value.message
    assert "facerec models pull buffalo_s" in caught.value.hint


def test_a_detector_without_landmarks_is_not_taken(tiny, tmp_path):
    tiny.detector(tmp_path / "d" / "det.onnx", outputs=6)
    tiny.encoder(tmp_path / "d" / "r.onnx")
    with pytest.raises(ModelError, match="detector without landmarks"):
        open_pack(tmp_path / "d")


def test_the_identity_covers_what_embeddings_depend_on_and_nothing_else(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "a")
    same = dataclasses.replace(pack, name="b", description="another")
    assert pack_hash(pack) == pack_hash(same)
    renamed = pack.encoder_path.rename(pack.folder / "renamed.onnx")
    assert pack_hash(pack) == pack_hash(
        dataclasses.replace(pack, encoder=dataclasses.replace(pack.encoder, file=renamed.name))
    )
    encoder, detector = pack.encoder, pack.detector
    others = [
        dataclasses.replace(pack, encoder=dataclasses.replace(encoder, color="bgr")),
        dataclasses.replace(pack, encoder=dataclasses.replace(encoder, mean=(0.0, 0.0, 0.0))),
        dataclasses.replace(pack, encoder=dataclasses.replace(encoder, sha256="0" * 64)),
        dataclasses.replace(pack, detector=dataclasses.replace(detector, min_score=0.1)),
        dataclasses.replace(pack, detector=None),
    ]
    assert len({pack_hash(pack), *map(pack_hash, others)}) == 6


def test_a_file_and_its_registered_copy_are_the_same_model(tiny, tmp_path):
    from facerec_cli.packs.metadata import seal

    pack = tiny.pack(tmp_path / "p")
    file = tmp_path / "m.onnx"
    seal(pack.encoder_path, pack, file)
    assert pack_hash(register(file, "m")) == pack_hash(open_pack(file)) == pack_hash(open_pack("m"))


def test_a_home_that_may_not_be_read_leaves_the_embedded_pack(tmp_path, monkeypatch):
    """As in a container where HOME is another user's; PermissionError also for root."""
    real = Path.iterdir

    def iterdir(path):
        if path.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "b"))
    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert [pack.name for pack in installed()] == ["sface", "sface-degraded"] and open_pack().name == "sface"


@pytest.mark.parametrize("name", ["sface-hard", "pack:sface-hard"])
def test_a_pack_that_has_another_name_now_says_it(name):
    with pytest.raises(ModelError, match="sface-hard is called sface-degraded now") as fault:
        open_pack(name)
    assert "embed the photos anew" in fault.value.hint and "--model sface-degraded" in fault.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_manifest_is_said(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "p")
    (pack.folder / "pack.toml").chmod(0)
    with pytest.raises(ModelError, match="cannot be read"):
        open_pack(pack.folder)


def test_an_empty_sha256_is_filled_in(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "p")
    write_manifest(dataclasses.replace(pack, encoder=dataclasses.replace(pack.encoder, sha256="")))
    assert open_pack(pack.folder).encoder.sha256 == pack.encoder.sha256


def test_other_files_under_a_known_name_are_used_with_a_warning(tiny, insightface_home, caplog):
    buffalo(tiny, insightface_home / "buffalo_l")
    buffalo(tiny, insightface_home / "my_own")
    open_pack("my_own")
    assert caplog.messages == []
    open_pack("buffalo_l")
    assert len(caplog.messages) == 1 and "w600k_r50.onnx, det_10g.onnx" in caplog.messages[0]
