"""Two photos: how similar are their faces, and is that the same person?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.embed import embed_photos
from facerec_cli.embed.photo_result import EmbeddedFace, PhotoResult
from facerec_cli.errors import InputError
from facerec_cli.faces.choice import choose
from facerec_cli.metrics.likelihood_card import (
    StatedLikelihood,
    card_for,
    has_likelihood,
    likelihood_of,
    state,
)
from facerec_cli.metrics.thresholds import resolve
from facerec_cli.packs.catalog import find
from facerec_cli.packs.kinds_section import warning
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.threshold import Threshold
from facerec_cli.verify.settings import VerifySettings, embed_options, open_for


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
    how to measure one. ``likelihood`` is what a card says, and None without one.
    """

    similarity: float
    same: bool | None
    threshold: Threshold | None
    photos: tuple[ComparedFace, ComparedFace]
    model: str
    model_sha256: str
    provider: str
    how: str = ""
    likelihood: StatedLikelihood | None = None
    cautions: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        verdict = {True: "same", False: "different", None: None}[self.same]
        threshold = self.threshold and {
            "value": self.threshold.value,
            "source": self.threshold.source,
            "far": self.threshold.far,
            "data": self.threshold.data,
            "different_pairs": self.threshold.impostor_pairs,
        }
        document = {**asdict(self), "threshold": threshold, "verdict": verdict}
        del document["likelihood"]
        if self.likelihood is not None:
            document["likelihood"] = self.likelihood.document()
        return document


def verify_photos(
    first: str | Path,
    second: str | Path,
    settings: VerifySettings | None = None,
    *,
    threshold: str | float | None = None,
    likelihood: str | Path | None = None,
) -> Verdict:
    """Compare one face of each of two photos; ``settings.faces`` says which.

    Args:
        first: A photo.
        second: The other.
        settings: How.
        threshold: A cosine, or the path of a threshold card; None takes the model's default, with ``flip``
            that which was measured with flip, if there is one.
        likelihood: A card that says what the similarity is worth; without it a calibration that is
            ``threshold`` says it, else the model, where that was measured.

    Raises:
        InputError: A photo or card cannot be read, or a photo has no face or one beyond ``min_quality``.
        ModelError: A card belongs to another model.
        UsageError: ``threshold`` is no cosine.
    """
    settings = settings or VerifySettings()
    aligned = bool(settings.aligned)
    model, _ = open_for(settings, aligned=aligned)
    used = resolve(threshold, model, flip=settings.flip)
    card = likelihood
    if card is None and used is not None and has_likelihood(threshold):
        card = str(threshold)
    worth = likelihood_of(model.pack, flip=settings.flip)
    if card is not None:
        worth = card_for(
            Path(card), model=model.pack.name, sha256=model.hash, flip=settings.flip, aligned=aligned
        )
    options = replace(embed_options(settings, faces="all", aligned=aligned), min_quality=settings.min_quality)
    photos = embed_photos([Path(first), Path(second)], model, options, workers=1)
    (left, left_told), (right, right_told) = (_face_of(photo, settings.faces) for photo in photos)
    similarity = float(np.dot(left.embedding, right.embedding))
    return Verdict(
        similarity=similarity,
        same=None if used is None else similarity >= used.value,
        threshold=used,
        photos=(left_told, right_told),
        model=model.pack.name,
        model_sha256=model.hash,
        provider=model.provider,
        how="" if used else _how_to_measure(model.pack, flip=settings.flip),
        likelihood=None if worth is None else state(worth, similarity),
        cautions=cautions(model.pack, (left_told.box, right_told.box)),
    )


def cautions(pack: ModelPack, boxes: Sequence[tuple[float, ...] | None]) -> tuple[str, ...]:
    """What is to be said of faces that are plainly of a kind on which a model's threshold does not hold.

    Args:
        pack: The model.
        boxes: x1, y1, x2, y2 in pixels of each face; None for an aligned crop, of which nothing is said.
    """
    widths = [box[2] - box[0] for box in boxes if box is not None]
    far = None if pack.threshold is None else pack.threshold.far
    if far is None or not widths:
        return ()
    return tuple(
        warning(kind, far)
        for kind in pack.measured
        if kind.faces_to is not None and min(widths) <= kind.faces_to and not kind.holds(far)
    )


def _face_of(photo: PhotoResult, rule: str) -> tuple[EmbeddedFace, ComparedFace]:
    """The face of a photo that is compared, as it is and as it is told."""
    if not photo.faces:
        hint = "Name another photo, or save this one anew from its original."
        if photo.status == "missing":
            hint = "Correct its name."
        elif photo.status == "no_face":
            hint = "Lower --min-score, or give --aligned if it is a face crop that fills the photo."
        raise InputError(f"{photo.name}: {photo.reason}.", hint=hint)
    boxes = [face.face.box for face in photo.faces if face.face is not None]
    face = photo.faces[choose(boxes, (photo.width, photo.height), rule) if boxes else 0]
    if face.low_quality:
        raise InputError(
            f"{photo.name}: its face is of low quality: {face.low_quality}.",
            hint="Name another photo, or lower --min-quality.",
        )
    place = face.face
    described = ComparedFace(
        photo=photo.name,
        faces=len(photo.faces),
        box=None if place is None else tuple(round(float(v), 1) for v in place.box),
        score=None if place is None else float(place.score),
        norm=face.norm,
        doubt=face.doubt,
    )
    return face, described


def _how_to_measure(pack: ModelPack, *, flip: bool) -> str:
    """The command that measures a threshold for ``pack``, as it can be typed."""
    entry = find(pack.name)
    named = entry is not None and entry.folder == pack.folder
    ref = pack.name if named else shlex.quote(str(pack.encoder_path))
    flags = " (and the flags of this model)" if pack.unproved else ""
    return (
        f"facerec verify pairs.txt --model {ref}{' --flip' if flip else ''} --save-threshold card.toml{flags}"
    )
