"""The registry: packs appear whole or not at all, and nothing is deleted that facerec did not put there."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from facerec_cli.errors import ModelError, OutputError
from facerec_cli.packs.catalog import catalog, installed
from facerec_cli.packs.folders import user_packs
from facerec_cli.packs.manifest_toml import read_manifest
from facerec_cli.packs.metadata import seal
from facerec_cli.packs.no_manifest import PackOverrides
from facerec_cli.packs.resolve import open_pack
from facerec_cli.store import install as module
from facerec_cli.store.check import check
from facerec_cli.store.install import install, register, remove

ARCFACE = PackOverrides(color="rgb", mean=(127.5,) * 3, std=(127.5,) * 3, template="arcface")


def leftovers() -> list[str]:
    return [path.name for path in user_packs().iterdir() if path.is_dir() and path.name.startswith(".")]


def test_a_folder_is_copied_whole_and_opens_by_name(tiny, tmp_path):
    made = tiny.pack(tmp_path / "source")
    (made.folder / "evaluations").mkdir()
    (made.folder / "evaluations" / "lfw.json").write_text("{}")
    registered = register(made.folder)
    shutil.rmtree(made.folder)
    assert registered == open_pack("tiny") == dataclasses.replace(made, folder=user_packs() / "tiny")
    names = {path.name for path in registered.folder.iterdir()}
    assert names == {"pack.toml", "encoder.onnx", "detector.onnx", "LICENSE.txt", "evaluations"}
    assert (registered.folder / "evaluations" / "lfw.json").read_text() == "{}"
    assert leftovers() == []


def test_a_sealed_file_is_registered_with_its_sha256(tiny, tmp_path):
    pack = tiny.pack(tmp_path / "p")
    file = tmp_path / "r50.onnx"
    sealed = seal(pack.encoder_path, pack, file)
    registered = register(file, "r50_otface")
    assert registered.name == "r50_otface"
    assert read_manifest(registered.folder).encoder.sha256 == sealed.encoder.sha256
    assert (registered.folder / "r50.onnx").read_bytes() == file.read_bytes()


def test_a_bare_file_keeps_what_its_flags_said(tiny, tmp_path):
    register(tiny.encoder(tmp_path / "ada.onnx"), overrides=dataclasses.replace(ARCFACE, color="bgr"))
    assert open_pack("ada").encoder.color == "bgr"


def test_a_taken_name_needs_force_and_the_old_pack_stays_until_then(tiny, tmp_path):
    first = register(tiny.pack(tmp_path / "a").folder)
    other = tiny.pack(tmp_path / "b", seed=1)
    with pytest.raises(ModelError, match="registered already") as caught:
        register(other.folder)
    assert "--overwrite" in caught.value.hint and open_pack("tiny") == first
    replaced = register(other.folder, force=True)
    assert replaced.encoder.sha256 == other.encoder.sha256 != first.encoder.sha256
    assert leftovers() == []


def test_the_embedded_name_is_never_taken(tiny, tmp_path):
    for force in (False, True):
        with pytest.raises(ModelError, match="comes with facerec"):
            register(tiny.pack(tmp_path / f"{force}").folder, "sface", force=force)


@pytest.mark.parametrize("name", ["../x", "a/b", "x.onnx", ""])
def test_a_name_that_is_a_path_is_refused(tiny, tmp_path, name):
    pack = tiny.pack(tmp_path / "p")
    with pytest.raises(ModelError):
        install(dataclasses.replace(pack, name=name), {})
    assert not user_packs().exists()


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tiny, tmp_path, weight):
    file = tiny.encoder(tmp_path / "broken.onnx", weight=weight)
    with pytest.raises(ModelError, match="'weight' has NaN or infinite"):
        register(file, overrides=ARCFACE)
    assert not user_packs().exists()


def test_a_full_disk_leaves_the_registry_as_it_was(tiny, tmp_path, monkeypatch):
    pack = tiny.pack(tmp_path / "p")
    copied = []

    def copy(source, target):
        copied.append(source)
        if len(copied) == 2:
            raise OSError(28, "No space left on device", str(target))
        shutil.copyfile(source, target)

    monkeypatch.setattr(module, "_copy", copy)
    with pytest.raises(OutputError, match="No space left") as caught:
        register(pack.folder)
    assert "FACEREC_HOME" in caught.value.hint
    assert not (user_packs() / "tiny").exists() and leftovers() == []


def test_an_interrupted_add_is_no_pack_and_is_cleared_by_the_next(tiny, tmp_path):
    half = user_packs() / ".facerec.tiny.tmp"
    shutil.copytree(tiny.pack(tmp_path / "p").folder, half)
    assert [entry.name for entry in installed()] == ["sface", "sface-degraded"]
    register(tmp_path / "p")
    assert leftovers() == []


def test_a_pack_that_was_moved_aside_when_a_program_was_killed_comes_back(tiny, tmp_path):
    old = register(tiny.pack(tmp_path / "a").folder)
    other = tiny.pack(tmp_path / "b", seed=1)
    aside = user_packs() / ".facerec.tiny.old"
    old.folder.rename(aside)  # the old one is out of its place, the new one not yet in it
    with pytest.raises(ModelError, match="registered already"):
        register(other.folder)
    assert open_pack("tiny") == old and leftovers() == []


ADD = """
import sys
from facerec_cli.errors import ModelError
from facerec_cli.store.install import register
try:
    print("added", register(sys.argv[1], "same", force=sys.argv[2] == "force").encoder.sha256)
