"""QMUL-SurvFace: lists and names say the same, also where the lists lie in the folder of the evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.protocols import read_protocol
from tests.protocols.made_up import survface


@pytest.mark.parametrize("where", ["beside", "evaluation", "nowhere"])
def test_the_three_parts(tmp_path: Path, where: str) -> None:
    survface(tmp_path, lists=where != "nowhere")
    place = tmp_path / "Face_Identification_Test_Set"
    if where == "evaluation":
        (tmp_path / "Face_Identification_Evaluation").mkdir()
        for path in place.glob("*.mat"):
            path.rename(tmp_path / "Face_Identification_Evaluation" / path.name)
    protocol = read_protocol([tmp_path])
    (trial,) = protocol.trials
    assert protocol.people == (("7", "8") if where == "nowhere" else ("1", "2")) and protocol.rank == "people"
    assert protocol.names == (
        "gallery/7_cam1_1.jpg",
        "gallery/8_cam1_1.jpg",
        "mated_probe/7_cam2_1.jpg",
        "unmated_probe/9_cam2_1.jpg",
    )
    assert (trial.gallery.tolist(), trial.probes.tolist()) == ([0, 1], [2, 3])
    assert protocol.identity.tolist() == [0, 1, 0, -1]
    assert all(Path(str(image)).is_file() for image in protocol.images)
