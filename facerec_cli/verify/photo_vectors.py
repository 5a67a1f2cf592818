"""The vectors of a list's photos: embedded here, from the cache, or from a file of ``facerec embed``."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed import EmbedOptions
from facerec_cli.embeddings.cache import EmbeddingCache, Entry, cache_path, content_key
from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import Matches, ModelInfo
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces import FaceModel
from facerec_cli.faces.quality_limits import LOW_QUALITY, MEASURES
from facerec_cli.images import ImageError, open_photo
from facerec_cli.metrics.quality_card import limits_for
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack
from facerec_cli.pairs.pairlist import ListedPhotos
from facerec_cli.progress import Progress, silent
from facerec_cli.verify.photo_faces import NOWHERE, FacePlaces, embed_faces, match_in_boxes, places_of
from facerec_cli.verify.settings import VerifySettings, embed_options, open_for
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_CHUNK = 1024  # photos between two writes to the cache


@dataclass(frozen=True, slots=True)
class PhotoVectors:
    """One vector per photo of a list.

    Attributes:
        vectors: (N, D) float32, unit length; zeros where ``failed``.
        reasons: Photos without an embedding: index -> "status: reason".
        model: What made the vectors.
        settings: How.
        doubts: Photos whose face is doubtful: index -> why.
        measures: (N, 10) float32, those of ``faces.quality_limits.MEASURES``; NaN where not known.
    """

    vectors: NDArray[np.float32]
    reasons: dict[int, str]
    model: ModelInfo
    settings: dict[str, Any] = field(default_factory=dict)
    doubts: dict[int, str] = field(default_factory=dict)
    measures: NDArray[np.float32] | None = None

    def measured(self, name: str) -> NDArray[np.float32] | None:
        """(N,) float32, one of ``MEASURES`` of each photo's face; None where nothing is known of any."""
        return None if self.measures is None else self.measures[:, MEASURES.index(name)]

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(N,) bool, photos without an embedding."""
        failed = np.zeros(len(self.vectors), bool)
        failed[list(self.reasons)] = True
        return failed


def open_embeddings(photos: ListedPhotos, settings: VerifySettings, progress: Progress) -> PhotoVectors:
    """The vectors of a list's photos, from the file that the user names or from the photos.

    Args:
        photos: The list.
        settings: How.
        progress: Told the photos done.

    Raises:
        InputError: The file cannot be read or does not hold the photos.
        ModelError: The model cannot be used, or is not the one that made the file.
        UsageError: The file was made without the flip that was asked for.
        KeyboardInterrupt: With a message that says what is kept.
    """
    if settings.embeddings is not None:
        return _of_quality(_read_stored(settings.embeddings, photos, settings), settings)
    aligned = settings.aligned if settings.aligned is not None else photos.aligned
    model, workers = open_for(settings, aligned=aligned)
    options = embed_options(settings, faces=settings.faces, aligned=aligned)
    cache = EmbeddingCache(cache_path()) if settings.cache else None
    try:
        embeddings = embed_list(
            photos.images,
            model,
            options,
            places=NOWHERE if aligned else places_of(photos),
            cache=cache,
            workers=workers,
            progress=progress,
        )
    finally:
        if cache is not None:
            cache.close()
    if embeddings.reasons:
        first, reason = next(iter(embeddings.reasons.items()))
        log.warning(
            "without an embedding: %s of %d, the first %s: %s",
            counted(len(embeddings.reasons), "photo"),
            len(photos.images),
            photos.names[first],
            reason,
        )
    return _of_quality(embeddings, settings)


def _of_quality(embeddings: PhotoVectors, settings: VerifySettings) -> PhotoVectors:
    """The same with faces beyond limits as failures to enroll.

    Raises:
        InputError: The card cannot be read, or of no photo is known what is limited.
        ModelError: The card belongs to another model.
    """
    if settings.min_quality is None:
        return embeddings
    made, flip = embeddings.model, bool(embeddings.settings.get("flip", False))
    limits = limits_for(settings.min_quality, model=made.name, sha256=made.sha256, flip=flip)
    known = {name: embeddings.measured(name) for name in limits.limits}
    for name, values in known.items():
        if values is None or not np.isfinite(values).any():
            raise InputError(
                f"--min-quality {name}: it is not known of any photo.",
                hint="Embed the photos again with `facerec embed`; ready crops have no size and no pose.",
            )
    reasons, vectors = dict(embeddings.reasons), embeddings.vectors.copy()
    for i in np.flatnonzero(~embeddings.failed).tolist():
        fault = limits.fault({name: float(values[i]) for name, values in known.items() if values is not None})
        if fault:
            reasons[i], vectors[i] = f"{LOW_QUALITY}: {fault}", 0
    doubts = {i: doubt for i, doubt in embeddings.doubts.items() if i not in reasons}
    told = {**embeddings.settings, "min_quality": limits.text}
    return replace(embeddings, vectors=vectors, reasons=reasons, doubts=doubts, settings=told)


@contextmanager
def embeddings_are_kept(settings: VerifySettings) -> Iterator[None]:
    """Work on finished embeddings that says, when it is interrupted, whether they have to be made again.

    Raises:
        KeyboardInterrupt: With a message.
    """
    try:
        yield
    except KeyboardInterrupt:
        if settings.embeddings is not None or not settings.cache:
            raise
        raise KeyboardInterrupt(
            "interrupted; all embeddings are in the cache, so the same command only has to compare them"
        ) from None


def _read_stored(path: Path, photos: ListedPhotos, settings: VerifySettings) -> PhotoVectors:
    every = open_table(path)
    table = every.one_per_photo(settings.faces)
    lines = None if photos.templates is None else photos.templates.image
    if table.paths is None and lines is not None and len(table.vectors) == len(lines):
        # A row for each line of the tid_mid file, as the published scripts store them.
        rows = np.full(len(photos.names), -1, np.int64)
        rows[lines] = np.arange(len(lines))
        found = Matches(table.vectors[rows], {}, {}, rows)
    else:
        found = table.match(photos.names)
        boxes = places_of(photos).boxes
        if boxes is not None and (paths := table.paths) is not None:
            table, found = every, match_in_boxes(every, paths, found, boxes)
    there = found.rows >= 0
    measured = np.column_stack((table.norms, table.scores, table.qualities))
    measures = np.where(there[:, None], measured[found.rows], np.float32(np.nan))
    if settings.model is not None:
        table.require_model(
            settings.model if isinstance(settings.model, ModelPack) else open_pack(settings.model)
        )
    if settings.flip and not table.settings.get("flip", False):
        raise UsageError(f"--flip was given, but {str(path)!r} was embedded without it or does not say.")
    told = dict(table.settings)
    return PhotoVectors(found.vectors, found.reasons, table.model, told, found.doubts, measures)


def embed_list(
    images: Sequence[Path | bytes],
    model: FaceModel,
    options: EmbedOptions,
    *,
    places: FacePlaces = NOWHERE,
    cache: EmbeddingCache | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> PhotoVectors:
    """Embed one face of each photo.

    Args:
        images: Paths or encoded images.
        model: An opened model.
        options: How; ``faces`` must not be "all".
        places: What the list says of where the faces are.
        cache: Where to look first and to keep what is new.
        workers: Threads.
        progress: Told the photos done.

    Raises:
        KeyboardInterrupt: With a message that says what is kept.
    """
    deciding = {name: value for name, value in options.document().items() if name != "batch_size"}
    settings = json.dumps([2, model.hash, model.provider, deciding], sort_keys=True).encode()
    vectors = np.zeros((len(images), model.pack.encoder.embedding_size), np.float32)
    reasons: dict[int, str] = {}
    doubts: dict[int, str] = {}
    measures = np.full((len(images), len(MEASURES)), np.nan, np.float32)
    for start in range(0, len(images), _CHUNK):
        chunk = range(start, min(start + _CHUNK, len(images)))
        digests: dict[bytes, bytes] = {}
        keys = {} if cache is None else _keys(images, chunk, settings, places, options.max_pixels, digests)
        known = {} if cache is None else cache.get(list(keys.values()))
        entries = {i: known[key] for i, key in keys.items() if key in known}
        missing = [i for i in chunk if i not in entries]
        lasting: dict[bytes, Entry] = {}
        progress(start + len(entries), len(images))
        try:
            faces = embed_faces(images, missing, model, options, places, workers)
            for i, entry, doubt in faces:
                entries[i] = entry
                if doubt:
                    doubts[i] = doubt  # which the cache has no place for
                elif i in keys and (not isinstance(entry, str) or entry.startswith("no_face")):
                    lasting[keys[i]] = entry
                progress(start + len(entries), len(images))
        except KeyboardInterrupt:
            ready = start + len(chunk) - len(missing) + len(lasting)
            raise KeyboardInterrupt(_interrupted(ready, len(images), kept=cache is not None)) from None
        finally:
            if cache is not None:
                cache.put(lasting, digests)
        for i in chunk:
            entry = entries[i]
            if isinstance(entry, str):
                reasons[i] = entry
            else:
                vectors[i], measures[i] = entry
    info = ModelInfo(model.pack.name, model.hash, model.provider)
    return PhotoVectors(vectors, reasons, info, deciding, doubts, measures)


def _interrupted(done: int, total: int, *, kept: bool) -> str:
    if not kept:
        return "interrupted; nothing is kept without the cache"
    return (
        f"interrupted; {done:,} of {counted(total, 'photo')} are in the cache: the same command goes on there"
    )


def _keys(
    images: Sequence[Path | bytes],
    chunk: range,
    settings: bytes,
    places: FacePlaces,
    max_pixels: int,
    digests: dict[bytes, bytes],
) -> dict[int, bytes]:
    """The keys in the cache of those photos of a chunk that can be read; ``digests`` takes their sha256."""
    keys: dict[int, bytes] = {}
    for i in chunk:
        image = images[i]
        try:  # a photo is opened so that no pipe is waited for and no file is too large
            content = image if isinstance(image, bytes) else open_photo(image, max_pixels=max_pixels).data
        except ImageError:  # the pipeline says what is wrong with it
            continue
        keys[i] = content_key(content, settings + places.key(i))
        digests[keys[i]] = hashlib.sha256(content).digest()
    return keys
