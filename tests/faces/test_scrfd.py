"""SCRFD and ArcFace files, against insightface's own classes on networks with random weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from face_networks import mobilefacenet, scrfd

from facerec_cli.errors import ModelError
from facerec_cli.faces import Face, FaceModel
from facerec_cli.faces.detectors.detector import Detector
from facerec_cli.faces.detectors.scrfd import Scrfd
from facerec_cli.packs.manifest import DetectorSpec, EncoderSpec, License, ModelPack, Provenance

HALF = (127.5, 127.5, 127.5)
RECORDED = Path(__file__).with_name("scrfd_recorded.npz")


def photo(height: int = 640, width: int = 640, seed: int = 0) -> np.ndarray:
    """Smooth noise with contrast: something for random weights to respond to."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def spec(path: Path, **settings: object) -> DetectorSpec:
    values = {"min_score": 0.5, "nms_iou": 0.4, "mean": HALF, "std": (128.0, 128.0, 128.0), "color": "rgb"}
    return DetectorSpec(kind="scrfd", file=path.name, sha256="", **(values | settings))


def rows(faces: list[Face]) -> np.ndarray:
    return np.array([[*f.box, f.score, *f.landmarks.ravel()] for f in faces]).reshape(-1, 15)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("outputs", [9, 15])
def test_detections_are_insightfaces(tmp_path: Path, outputs: int, batched: bool) -> None:
    reference = pytest.importorskip("insightface.model_zoo.scrfd")
    path = scrfd(tmp_path / "det.onnx", outputs=outputs, batched=batched)
    boxes, points = reference.SCRFD(str(path)).detect(photo(), input_size=(640, 640))
    assert len(boxes) > 20, "random weights that find nothing prove nothing"
    detector = Detector(spec(path), path, device="cpu", threads=1)
    [faces] = detector.detect([photo()], second_look=False)
    expected = np.concatenate([boxes, points.reshape(-1, 10)], axis=1)
    np.testing.assert_allclose(rows(faces), expected, rtol=1e-5, atol=2e-3)


def test_detections_are_what_insightface_gave_when_recorded(tmp_path: Path) -> None:
    """``scrfd_recorded.npz`` holds what insightface 2.1's SCRFD class returned for this network and photo."""
    path = scrfd(tmp_path / "det.onnx")
    [faces] = Detector(spec(path), path, device="cpu", threads=1).detect([photo()], second_look=False)
    np.testing.assert_allclose(rows(faces), np.load(RECORDED)["rows"], rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize("outputs", [6, 10])
def test_boxes_without_landmarks_decode_but_cannot_align(tmp_path: Path, outputs: int) -> None:
    path = scrfd(tmp_path / "det.onnx", outputs=outputs)
    with pytest.raises(ModelError, match="no landmarks"):
        Detector(spec(path), path, device="cpu", threads=1)
    reference = pytest.importorskip("insightface.model_zoo.scrfd")
    boxes, points = reference.SCRFD(str(path)).detect(photo(), input_size=(640, 640))
    assert points is None
    import onnxruntime

    from facerec_cli.faces.detectors.candidates import non_maximum_suppression
    from facerec_cli.faces.preprocess import planes

    session = onnxruntime.InferenceSession(str(path))
    names = [port.name for port in session.get_outputs()]
    batch = planes([photo()], color="rgb", mean=HALF, std=(128.0,) * 3)
    decoder = Scrfd(names, [3] * outputs)
    found = decoder.decode(session.run(None, {"input": batch}), height=640, width=640, min_score=0.5)
    found = found.take(non_maximum_suppression(found, iou=0.4, offset=1.0))
    assert np.isnan(found.landmarks).all()
    mine = np.concatenate([found.boxes, found.scores[:, None]], axis=1)
    np.testing.assert_allclose(mine, boxes, rtol=1e-5, atol=2e-3)


def test_a_batch_gives_what_single_photos_give(tmp_path: Path) -> None:
    photos = [
        photo(320, 320, 1),
        photo(200, 333, 2),
        photo(320, 320, 3),
        photo(1500, 900, 4),
        photo(64, 64, 5),
    ]
    path = scrfd(tmp_path / "det.onnx")
    detector = Detector(spec(path), path, device="cpu", threads=2)
    together = detector.detect(photos)
    assert sum(map(len, together)) > 20
    for one, faces in zip(photos, together, strict=True):
        np.testing.assert_allclose(rows(detector.detect([one])[0]), rows(faces), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("size", [(320, 320), (96, 64)])
def test_a_network_with_a_fixed_input(tmp_path: Path, size: tuple[int, int]) -> None:
    path = scrfd(tmp_path / "det.onnx")
    detector = Detector(spec(path, input_size=size), path, device="cpu", threads=1)
    photos = [photo(256, 320), photo(64, 64), photo(800, 320), np.zeros((50, 700, 3), np.uint8)]
    found = detector.detect(photos)
    assert len(found) == 4 and len(found[2]) > 0
    [again] = detector.detect(photos[2:3])
    np.testing.assert_allclose(rows(again), rows(found[2]), rtol=1e-5)


def test_small_faces_and_weak_ones_are_left_out(tmp_path: Path) -> None:
    path = scrfd(tmp_path / "det.onnx")
    detector = Detector(spec(path), path, device="cpu", threads=1)
    [every] = detector.detect([photo()], min_score=0.5)
    [large] = detector.detect([photo()], min_score=0.5, min_size=60)
    [sure] = detector.detect([photo()], min_score=0.8)
    assert 0 < len(large) < len(every)
    assert {f.score for f in large} == {f.score for f in every if f.size >= 60}
    assert 0 < len(sure) < len(every)
    assert min(f.score for f in sure) >= 0.8


def test_other_networks_are_refused(tmp_path: Path) -> None:
    path = mobilefacenet(tmp_path / "encoder.onnx")
    with pytest.raises(ModelError, match="not an SCRFD: it has 1 outputs"):
        Detector(spec(path), path, device="cpu", threads=1)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "Sub and Mul inside"])
def test_embeddings_are_insightfaces(tmp_path: Path, scaled: bool) -> None:
    reference = pytest.importorskip("insightface.model_zoo.arcface_onnx")
    from facerec_cli.packs.onnx_file import inspect_onnx

    path = mobilefacenet(tmp_path / "w600k.onnx", scaled=scaled)
    assert inspect_onnx(path).scales_input == scaled
    crops = np.stack([photo(112, 112, seed) for seed in range(5)])
    expected = reference.ArcFaceONNX(str(path)).get_feat(list(crops))
    encoder = EncoderSpec(
        file=path.name,
        sha256="",
        embedding_size=64,
        mean=(0.0, 0.0, 0.0) if scaled else HALF,
        std=(1.0, 1.0, 1.0) if scaled else HALF,
    )
    pack = ModelPack(
        name="w600k",
        description="",
        folder=tmp_path,
        license=License(code="MIT", weights="none", commercial=True),
        provenance=Provenance(source="random weights", training_data="none"),
        encoder=encoder,
    )
    found = FaceModel(pack, device="cpu", threads=2, detector=False).encode(crops)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
