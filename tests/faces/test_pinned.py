"""Bound inputs give what handed-over inputs give, whatever the shapes and however many threads."""

from __future__ import annotations

import ctypes
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from face_networks import mobilefacenet, scrfd
from tiny_pack import write_tiny_pack

from facerec_cli.errors import ModelError
from facerec_cli.faces import open_model
from facerec_cli.faces.runtime import pinned as binding
from facerec_cli.faces.runtime import session as network
from facerec_cli.faces.runtime.pinned import Binding
from facerec_cli.faces.runtime.session import Network


def inputs(count: int, side: int = 112, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, side, side)).astype(np.float32)


def filled(bound: Binding, values: np.ndarray) -> np.ndarray:
    own = bound.empty(values.shape, values.dtype)
    own[...] = values
    return own


@pytest.fixture
def detector(tmp_path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(scrfd(tmp_path / "scrfd.onnx")))


SHAPES = [(2, 64), (2, 64), (5, 64), (1, 96), (5, 96), (1, 32), (2, 64)]


@pytest.mark.parametrize("written", ["in place", "elsewhere", "not in one piece"])
def test_nine_outputs_of_changing_shapes_equal_a_plain_run(
    detector: onnxruntime.InferenceSession, written: str
) -> None:
    bound = Binding(detector, page_locked=False)
    kept = []
    for seed, (count, side) in enumerate(SHAPES):
        values = inputs(count, side, seed)
        expected = detector.run(None, {"input": values})
        batch = filled(bound, values) if written == "in place" else values
        if written == "not in one piece":
            batch = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        found = bound.run(batch)
        assert [f.shape for f in found] == [e.shape for e in expected]
        kept += zip(found, expected, strict=True)
    del bound
    gc.collect()
    for found, expected in kept:  # outputs are not overwritten by later calls, nor freed with the binding
        np.testing.assert_array_equal(found, expected)


def test_the_buffer_grows_once_and_serves_every_shape(detector: onnxruntime.InferenceSession) -> None:
    bound = Binding(detector, page_locked=False)
    large = bound.empty((4, 3, 112, 112), np.float32)
    small = bound.empty((2, 16, 16, 3), np.uint8)
    again = bound.empty((4, 3, 112, 112), np.float32)
    assert large.ctypes.data == small.ctypes.data == again.ctypes.data
    assert small.shape == (2, 16, 16, 3) and small.dtype == np.uint8


def test_threads_have_bindings_of_their_own(tmp_path: Path) -> None:
    path = mobilefacenet(tmp_path / "network.onnx")
    plain = Network(path, device="cpu", threads=3)
    bound = Network(path, device="cpu", threads=3, bind=True)
    batches = [inputs(1 + seed % 7, seed=seed) for seed in range(40)]

    def run(one: Network, values: np.ndarray) -> np.ndarray:
        def make(rows: slice, empty: Any) -> np.ndarray:
            own = empty(values[rows].shape, np.float32)
            own[...] = values[rows]
            return own

        return np.concatenate([outputs[0] for _, outputs in one.run(len(values), make, batch_size=3)])

    expected = [run(plain, values) for values in batches]
    with ThreadPoolExecutor(6) as pool:  # six callers, and in each network three threads that serve them
        found = list(pool.map(lambda values: run(bound, values), batches))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_embeds_and_detects_alike_with_bound_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    crops = random.integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    photos = [random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((64, 64), (90, 40), (64, 64))]
    pack = write_tiny_pack(tmp_path / "tiny")
    plain = open_model(pack, device="cpu", threads=2)
    monkeypatch.setattr(network, "_BOUND", ("cpu",))
    monkeypatch.setattr(binding, "_CUDART", ())  # no CUDA library: the buffers stay as they are
    bound = open_model(pack, device="cpu", threads=2)
    np.testing.assert_array_equal(bound.encode(crops, flip=True), plain.encode(crops, flip=True))
    scores = [
        [[face.score for face in faces] for faces in model.detect(photos, min_score=0.01)]
        for model in (bound, plain)
    ]
    assert scores[0] == scores[1] and sum(map(len, scores[0])) > 0


def test_a_bound_input_that_the_network_refuses_is_an_error(tmp_path: Path) -> None:
    one = Network(mobilefacenet(tmp_path / "network.onnx", batch=1), device="cpu", threads=1, bind=True)
    with pytest.raises(ModelError, match="failed on an input"):
        one.run(1, lambda *_: inputs(3))
    assert one.run(1, lambda *_: inputs(1))[0][1][0].shape == (1, 64)


class Cudart:
    """Stands for CUDA's runtime library; counts what is page-locked."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.locked: dict[int, int] = {}
        self.cleared = 0

    def cudaHostRegister(self, address: ctypes.c_void_p, size: ctypes.c_size_t, flags: ctypes.c_uint) -> int:
        if self.code == 0:
            self.locked[address.value or 0] = size.value
        return self.code

    def cudaHostUnregister(self, address: ctypes.c_void_p) -> int:
        del self.locked[address.value or 0]
        return 0

    def cudaGetLastError(self) -> int:
        self.cleared += 1
        return self.code


def test_buffers_are_page_locked_while_they_live(
    detector: onnxruntime.InferenceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = Cudart(0)
    monkeypatch.setattr(binding, "_cudart", lambda: cuda)
    bound = Binding(detector, page_locked=True)
    address = bound.empty((1, 3, 64, 64), np.float32).ctypes.data
    assert list(cuda.locked) == [address] and cuda.locked[address] >= 4 * 3 * 64 * 64
    held = bound.empty((8, 3, 640, 640), np.float32)
    bound.run(inputs(1, 64))
    assert list(cuda.locked) == [held.ctypes.data]  # the smaller buffer was let go
    del bound
    gc.collect()
    assert cuda.locked  # an array that somebody still writes to stays locked
    del held
    gc.collect()
    assert not cuda.locked


def test_a_buffer_that_cannot_be_page_locked_is_used_as_it_is(
    detector: onnxruntime.InferenceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = Cudart(2)  # out of memory
    monkeypatch.setattr(binding, "_cudart", lambda: cuda)
    bound = Binding(detector, page_locked=True)
    values = inputs(2, 64)
    np.testing.assert_array_equal(bound.run(values)[0], detector.run(None, {"input": values})[0])
    assert cuda.cleared == 1
