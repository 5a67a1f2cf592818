"""A refused run leaves no folder, and data sets of a checkpoint are tried in turn."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.backbones import build
from facerec_cli.export.crops import from_training_data
from facerec_cli.training.devices import join_world
from facerec_cli.training.run_folder import open_folder


@pytest.mark.parametrize("written", [False, True])
def test_a_refused_run_leaves_what_it_found(written: bool, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "a"
    with join_world("cpu") as world, pytest.raises(ValueError, match="refused"):  # noqa: SIM117
        with open_folder(str(out), world, resume=False, force=False):
            if written:
                (out / "last.pt").write_bytes(b"x")
            raise ValueError("refused")
    assert out.exists() == out.parent.exists() == written


def test_crops_come_from_the_first_data_set_that_is_here(tmp_path: Path) -> None:
    for person in "ab":
        folder = tmp_path / "faces" / person
        folder.mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((112, 112, 3), 90, np.uint8))
    preprocessing = build("mobilefacenet", embedding_size=8).preprocessing
    here, gone = str(tmp_path / "faces"), str(tmp_path / "gone")
    for specs in ([here], [gone, here], [here, here]):
        found = from_training_data(specs, preprocessing)
        assert found is not None and found.real
    assert from_training_data([gone], preprocessing) is None
    assert from_training_data([], preprocessing) is None
