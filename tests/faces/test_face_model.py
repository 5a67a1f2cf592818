"""The face model on networks whose results are known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tiny_pack import EMBEDDING_SIZE, expected, write_tiny_pack

from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.packs.manifest import ModelPack


def crops(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 112, 112, 3), dtype=np.uint8)


@pytest.fixture
def tiny(tiny_pack: ModelPack) -> FaceModel:
    return open_model(tiny_pack.folder, device="cpu", threads=2, detector=False)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 33])
def test_embeddings_are_what_the_manifest_says(tiny: FaceModel, count: int) -> None:
    images = crops(count)
    np.testing.assert_allclose(tiny.encode(images), expected(images), atol=2e-4)
    assert tiny.encode(images).shape == (count, EMBEDDING_SIZE)


def test_flip_adds_the_mirrored_crop(tiny: FaceModel) -> None:
    images = crops(3)
    mirrored = expected(images) + expected(images[:, :, ::-1])
    np.testing.assert_allclose(tiny.encode(images, flip=True), mirrored, atol=4e-4)


def test_the_provider_is_reported_and_names_no_detector(tiny: FaceModel) -> None:
    assert tiny.provider == "cpu"
    with pytest.raises(ModelError, match="without its detector"):
        tiny.detect([np.zeros((64, 64, 3), np.uint8)])


def test_a_fixed_batch_of_one_works_and_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pack = write_tiny_pack(tmp_path / "one", batch=1)
    model = open_model(pack, device="cpu", threads=2, detector=False)
    assert "one crop at a time" in caplog.text
    np.testing.assert_allclose(model.encode(crops(5)), expected(crops(5)), atol=2e-4)


def test_many_threads_share_one_model(tiny: FaceModel) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: tiny.encode(crops(7, seed)), range(24)))
    for seed, embeddings in enumerate(found):
        np.testing.assert_allclose(embeddings, expected(crops(7, seed)), atol=2e-4)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((1, 112, 96, 3), np.uint8),
        np.zeros((1, 112, 112, 3), np.float32),
    ],
)
def test_crops_of_the_wrong_form_are_refused(tiny: FaceModel, bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="112, 112, 3"):
        tiny.encode(bad)


def test_the_default_packs_detector_serves_packs_without_one(tiny_pack: ModelPack) -> None:
    model = open_model(tiny_pack, device="cpu", threads=1)
    assert model.detect([np.zeros((64, 64, 3), np.uint8)]) == [[]]
