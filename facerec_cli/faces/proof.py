"""Proof that a model works, by running it: what no look at its file can tell.

A recognition network must give every crop a vector that depends on that crop alone: finite, not zero, the
same again, the same in a batch as alone, and another one for another crop. Exports go wrong in each of these
ways, and most of them embed without a word. The crops are made, so that the proof needs no photo.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError
from facerec_cli.faces.align import template
from facerec_cli.faces.detectors.detector import Detector
from facerec_cli.faces.encoder import OnnxEncoder
from facerec_cli.packs.foreign import reading
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.onnx_file import inspect_onnx

log = logging.getLogger("facerec")

_BATCHES = (2, 5)
_PICTURE = (320, 256)  # (width, height)
# Largest distance, relative to a vector's length, that rounding explains. In fewer bits than float32 it does
# more, and a network quantized at run time takes its scale from the whole batch.
_ROUNDING, _COARSE_ROUNDING = 0.01, 0.2
_SAME = 1e-5  # vectors of different crops are further apart than this

_EVALUATION = "Export it again in evaluation mode (in PyTorch: model.eval()) with a dynamic batch."


def prove(pack: ModelPack, *, encoder: Path | None = None, detector: Path | None = None) -> None:
    """Run a pack's networks on made pictures; on the CPU, which serves everywhere.

    Args:
        pack: What its manifest says.
        encoder: Where its recognition network lies; in the pack's folder by default.
        detector: Where its detector lies, likewise.

    Raises:
        ModelError: What is wrong, and what would help.
    """
    file = encoder or pack.encoder_path
    try:
        template(pack.encoder.template, pack.encoder.input_size)
    except ModelError as fault:
        raise ModelError(f"{file}: {fault.message}", hint=fault.hint) from fault
    prove_encoder(OnnxEncoder(pack.encoder, file, device="cpu", threads=None))
    path = detector or pack.detector_path
    if pack.detector is not None and path is not None:
        inspect_onnx(path, weights=True)
        with reading(path, f"a detector of kind {pack.detector.kind}"):
            Detector(pack.detector, path, device="cpu", threads=None).detect(
                [made_picture(*_PICTURE, seed=7)]
            )


def prove_encoder(encoder: OnnxEncoder) -> None:
    """Embed made crops alone and in batches, and compare; about a dozen crops.

    Raises:
        ModelError: Something of what the module's docstring lists does not hold.
    """
    width, height = encoder.spec.input_size
    crops = np.stack([made_picture(width, height, seed=seed) for seed in range(max(_BATCHES))])
    network, path = encoder.network, encoder.path
    alone = np.concatenate([encoder.encode(crops[i : i + 1], 1) for i in range(len(crops))])
    _check_vectors(alone, encoder)
    bound = _COARSE_ROUNDING if encoder.outside.rounds else _ROUNDING
    if _distance(encoder.encode(crops[:1], 1), alone[:1]) > bound:
        raise ModelError(f"{path} gives another embedding each time for the same crop.", hint=_EVALUATION)
    rows = network.rows
    try:
        for count in _BATCHES:
            if network.input_shape[0] is None:
                network.rows = count
            embeddings = encoder.encode(crops[:count], count)
            if (distance := _distance(embeddings, alone[:count])) > bound:
                raise ModelError(
                    f"{path} gives a crop another embedding among {count} crops than alone (they differ by "
                    f"{distance:.0%} of its length), so that results would depend on the batch.",
                    hint=_EVALUATION,
                )
    finally:
        network.rows = rows
    _warn_of_black(encoder)


def _check_vectors(vectors: NDArray[np.float32], encoder: OnnxEncoder) -> None:
    path = encoder.path
    if not np.isfinite(vectors).all():
        raise ModelError(
            f"{path} gives an embedding that is not finite for an ordinary crop.",
            hint="Its weights are damaged, its numbers overflow (float16 does above 65,504), or its mean "
            "and std are not those of its training. Export it in float32.",
        )
    if not (vectors != 0).any(axis=1).all():
        raise ModelError(
            f"{path} gives an embedding that is all zero for an ordinary crop.",
            hint="Its weights are damaged, its mean and std are not those of its training, or it was "
            "exported in training mode (in PyTorch, first: model.eval()).",
        )
    wide = vectors.astype(np.float64)
    if (wide >= 0).all() and np.allclose(wide.sum(axis=1), 1, atol=1e-3):
        raise _classes(encoder, "probabilities that add up to 1")
    if (wide <= 0).all() and np.allclose(np.exp(wide).sum(axis=1), 1, atol=1e-3):
        raise _classes(encoder, "logarithms of probabilities")
    if _distance(vectors[1:], np.repeat(vectors[:1], len(vectors) - 1, axis=0)) < _SAME:
        raise ModelError(
            f"{path} gives the same embedding for different crops, so it does not look at them.",
            hint="Its weights are damaged, or that output is not the embedding.",
        )


def _classes(encoder: OnnxEncoder, what: str) -> ModelError:
    return ModelError(
        f"{encoder.path} gives {what}: it says which of {encoder.spec.embedding_size} classes a crop is, "
        "which is no embedding.",
        hint="Export the layer before its classifier.",
    )


def _distance(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """The largest distance of two rows, relative to their length; infinite where a number is not finite."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(all="ignore"):
        apart = np.linalg.norm(a - b, axis=1) / np.maximum(np.linalg.norm(b, axis=1), 1e-30)
    return float(apart.max()) if np.isfinite(apart).all() else float("inf")


def _warn_of_black(encoder: OnnxEncoder) -> None:
    width, height = encoder.spec.input_size
    black = encoder.encode(np.zeros((1, height, width, 3), np.uint8), 1)
    if not np.isfinite(black).all() or not black.any():
        log.warning("%s has no embedding for a black crop: faces in such photos will fail.", encoder.path)


def made_picture(width: int, height: int, *, seed: int) -> NDArray[np.uint8]:
    """A soft, colorful picture (H, W, 3) uint8, the same for the same seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
