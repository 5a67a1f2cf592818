"""From photos to embeddings: small batches of photos, each worked on from file to vector by one thread.

Reading, detecting and encoding overlap because the threads are at different points of their batches: OpenCV
and ONNX Runtime release the interpreter while they work. Nothing is handed from thread to thread, so no queue
can fill up, memory holds one batch a thread, and the outcome of a batch does not depend on timing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed.photo_result import EmbeddedFace, PhotoResult
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.errors import ModelError
from facerec_cli.faces import Face, FaceModel
from facerec_cli.faces.find import cut_faces, find_faces
from facerec_cli.faces.proof import made_picture
from facerec_cli.faces.quality import measure, measures_of
from facerec_cli.faces.quality_limits import QualityLimits
from facerec_cli.faces.views import View, open_view
from facerec_cli.images import ImageError, open_photo
from facerec_cli.runtime import usable_cores

Source = str | os.PathLike[str] | bytes


def embed_photos(
    sources: Source | Sequence[Source],
    model: FaceModel,
    options: EmbedOptions | None = None,
    *,
    workers: int | None = None,
    keep_crops: bool = False,
) -> Generator[PhotoResult]:
    """Detect, align and embed the faces of photos.

    Args:
        sources: Paths or encoded images, or a single one. ``images.find_images`` makes paths from
            folders, lists and patterns.
        model: An opened model (``faces.open_model``).
        options: What to embed and how.
        workers: Batches under way at a time; None takes one more than there are cores.
        keep_crops: Whether the results carry the aligned crops.

    Yields:
        One result per source, in their order. A photo that cannot be used gives a result too, never an error.

    Raises:
        InputError: The card of ``options.min_quality`` cannot be read.
        ModelError: The model fails, gives values that are not finite, or is not the card's.
    """
    if isinstance(sources, str | bytes | os.PathLike):
        sources = [sources]
    settings = (options or EmbedOptions()).with_limits(model.pack.name, lambda: model.hash)
    step = settings.batch_size
    batches = (sources[start : start + step] for start in range(0, len(sources), step))
    threads = max(1, min(workers or usable_cores() + 1, -(-len(sources) // step)))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
    running: deque[Future[list[PhotoResult]]] = deque()
    try:
        for batch in batches:
            running.append(pool.submit(_embed_batch, batch, model, settings, keep_crops))
            if len(running) > threads:  # one batch waits, so that no thread ever does
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(slots=True)
class _PhotoInBatch:
    """A photo on its way through a batch."""

    name: str
    view: View | None = None
    status: str = "ok"
    reason: str = ""
    faces: list[Face] = field(default_factory=list)  # in the view's pixels
    doubts: list[str] = field(default_factory=list)
    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    found: int = 0


def _embed_batch(
    sources: Sequence[Source], model: FaceModel, options: EmbedOptions, keep_crops: bool
) -> list[PhotoResult]:
    works = [_open(source, options) for source in sources]
    if options.aligned:
        size = model.pack.encoder.input_size
        for work in works:
            if work.view is not None:
                work.crops = [_resize(work.view.image, size)]
    else:
        _find(works, model, options)
    return _finish(works, _encode(works, model, options), options, keep_crops)


def _open(source: Source, options: EmbedOptions) -> _PhotoInBatch:
    name = "photo" if isinstance(source, bytes) else os.fspath(source)
    try:
        return _PhotoInBatch(
            name, open_view(open_photo(source, max_pixels=options.max_pixels), options.max_side)
        )
    except ImageError as error:
        return _PhotoInBatch(name, status=error.status, reason=error.reason)


def _find(works: list[_PhotoInBatch], model: FaceModel, options: EmbedOptions) -> None:
    """Fill in the faces of every photo and their crops."""
    opened = [(work, work.view) for work in works if work.view is not None]
    found = find_faces(
        [view for _, view in opened],
        model,
        faces=options.faces,
        min_score=options.min_score,
        min_size=options.min_size,
        max_side=options.max_side,
        rotate=options.rotate,
    )
    for (work, _), faces in zip(opened, found, strict=True):
        work.view, work.faces = faces.view, faces.faces
        work.doubts, work.reason, work.found = faces.doubts, faces.reason, faces.found
        if not faces.faces:
            work.status = "no_face"
        try:
            work.crops = cut_faces(faces, model)
        except ImageError as error:  # it was decoded at a smaller scale before
            work.status, work.reason, work.faces = error.status, error.reason, []


def _encode(works: list[_PhotoInBatch], model: FaceModel, options: EmbedOptions) -> NDArray[np.float32]:
    """(crops, D) raw embeddings; NaN for a crop that the model gives none for, such as a black one."""
    crops = [crop for work in works for crop in work.crops]
    if not crops:
        return np.zeros((0, model.pack.encoder.embedding_size), np.float32)
    raw = model.encode(np.stack(crops), flip=options.flip, batch_size=options.batch_size)
    bad = _is_none(raw)
    raw[bad] = np.nan
    if bad.all() and _is_none(model.encode(made_picture(*model.pack.encoder.input_size, seed=0)[None])).all():
        raise ModelError(
            f"The model {model.pack.name} gave an embedding that is not finite or all zero.",
            hint="Its file is damaged or not a face model, or its device computes wrongly: try --device cpu.",
        )
    return raw


def _is_none(raw: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(~np.isfinite(raw).all(axis=1) | ~(raw != 0).any(axis=1))


def _finish(
    works: list[_PhotoInBatch], raw: NDArray[np.float32], options: EmbedOptions, keep_crops: bool
) -> list[PhotoResult]:
    norms = np.linalg.norm(raw.astype(np.float64), axis=1)
    unit = (raw / norms[:, None]).astype(np.float32)
    limits = None if options.min_quality is None else QualityLimits.parse(options.min_quality)
    results = []
    row = 0
    for work in works:
        faces = []
        for at, crop in enumerate(work.crops):
            row += 1
            if np.isnan(norms[row - 1]):
                continue
            face = None if options.aligned or work.view is None else work.view.upright_face(work.faces[at])
            shown = crop if keep_crops else None
            doubt = "" if options.aligned else work.doubts[at]
            norm, quality = float(norms[row - 1]), measure(crop, face)
            fault = "" if limits is None else limits.fault(measures_of(norm, face, quality))
            faces.append(EmbeddedFace(face, unit[row - 1].copy(), norm, shown, doubt, quality, fault))
        if work.crops and not faces:
            work.status, work.reason = (
                "unreadable",
                "the model gives no embedding for it, as if it were blank",
            )
        width, height = work.view.size if work.view else (0, 0)
        rotation = work.view.rotation if work.view else 0
        results.append(
            PhotoResult(
                work.name, work.status, work.reason, tuple(faces), width, height, rotation, work.found
            )
        )
    return results


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring a ready crop to the pack's (width, height)."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    smaller = image.shape[0] > size[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
