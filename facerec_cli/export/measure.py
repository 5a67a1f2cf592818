"""What a file costs and what it is worth: difference to PyTorch, size, speed, and verification on pairs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError
from facerec_cli.export.parity import Agreement, compare
from facerec_cli.faces import FaceModel
from facerec_cli.metrics.thresholds import choose
from facerec_cli.threshold import Threshold
from facerec_cli.verify.pair_crops import PairCrops, ScoredPairs, evaluate_crops

FARS = (1e-4, 1e-3, 1e-2, 1e-1)
_SECONDS = 2.0
_BATCH = 16

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One exported file, measured as the commands run it.

    Attributes:
        size: Bytes.
        agreement: With PyTorch, on crops.
        mean_cosine: With PyTorch, on crops.
        crops_per_second: Encoded on this machine; the median of repeated runs.
        verification: On pairs, where they were given.
    """

    size: int
    agreement: Agreement
    mean_cosine: float
    crops_per_second: float
    verification: ScoredPairs | None


def measure(
    model: FaceModel,
    reference: Vectors,
    crops: NDArray[np.uint8],
    pairs: PairCrops | None,
    fars: tuple[float, ...] = FARS,
) -> Measurement:
    """Measure an exported file.

    Args:
        model: The file, opened as every command opens it.
        reference: (N, D) PyTorch's embeddings of ``crops``.
        crops: (N, H, W, 3) uint8 BGR.
        pairs: Judge these, too.
        fars: False accept rates to report.

    Raises:
        ModelError: It gives values that are not finite.
    """
    embeddings = model.encode(crops)
    if not np.isfinite(embeddings).all():
        raise ModelError(
            f"{model.pack.encoder_path.name}: the network's values do not fit its number format.",
            hint="Networks whose inner values pass 65504 overflow in half precision. Leave out --fp16; "
            "--fp16-weights and --int8-weights compute in float32.",
        )
    a, b = (
        np.asarray(reference, np.float64),
        np.asarray(embeddings, np.float64),
    )
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.maximum(np.linalg.norm(b, axis=1), 1e-12))
    return Measurement(
        size=model.pack.encoder_path.stat().st_size,
        agreement=compare(reference, embeddings),
        mean_cosine=float(cosine.mean()),
        crops_per_second=_speed(model, crops),
        verification=None if pairs is None else evaluate_crops(pairs, model.encode(pairs.crops), fars),
    )


def threshold(scored: ScoredPairs, far: float, name: str, *, flip: bool) -> Threshold | str:
    """The default threshold that the pairs of the list ``name`` support at ``far``, or why there is none."""
    flips = "flip in the graph" if flip else "no flip"
    data = f"{name}, {scored.evaluation.pairs.total:,} pairs, {flips}"
    found = choose(scored.evaluation, far, data=data)
    if isinstance(found, str):
        return found
    return replace(found, value=float(np.clip(found.value, -1, 1)))  # as far as rounding goes


def _speed(model: FaceModel, crops: NDArray[np.uint8]) -> float:
    """Crops a second, the median of runs within two seconds (three runs at least)."""
    batch = crops[np.arange(_BATCH) % len(crops)]
    model.encode(batch)
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds) < _SECONDS and len(seconds) < 50):
        start = time.perf_counter()
        model.encode(batch)
        seconds.append(time.perf_counter() - start)
    return _BATCH / float(np.median(seconds))
