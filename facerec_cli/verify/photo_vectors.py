"""The vectors of a list's photos: embedded here, or taken from the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed import EmbedOptions, PhotoResult, embed_photos
from facerec_cli.embeddings.cache import EmbeddingCache, Entry, content_key
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import ModelError
from facerec_cli.faces import Face, FaceModel
from facerec_cli.images import ImageError, open_photo, read_image
from facerec_cli.progress import Progress, silent
from facerec_cli.wording import counted

_CHUNK = 1024  # photos between two writes to the cache


@dataclass(frozen=True, slots=True)
class PhotoVectors:
    """One vector per photo.

    Attributes:
        vectors: (N, D) float32, unit length; zeros where ``failed``.
        failed: (N,) bool, photos without an embedding.
        reasons: Why, for each failed photo: index -> "status: reason".
        model: What made them.
        settings: How.
        cached: Photos whose vector was made before.
        doubts: Photos whose face is doubtful: index -> why.
    """

    vectors: NDArray[np.float32]
    failed: NDArray[np.bool_]
    reasons: dict[int, str]
    model: ModelInfo
    settings: dict[str, Any] = field(default_factory=dict)
    cached: int = 0
    doubts: dict[int, str] = field(default_factory=dict)


def embed_list(
    images: Sequence[Path | bytes],
    model: FaceModel,
    options: EmbedOptions,
    *,
    landmarks: NDArray[np.float32] | None = None,
    cache: EmbeddingCache | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> PhotoVectors:
    """Embed one face of each photo.

    Args:
        images: Paths or encoded images.
        model: An opened model.
        options: How; ``faces`` must not be "all".
        landmarks: (N, 5, 2) pixels where they are known: photos are aligned by them and not searched.
        cache: Where to look first and to keep what is new.
        workers: Threads.
        progress: Told the photos done.

    Raises:
        KeyboardInterrupt: With a message that says what is kept.
    """
    keys = _keys(images, model, options, landmarks) if cache is not None else None
    vectors = np.zeros((len(images), model.pack.encoder.embedding_size), np.float32)
    reasons: dict[int, str] = {}
    doubts: dict[int, str] = {}
    cached = 0
    for start in range(0, len(images), _CHUNK):
        chunk = range(start, min(start + _CHUNK, len(images)))
        key_of = {} if keys is None else {i: key for i in chunk if (key := keys(i)) is not None}
        known = {} if cache is None else cache.get(list(key_of.values()))
        entries = {i: known[key] for i, key in key_of.items() if key in known}
        cached += len(entries)
        missing = [i for i in chunk if i not in entries]
        progress(chunk.stop - len(missing), len(images))
        made: dict[int, Entry] = {}
        try:
            _embed(images, missing, made, doubts, model, options, landmarks, workers, progress)
        except KeyboardInterrupt:
            ready = chunk.stop - len(missing) + _keep(cache, key_of, made, doubts)
            raise KeyboardInterrupt(_interrupted(ready, len(images), kept=cache is not None)) from None
        _keep(cache, key_of, made, doubts)
        for i, entry in sorted((entries | made).items(), key=lambda item: item[0]):
            if isinstance(entry, str):
                reasons[i] = entry
            else:
                vectors[i] = entry
        progress(chunk.stop, len(images))
    failed = np.zeros(len(images), bool)
    failed[list(reasons)] = True
    made_by = ModelInfo(model.pack.name, model.hash, model.provider)
    return PhotoVectors(vectors, failed, reasons, made_by, _deciding(options), cached, doubts)


def _keys(
    images: Sequence[Path | bytes],
    model: FaceModel,
    options: EmbedOptions,
    landmarks: NDArray[np.float32] | None,
) -> Callable[[int], bytes | None]:
    """What gives a photo's key in the cache; None for a photo that cannot be read."""
    settings = json.dumps([2, model.hash, model.provider, _deciding(options)], sort_keys=True).encode()

    def key(i: int) -> bytes | None:
        content = _content(images[i], options.max_pixels)
        extra = b"" if landmarks is None else landmarks[i].tobytes()
        return None if content is None else content_key(content, settings + extra)

    return key


def _keep(
    cache: EmbeddingCache | None,
    key_of: Mapping[int, bytes],
    made: Mapping[int, Entry],
    doubts: Mapping[int, str],
) -> int:
    """Put into the cache what lasts, and say how many photos that are."""
    lasting = {  # no doubt, for which there is no place, and no photo that may be readable later
        key_of[i]: entry
        for i, entry in made.items()
        if i in key_of and i not in doubts and (not isinstance(entry, str) or entry.startswith("no_face"))
    }
    if cache is not None:
        cache.put(lasting)
    return len(lasting)


def _interrupted(done: int, total: int, *, kept: bool) -> str:
    if not kept:
        return "interrupted; nothing is kept without the cache"
    return (
        f"interrupted; {done:,} of {counted(total, 'photo')} are in the cache: the same command goes on there"
    )


def _deciding(options: EmbedOptions) -> dict[str, Any]:
    """The options on which a vector depends."""
    return {name: value for name, value in asdict(options).items() if name != "batch_size"}


def _content(image: Path | bytes, max_pixels: int) -> bytes | None:
    if isinstance(image, bytes):
        return image
    try:
        return open_photo(image, max_pixels=max_pixels).data  # which waits for no pipe and has a limit
    except ImageError:
        return None  # the pipeline says what is wrong with it


def _embed(
    images: Sequence[Path | bytes],
    wanted: Sequence[int],
    entries: dict[int, Entry],
    doubts: dict[int, str],
    model: FaceModel,
    options: EmbedOptions,
    landmarks: NDArray[np.float32] | None,
    workers: int | None,
    progress: Progress,
) -> None:
    """Fill in the entries of the wanted photos, and why some are doubtful."""
    if landmarks is not None:
        _embed_by_landmarks(images, wanted, entries, model, options, landmarks)
        return
    total = len(images)
    before = wanted[0] if wanted else 0
    for done, (i, result) in enumerate(
        zip(wanted, embed_photos([images[i] for i in wanted], model, options, workers=workers), strict=True),
        1,
    ):
        entries[i] = _entry(result)
        if result.faces and result.faces[0].doubt:
            doubts[i] = result.faces[0].doubt
        progress(min(total, before + done), total)


def _entry(result: PhotoResult) -> Entry:
    if result.faces:
        return result.faces[0].embedding
    return f"{result.status}: {result.reason}"


def _embed_by_landmarks(
    images: Sequence[Path | bytes],
    wanted: Sequence[int],
    entries: dict[int, Entry],
    model: FaceModel,
    options: EmbedOptions,
    landmarks: NDArray[np.float32],
) -> None:
    """Align by given landmarks, as IJB's protocol does."""
    for start in range(0, len(wanted), options.batch_size):
        crops, rows = [], []
        for i in wanted[start : start + options.batch_size]:
            try:
                photo = read_image(images[i], max_pixels=options.max_pixels)
            except ImageError as error:
                entries[i] = f"{error.status}: {error.reason}"
                continue
            points = landmarks[i]
            box = np.concatenate([points.min(axis=0), points.max(axis=0)])
            crops.append(model.align(photo, Face(box=box, landmarks=points, score=1.0)))
            rows.append(i)
        if not rows:
            continue
        raw = model.encode(np.stack(crops), flip=options.flip, batch_size=options.batch_size)
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise ModelError(
                f"The model {model.pack.name} gave an embedding that is not finite or all zero.",
                hint="Check its files with `facerec models check`, and its mean and std.",
            )
        entries.update(zip(rows, raw / norms, strict=True))
