"""What a protocol of 1:N searches is once it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facerec_cli.pairs.pairlist import Templates


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """One gallery and the probes that are searched for in it.

    An item is a photo, or a template where the protocol has templates. Probes of people who have no item in
    the gallery are non-mated.

    Attributes:
        name: What the protocol calls it: ``trial 1``, ``O2``, ``G1``, ``d3``.
        gallery: (G,) int64, items.
        probes: (P,) int64, items.
        verification: (V,) int64, items of which all pairs are compared 1:1 beside the search (BLUFR); empty
            where the protocol has no such part.
        leave_one_out: Whether each probe joins the gallery in turn, alone, and all other probes of its person
            are searched for (MegaFace): n (n - 1) mated searches of a person with n probes. A search of probe
            b for mate a ranks a among the items of ``gallery``, all distractors: the rank is 1 and the number
            of those whose score with b is not below a's. No probe is a distractor of another one.
    """

    name: str
    gallery: NDArray[np.int64]
    probes: NDArray[np.int64]
    verification: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    leave_one_out: bool = False


@dataclass(frozen=True, slots=True)
class SearchProtocol:
    """Photos of known people and the searches that are made with them: the only type for it.

    Attributes:
        images: N photos, as paths or as the bytes of an encoded image; a path need not exist.
        names: N, what the lists call each photo.
        people: What each person is called.
        identity: (N,) int64, the person of each photo (with ``templates``: (T,) of each template); -1 for
            distractors, each of whom is a person of their own.
        trials: One or more.
        aligned: Whether the photos are aligned crops already, not to be detected again.
        landmarks: (N, 5, 2) float32 pixels where the lists come with them.
        detection_scores: (N,) float32, the score of each of these detections; likewise.
        boxes: (N, 4) float32 pixels x1, y1, x2, y2 of the face that is meant, where the lists have boxes and
            no landmarks; NaN where a photo has none.
        templates: How photos make templates; None where items are photos.
        rank: Over ``people``, or over ``images`` as the protocol publishes it (TinyFace), where a probe has
            several mates and the best of them counts.
        rule: How figures are published where that differs from ours, for the document: "" or a sentence.
        format: A key of ``registry.PROTOCOL_FORMATS``.
    """

    images: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    people: tuple[str, ...]
    identity: NDArray[np.int64]
    trials: tuple[SearchTrial, ...]
    aligned: bool = False
    landmarks: NDArray[np.float32] | None = None
    detection_scores: NDArray[np.float32] | None = None
    boxes: NDArray[np.float32] | None = None
    templates: Templates | None = None
    rank: Literal["people", "images"] = "people"
    rule: str = ""
    format: str = ""
