"""What is asked of the faces of photos, asked of stored ones: as far as their table knows."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces.quality_limits import LOW_QUALITY, QUALITY
from facerec_cli.metrics.quality_card import limits_for
from facerec_cli.wording import counted

_OF_PHOTOS = ("max_side", "rotate", "aligned", "flip")


def asked_of(table: EmbeddingTable, options: EmbedOptions) -> EmbeddingTable:
    """The faces of a table that are sure, large and good enough; those of low quality stay, and are told of.

    Raises:
        UsageError: A setting decides how photos are embedded, which these are already.
        InputError: Of no face is known what is asked, or a card cannot be read.
        ModelError: The card of ``min_quality`` belongs to another model.
    """
    defaults = {field.name: field.default for field in fields(EmbedOptions)}
    for name in _OF_PHOTOS:
        value = getattr(options, name)
        if value != defaults[name] and value != table.settings.get(name, False):
            raise UsageError(
                f"--{name.replace('_', '-')} is for photos, not for embeddings such as {table.source}.",
                hint="Leave it out, or give it to `facerec embed`.",
            )
    if options.min_score is not None:
        _require_known("--min-score", table, table.scores)
        table = _without(table, table.scores < options.min_score, f"a score below {options.min_score:g}")
    if options.min_size > 0:
        sides = (table.boxes[:, 2:] - table.boxes[:, :2]).min(axis=1)
        _require_known("--min-size", table, sides)
        table = _without(table, sides < options.min_size, f"less than {options.min_size:g} pixels")
    return _of_quality(table, options.min_quality)


def _require_known(flag: str, table: EmbeddingTable, values: NDArray[np.float32]) -> None:
    if len(values) and not np.isfinite(values).any():
        raise InputError(
            f"{flag} asks what {table.source!r} does not know of any face.",
            hint="Embed the photos again with `facerec embed`, and keep its table beside the embeddings.",
        )


def _without(table: EmbeddingTable, left_out: NDArray[np.bool_], why: str) -> EmbeddingTable:
    """The table without some faces; photos of which no other face is there have none now."""
    kept = table.select(np.flatnonzero(~left_out))
    counts: dict[str, int] = {}
    for row in np.flatnonzero(left_out).tolist() if table.paths is not None else ():
        path = (table.paths or ())[row]
        counts[path] = counts.get(path, 0) + 1
    for path in kept.paths or ():
        counts.pop(path, None)
    failed = {path: f"no_face: {counted(count, 'face')} with {why}" for path, count in counts.items()}
    return replace(kept, failed={**table.failed, **failed})


def _of_quality(table: EmbeddingTable, asked: str | None) -> EmbeddingTable:
    """The table with the status ``low_quality`` of faces beyond limits."""
    if asked is None:
        return table
    flip = bool(table.settings.get("flip", False))
    limits = limits_for(asked, model=table.model.name, sha256=table.model.sha256, flip=flip)
    known = {"norm": table.norms, "score": table.scores}
    known |= {name: table.qualities[:, at] for at, name in enumerate(QUALITY)}
    for name in limits.limits:
        _require_known(f"--min-quality {name}", table, known[name])
    statuses, reasons = list(table.statuses), list(table.reasons)
    for row in range(len(table.vectors)):
        if fault := limits.fault({name: float(known[name][row]) for name in limits.limits}):
            statuses[row], reasons[row] = LOW_QUALITY, fault
    return replace(table, statuses=tuple(statuses), reasons=tuple(reasons))
