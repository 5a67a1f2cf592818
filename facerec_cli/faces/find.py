"""The faces of a photo that count, at the turn and the scale at which they are cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.align import doubt, template
from facerec_cli.faces.choice import choose
from facerec_cli.faces.face import Face
from facerec_cli.faces.search import GAIN, SURE
from facerec_cli.faces.views import View, best_reduction, rms_spread
from facerec_cli.images.samples import Image

if TYPE_CHECKING:
    from facerec_cli.faces.model import FaceModel


@dataclass(slots=True)
class FoundFaces:
    """What was found in a photo.

    Attributes:
        view: The photo, turned where that was needed.
        faces: In the view's pixels, best score first; one where one was asked for.
        doubts: For each face why its place is doubtful, for a person; "" where it is not.
        reason: Why there is no face; "" where there is one.
        found: How many there are, of which ``faces`` are those that count.
    """

    view: View
    faces: list[Face] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    reason: str = ""
    found: int = 0


def find_faces(
    views: Sequence[View],
    model: FaceModel,
    *,
    faces: str = "all",
    min_score: float | None = None,
    min_size: float = 0,
    max_side: int | None = None,
    rotate: str = "auto",
) -> list[FoundFaces]:
    """Find the faces of photos, turned ones and faint ones too.

    A photo with no face that scores ``search.SURE`` is searched again, turned, where ``rotate`` says so. One
    without any face is searched for faint ones: covered, dark, blurred. Those are doubtful by their score,
    and so are faces below ``search.SURE`` that are seen in the turned photo only.

    Args:
        views: The photos, upright.
        model: Finds and aligns.
        faces: "all", or one of ``registry.FACE_RULES``.
        min_score: Threshold on the score, 0..1. None takes the pack's, and looks for faint faces below it.
        min_size: Faces whose box's shorter side is below this many pixels of the full photo do not count.
        max_side: See ``search.DEFAULT_MAX_SIDE``.
        rotate: "auto" or "none".

    Returns:
        One result for each photo.

    Raises:
        ModelError: The detector fails.
    """
    if not views:
        return []
    results = [
        FoundFaces(view, seen)
        for view, seen in zip(views, _detect(views, model, min_score, max_side), strict=True)
    ]
    upright = [bool(result.faces) for result in results]
    if rotate == "auto":
        _turn(results, model, min_score, max_side)
    turned = [bool(result.faces) and result.faces[0].score < SURE for result in results]
    if min_score is None:
        _look_for_faint(results, model, max_side)
    points = template(model.pack.encoder.template, model.pack.encoder.input_size)
    for result, seen_upright, seen_turned in zip(results, upright, turned, strict=True):
        how = "" if seen_upright else "in the turned photo" if seen_turned else "at a second look"
        sure = bool(result.faces) and result.faces[0].score >= SURE
        _settle(result, min_size, points, how="" if sure else how)
    return [result if faces == "all" or not result.faces else one_face(result, faces) for result in results]


def _settle(result: FoundFaces, min_size: float, points: NDArray[np.float64], *, how: str) -> None:
    """Leave out what is too small, and say why there is no face or why one is doubtful."""
    large = [face for face in result.faces if result.view.upright_face(face).size >= min_size]
    if not result.faces:
        result.reason = "no face was found"
    elif not large:
        result.reason = f"{len(result.faces)} found, all smaller than {min_size:g} pixels"
    result.faces, result.found = large, len(large)
    if how:
        result.doubts = [f"found {how} only, with a score of {face.score:.2f}" for face in large]
    else:
        result.doubts = [doubt(face.landmarks, face.box, points) for face in large]


def cut_faces(found: FoundFaces, model: FaceModel) -> list[Image]:
    """Cut the aligned crops of the found faces, each from the scale that fits it.

    Returns:
        (H, W, 3) uint8 BGR each, in the pack's input size.
    """
    if not found.faces:
        return []
    encoder = model.pack.encoder
    spread = rms_spread(template(encoder.template, encoder.input_size))
    reductions = [best_reduction(found.view, face, spread) for face in found.faces]
    crops = []
    with found.view.opened(min(reductions)) as finest:
        views = {found.view.reduction: found.view, finest.reduction: finest}
        for face, reduction in zip(found.faces, reductions, strict=True):
            if reduction not in views:
                views[reduction] = found.view.at(reduction)
            crops.append(model.align(views[reduction].image, found.view.moved(face, views[reduction])))
        views.clear()
    return crops


def _detect(
    views: Sequence[View],
    model: FaceModel,
    min_score: float | None,
    max_side: int | None,
    *,
    finer: bool = True,
) -> list[list[Face]]:
    if not views:
        return []
    detected = model.detect(views, min_score=min_score, max_side=max_side, finer=finer)
    return [[face for face in faces if rms_spread(face.landmarks) > 0] for faces in detected]  # NaN fails too


def _turn(results: list[FoundFaces], model: FaceModel, min_score: float | None, max_side: int | None) -> None:
    """Where none is sure, take the turn whose best face scores clearly more than the upright photo's.

    Detectors find sideways and upside-down faces too, with a lower score and landmarks in the wrong places,
    and their embeddings are worth nothing. Of LFW's upright photos 1 % are searched again and none is turned;
    of 150 that were turned, all.
    """
    unsure = [result for result in results if not result.faces or result.faces[0].score < SURE]
    turned = [(result, result.view.turned(degrees)) for result in unsure for degrees in (90, 180, 270)]
    seen = _detect([view for _, view in turned], model, min_score, max_side, finer=False)
    for (result, view), faces in zip(turned, seen, strict=True):
        gain = GAIN if result.faces and not result.view.rotation else 0
        if faces and (not result.faces or faces[0].score > result.faces[0].score + gain):
            result.faces, result.view = faces, view


def _look_for_faint(results: list[FoundFaces], model: FaceModel, max_side: int | None) -> None:
    """Give photos without a face those of a lower score, if they have the form of one."""
    empty = [number for number, result in enumerate(results) if not result.faces]
    views = [results[number].view for number in empty]
    points = template(model.pack.encoder.template, model.pack.encoder.input_size)
    for number, faces in zip(
        empty, _detect(views, model, model.faint_score, max_side, finer=False), strict=True
    ):
        results[number].faces = [face for face in faces if not doubt(face.landmarks, face.box, points)]


def one_face(found: FoundFaces, rule: str) -> FoundFaces:
    """The same with one face of several.

    Args:
        found: At least one face.
        rule: One of ``registry.FACE_RULES``.
    """
    height, width = found.view.image.shape[:2]
    at = choose([face.box for face in found.faces], (width, height), rule)
    return FoundFaces(found.view, [found.faces[at]], [found.doubts[at]], found=len(found.faces))
