"""The names of a ``.rec`` are looked for where something has to be said, and only there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.decode import BrokenPhotoError
from facerec_cli.data.formats.rec.dataset import RecDataset
from facerec_cli.data.formats.rec.write import write_rec


def made(tmp_path: Path) -> RecDataset:
    """Three people with a photo each; the second one's data ends early, the third one's is a PNG."""
    images = [np.full((112, 112, 3), 60 * (n + 1), np.uint8) for n in range(3)]
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    files = {
        "anna/first.jpg": cv2.imencode(".jpg", images[0])[1].tobytes(),
        "berta/cut.jpg": cv2.imencode(".jpg", noise)[1].tobytes()[:2000],
        "clara/third.png": cv2.imencode(".png", images[2])[1].tobytes(),
    }
    for name, data in files.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    write_rec(open_dataset(str(tmp_path / "photos")), tmp_path / "set" / "train.rec")
    dataset = open_dataset(str(tmp_path / "set"))
    assert isinstance(dataset, RecDataset)
    return dataset


def test_a_photo_is_decoded_without_a_look_into_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = made(tmp_path)
    names: list[int] = []
    plain = RecDataset.name
    monkeypatch.setattr(RecDataset, "name", lambda self, index: (names.append(index), plain(self, index))[1])
    assert abs(int(dataset.image(0)[0, 0, 0]) - 60) <= 1 and names == []
    with pytest.raises(BrokenPhotoError, match=r"^berta/cut\.jpg cannot be used: "):
        dataset.image(1)
    assert names == [1]
    assert (dataset.image(2) == 180).all()
