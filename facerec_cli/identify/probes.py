"""The faces that are searched for: found in photos, or read from what ``facerec embed`` has written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.embed.photo_result import make_shard
from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.records import BOX, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.kinds import is_embeddings
from facerec_cli.identify.people import require_pack
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.images import find_images
from facerec_cli.images.inputs import refuse_missing
from facerec_cli.verify.settings import Steps, embed_options, no_steps, open_for

_STATUSES = ("missing", "empty", "unreadable", "too_large")


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Faces to search for, with the photos that they are on.

    Attributes:
        shard: A vector for each face, and a record for each face and each photo without one, as ``embed``
            has them.
        provider: What the encoder ran on; "" where the vectors were there.
    """

    shard: Shard
    provider: str = ""


def open_probes(
    inputs: Sequence[str | Path],
    people: EnrolledPeople,
    settings: IdentifySettings | None = None,
    *,
    exclude: Sequence[Path] = (),
    steps: Steps = no_steps,
) -> Probes:
    """Find and embed the faces of probes as those of the gallery were, or read their embeddings.

    Args:
        inputs: Photos, folders, lists, patterns or ``-`` (see ``images.find_images``), or one file or folder
            of embeddings.
        people: What they will be searched for in.
        settings: How.
        exclude: Folders that no photo is taken from, such as that of the results.
        steps: Watches the work.

    Raises:
        InputError: None of the inputs exists, or there is no photo or face in them.
        ModelError: The gallery's model cannot be used, or is another one's.
        UsageError: Embeddings are named together with something else.
    """
    settings = settings or IdentifySettings()
    named = [os.fspath(name) for name in inputs]
    if any(map(is_embeddings, named)):
        if len(named) > 1:
            raise UsageError(
                f"{next(filter(is_embeddings, named))!r} holds embeddings, which are searched for alone.",
                hint="Name one file of embeddings, or photos.",
            )
        return Probes(_of_table(open_table(named[0]), people, settings))
    refuse_missing([name for name in named if name != "-"])
    photos = find_images(named, exclude=exclude)
    if not photos:
        raise InputError("No photo was found to search for.", hint="Name photos, folders, lists or patterns.")
    pack = require_pack(people, settings)
    made = people.settings
    if settings.flip and not made.get("flip", False):
        raise UsageError(f"--flip was given, but the gallery {people.source!r} was made without it.")
    aligned = bool(made.get("aligned", False)) if settings.aligned is None else settings.aligned
    embedding = settings.embedding(flip=bool(made.get("flip", False)))
    model, workers = open_for(replace(embedding, model=pack, embeddings=None), aligned=aligned)
    options = embed_options(embedding, faces=settings.faces, aligned=aligned)
    with steps("Embedding", "photos") as progress:
        shard = _embed(photos, model, options, workers, progress)
    return Probes(shard, model.provider)


def _embed(photos: list[str], model: Any, options: EmbedOptions, workers: int, progress: Any) -> Shard:
    def watched() -> Any:
        for done, result in enumerate(embed_photos(photos, model, options, workers=workers), 1):
            progress(done, len(photos))
            yield result

    return make_shard(watched(), size=model.embedding_size, first=0, crops=None)


def _of_table(table: EmbeddingTable, people: EnrolledPeople, settings: IdentifySettings) -> Shard:
    """The faces of a file of embeddings, which has to be of the gallery's model."""
    made, wanted = table.model, people.model
    for source, model in ((table.source, made), (people.source, wanted)):
        if not model.sha256:
            raise ModelError(
                f"{source!r} does not say which model made it, so it cannot be compared.",
                hint="Keep the .json of `facerec embed` beside the embeddings.",
            )
    if made.sha256 != wanted.sha256:
        raise ModelError(
            f"{table.source!r} was made with the model {made.name!r} ({made.sha256[:12]}), the gallery "
            f"{people.source!r} with {wanted.name!r} ({wanted.sha256[:12]}).",
            hint="Embed the probes with the gallery's model.",
        )
    if settings.model is not None:
        require_pack(people, settings)
    if settings.faces != "all":
        table = table.one_per_photo(settings.faces)
    rows = [_record(table, row) for row in range(len(table.vectors))]
    for path, reason in table.failed.items():
        status, _, why = reason.partition(": ")
        rows.append({"path": path, "status": status, "reason": why})
    if not rows:
        raise InputError(f"{table.source!r} has no face in it.", hint="Embed photos with faces.")
    return Shard(table.vectors, rows)


def _record(table: EmbeddingTable, row: int) -> dict[str, Any]:
    """What a table says of a face, as ``embed`` has it."""
    number = int(table.numbers[row])
    record: dict[str, Any] = {
        "path": table.paths[row] if table.paths else str(row),
        "face": max(0, number),
        "status": table.statuses[row] or "ok",
        "reason": table.reasons[row],
    }
    if np.isfinite(table.boxes[row]).all():
        record |= dict(zip(BOX, map(float, table.boxes[row]), strict=True))
        record |= dict(zip(LANDMARKS, map(float, table.landmarks[row].ravel()), strict=True))
    return record


def failed_photos(shard: Shard) -> list[dict[str, Any]]:
    """The records of photos that could not be read."""
    return [row for row in shard.rows if row["status"] in _STATUSES]
