"""What every detector of the registry promises, on networks with its inputs and outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import face_networks
import numpy as np
import onnx
import onnxruntime
import pytest
from face_networks import Graph, mobilefacenet, scrfd

from facerec_cli import registry
from facerec_cli.errors import ModelError
from facerec_cli.faces.detectors.candidates import Candidates
from facerec_cli.faces.detectors.decoder import Decoder
from facerec_cli.faces.detectors.detector import Detector
from facerec_cli.faces.preprocess import planes
from facerec_cli.packs.detectors import detector_kind, detector_spec
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import from_document, to_document
from facerec_cli.packs.onnx_file import inspect_onnx
from facerec_cli.packs.resolve import open_pack


def network(name: str, folder: Path) -> Path:
    """A network of a kind that proposes something on noise at a score of 0.05.

    The function of the kind's name writes it, in ``face_networks`` or in the test of the kind.
    """
    module = face_networks if hasattr(face_networks, name) else import_module(f"test_{name}")
    return getattr(module, name)(folder / "detector.onnx")


each = pytest.mark.parametrize("name", registry.DETECTORS)


def decoder_of(name: str) -> type[Decoder]:
    return registry.load(registry.DETECTORS, name, "detector")


def noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def decoded(name: str, path: Path, photos: np.ndarray, min_score: float = 0.05) -> Candidates:
    kind = decoder_of(name)
    session = onnxruntime.InferenceSession(str(path))
    ports = session.get_outputs()
    decoder = kind([port.name for port in ports], [len(port.shape) for port in ports])
    batch = planes(photos, color=kind.color, mean=kind.mean, std=kind.std)
    outputs = session.run(None, {session.get_inputs()[0].name: batch})
    return decoder.decode(outputs, height=photos.shape[1], width=photos.shape[2], min_score=min_score)


@each
def test_its_files_are_known_and_nobody_elses(tmp_path: Path, name: str) -> None:
    file = inspect_onnx(network(name, tmp_path))
    assert detector_kind(file) == name
    assert [kind for kind in registry.DETECTORS if decoder_of(kind).recognizes(file)] == [name]
    assert not decoder_of(name).recognizes(inspect_onnx(mobilefacenet(tmp_path / "encoder.onnx")))


@each
def test_what_it_is_fed_with_goes_through_a_manifest(tmp_path: Path, name: str) -> None:
    spec = detector_spec(inspect_onnx(network(name, tmp_path)))
    assert len(spec.sha256) == 64
    assert min(spec.std) > 0 < spec.min_score < 1 > spec.nms_iou > 0
    pack: ModelPack = dataclasses.replace(open_pack(), detector=spec)
    assert from_document(to_document(pack), pack.folder, where="here").detector == spec


@each
def test_other_outputs_are_refused(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        decoder_of(name)([], [])
    assert caught.value.hint


def test_a_network_of_no_kind_is_told_how_each_is_known(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        detector_spec(inspect_onnx(mobilefacenet(tmp_path / "encoder.onnx")))
    for name in registry.DETECTORS:
        assert decoder_of(name).signature[1:] in caught.value.hint


@each
def test_proposals_are_typed_and_in_order(tmp_path: Path, name: str) -> None:
    kind = decoder_of(name)
    path = network(name, tmp_path)
    side = kind.stride * 4
    found = decoded(name, path, noise(3, side, side * 2))
    assert len(found.scores) > 0
    assert found.photo.dtype == np.int64 and set(found.photo) <= {0, 1, 2}
    assert [part.dtype for part in found[1:]] == [np.float32] * 3
    assert found.boxes.shape == (len(found.scores), 4)
    assert found.landmarks.shape == (len(found.scores), 5, 2) and np.isfinite(found.landmarks).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all(), "x1, y1, x2, y2"
    assert found.scores.min() >= 0.05 and found.scores.max() <= 1


@each
def test_a_higher_threshold_gives_fewer_of_the_same(tmp_path: Path, name: str) -> None:
    path = network(name, tmp_path)
    photos = noise(2, 128, 256)
    every = decoded(name, path, photos)
    half = float(np.median(every.scores))
    surer = decoded(name, path, photos, half)
    for all_of_them, some in zip(every, surer, strict=True):
        np.testing.assert_array_equal(all_of_them[every.scores >= half], some)


@each
def test_a_photo_in_a_batch_gives_what_it_gives_alone(tmp_path: Path, name: str) -> None:
    path = network(name, tmp_path)
    photos = noise(3, 128, 192)
    together = decoded(name, path, photos)
    for row, photo in enumerate(photos):
        alone = decoded(name, path, photo[None])
        rows = together.take(np.flatnonzero(together.photo == row))
        np.testing.assert_allclose(rows.boxes, alone.boxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(rows.landmarks, alone.landmarks, rtol=1e-4, atol=1e-3)


@each
def test_photos_of_any_size_are_padded_to_its_stride(tmp_path: Path, name: str) -> None:
    path = network(name, tmp_path)
    spec = detector_spec(inspect_onnx(path))
    detector = Detector(spec, path, device="cpu", threads=1)
    shapes: list[tuple[int, ...]] = []
    run = detector.network.run

    def watched(count: int, make: Callable[..., np.ndarray], **settings: object) -> object:
        shapes.append(make(slice(0, count), np.empty).shape[2:])
        return run(count, make, **settings)

    detector.network.run = watched  # type: ignore[method-assign]
    detector.detect([noise(1, 67, 131)[0], noise(1, 1, 300)[0]])
    stride = detector.decoder.stride
    assert shapes and all(side % stride == 0 for shape in shapes for side in shape)


def test_the_strides_of_a_large_scrfd_are_its_own(tmp_path: Path) -> None:
    """Five levels, down to a stride of 128: cells are counted right where the input is padded to that."""
    path = scrfd(tmp_path / "det.onnx", outputs=15)
    detector = Detector(detector_spec(inspect_onnx(path)), path, device="cpu", threads=1)
    assert detector.decoder.stride == 128


def test_a_network_without_landmarks_is_known_as_such(tmp_path: Path) -> None:
    file = inspect_onnx(scrfd(tmp_path / "det.onnx", outputs=6))
    assert detector_kind(file) is None
    assert detector_kind(file, landmarks=False) == "scrfd"


def test_six_outputs_of_another_form_are_no_detector(tmp_path: Path) -> None:
    graph, shapes = Graph(0), {}
    for number in range(6):
        graph.add("GlobalAveragePool", "input", name=f"out{number}")
        shapes[f"out{number}"] = ["n", 3, 1, 1]
    onnx.save(graph.model(["n", 3, 64, 64], shapes), str(tmp_path / "other.onnx"))
    assert detector_kind(inspect_onnx(tmp_path / "other.onnx"), landmarks=False) is None
