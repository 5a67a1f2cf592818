"""A backbone as an encoder: BGR crops in, the network's own embeddings out, whatever mode it is in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facerec_cli.backbones import build
from facerec_cli.backbones.base import Preprocessing
from facerec_cli.backbones.encoder import TorchEncoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return build("mobilefacenet", 16, width=0.125)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (9, 112, 112, 3), np.uint8)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_what_the_network_gives_for_prepared_crops(backbone, crops, color):
    preprocessing = Preprocessing(color=color, mean=(127.5,) * 3, std=(128.0,) * 3)
    ordered = crops if color == "bgr" else crops[..., ::-1]
    images = torch.tensor((ordered.astype(np.float32) - 127.5) / 128).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = backbone.eval()(images).embeddings.numpy()
    backbone.train()
    told = []
    encoder = TorchEncoder(
        backbone, CPU, preprocessing, progress=lambda done, total: told.append((done, total))
    )
    np.testing.assert_allclose(encoder.encode(crops), expected, rtol=1e-4, atol=1e-5)
    assert backbone.training and told[0] == (0, 9)


def test_flip_adds_the_mirrored_crop_and_unit_vectors_are_unit(backbone, crops):
    plain, mirrored = (TorchEncoder(backbone, CPU).encode(view) for view in (crops, crops[:, :, ::-1]))
    both = TorchEncoder(backbone, CPU, flip=True).encode(crops)
    np.testing.assert_allclose(both, plain + mirrored, rtol=1e-4, atol=1e-5)
    unit = TorchEncoder(backbone, CPU, normalize=True).encode(crops)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


def test_no_crops_give_no_rows(backbone):
    found = TorchEncoder(backbone, CPU).encode(np.zeros((0, 112, 112, 3), np.uint8))
    assert found.shape == (0, 16) and found.dtype == np.float32
