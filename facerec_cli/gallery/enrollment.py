"""What came of enrolling: a row a photo, and what it came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from facerec_cli.errors import FacerecError, InputError, PartialFailure
from facerec_cli.wording import counted, people

ENROLLED, DUPLICATE, LOOKS_LIKE = "enrolled", "duplicate", "looks_like"
_GOOD = (ENROLLED, DUPLICATE)
ENROLLED_AS = "enrolled as "
"""How the reason of a duplicate begins that is enrolled under another name."""


@dataclass(frozen=True, slots=True)
class EnrolledPhoto:
    """What came of one photo.

    Attributes:
        path: As it was named.
        person: Whom it shows.
        status: ``enrolled``; ``duplicate``, which the person has already, or
            somebody of another name since a correction, as the reason says; or why it was not enrolled:
            ``no_face``, ``too_small``, ``doubtful``, ``looks_like:NAME``, and of files ``missing``,
            ``empty``, ``unreadable`` and ``too_large``.
        reason: More of it, for a person; "" where there is nothing to say.
        score: Of the detection, 0 to 1; None where it is not known.
        likeness: Score with the template of the person whom it looks like; None for others.
    """

    path: str
    person: str
    status: str
    reason: str = ""
    score: float | None = None
    likeness: float | None = None

    @property
    def enrolled(self) -> bool:
        """Whether the person has this photo now."""
        return self.status in _GOOD


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What enrolling came to.

    Attributes:
        gallery: The folder.
        photos: A row for each, in the order of the inputs.
        people: How many people are enrolled now.
        faces: How many faces.
        without: People of the inputs who are not enrolled, since none of their photos can be used -> why the
            first cannot.
        threshold: The score from which on a face looked like somebody else.
    """

    gallery: str
    photos: tuple[EnrolledPhoto, ...]
    people: int
    faces: int
    without: Mapping[str, str]
    threshold: float

    @property
    def remarks(self) -> list[EnrolledPhoto]:
        """Photos that are enrolled though there is something to say of them."""
        return [
            photo
            for photo in self.photos
            if photo.reason and (photo.status == ENROLLED or photo.reason.startswith(ENROLLED_AS))
        ]

    @property
    def named(self) -> list[str]:
        """Whose photos these were and are enrolled, each once."""
        return list(dict.fromkeys(photo.person for photo in self.photos if photo.status == ENROLLED))

    @property
    def statuses(self) -> dict[str, int]:
        """Photos by status, without the names of ``looks_like``."""
        return dict(Counter(photo.status.partition(":")[0] for photo in self.photos))

    @property
    def fault(self) -> FacerecError | None:
        """What a program should end with: nothing, a partial failure, or that nothing can be used."""
        bad = {status: count for status, count in self.statuses.items() if status not in _GOOD}
        if not bad:
            return None
        kinds = ", ".join(f"{count:,} {status}" for status, count in bad.items())
        hint = "The rows above say why of each."
        if self.without:
            names = ", ".join(map(repr, list(self.without)[:5])) + (", ..." if len(self.without) > 5 else "")
            hint = f"{people(len(self.without))} without a usable photo: {names}. {hint}"
        total = counted(len(self.photos), "photo")
        if sum(bad.values()) == len(self.photos):
            return InputError(f"None of the {total} was enrolled ({kinds}).", hint=hint)
        return PartialFailure(f"{sum(bad.values()):,} of {total} were not enrolled ({kinds}).", hint=hint)

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        fault = self.fault
        return {
            "gallery": self.gallery,
            "people": self.people,
            "faces": self.faces,
            "statuses": self.statuses,
            "photos": [asdict(photo) for photo in self.photos],
            "without": dict(self.without),
            "look_alike_threshold": self.threshold,
            "exit_code": fault.exit_code if fault else 0,
            "message": str(fault) if fault else "",
        }
