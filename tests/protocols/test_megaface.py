"""MegaFace: sizes as trials, leave one out, the cleaned lists, the test pack's layout."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import read_protocol
from tests.protocols.made_up import megaface, photos


def test_each_size_is_a_trial_of_probes_that_join_the_gallery_in_turn(tmp_path: Path) -> None:
    protocol = read_protocol(megaface(tmp_path))
    assert [trial.name for trial in protocol.trials] == ["10 distractors, set 1", "100 distractors, set 1"]
    assert all(trial.leave_one_out for trial in protocol.trials)
    assert protocol.people == ("Ann", "Bob")
    kept = ["Ann/Ann_1.png", "Ann/Ann_2.png", "Bob/Bob_1.png", "Bob/Bob_2.png"]
    for trial, far in zip(
        protocol.trials, (["12/7@N01/0_0.jpg"], ["12/7@N01/0_0.jpg", "13/9@N03/2_0.jpg"]), strict=True
    ):
        assert [protocol.names[i] for i in trial.probes] == kept
        assert [protocol.names[i] for i in trial.gallery] == far
    assert protocol.identity.tolist() == [0, 0, 1, 1, -1, -1]


def test_without_the_lists_of_noise_nothing_is_left_out_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (lists,) = megaface(tmp_path)
    for path in (tmp_path / "devkit").glob("*_noises.txt"):
        path.unlink()
    with caplog.at_level(logging.WARNING):
        protocol = read_protocol([lists / "facescrub_features_list.json"])
    assert len(protocol.images) == 5 + 3
    assert "facescrub_noises.txt: no noise" in caplog.text and "megaface_noises.txt: no noise" in caplog.text


def test_the_test_pack(tmp_path: Path) -> None:
    names = ["facescrub_images/Ann Lee/Ann Lee_1.jpg", "facescrub_images/Ann Lee/Ann Lee_2.jpg"]
    photos(tmp_path, *names, "megaface_images/1/2/3.jpg")
    (tmp_path / "facescrub_lst").write_text("".join(f"{name}\n" for name in names))
    (tmp_path / "megaface_lst").write_text("0\tmegaface_images/1/2/3.jpg\n")
    (tmp_path / "facescrub_noises.txt").write_text("Ann_Lee_2.png\n")
    (tmp_path / "megaface_noises.txt").write_text("#\n")
    protocol = read_protocol([tmp_path])
    (trial,) = protocol.trials
    assert (trial.name, protocol.people) == ("distractors", ("Ann Lee",))
    assert [protocol.names[i] for i in (*trial.probes, *trial.gallery)] == [
        names[0],
        "megaface_images/1/2/3.jpg",
    ]
    assert all(Path(str(image)).is_file() for image in protocol.images)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"id": []}', "not JSON with a list `path`"),
        ("[1, 2]", "not JSON with a list `path`"),
        ('{"path": {"a": 1}}', "`path` is not a list of names"),
        ('{"path": ["a.jpg", 7]}', "`path` is not a list of names"),
        ('{"path": ["a.jpg"], "id": ["x", "y"]}', "`id` is not a list as long as `path`"),
        ('{"path": []}', "names no photo"),
        ("[" * 100_000, "not JSON"),
        ('{"path": ["x/Ann_3.png"], "id": ["Ann"]}', "All probes are noise"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path: Path, content: str, told: str) -> None:
    (lists,) = megaface(tmp_path)
    (lists / "facescrub_features_list.json").write_text(content)
    with pytest.raises(InputError, match=told):
        read_protocol([lists], "megaface")


def test_probes_without_distractors_are_refused(tmp_path: Path) -> None:
    (lists,) = megaface(tmp_path)
    for path in lists.glob("megaface*"):
        path.unlink()
    with pytest.raises(InputError, match="no list of distractors"):
        read_protocol([lists])
