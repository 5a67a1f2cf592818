"""The scores of one model on a list: measured here, or a file of ``facerec verify --scores``."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import people_of
from facerec_cli.metrics.scores import Scores
from facerec_cli.pairs.pairlist import distinct
from facerec_cli.untrusted import NpzFile
from facerec_cli.verify.result import Verification

SUFFIXES = (".npz", ".csv")
_COLUMNS = ("first", "second", "same", "fold", "score", "failed")
_AGAIN = "Write it with `facerec verify LIST --scores FILE`."


@dataclass(frozen=True, slots=True, eq=False)
class ModelScores:
    """What a model says of the pairs of a list.

    Attributes:
        name: Of the model, or of the file.
        names: N, what the list calls its photos or templates.
        first: (P,) int64 index of ``names``.
        second: (P,) int64, the other side.
        same: (P,) bool.
        scores: (P,) float32, anything where ``failed``.
        failed: (P,) bool, pairs without a score.
        fold: (P,) int64, or None.
        identity: (N,) int64, who is on each, or None where the list does not say.
        images: N photos that a report can show; empty where nobody has them.
        model: Name and sha256, as far as they are known.
    """

    name: str
    names: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    scores: Scores
    failed: NDArray[np.bool_]
    fold: NDArray[np.int64] | None = None
    identity: NDArray[np.int64] | None = None
    images: tuple[Path | bytes, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)

    def people(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(P,) int64 for each side, who is on it; where the list is silent genuine pairs join photos."""
        identity = people_of(self.first, self.second, self.same) if self.identity is None else self.identity
        return identity[self.first], identity[self.second]

    def require_same_pairs(self, other: ModelScores) -> None:
        """Refuse scores of other pairs, or of the same ones in another order.

        Raises:
            InputError: With the first pair that differs.
        """
        if len(self.same) == len(other.same):
            for row in range(len(self.same)):
                if self._pair(row) != other._pair(row):
                    theirs = f"of {other.name} {other._told(row)}"
                    raise InputError(
                        f"Pair {row + 1} of {self.name} is {self._told(row)}, {theirs}.",
                        hint="Models are compared on the same pairs: measure both on one list.",
                    )
            return
        raise InputError(
            f"{self.name} has {len(self.same):,} pairs, {other.name} {len(other.same):,}.",
            hint="Models are compared on the same pairs: measure both on one list.",
        )

    def _pair(self, row: int) -> tuple[str, str, bool]:
        return self.names[self.first[row]], self.names[self.second[row]], bool(self.same[row])

    def _told(self, row: int) -> str:
        one, other, same = self._pair(row)
        return f"{one!r} and {other!r}, {'same' if same else 'different'}"


def scored_by(measured: Verification, name: str) -> ModelScores:
    """What ``facerec verify`` has measured, as scores to compare.

    Raises:
        InputError: All pairs of a folder were compared, which are too many to keep.
    """
    pairs, scores, failed = measured.pairs, measured.scores, measured.failed
    if scores is None or failed is None:
        raise InputError("Models are compared on a list of pairs.", hint="`facerec data pairs` makes one.")
    templates = pairs.templates
    return ModelScores(
        name=name,
        names=measured.names if templates is None else tuple(map(str, templates.names)),
        first=pairs.first,
        second=pairs.second,
        same=pairs.same,
        scores=scores,
        failed=failed,
        fold=measured.fold,
        identity=pairs.identity if templates is None else None,
        images=pairs.images if templates is None else (),
        model={"name": measured.embeddings.model.name, "sha256": measured.embeddings.model.sha256},
    )


def read_scores(path: Path) -> ModelScores:
    """Read a file of ``facerec verify --scores``.

    Raises:
        InputError: It is not there, or no such file.
    """
    try:
        columns = _of_npz(path) if path.suffix.lower() == ".npz" else _of_csv(path)
    except OSError as fault:
        raise InputError(f"{str(path)!r} cannot be read: {fault.strerror}.", hint=_AGAIN) from fault
    except (ValueError, KeyError, IndexError, zipfile.BadZipFile) as fault:
        raise InputError(f"{str(path)!r} is no file of scores: {fault}.", hint=_AGAIN) from fault
    names, first, second, same, fold, scores, failed = columns
    count = len(same)
    if not count or any(len(one) != count for one in (first, second, fold, scores, failed)):
        raise InputError(f"{str(path)!r} has no pairs, or columns of different lengths.", hint=_AGAIN)
    sides = np.concatenate([first, second])
    if sides.min() < 0 or sides.max() >= len(names):
        raise InputError(f"{str(path)!r} names photos that it does not have.", hint=_AGAIN)
    if not np.isfinite(scores[~failed]).all():
        raise InputError(f"{str(path)!r} has scores that are not finite.", hint=_AGAIN)
    folds = None if (fold < 0).any() else fold
    return ModelScores(str(path), names, first, second, same, scores, failed, folds)


def _of_npz(path: Path) -> tuple[tuple[str, ...], Any, Any, Any, Any, Any, Any]:
    with NpzFile(path) as archive:
        missing = [name for name in ("names", *_COLUMNS) if name not in archive]
        if missing:
            raise ValueError(f"it lacks {missing[0]}")
        first, second, fold = (archive[name].astype(np.int64) for name in ("first", "second", "fold"))
        same, failed = (archive[name].astype(bool) for name in ("same", "failed"))
        return tuple(map(str, archive["names"])), first, second, same, fold, archive["score"], failed


def _of_csv(path: Path) -> tuple[tuple[str, ...], Any, Any, Any, Any, Any, Any]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or any(name not in rows[0] for name in _COLUMNS):
        raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
    names, sides = distinct(name for row in rows for name in (row["first"], row["second"]))

    def column(name: str) -> Sequence[str]:
        return [row[name] for row in rows]

    unlabeled = next((at for at, text in enumerate(column("same"), 2) if text not in ("0", "1")), None)
    if unlabeled is not None:
        raise ValueError(f"line {unlabeled} does not say whether its pair is the same person, 1 or 0")
    same, failed = (np.array([text == "1" for text in column(name)]) for name in ("same", "failed"))
    fold = np.array([int(text) if text else -1 for text in column("fold")], np.int64)
    scores = np.array([float(text) if text else np.nan for text in column("score")], np.float32)
    return names, sides[0::2], sides[1::2], same, fold, scores, failed
