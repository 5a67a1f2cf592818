"""Stored embeddings: every face is a row, with its photo, its place in it and what made it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces.choice import choose
from facerec_cli.faces.quality_limits import LOW_QUALITY
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.pairs.names import match_names
from facerec_cli.wording import counted

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model made embeddings; empty where nobody knows.

    Attributes:
        name: Of the pack.
        sha256: Of what decides an embedding: detector, encoder and preprocessing.
        provider: What the encoder ran on.
    """

    name: str = ""
    sha256: str = ""
    provider: str = ""


class Matches(NamedTuple):
    """The embeddings of a list's photos.

    Attributes:
        vectors: (N, D) float32, a row for each name; zeros where there is none.
        reasons: Number of a name without an embedding -> why, as "status: reason".
        doubts: Number of a name whose face is doubtful -> why.
        rows: (N,) int64, the row of the table; -1 where there is none.
    """

    vectors: NDArray[np.float32]
    reasons: dict[int, str]
    doubts: dict[int, str]
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingTable:
    """Embeddings of R faces. Entry i of every column belongs to row i of ``vectors``.

    A plain array has no columns: ``paths`` is None, and its rows are in the order of some list. Other columns
    are filled up where a file lacks them; an ``.npz`` without its table has no status, reason and size. How a
    photo was turned and where crops were saved are in the file only.

    Attributes:
        source: What the user calls it, for messages.
        vectors: (R, D) float32 of unit length.
        description: What the file says of its run: ``model``, ``provider``, ``settings``, ``inputs``,
            ``statuses``, ``versions``; empty where it says nothing.
        paths: The photo of each face, or None.
        numbers: (R,) int64, the number of the face within its photo, best score first; -1 where not known.
        boxes: (R, 4) float32 x1, y1, x2, y2 in pixels of the upright photo; NaN for ready crops.
        landmarks: (R, 5, 2) float32 x, y of eyes, nose and corners of the mouth, left as seen; NaN likewise.
        scores: (R,) float32, of the detection, 0 to 1; NaN likewise.
        norms: (R,) float32, length of the embedding before it was made 1; NaN where not known.
        qualities: (R, 8) float32, the measures ``faces.quality_limits.QUALITY``; NaN where not known.
        sizes: (R, 2) float32 width, height of the upright photo in pixels; NaN where not known.
        statuses: ``ok``, ``doubtful`` or ``low_quality``; empty where not known.
        reasons: Why a face is doubtful or of low quality; empty for others.
        failed: Photo without a face -> why, as "status: reason".
        people: Whom each face shows, where the table has a column ``person``; empty texts where it has none.
        photo_sha256: The sha256 of each face's photo in hexadecimal; empty texts where not known.
    """

    source: str
    vectors: NDArray[np.float32]
    description: Mapping[str, Any]
    paths: tuple[str, ...] | None
    numbers: NDArray[np.int64]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]
    norms: NDArray[np.float32]
    qualities: NDArray[np.float32]
    sizes: NDArray[np.float32]
    statuses: tuple[str, ...]
    reasons: tuple[str, ...]
    failed: Mapping[str, str]
    people: tuple[str, ...]
    photo_sha256: tuple[str, ...]

    @property
    def model(self) -> ModelInfo:
        """What made the embeddings, as far as the file says."""
        model = self.description.get("model") or {}
        words = (model.get("name", ""), model.get("sha256", ""), self.description.get("provider", ""))
        return ModelInfo(*map(str, words))

    @property
    def settings(self) -> Mapping[str, Any]:
        """How they were made (see ``embed.EmbedOptions``), as far as the file says."""
        return self.description.get("settings") or {}

    def require_model(self, pack: ModelPack) -> None:
        """Refuse embeddings of another model than the one that was named.

        Raises:
            ModelError: They were made by another model, or do not say by which.
        """
        if not self.model.sha256:
            raise ModelError(
                f"{self.source!r} does not say which model made it, so --model cannot be checked.",
                hint="Leave --model out, or keep the .json of `facerec embed` beside the embeddings.",
            )
        self._require(
            ModelInfo(pack.name, pack_hash(pack)),
            repr(pack.name),
            "Embed the photos with this model, or leave --model out.",
        )

    def require_same_model(self, other: EmbeddingTable) -> None:
        """Refuse to compare embeddings of two models.

        Raises:
            ModelError: They were made by different models, or one does not say by which.
        """
        for table in (self, other):
            if not table.model.sha256:
                raise ModelError(
                    f"{table.source!r} does not say which model made it, so it cannot be compared.",
                    hint="Keep the .json of `facerec embed` beside the embeddings.",
                )
        self._require(other.model, f"{other.model.name!r} as {other.source!r}", "Embed both with one model.")

    def _require(self, model: ModelInfo, name: str, hint: str) -> None:
        made_by = self.model
        if made_by.sha256 != model.sha256:
            raise ModelError(
                f"{self.source!r} was made with the model {made_by.name!r} ({made_by.sha256[:12]}), not with "
                f"{name} ({model.sha256[:12]}).",
                hint=hint,
            )

    def select(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> EmbeddingTable:
        """The table of some of the rows, in the order given."""
        at = np.asarray(rows, np.int64)
        columns: dict[str, Any] = {}
        for name in ("vectors", "numbers", "boxes", "landmarks", "scores", "norms", "qualities", "sizes"):
            columns[name] = getattr(self, name)[at]
        for name in ("paths", "statuses", "reasons", "people", "photo_sha256"):
            column = getattr(self, name)
            columns[name] = None if column is None else tuple(column[row] for row in at.tolist())
        return replace(self, **columns)

    def one_per_photo(self, rule: str = "main") -> EmbeddingTable:
        """The table with one face of each photo, photos in the order of their first face.

        A face that the file has twice, because the list of photos named its photo twice, counts once. Without
        boxes, or without the photo's size where the rule needs it, the face with the highest score is taken.

        Args:
            rule: Which of several faces counts, one of ``registry.FACE_RULES``. A plain array is given back
                as it is.
        """
        if self.paths is None:
            return self
        rows_of: dict[str, list[int]] = {}
        for row, path in enumerate(self.paths):
            rows_of.setdefault(path, []).append(row)
        unsized = 0
        chosen = []
        for rows in rows_of.values():
            if len(rows) > 1:  # of equal faces the first
                rows = list({(self.numbers[r], self.boxes[r].tobytes()): r for r in rows[::-1]}.values())[
                    ::-1
                ]
                unsized += len(rows) > 1 and self._lacks_size(rows[0])
            chosen.append(rows[0] if len(rows) == 1 else self._choose(rows, rule))
        if unsized and rule != "largest":
            log.warning(
                "%s does not say how large photos are, as --faces %s has to know: of %s with several faces "
                "the one with the highest score is taken. Keep the .csv of `facerec embed` beside it.",
                self.source,
                rule,
                counted(unsized, "photo"),
            )
        return self.select(chosen)

    def _choose(self, rows: list[int], rule: str) -> int:
        """Which of several faces of a photo counts."""
        boxes, size = self.boxes[rows].astype(np.float64), self.sizes[rows[0]]
        if np.isfinite(boxes).all() and (rule == "largest" or np.isfinite(size).all()):
            width, height = (0.0, 0.0) if rule == "largest" else size.tolist()
            return rows[choose(list(boxes), (width, height), rule)]
        return min(rows, key=lambda row: max(0, self.numbers[row]))

    def _lacks_size(self, row: int) -> bool:
        """Whether a face has a box, but nobody knows how large its photo is."""
        return bool(np.isfinite(self.boxes[row]).all() and not np.isfinite(self.sizes[row]).all())

    def match(self, names: Sequence[str]) -> Matches:
        """The embeddings of a list's photos, from a table with one row a photo.

        Args:
            names: What the list calls its photos: found by their path, or by the end of it as far as no
                folder of either contradicts the other's; see ``pairs.names.match_names``. The rows of a plain
                array are the photos of the list, in the order in which it first names them.

        Raises:
            InputError: A plain array of another length, an ambiguous name, or no photo of the list is here.
        """
        if self.paths is None:
            if len(self.vectors) != len(names):
                raise InputError(
                    f"{self.source!r} has {len(self.vectors):,} rows, the list {len(names):,} photos.",
                    hint="Without a table of `facerec embed` beside it, row i must be the list's i-th photo "
                    "in order of first appearance.",
                )
            return Matches(self.vectors, {}, {}, np.arange(len(names)))
        row_of = {path: row for row, path in enumerate(self.paths)}
        photos = (*row_of, *(path for path in self.failed if path not in row_of))
        rows = np.full(len(names), -1, np.int64)
        reasons: dict[int, str] = {}
        doubts: dict[int, str] = {}
        for i, photo in enumerate(match_names(names, photos, repr(self.source))):
            if photo is None:
                reasons[i] = "missing: not in the embeddings file"
            elif photo not in row_of:
                reasons[i] = self.failed[photo]
            elif self.statuses[row := row_of[photo]] == LOW_QUALITY:
                reasons[i] = f"{LOW_QUALITY}: {self.reasons[row] or 'no reason is given'}"
            else:
                rows[i] = row
                if self.statuses[row] == "doubtful":
                    doubts[i] = self.reasons[row] or "no reason is given"
        if len(reasons) == len(names):
            raise InputError(
                f"{self.source!r} has none of the list's {len(names):,} photos; the first is {names[0]!r}.",
                hint="Embed the photos of this list, or name the list that these embeddings belong to. Both "
                "must name a photo by the same folders, from the end of its path on; "
                f"the file's first is {next(iter(photos), 'none')!r}.",
            )
        vectors = np.zeros((len(names), self.vectors.shape[1]), np.float32)
        vectors[rows >= 0] = self.vectors[rows[rows >= 0]]
        return Matches(vectors, reasons, doubts, rows)
