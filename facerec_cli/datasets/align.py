"""Raw photos to aligned crops: a folder per person in, the same folders with 112 x 112 faces out."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.datasets.base import FaceDataset
from facerec_cli.datasets.convert import named
from facerec_cli.datasets.evaluation import write_at_once
from facerec_cli.datasets.folder import ALIGNMENT_TABLE
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces.choice import RULES, choose
from facerec_cli.progress import Progress, silent

if TYPE_CHECKING:
    from facerec_cli.faces import Face, FaceModel

_BATCH = 16
_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes:
        photo: Its name in the source.
        status: "ok", "kept" (from an earlier run), "no_face", or why it could not be read.
        faces: How many faces were found.
        score: Detection score of the chosen one, or NaN.
        crop: The crop's path in the target, or "".
    """

    photo: str
    status: str
    faces: int = 0
    score: float = float("nan")
    crop: str = ""


def align(
    source: FaceDataset,
    target: Path,
    model: FaceModel,
    *,
    faces: str = "main",
    resume: bool = False,
    max_side: int = 1024,
    progress: Progress = silent,
) -> Counter[str]:
    """Write one aligned crop per photo as JPEG of quality 95, and ``alignment.tsv`` with a row per photo.

    Args:
        source: Photos, most often a folder per person.
        target: A new folder; with ``resume`` one of an earlier run, whose crops are kept.
        model: Gives the detector and the crop's template and size.
        faces: Which face of several: one of ``faces.choice.RULES``.
        resume: Go on in a target that exists.
        max_side: Photos with a longer side are searched at a reduced scale.
        progress: Told of the photos done.

    Returns:
        How many photos have each status.

    Raises:
        KeyboardInterrupt: With a message that says how to go on.
    """
    if faces not in RULES:
        raise UsageError(f"--faces {faces} is not one of {', '.join(RULES)}.")
    if target.exists() and any(target.iterdir()) and not resume:
        raise UsageError(f"{target} exists.", hint="Name another folder, or go on with --resume.")
    target.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    try:
        _cut_all(source, target, model, faces, max_side, outcomes, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the crops in {target} are kept. Go on with the same command and --resume"
        ) from None
    _write_table(outcomes, target / ALIGNMENT_TABLE)
    return Counter(outcome.status for outcome in outcomes)


def _cut_all(
    source: FaceDataset,
    target: Path,
    model: FaceModel,
    rule: str,
    max_side: int,
    outcomes: list[Outcome],
    progress: Progress,
) -> None:
    with ThreadPoolExecutor(4) as threads:
        for crops in _groups(named(source, ".jpg"), _BATCH):
            images = list(threads.map(lambda one: _open(source, one[0], target / one[1]), crops))
            photos = [image for image in images if not isinstance(image, str)]
            found = iter(model.detect(photos, max_side=max_side) if photos else [])
            for (index, crop), image in zip(crops, images, strict=True):
                if isinstance(image, str):
                    outcomes.append(Outcome(source.name(index), image, crop=crop if image == "kept" else ""))
                    continue
                outcomes.append(_cut(source.name(index), image, next(found), rule, model, target, crop))
            progress(len(outcomes), len(source))


def _groups(items: Iterator[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    while group := list(islice(items, size)):
        yield group


def _open(source: FaceDataset, index: int, crop: Path) -> NDArray[np.uint8] | str:
    """The photo as (H, W, 3) uint8 BGR, upright; or the status of one that need not or cannot be read."""
    from facerec_cli.images import ImageError, read_image

    if crop.is_file():
        return "kept"
    try:
        return read_image(source.read(index))
    except ImageError as fault:
        return fault.status
    except InputError:
        return "unreadable"


def _cut(
    photo: str,
    image: NDArray[np.uint8],
    faces: list[Face],
    rule: str,
    model: FaceModel,
    target: Path,
    crop: str,
) -> Outcome:
    if not faces:
        return Outcome(photo, "no_face")
    face = faces[choose([one.box for one in faces], (image.shape[1], image.shape[0]), rule)]
    try:
        aligned = model.align(image, face)
    except InputError:  # landmarks that are no triangle
        return Outcome(photo, "no_face", len(faces))
    done, data = cv2.imencode(".jpg", aligned, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done
    write_at_once(target / crop, data.tobytes())
    return Outcome(photo, "ok", len(faces), float(face.score), crop)


def _write_table(outcomes: list[Outcome], path: Path) -> None:
    text = io.StringIO()
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow(("photo", "status", "faces", "score", "crop"))
    for one in outcomes:
        score = "" if np.isnan(one.score) else f"{one.score:.4f}"
        rows.writerow((one.photo, one.status, one.faces, score, one.crop))
    write_at_once(path, text.getvalue().encode("utf-8", "surrogateescape"))
