"""SCface: what the names say of distance and camera."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import read_protocol
from tests.protocols.made_up import photos, scface


def test_distances_are_trials_and_infrared_is_left_out(tmp_path: Path) -> None:
    protocol = read_protocol(scface(tmp_path))
    assert [trial.name for trial in protocol.trials] == ["d1", "d2", "d3"]
    assert protocol.people == ("001", "002")
    for number, trial in enumerate(protocol.trials, 1):
        assert [Path(protocol.names[i]).name for i in trial.gallery] == ["001_frontal.jpg"]
        probes = [Path(protocol.names[i]).name for i in trial.probes]
        assert probes == [
            f"{person}_cam{camera}_{number}.jpg" for person in ("001", "002") for camera in "15"
        ]


def test_a_photo_in_two_folders_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos(
        tmp_path,
        "cropped/001_frontal.JPG",
        "original/001_frontal.jpg",
        "s/001_cam2_2.png",
        "s/001_cam2_3.png",
    )
    with caplog.at_level(logging.WARNING):
        protocol = read_protocol([tmp_path], "scface")
    assert [trial.name for trial in protocol.trials] == ["d2", "d3"]
    assert len(protocol.images) == 3 and "1 photo of a name that is there before" in caplog.text


def test_mugshots_or_cameras_alone_are_refused(tmp_path: Path) -> None:
    photos(tmp_path, "001_frontal.jpg", "002_frontal.jpg")
    with pytest.raises(InputError, match="2 mugshots and 0 photos of cameras"):
        read_protocol([tmp_path], "scface")
