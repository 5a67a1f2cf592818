"""Photos far from the main center of their person: what a run with sub-centers says of its data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.data import open_dataset
from facerec_cli.data.subset import PhotoSubset
from facerec_cli.data.tools.convert import convert
from facerec_cli.errors import ModelError
from facerec_cli.training import checkpoint
from facerec_cli.training.main_centers import degrees_to_main_center, main_centers
from facerec_cli.training.train import train


def test_the_main_center_is_the_one_of_most_photos() -> None:
    labels = np.array([0, 0, 0, 2, 2])
    cosines = np.array([[0.9, 0.1], [0.2, 0.3], [0.1, 0.3], [0.5, 0.4], [np.nan, np.nan]], np.float32)
    assert main_centers(cosines, labels, 3).tolist() == [1, 0, 0]


def test_degrees_are_those_of_the_checkpoint(small, tmp_path) -> None:
    """As insightface's drop.py has it: nearest centers are counted, the angle is to the one counted most."""
    out = tmp_path / "run"
    train(small(out, loss__name="subcenter_arcface", schedule__steps=2))
    dataset = open_dataset("synthetic:12:6")
    found = degrees_to_main_center(out, dataset)
    assert found.shape == (72,) and found.dtype == np.float32

    document = checkpoint.read(out / "last.pt")
    centers = document["ranks"][0]["loss"]["classifier.weight"].view(12, 3, 32).numpy()
    centers = centers / np.linalg.norm(centers, axis=2, keepdims=True)
    backbone, _ = checkpoint.load_backbone(out / "last.pt")
    crops = np.stack([dataset.image(i)[..., ::-1] for i in range(72)])
    vectors = TorchEncoder(backbone, torch.device("cpu"), normalize=True).encode(crops)
    for label in range(12):
        rows = np.flatnonzero(dataset.labels == label)
        similar = vectors[rows] @ centers[label].T
        dominant = np.bincount(similar.argmax(1), minlength=3).argmax()
        expected = np.degrees(np.arccos(similar[:, dominant]))
        np.testing.assert_allclose(found[rows], expected, atol=0.05)

    kept = np.flatnonzero(found <= np.median(found))
    convert(PhotoSubset(dataset, kept), tmp_path / "clean.rec")
    assert len(open_dataset(tmp_path / "clean.rec")) == len(kept) == 36
    with pytest.raises(ModelError, match="was not trained on synthetic:6:12"):
        degrees_to_main_center(out, open_dataset("synthetic:6:12"))


def test_a_run_without_centers_is_refused(small, tmp_path) -> None:
    train(small(tmp_path / "run", loss__name="cosface", schedule__steps=1))
    dataset = open_dataset("synthetic:12:6")
    with pytest.raises(ModelError, match=r"last\.pt has no centers of a class"):
        degrees_to_main_center(tmp_path / "run", dataset)
    with pytest.raises(ModelError, match="There is no checkpoint"):
        degrees_to_main_center(tmp_path / "nothing.pt", dataset)
