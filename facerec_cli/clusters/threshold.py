"""From which mean similarity on two groups are one: it follows from the number of faces.

A face is compared with all N others, so with a fixed threshold a large library has more false neighbors a
face than a small one: N x FMR(t) of them. The user says how many may be expected, and t is where the model's
impostor tail has the false match rate FMR = false links / N.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from facerec_cli.errors import InputError
from facerec_cli.metrics.impostor_tail import rate_at, score_at, supports
from facerec_cli.threshold import ImpostorTail
from facerec_cli.wording import counted

MOST_RATE = 1e-3
"""Of a few faces the rule would ask for next to nothing; they are compared as two photos are."""


@dataclass(frozen=True, slots=True)
class LinkThreshold:
    """The mean similarity from which on two groups of faces are one.

    Attributes:
        value: A cosine.
        faces: How many faces are compared, N.
        source: ``impostor tail``, or ``given`` by the user.
        false_links: How many false neighbors a face are expected, N x FMR(value); None where nobody knows.
        measured: Whether the tail was measured that far; else it is extrapolated, or there is none.
        data: What the tail was measured on.
    """

    value: float
    faces: int
    source: Literal["impostor tail", "given"]
    false_links: float | None = None
    measured: bool = False
    data: str = ""

    def document(self) -> dict[str, Any]:
        """Plain JSON, with the sentence."""
        return {**asdict(self), "sentence": self.sentence()}

    def sentence(self) -> str:
        """What it rests on, for users: one sentence."""
        among = f"among {counted(self.faces, 'face')}"
        if self.false_links is None:
            return f"Threshold {self.value:.4f}, as given; how many false links to expect is not known."
        how = "" if self.measured else " (extrapolated, not measured)"
        given = ", as given" if self.source == "given" else ""
        expected = f"{self.false_links:.2g} false neighbors a face are expected {among}{how}"
        return f"Threshold {self.value:.4f}{given}: {expected}."


def link_threshold(
    faces: int,
    *,
    threshold: float | None = None,
    false_links: float = 0.1,
    tail: ImpostorTail | None = None,
    model: str = "",
) -> LinkThreshold:
    """The threshold that was given, or the one of a rate of false links.

    Args:
        faces: How many are compared, N.
        threshold: A cosine; None takes ``false_links``.
        false_links: Expected false neighbors of a face, N x FMR(t).
        tail: How high scores of two people come with the model.
        model: What it is called, for messages.

    Raises:
        InputError: There is neither a threshold nor a tail.
    """
    if threshold is not None:
        if tail is None:
            return LinkThreshold(threshold, faces, "given")
        rate = rate_at(tail, threshold)
        return LinkThreshold(threshold, faces, "given", faces * rate, supports(tail, rate), tail.data)
    if tail is None:
        why = "The embeddings do not say which model made them, so no impostor tail is known"
        if model:
            why = f"The model {model!r} has no impostor tail"
        raise InputError(
            f"{why}. Without one it is not known from which score on two faces are linked.",
            hint="Give --threshold with a cosine. `facerec verify LIST` on labeled pairs of yours measures "
            "one: take that of a false accept rate of 0.1 / faces.",
        )
    rate = min(MOST_RATE, false_links / max(faces, 1))
    value = min(1.0, score_at(tail, rate))
    return LinkThreshold(value, faces, "impostor tail", faces * rate, supports(tail, rate), tail.data)
