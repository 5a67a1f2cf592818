"""A small trained-looking checkpoint and real-looking crops, made once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_checkpoint import SIZE, lively, write_checkpoint
from numpy.typing import NDArray

from facerec_cli.backbones import Backbone, build
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.export import ExportOptions, ExportReport, export


@pytest.fixture(scope="session")
def mobile() -> Backbone:
    backbone = build("mobilefacenet", SIZE, width=0.25)
    lively(backbone)
    return backbone


@pytest.fixture(scope="session")
def best(tmp_path_factory: pytest.TempPathFactory, mobile: Backbone) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_checkpoint(folder / "best.pt", mobile, "mobilefacenet", "synthetic:40:1", width=0.25)


@pytest.fixture(scope="session")
def crops() -> NDArray[np.uint8]:
    """(33, 112, 112, 3) uint8 BGR."""
    dataset = SyntheticDataset(33, 1)
    return np.stack([dataset.image(i)[..., ::-1] for i in range(33)])


@pytest.fixture(scope="session")
def crop_folder(tmp_path_factory: pytest.TempPathFactory, crops: NDArray[np.uint8]) -> Path:
    import cv2

    folder = tmp_path_factory.mktemp("crops")
    for i, crop in enumerate(crops):
        cv2.imwrite(str(folder / f"{i:02d}.png"), crop)
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, best: Path, crop_folder: Path) -> ExportReport:
    """One export with everything, which many tests look at."""
    folder = tmp_path_factory.mktemp("exported")
    options = ExportOptions(
        output=folder / "full.onnx",
        forms=("fp16", "fp16_weights", "int8", "int8_weights"),
        insightface=folder / "insightface",
        crops=crop_folder,
        aligned=True,
        license="CC-BY-4.0",
        commercial=True,
    )
    return export(best, options)
