"""A part of the way from the weights that a run started from to its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_checkpoint import SIZE, lively, torch_embeddings, write_checkpoint
from numpy.typing import NDArray

from facerec_cli.backbones import Backbone, build
from facerec_cli.errors import UsageError
from facerec_cli.export import ExportOptions, export
from facerec_cli.export.source import open_source
from facerec_cli.faces import open_model


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, best: Path) -> tuple[Path, Backbone]:
    backbone = build("mobilefacenet", SIZE, width=0.25)
    lively(backbone, seed=1)
    path = tmp_path_factory.mktemp("tuned") / "best.pt"
    write_checkpoint(path, backbone, "mobilefacenet", "synthetic:40:1", init=str(best), width=0.25)
    return path, backbone


def test_the_file_holds_the_network_between(
    tuned: tuple[Path, Backbone],
    mobile: Backbone,
    crops: NDArray[np.uint8],
    crop_folder: Path,
    tmp_path: Path,
) -> None:
    path, last = tuned
    middle = build("mobilefacenet", SIZE, width=0.25).eval()
    first = mobile.state_dict()
    state = {
        k: 0.75 * first[k] + 0.25 * v if v.is_floating_point() else v for k, v in last.state_dict().items()
    }
    middle.load_state_dict(state)
    options = ExportOptions(output=tmp_path / "x.onnx", interpolate=0.25, crops=crop_folder, aligned=True)
    report = export(path, options)
    pack = report.files[0].pack
    assert pack.training["interpolate"] == "0.25" and pack.training["init"] == "best.pt"
    found = open_model(str(tmp_path / "x.onnx"), device="cpu", detector=False).encode(crops)
    np.testing.assert_allclose(found, torch_embeddings(middle, crops), rtol=1e-3, atol=1e-4)
    assert np.abs(found - torch_embeddings(last, crops)).max() > 0.1


def test_all_of_the_way_is_the_checkpoint(tuned: tuple[Path, Backbone]) -> None:
    source = open_source(tuned[0])
    assert "interpolate" not in source.facts
    for name, value in tuned[1].state_dict().items():
        assert torch.equal(source.backbone.state_dict()[name], value)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_lies_between(tuned: tuple[Path, Backbone], share: float) -> None:
    with pytest.raises(UsageError, match="no point between"):
        open_source(tuned[0], interpolate=share)


def test_a_run_from_fresh_weights_has_nowhere_to_go_back_to(best: Path) -> None:
    with pytest.raises(UsageError, match="started from weights"):
        open_source(best, interpolate=0.5)
