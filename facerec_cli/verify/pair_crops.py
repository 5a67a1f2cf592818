"""The aligned crops of a pair list, and how well the embeddings of an encoder tell its pairs apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.errors import InputError
from facerec_cli.faces import FaceModel
from facerec_cli.images import quiet_decoders
from facerec_cli.metrics.evaluate import Evaluation, evaluate
from facerec_cli.metrics.scores import score_pairs
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.read import read_pairs
from facerec_cli.progress import Progress, silent

Crops = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PairCrops:
    """A pair list with the crop of each photo.

    Attributes:
        name: Of the list's file, without its suffix.
        pairs: The list.
        crops: (N, H, W, 3) uint8 BGR; zeros where there is none.
        missing: (N,) bool, photos that cannot be read or show no face.
    """

    name: str
    pairs: PairList
    crops: Crops
    missing: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """What one encoder makes of the pairs.

    Attributes:
        scores: (P,) float32 cosines; 0 where a photo has no embedding.
        evaluation: What they say.
    """

    scores: NDArray[np.float32]
    evaluation: Evaluation

    def largest_change(self, other: ScoredPairs) -> float:
        """The largest difference of a pair's cosine to the one that ``other`` gave it."""
        return float(np.abs(self.scores - other.scores).max(initial=0))


def evaluate_crops(pairs: PairCrops, embeddings: NDArray[np.float32], fars: Sequence[float]) -> ScoredPairs:
    """Score the pairs by the embeddings of their crops.

    Args:
        pairs: The pairs.
        embeddings: (N, D) of ``pairs.crops``, raw or unit. A row that is not finite fails its pairs.
        fars: False accept rates to report.
    """
    listed = pairs.pairs
    failed = pairs.missing | ~np.isfinite(embeddings).all(axis=1)
    vectors = np.where(failed[:, None], np.float32(0), embeddings)
    scores = score_pairs(vectors, listed)
    unusable = failed[listed.first] | failed[listed.second]
    return ScoredPairs(scores, evaluate(scores, listed.same, failed=unusable, folds=listed.fold, fars=fars))


def cut_pairs(
    path: Path,
    model: FaceModel,
    *,
    root: Path | None = None,
    aligned: bool = False,
    progress: Progress = silent,
) -> PairCrops:
    """Cut the faces of a list's photos as ``facerec verify`` cuts them.

    Args:
        path: The list.
        model: Finds the faces and says how they are cut.
        root: Folder that the list's paths start from; guessed when None.
        aligned: Whether the photos are aligned crops already.
        progress: Told the photos done.

    Raises:
        InputError: The list cannot be read, compares templates, or none of its photos shows a face.
    """
    pairs = read_pairs(path, root=root, templates=False)
    crops, missing = cut_main_faces(pairs.images, model, aligned=aligned or pairs.aligned, progress=progress)
    if missing.all():
        raise InputError(
            f"None of the photos of {path} shows a face.",
            hint="If they are aligned crops already, say --aligned.",
        )
    return PairCrops(Path(path).stem, pairs, crops, missing)


def cut_main_faces(
    photos: Sequence[str | Path | bytes], model: FaceModel, *, aligned: bool, progress: Progress = silent
) -> tuple[Crops, NDArray[np.bool_]]:
    """The face of each photo that verification would take.

    Args:
        photos: N paths or encoded images.
        model: Finds the faces and says how they are cut.
        aligned: Whether the photos are aligned crops already.
        progress: Told the photos done.

    Returns:
        (N, H, W, 3) uint8 BGR crops, and (N,) bool: photos without one, whose crops are zeros.
    """
    width, height = model.input_size
    crops = np.zeros((len(photos), height, width, 3), np.uint8)
    missing = np.ones(len(photos), bool)
    options = EmbedOptions(faces="main", aligned=aligned)
    with quiet_decoders():
        for number, result in enumerate(embed_photos(photos, model, options, keep_crops=True)):
            if result.faces and result.faces[0].crop is not None:
                crops[number], missing[number] = result.faces[0].crop, False
            progress(number + 1, len(photos))
    return crops, missing
