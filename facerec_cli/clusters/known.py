"""Known people first: faces that a gallery's search gives a name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, ModelError
from facerec_cli.identify.people import SearchedGallery
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.identify.threshold import threshold_of
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.verify.settings import Steps, no_steps


@dataclass(frozen=True, slots=True, eq=False)
class KnownFaces:
    """Faces that get the name of somebody in a gallery.

    Attributes:
        names: F names, "" where there is none.
        margins: (F,) float32, score less the greater of the threshold and the second person's score.
        threshold: From which score on there is a name.
    """

    names: tuple[str, ...]
    margins: NDArray[np.float32]
    threshold: SearchThreshold


def name_faces(
    faces: EmbeddingTable,
    gallery: SearchedGallery,
    settings: IdentifySettings,
    *,
    asked: NDArray[np.bool_],
    same_photo: bool = False,
    steps: Steps = no_steps,
) -> KnownFaces:
    """Search for faces among the people of a gallery.

    Of several faces of one photo that would get one name, the best gets it, unless ``same_photo``.

    Args:
        faces: F faces, of the gallery's model.
        gallery: Who is known.
        settings: With the rate of strangers who may get a name.
        asked: (F,) bool, who is searched for.
        same_photo: Two faces of one photo may be one person.
        steps: Watches the work.

    Raises:
        ModelError: The faces were not made with the gallery's model, or do not say.
        InputError: Nothing supports a threshold.
    """
    people = gallery.people
    if not faces.model.sha256 or faces.model.sha256 != people.model.sha256:
        raise ModelError(
            f"{faces.source!r} was not made with the model of the gallery {people.source!r} "
            f"({people.model.name!r}, {people.model.sha256[:12]}), or does not say so.",
            hint="Embed the photos with the gallery's model.",
        )
    try:
        threshold = threshold_of(gallery, settings, steps)
    except InputError as fault:
        raise InputError(
            fault.message, hint="Give --gallery-threshold, or choose a larger --fpir."
        ) from fault
    assert threshold is not None and threshold.value is not None, "a threshold was asked for"
    at = np.flatnonzero(asked)
    names, margins = [""] * len(asked), np.full(len(asked), np.nan, np.float32)
    with steps("Searching the gallery", "faces") as progress:
        found, scores = people.search(faces.vectors[at], 2, progress=progress)
    taken: set[tuple[str, str]] = set()
    numbers = np.maximum(faces.numbers[at], 0)
    for place in np.lexsort((numbers, -scores[:, 0])).tolist():
        score, second = scores[place].tolist()
        if score < threshold.value:
            break
        face, name = int(at[place]), people.names[found[place, 0]]
        if faces.paths is not None and not same_photo:
            if (faces.paths[face], name) in taken:
                continue
            taken.add((faces.paths[face], name))
        names[face], margins[face] = name, score - max(threshold.value, second)
    return KnownFaces(tuple(names), margins, threshold)
