"""One vector for each template of a list, by one of the published ways to weigh its photos.

insightface's evaluation of IJB calls the length of the raw embedding N1 and the score of the detection D1,
and adds (F2) or concatenates (F1) the embedding of the mirrored photo; ``flip`` adds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.pairs.formats.ijb import pool
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.wording import counted


def pool_templates(
    embeddings: PhotoVectors, photos: PairList | SearchProtocol, weighed: str = "mean"
) -> NDArray[np.float32]:
    """Pool the photos of each template.

    Args:
        embeddings: Of the list's photos.
        photos: The list, which has templates.
        weighed: One of ``registry.POOLINGS``. Scores are the list's own where it has them, as IJB's have.

    Returns:
        (T, D) float32 of unit length; all zeros where no photo of a template has an embedding.

    Raises:
        InputError: A photo's norm or score is not known.
    """
    assert photos.templates is not None
    weights: NDArray[np.float32] | None = None
    usable = ~embeddings.failed
    for part in () if weighed == "mean" else weighed.split("-"):
        listed = photos.detection_scores if part == "score" else None
        known = listed if listed is not None else embeddings.measured(part)
        unknown = int(usable.sum()) if known is None else int((~np.isfinite(known[usable])).sum())
        if known is None or unknown:
            raise _not_known(part, weighed, unknown)
        weights = known if weights is None else weights * known
    return pool(embeddings.vectors, embeddings.failed, photos.templates, weights)


def _not_known(part: str, weighed: str, unknown: int) -> InputError:
    what = "the length of the raw embedding" if part == "norm" else "the score of the detection"
    hint = (
        "Embeddings of `facerec embed` have it in their table, raw ones of others in themselves; vectors of "
        "unit length alone do not."
        if part == "norm"
        else "IJB's *_name_5pts_score.txt has it, and so have photos that are searched for faces."
    )
    return InputError(
        f"--pool {weighed} weighs by {what}, which is not known of {counted(unknown, 'photo')}.",
        hint=f"{hint} --pool mean does without.",
    )
