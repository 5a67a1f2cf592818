"""Two photos: how alike are the faces, and is that the same person?"""

from __future__ import annotations

import logging
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.embed.result import EmbeddedFace, PhotoResult
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces import FaceModel
from facerec_cli.faces.choice import choose
from facerec_cli.metrics.threshold_card import check_card, read_card
from facerec_cli.packs.evaluations import threshold_with_flip
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import find
from facerec_cli.verify.settings import VerifySettings, open_for

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class UsedThreshold:
    """A threshold and where it comes from.

    Attributes:
        value: Accept when cosine >= value.
        source: For a person: "card FILE", "the model's default", "the model's evaluation with --flip" or
            "given".
        far: The false accept rate that it stands for, or None where nobody measured it.
        data: What it was measured on, "" where unknown.
        different_pairs: With how many different pairs.
    """

    value: float
    source: str
    far: float | None = None
    data: str = ""
    different_pairs: int | None = None


@dataclass(frozen=True, slots=True)
class ComparedFace:
    """The face of a photo that was compared.

    Attributes:
        photo: The path as given.
        faces: How many faces the photo has.
        box: x1, y1, x2, y2 in pixels of the upright photo; None for an aligned crop.
        score: The detector's, 0..1; None for an aligned crop.
        norm: Length of the raw embedding.
        doubt: Why its place is doubtful, for a person; "" where it is not.
    """

    photo: str
    faces: int
    box: tuple[float, ...] | None
    score: float | None
    norm: float
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison came to.

    ``same`` and ``threshold`` are None where the model has no threshold and none was given; ``how`` then says
    how to measure one.
    """

    similarity: float
    same: bool | None
    threshold: UsedThreshold | None
    photos: tuple[ComparedFace, ComparedFace]
    model: str
    model_sha256: str
    provider: str
    how: str = ""

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        verdict = {True: "same", False: "different", None: None}[self.same]
        return {**asdict(self), "verdict": verdict}


def verify_photos(
    first: str | Path,
    second: str | Path,
    settings: VerifySettings | None = None,
    *,
    threshold: str | float | None = None,
) -> Verdict:
    """Compare one face of each of two photos; ``settings.faces`` says which.

    Args:
        first: A photo.
        second: The other.
        settings: How.
        threshold: A cosine, or the path of a threshold card; None takes the model's default; with
            ``flip`` that of the pack's evaluation with flip, if it has one.

    Raises:
        InputError: A photo cannot be read or has no face.
        ModelError: The card belongs to another model.
        UsageError: ``threshold`` is no cosine.
    """
    chosen = settings or VerifySettings()
    aligned = bool(chosen.aligned)
    model, _ = open_for(chosen, aligned=aligned)
    used = _threshold(threshold, model, flip=chosen.flip)
    options = EmbedOptions(
        faces="all",
        min_score=chosen.min_score,
        aligned=aligned,
        flip=chosen.flip,
        batch_size=chosen.batch_size,
    )
    faces, described = [], []
    for result in embed_photos([Path(first), Path(second)], model, options, workers=1):
        if not result.faces:
            hint = "Name another photo, or save this one anew from its original."
            if result.status == "missing":
                hint = "Correct its name."
            elif result.status == "no_face":
                hint = "Lower --min-score, or give --aligned if it is a face crop that fills the photo."
            raise InputError(f"{result.name}: {result.reason}.", hint=hint)
        face = _chosen(result, chosen.faces)
        faces.append(face)
        place = face.face
        described.append(
            ComparedFace(
                photo=result.name,
                faces=len(result.faces),
                box=None if place is None else tuple(round(float(v), 1) for v in place.box),
                score=None if place is None else float(place.score),
                norm=face.norm,
                doubt=face.doubt,
            )
        )
    similarity = float(np.dot(faces[0].embedding, faces[1].embedding))
    return Verdict(
        similarity=similarity,
        same=None if used is None else similarity >= used.value,
        threshold=used,
        photos=(described[0], described[1]),
        model=model.pack.name,
        model_sha256=model.hash,
        provider=model.provider,
        how="" if used else _how_to_measure(model.pack, flip=chosen.flip),
    )


def _chosen(photo: PhotoResult, rule: str) -> EmbeddedFace:
    boxes = [found.face.box for found in photo.faces if found.face is not None]
    return photo.faces[choose(boxes, (photo.width, photo.height), rule) if boxes else 0]


def _threshold(given: str | float | None, model: FaceModel, *, flip: bool) -> UsedThreshold | None:
    if given is None:
        return _default_threshold(model.pack, flip=flip)
    try:
        value = float(given)
    except ValueError:
        card = read_card(Path(str(given)))
        check_card(card, model=model.pack.name, sha256=model.hash, flip=flip)
        return UsedThreshold(card.threshold, f"card {given}", card.far, card.data, card.different_pairs)
    if not -1 <= value <= 1:
        raise UsageError(f"--threshold {given} is not a cosine between -1 and 1.")
    return UsedThreshold(value, "given")


def _how_to_measure(pack: ModelPack, *, flip: bool) -> str:
    """The command that measures a threshold for ``pack``, as it can be typed."""
    entry = find(pack.name)
    named = entry is not None and entry.folder == pack.folder
    ref = pack.name if named else shlex.quote(str(pack.encoder_path))
    flags = " (and the flags of this model)" if pack.unproved else ""
    return (
        f"facerec verify pairs.txt --model {ref}{' --flip' if flip else ''} --save-threshold card.toml{flags}"
    )


def _default_threshold(pack: ModelPack, *, flip: bool) -> UsedThreshold | None:
    default = pack.threshold
    if default is None:
        return None
    source = "the model's default"
    if flip:
        measured = threshold_with_flip(pack, default.far)
        if measured is None:
            log.warning(
                "the model's threshold was measured without --flip, which shifts scores a little; "
                "measure one with it: facerec verify LIST --flip --save-threshold card.toml"
            )
        else:
            default, source = measured, "the model's evaluation with --flip"
    return UsedThreshold(default.value, source, default.far, default.data, default.impostor_pairs)