except ModelError as fault:
    print("refused", fault)
"""


@pytest.mark.parametrize("force", ["force", "no"])
def test_programs_that_add_the_same_name_at_once_leave_one_valid_pack(tiny, tmp_path, force):
    packs = [tiny.pack(tmp_path / f"p{seed}", seed=seed) for seed in range(4)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, str(pack.folder), force], stdout=subprocess.PIPE, text=True
        )
        for pack in packs
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    added = [line.split()[1] for line in said if line.startswith("added")]
    assert len(added) >= 1 and (force == "force" or len(added) == 1), said
    assert open_pack("same").encoder.sha256 in added
    assert check("same")[0].status == "ok" and leftovers() == []


def test_remove_deletes_only_what_was_registered(tiny, tmp_path, monkeypatch):
    register(tiny.pack(tmp_path / "p").folder)
    assert remove("tiny") == user_packs() / "tiny"
    assert not (user_packs() / "tiny").exists() and leftovers() == []
    with pytest.raises(ModelError, match="no model 'tiny'"):
        remove("tiny")
    with pytest.raises(ModelError, match="part of facerec"):
        remove("sface")
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "theirs"))
    folder = tmp_path / "theirs" / "models" / "buffalo_l"
    tiny.encoder(folder / "w600k_r50.onnx")
    with pytest.raises(ModelError, match="belongs to insightface") as caught:
        remove("buffalo_l")
    assert str(folder) in caught.value.hint and (folder / "w600k_r50.onnx").exists()


@pytest.mark.parametrize("name", ["..", "../packs", ".", "/"])
def test_remove_takes_no_paths(tiny, tmp_path, name):
    register(tiny.pack(tmp_path / "p").folder)
    with pytest.raises(ModelError, match="no model"):
        remove(name)
    assert (user_packs() / "tiny" / "pack.toml").exists()


def test_what_a_killed_remove_left_is_cleared_by_the_next(tiny, tmp_path):
    register(tiny.pack(tmp_path / "p").folder)
    left = user_packs() / ".facerec.tiny.tmp"
    left.mkdir()
    (user_packs() / "tiny").rename(left / "tiny")
    with pytest.raises(ModelError, match="no model 'tiny'"):
        remove("tiny")
    assert leftovers() == []


def test_check_names_the_broken_pack_and_passes_the_others(tiny, tmp_path):
    broken = register(tiny.pack(tmp_path / "a", "broken").folder)
    register(tiny.pack(tmp_path / "b", "fine", seed=1).folder)
    content = bytearray(broken.encoder_path.read_bytes())
    content[100] ^= 1
    broken.encoder_path.write_bytes(content)
    found = {finding.name: finding for finding in check()}
    statuses = {"sface": "ok", "sface-degraded": "ok", "broken": "broken", "fine": "ok"}
    assert {name: f.status for name, f in found.items()} == statuses
    assert "sha256" in found["broken"].detail and found["fine"].pack_hash
    with pytest.raises(ModelError):
        check("nobody")


def test_check_tells_insightface_files_that_are_not_the_published_ones(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path))
    tiny.detector(tmp_path / "models" / "buffalo_l" / "det_10g.onnx")
    tiny.encoder(tmp_path / "models" / "buffalo_l" / "w600k_r50.onnx")
    tiny.detector(tmp_path / "models" / "my_own" / "det.onnx")
    tiny.encoder(tmp_path / "models" / "my_own" / "r.onnx")
    found = {finding.name: finding for finding in check()}
    assert found["buffalo_l"].status == "differs" and "w600k_r50.onnx" in found["buffalo_l"].detail
    assert found["my_own"].status == "ok"


def test_the_catalogue_filters_by_licence_and_shows_broken_packs(tiny, tmp_path):
    register(tiny.pack(tmp_path / "a", "free").folder)
    register(tiny.pack(tmp_path / "b", "research", commercial=False, seed=1).folder)
    broken = register(tiny.pack(tmp_path / "c", "broken", seed=2).folder)
    (broken.folder / "pack.toml").write_text("schema = 1\n")
    status = {entry.name: entry.status for entry in catalog()}
    assert status["broken"] == "broken" and status["buffalo_l"] == "to pull"
    here = {entry.name for entry in catalog(commercial=True) if entry.status != "to pull"}
    assert here == {"sface", "free"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written_is_said(tiny, tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    monkeypatch.setenv("FACEREC_HOME", str(locked))
    with pytest.raises(OutputError, match="cannot be written"):
        register(tiny.pack(tmp_path / "p").folder)


def test_home_that_is_a_file_is_said(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written") as caught:
        register(tiny.pack(tmp_path / "p").folder)
    assert "FACEREC_HOME" in caught.value.hint


def test_opening_a_registered_pack_imports_neither_torch_nor_onnxruntime(tiny, tmp_path):
    register(tiny.pack(tmp_path / "p").folder)
    code = textwrap.dedent("""
        import sys
        from facerec_cli.packs.resolve import open_pack
        open_pack("tiny"), open_pack("sface")
        print(sorted({"torch", "onnx", "onnxruntime", "cv2"} & set(sys.modules)))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_paths_are_returned_as_paths(tiny, tmp_path):
    assert isinstance(register(tiny.pack(tmp_path / "p").folder).folder, Path)
