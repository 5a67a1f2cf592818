"""Where a list's vectors come from: its photos, by a model, or a file of ``facerec embed``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from facerec_cli.embed import EmbedOptions
from facerec_cli.embeddings.cache import EmbeddingCache, cache_path
from facerec_cli.embeddings.table import open_table
from facerec_cli.errors import UsageError
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress
from facerec_cli.verify.photo_vectors import PhotoVectors, embed_list
from facerec_cli.verify.settings import VerifySettings, open_for
from facerec_cli.wording import counted

log = logging.getLogger("facerec")


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


def open_embeddings(
    images: Sequence[Path | bytes],
    names: tuple[str, ...],
    settings: VerifySettings,
    progress: Progress,
    *,
    of: PairList | None = None,
    aligned: bool,
) -> PhotoVectors:
    """Vectors from the file that the user names, or from the photos."""
    if settings.embeddings is not None:
        return _from_file(settings.embeddings, names, settings, of)
    aligned = settings.aligned if settings.aligned is not None else aligned
    model, workers = open_for(settings, aligned=aligned)
    options = EmbedOptions(
        faces=settings.faces,  # type: ignore[arg-type]  # checked by VerifySettings
        min_score=settings.min_score,
        aligned=aligned,
        flip=settings.flip,
        batch_size=settings.batch_size,
    )
    cache = EmbeddingCache(cache_path()) if settings.cache else None
    try:
        embeddings = embed_list(
            images,
            model,
            options,
            landmarks=None if of is None or aligned else of.landmarks,
            cache=cache,
            workers=workers,
            progress=progress,
        )
    finally:
        if cache is not None:
            cache.close()
    if embeddings.reasons:
        first = next(iter(embeddings.reasons))
        log.warning(
            "without an embedding: %s of %d, the first %s: %s",
            counted(len(embeddings.reasons), "photo"),
            len(images),
            names[first],
            embeddings.reasons[first],
        )
    return embeddings


def _from_file(
    path: Path, names: tuple[str, ...], settings: VerifySettings, of: PairList | None
) -> PhotoVectors:
    table = open_table(path).one_per_photo(settings.faces)
    rows = of.templates.image if of is not None and of.templates is not None else None
    if table.paths is None and rows is not None and len(table.vectors) == len(rows):
        # A row for each line of the tid_mid file, as the published scripts store them.
        vectors = np.zeros((len(names), table.vectors.shape[1]), np.float32)
        vectors[rows] = table.vectors
        reasons: dict[int, str] = {}
        doubts: dict[int, str] = {}
    else:
        vectors, reasons, doubts = table.match(names)
    if settings.model is not None:
        table.require_model(
            settings.model if isinstance(settings.model, ModelPack) else open_pack(settings.model)
        )
    if settings.flip and not table.settings.get("flip", False):
        raise UsageError(f"--flip was given, but {str(path)!r} was embedded without it or does not say.")
    failed = np.zeros(len(names), bool)
    failed[list(reasons)] = True
    return PhotoVectors(vectors, failed, reasons, table.model, dict(table.settings), doubts=doubts)
