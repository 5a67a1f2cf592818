"""What came of embedding a gallery anew with another model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from facerec_cli.errors import FacerecError, InputError, PartialFailure
from facerec_cli.wording import counted
from facerec_cli.wording import people as counted_people


@dataclass(frozen=True, slots=True)
class LostFace:
    """A face that cannot be embedded anew.

    Attributes:
        id: Its number.
        person: Whose.
        path: Of its photo.
        reason: Why not.
    """

    id: int
    person: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class UpgradedGallery:
    """What came of an upgrade.

    Attributes:
        gallery: The folder.
        before: The model that it had.
        model: The model that it was to have.
        done: Whether it has it; else nothing was changed.
        faces: How many faces it has now.
        sources: From what: photo, landmarks or crop -> how many faces; of a gallery that had damage also
            vector: those that were sound, and kept.
        lost: Faces that cannot be; dropped if ``done``.
        without: People who have no other face; dropped if ``done``.
        cards: How many thresholds were dropped.
    """

    gallery: str
    before: str
    model: str
    done: bool
    faces: int
    sources: dict[str, int] = field(default_factory=dict)
    lost: tuple[LostFace, ...] = ()
    without: tuple[str, ...] = ()
    cards: int = 0

    @property
    def fault(self) -> FacerecError | None:
        """What a program should end with."""
        if not self.lost:
            return None
        faces = counted(len(self.lost), "face")
        if self.done:
            dropped = f", and {counted_people(len(self.without))} with them" if self.without else ""
            return PartialFailure(
                f"Dropped: {faces} without photo and crop{dropped}.", hint="The rows say whose."
            )
        nowhere = not any(one.path for one in self.lost)
        return InputError(
            f"{faces} cannot be embedded anew, so {self.gallery} was left as it is.",
            hint=(
                "Remove these people and enroll their photos again"
                if nowhere
                else "Bring the photos back to where they were"
            )
            + ", or leave these faces out with --drop-missing.",
        )

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        fault = self.fault
        return {
            "gallery": self.gallery,
            "before": self.before,
            "model": self.model,
            "done": self.done,
            "faces": self.faces,
            "sources": self.sources,
            "lost": [
                {"face": one.id, "person": one.person, "path": one.path, "reason": one.reason}
                for one in self.lost
            ],
            "without": list(self.without),
            "dropped_thresholds": self.cards,
            "exit_code": fault.exit_code if fault else 0,
            "message": str(fault) if fault else "",
        }
