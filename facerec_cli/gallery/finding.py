"""What a check of a gallery finds, and what to do about it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GalleryFinding:
    """Something that is wrong in a gallery, or may be.

    Attributes:
        kind: One of ``KINDS``.
        message: What was found, as a sentence.
        command: What to do: a command, with a shell's comment on when, or a sentence.
        people: Who is concerned.
        faces: Numbers of the faces concerned.
        score: The cosine that made it a finding; None for other reasons.
        bound: The cosine that it was compared with.
    """

    kind: str
    message: str
    command: str
    people: tuple[str, ...] = ()
    faces: tuple[int, ...] = ()
    score: float | None = None
    bound: float | None = None

    @property
    def weight(self) -> float:
        """By which findings are sorted: the place of the kind, and how far the score is beyond the bound."""
        beyond = 0.0 if self.score is None or self.bound is None else abs(self.score - self.bound)
        return len(KINDS) - KINDS.index(self.kind) + min(beyond, 1.9) / 2

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        values = {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }
        return {**values, "weight": round(self.weight, 4)}


KINDS = (
    "damaged",
    "left_over",
    "foreign",
    "expired",
    "same_face",
    "look_alike",
    "outlier",
    "stale_index",
    "empty",
)
"""What is found, the most urgent first: files or facts that are damaged; what is left of removed people;
files in the gallery's folder that facerec has not put there; people whose date has passed; one face under two
names; two people who look like one; a face that is not like the others of its person; an index that is older
than the gallery; nobody enrolled."""


def command(*words: str | int) -> str:
    """A command that can be copied into a shell."""
    return shlex.join(["facerec", "gallery", *map(str, words)])
