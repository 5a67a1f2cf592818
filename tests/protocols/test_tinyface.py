"""TinyFace: lists and names say the same, and a list that is damaged or not one is refused."""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.errors import InputError, MissingExtraError
from facerec_cli.protocols import mat_lists, read_protocol
from facerec_cli.protocols.mat_lists import read_mat_list
from tests.protocols.made_up import photos, tinyface


@pytest.mark.parametrize("lists", [True, False])
def test_lists_and_names_say_the_same(tmp_path: Path, lists: bool) -> None:
    protocol = read_protocol(tinyface(tmp_path, lists=lists))
    (trial,) = protocol.trials
    assert protocol.rank == "images" and protocol.people == ("17", "18", "19")
    assert [protocol.names[i] for i in trial.gallery] == [
        "Gallery_Match/17_1.jpg",
        "Gallery_Match/17_2.jpg",
        "Gallery_Match/18_1.jpg",
        "Gallery_Distractor/1.jpg",
        "Gallery_Distractor/2.jpg",
    ]
    assert protocol.identity[trial.gallery].tolist() == [0, 0, 1, -1, -1]
    assert protocol.identity[trial.probes].tolist() == [0, 2]


def test_aligned_photos_elsewhere_are_found_below_the_root(tmp_path: Path) -> None:
    tinyface(tmp_path)
    for path in (tmp_path / "Testing_Set").rglob("*.jpg"):
        photos(tmp_path / "aligned", path.relative_to(tmp_path / "Testing_Set").as_posix())
    protocol = read_protocol([tmp_path / "Testing_Set" / "probe_img_ID_pairs.mat"], root=tmp_path / "aligned")
    assert protocol.format == "tinyface"
    assert all(Path(str(image)).parts[-3] == "aligned" for image in protocol.images)


def test_lists_without_the_distractors_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tinyface(tmp_path)
    shutil.rmtree(tmp_path / "Testing_Set" / "Gallery_Distractor")
    with caplog.at_level(logging.WARNING):
        protocol = read_protocol([tmp_path])
    assert protocol.trials[0].gallery.size == 3 and protocol.identity.min() == 0
    assert "Gallery_Distractor has no photo, so this part of the protocol is left out" in caplog.text


def test_without_scipy_the_lists_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tinyface(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"facerec-cli\[mat\]"):
        read_protocol([tmp_path])


def test_a_mat_without_the_variables_or_with_too_many_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io = pytest.importorskip("scipy.io")
    tinyface(tmp_path)
    path = tmp_path / "Testing_Set" / "probe_img_ID_pairs.mat"
    whole = io.loadmat(str(path))
    io.savemat(str(path), {"probe_set": whole["probe_set"]})
    with pytest.raises(InputError, match="no variable probe_ids"):
        read_protocol([tmp_path])
    io.savemat(str(path), {"probe_set": whole["probe_set"], "probe_ids": np.arange(3)})
    with pytest.raises(InputError, match="probe_set has 2 values and probe_ids 3"):
        read_protocol([tmp_path])


@pytest.mark.parametrize("hidden", [False, True])
def test_a_list_that_is_small_when_packed_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    io = pytest.importorskip("scipy.io")
    monkeypatch.setattr(mat_lists, "_BYTES", 8 << 20)
    flood = np.zeros((3_000, 3_000 if hidden else 2_000), np.uint8)
    names = np.empty((1, 1), object)
    names[0, 0] = flood
    path = tmp_path / "list.mat"
    io.savemat(str(path), {"a_set": names if hidden else flood, "a_ids": np.arange(1)}, do_compression=True)
    del flood, names
    monkeypatch.setattr(io, "loadmat", lambda *_, **__: pytest.fail("it was unpacked"))
    assert path.stat().st_size < 1 << 20
    told = "more than 8,388,608 bytes" if hidden else "announces a shape of"
    with pytest.raises(InputError, match=told):
        read_mat_list(path, "a_set", "a_ids")


def test_matlab_7_3_and_names_that_say_nothing_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("scipy.io")
    tinyface(tmp_path)
    path = tmp_path / "Testing_Set" / "probe_img_ID_pairs.mat"
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(head.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + b"\0" * 600)
    with pytest.raises(InputError, match=r"MATLAB 7.3 file, which is HDF5"):
        read_protocol([tmp_path])
    path.unlink()
    (tmp_path / "Testing_Set" / "gallery_match_img_ID_pairs.mat").unlink()
    photos(tmp_path / "Testing_Set" / "Probe", "nobody.jpg")
    with pytest.raises(InputError, match=r"nobody.jpg' does not say whom it shows"):
        read_protocol([tmp_path])
