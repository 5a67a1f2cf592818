"""Fixtures of the embedding tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from dots import DotModel, draw, face_points


@pytest.fixture
def dots() -> DotModel:
    return DotModel()


@pytest.fixture
def opened(dots: DotModel, monkeypatch: pytest.MonkeyPatch) -> DotModel:
    """The model that ``embed_to_file`` opens, whatever it asks for."""
    monkeypatch.setattr("facerec_cli.embed.engines.local.open_model", lambda *args, **kwargs: dots)
    return dots


@pytest.fixture
def album(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder with photos, each with its face at another place."""

    def make(count: int) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for index in range(count):
            points = face_points((60 + index % 40, 70 + index % 23), 60 + index % 31)
            cv2.imwrite(str(folder / f"{index:04d}.png"), draw((160, 150), points, shade=60 + index % 100))
        return folder

    return make
