"""The faces that are grouped: found in photos, or read from what ``facerec embed`` has written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.clusters.stored import asked_of
from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.embed.photo_result import make_shard
from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.records import table_of
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces import open_model
from facerec_cli.gallery.kinds import is_embeddings
from facerec_cli.images import find_images
from facerec_cli.images.inputs import refuse_missing
from facerec_cli.images.remote import refuse_unknown_schemes
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.runtime import usable_cores
from facerec_cli.verify.settings import Steps, no_steps


def open_faces(
    inputs: Sequence[str | Path],
    settings: ClusterSettings,
    options: EmbedOptions,
    *,
    exclude: Sequence[Path] = (),
    steps: Steps = no_steps,
) -> EmbeddingTable:
    """The faces of photos, embedded now, or of stored embeddings.

    Args:
        inputs: Photos, folders, lists, patterns, URLs or ``-`` (see ``images.find_images``); or files and
            folders of embeddings of one model.
        settings: With the model.
        options: Which faces of a photo, and how they are embedded; of embeddings, which faces (``stored``).
        exclude: Folders that no photo is taken from, such as that of the results.
        steps: Watches the work.

    Raises:
        InputError: There is no photo, or embeddings cannot be read.
        ModelError: Embeddings are of two models, or of another than ``settings.model``.
        UsageError: Photos and embeddings are named together, or a setting is for photos alone.
    """
    named = [os.fspath(name) for name in inputs]
    stored = [name for name in named if is_embeddings(name)]
    if stored and len(stored) < len(named):
        other = next(name for name in named if name not in stored)
        raise UsageError(
            f"{stored[0]!r} holds embeddings and {other!r} does not.",
            hint="Name embeddings alone, or embed the photos first: facerec embed PHOTOS -o FILE",
        )
    if stored:
        return _of_tables([open_table(name) for name in stored], settings, options)
    refuse_missing([name for name in named if name != "-"])
    photos = find_images(named, exclude=exclude)
    if not photos:
        raise InputError("No photo was found.", hint="Name photos, folders, lists, patterns or embeddings.")
    refuse_unknown_schemes(photos)
    return _embed(photos, named[0], settings, options, steps)


def _embed(
    photos: list[str], source: str, settings: ClusterSettings, options: EmbedOptions, steps: Steps
) -> EmbeddingTable:
    threads = settings.threads or usable_cores()
    model = open_model(
        settings.model or DEFAULT_PACK,
        device=settings.device,
        threads=threads,
        detector=not options.aligned,
    )

    def watched(progress: Any) -> Any:
        for done, result in enumerate(embed_photos(photos, model, options, workers=threads + 1), 1):
            progress(done, len(photos))
            yield result

    with steps("Embedding", "photos") as progress:
        shard = make_shard(watched(progress), size=model.embedding_size, first=0, crops=None)
    rows = iter(range(len(shard.embeddings)))
    records = [row | ({"row": next(rows)} if "face" in row else {}) for row in shard.rows]
    about = {
        "model": {"name": model.pack.name, "sha256": pack_hash(model.pack)},
        "provider": model.provider,
        "settings": asdict(options),
    }
    return table_of(source, shard.embeddings, records, about)


def _of_tables(
    tables: list[EmbeddingTable], settings: ClusterSettings, options: EmbedOptions
) -> EmbeddingTable:
    if settings.model is not None:
        pack = open_pack(settings.model) if isinstance(settings.model, str) else settings.model
        for table in tables:
            table.require_model(pack)
    for table in tables[1:]:
        table.require_same_model(tables[0])
    tables = [asked_of(table, options) for table in tables]
    joined = _joined(tables) if len(tables) > 1 else tables[0]
    return joined if options.faces == "all" else joined.one_per_photo(options.faces)


def _joined(tables: Sequence[EmbeddingTable]) -> EmbeddingTable:
    """Several tables of one model as one, in their order."""
    if any(table.paths is None for table in tables):
        raise InputError(
            "Of several files of embeddings each must say which photos it is of.",
            hint="Keep the tables of `facerec embed` beside them.",
        )
    columns: dict[str, Any] = {}
    for name in (field.name for field in fields(EmbeddingTable)):
        parts = [getattr(table, name) for table in tables]
        if isinstance(parts[0], np.ndarray):
            columns[name] = np.concatenate(parts)
        elif isinstance(parts[0], tuple):
            columns[name] = tuple(value for part in parts for value in part)
    failed = {path: reason for table in tables for path, reason in table.failed.items()}
    with_face = set(columns["paths"])
    failed = {path: reason for path, reason in failed.items() if path not in with_face}
    source = ", ".join(table.source for table in tables)
    return replace(tables[0], source=source, failed=failed, **columns)
