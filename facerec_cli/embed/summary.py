"""What a run came to, for a person, for ``--json`` and for the shell's exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from facerec_cli.errors import FacerecError, InputError, PartialFailure
from facerec_cli.wording import counted

UNREADABLE = frozenset(["missing", "empty", "unreadable", "too_large"])
"""Statuses of photos that could not be read."""

_GOOD = frozenset(["ok", "doubtful", "low_quality", "no_face"])


def unreadable(bad: Mapping[str, int], total: int, noun: str, *, hint: str) -> FacerecError | None:
    """What a program should end with where some of its inputs could not be read; None where ``bad`` is empty.

    Args:
        bad: Status -> how many inputs have it.
        total: All inputs.
        noun: What an input is called.
        hint: Where to see why.
    """
    if not bad:
        return None
    kinds = ", ".join(f"{count} {status}" for status, count in bad.items())
    if sum(bad.values()) == total:
        return InputError(f"None of the {counted(total, noun)} could be read ({kinds}).", hint=hint)
    return PartialFailure(
        f"{sum(bad.values())} of {counted(total, noun)} could not be read ({kinds}).", hint=hint
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        output: The file with the embeddings.
        files: Every file that was written, the output included.
        model: Name of the pack.
        model_sha256: What identifies detector, encoder and preprocessing.
        provider: What the encoder ran on.
        photos: Inputs.
        embeddings: Rows of the array, D is ``embedding_size``.
        embedding_size: Length of an embedding.
        statuses: Inputs by status.
        resumed: Inputs whose results an earlier run had left.
        seconds: Of this run, from the first photo to the last file.
    """

    output: str
    files: tuple[str, ...]
    model: str
    model_sha256: str
    provider: str
    photos: int
    embeddings: int
    embedding_size: int
    statuses: Mapping[str, int]
    resumed: int
    seconds: float

    @property
    def photos_per_second(self) -> float:
        """Rate of this run."""
        return (self.photos - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def fault(self) -> FacerecError | None:
        """What a program should end with: nothing, a partial failure, or that no photo could be read."""
        bad = {status: count for status, count in self.statuses.items() if status not in _GOOD}
        table = self.files[0] if self.files[0].endswith(".csv") else self.output  # Parquet has all columns
        return unreadable(bad, self.photos, "input", hint=f"The column reason of the table says why: {table}")

    def document(self) -> dict[str, Any]:
        """The summary for ``--json``."""
        fault = self.fault
        return {
            **asdict(self),
            "statuses": dict(self.statuses),
            "seconds": round(self.seconds, 3),
            "photos_per_second": round(self.photos_per_second, 2),
            "exit_code": fault.exit_code if fault else 0,
            "message": str(fault) if fault else "",
        }
