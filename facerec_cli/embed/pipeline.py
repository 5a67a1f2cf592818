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

from facerec_cli.embed.result import EmbeddedFace, EmbedOptions, PhotoResult
from facerec_cli.embed.views import View, best_reduction, open_view, rms_spread, room_for
from facerec_cli.errors import ModelError
from facerec_cli.faces import Face, FaceModel
from facerec_cli.faces.align import template
from facerec_cli.faces.choice import choose
from facerec_cli.faces.runtime import default_threads
from facerec_cli.images import ImageError, open_photo

Source = str | os.PathLike[str] | bytes

SURE = 0.9
"""The detection score from which a photo is taken to be upright. Detectors find sideways and upside-down
faces too, with a lower score and landmarks in the wrong places, and their embeddings are worth nothing. Of
LFW's upright photos 1 % are below; of 150 that were turned, all."""

TURN_GAIN = 0.02
"""By how much a turned photo must score more than the upright one: of LFW's upright photos, none does."""


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
        ModelError: The model fails, or gives values that are not finite.
    """
    if isinstance(sources, str | bytes | os.PathLike):
        sources = [sources]
    settings = options or EmbedOptions()
    step = settings.batch_size
    batches = (sources[start : start + step] for start in range(0, len(sources), step))
    threads = max(1, min(workers or default_threads() + 1, -(-len(sources) // step)))
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
class _Work:
    """A photo on its way through a batch."""

    name: str
    view: View | None = None
    status: str = "ok"
    reason: str = ""
    found: list[Face] = field(default_factory=list)  # in the view's pixels
    crops: list[NDArray[np.uint8]] = field(default_factory=list)


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
        _find_faces(works, model, options)
        for work in works:
            try:
                work.crops = _cut(work, model)
            except ImageError as error:  # it was decoded at a smaller scale before
                work.status, work.reason, work.found = error.status, error.reason, []
    return _finish(works, _encode(works, model, options), options, keep_crops)


def _open(source: Source, options: EmbedOptions) -> _Work:
    name = "photo" if isinstance(source, bytes) else os.fspath(source)
    try:
        return _Work(name, open_view(open_photo(source, max_pixels=options.max_pixels), options.max_side))
    except ImageError as error:
        return _Work(name, status=error.status, reason=error.reason)


def _find_faces(works: list[_Work], model: FaceModel, options: EmbedOptions) -> None:
    """Fill in the faces of every photo; where none is sure, it is searched again, turned, if so wished."""
    opened = [(work, work.view) for work in works if work.view is not None]
    for work, faces in zip(
        (w for w, _ in opened), _detect([v for _, v in opened], model, options), strict=True
    ):
        work.found = faces
    if options.rotate == "auto":
        doubtful = [(w, view) for w, view in opened if not w.found or w.found[0].score < SURE]
        turned = [(work, view.turned(degrees)) for work, view in doubtful for degrees in (90, 180, 270)]
        found = _detect([view for _, view in turned], model, options)
        for (work, view), faces in zip(turned, found, strict=True):
            gain = TURN_GAIN if work.found and work.view is not None and not work.view.rotation else 0
            if faces and (not work.found or faces[0].score > work.found[0].score + gain):
                work.found, work.view = faces, view
    for work, view in opened:
        if not work.found:
            work.status, work.reason = "no_face", "no face was found"
        elif work.view is not None:
            large = [face for face in work.found if work.view.upright_face(face).size >= options.min_size]
            if not large:
                work.status = "no_face"
                work.reason = f"{len(work.found)} found, all smaller than {options.min_size:g} pixels"
            work.found = _choose(large, view if work.view is None else work.view, options)


def _detect(views: list[View], model: FaceModel, options: EmbedOptions) -> list[list[Face]]:
    if not views:
        return []
    images = [view.image for view in views]
    found = model.detect(images, min_score=options.min_score, max_side=options.max_side)
    return [[face for face in faces if rms_spread(face.landmarks) > 0] for faces in found]  # NaN fails too


def _choose(faces: list[Face], view: View, options: EmbedOptions) -> list[Face]:
    if options.faces == "all" or len(faces) < 2:
        return faces
    height, width = view.image.shape[:2]
    return [faces[choose([face.box for face in faces], (width, height), options.faces)]]


def _cut(work: _Work, model: FaceModel) -> list[NDArray[np.uint8]]:
    """Cut the aligned crops, each from the scale that fits it."""
    if work.view is None or not work.found:
        return []
    encoder = model.pack.encoder
    spread = rms_spread(template(encoder.template, encoder.input_size))
    wanted = [best_reduction(work.view, face, spread) for face in work.found]
    views = {work.view.reduction: work.view}
    crops: list[NDArray[np.uint8]] = []
    with room_for(work.view.photo, min(wanted)):
        for face, reduction in zip(work.found, wanted, strict=True):
            if reduction not in views:
                views[reduction] = work.view.at(reduction)
            there = views[reduction]
            box = work.view.move(face.box.reshape(2, 2), there).reshape(4)
            landmarks = work.view.move(face.landmarks, there)
            crops.append(model.align(there.image, Face(box=box, landmarks=landmarks, score=face.score)))
        views.clear()
    return crops


def _encode(works: list[_Work], model: FaceModel, options: EmbedOptions) -> NDArray[np.float32]:
    crops = [crop for work in works for crop in work.crops]
    if not crops:
        return np.zeros((0, model.pack.encoder.embedding_size), np.float32)
    raw = model.encode(np.stack(crops), flip=options.flip, batch_size=options.batch_size)
    if not np.isfinite(raw).all() or not (raw != 0).any(axis=1).all():
        raise ModelError(
            f"The model {model.pack.name} gave an embedding that is not finite or all zero.",
            hint="Its file is damaged or not a face model, or its device computes wrongly: try --device cpu.",
        )
    return raw


def _finish(
    works: list[_Work], raw: NDArray[np.float32], options: EmbedOptions, keep_crops: bool
) -> list[PhotoResult]:
    norms = np.linalg.norm(raw.astype(np.float64), axis=1)
    unit = (raw / norms[:, None]).astype(np.float32)
    results = []
    row = 0
    for work in works:
        faces = []
        for at, crop in enumerate(work.crops):
            face = None if options.aligned or work.view is None else work.view.upright_face(work.found[at])
            kept = crop if keep_crops else None
            faces.append(EmbeddedFace(face, unit[row].copy(), float(norms[row]), kept))
            row += 1
        width, height = work.view.size if work.view else (0, 0)
        rotation = work.view.rotation if work.view else 0
        results.append(
            PhotoResult(work.name, work.status, work.reason, tuple(faces), width, height, rotation)
        )
    return results


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring a ready crop to the pack's (width, height)."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    smaller = image.shape[0] > size[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
