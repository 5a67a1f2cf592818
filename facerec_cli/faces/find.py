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

if TYPE_CHECKING:
    from facerec_cli.faces.model import FaceModel

Image = NDArray[np.uint8]


@dataclass(slots=True)
class Found:
    """What was found in a photo.

    Attributes:
        view: The photo, turned where that was needed.
        faces: In the view's pixels, best score first; one where one was asked for.
        doubts: For each face why its place is doubtful, for a person; "" where it is not.
        reason: Why there is no face; "" where there is one.
    """

    view: View
    faces: list[Face] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    reason: str = ""


def find_faces(
    views: Sequence[View],
    model: FaceModel,
    *,
    faces: str = "all",
    min_score: float | None = None,
    min_size: float = 0,
    max_side: int | None = None,
    rotate: str = "auto",
) -> list[Found]:
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
    found = [
        Found(view, seen)
        for view, seen in zip(views, _detect(views, model, min_score, max_side), strict=True)
    ]
    upright = [bool(one.faces) for one in found]
    if rotate == "auto":
        _turn(found, model, min_score, max_side)
    turned = [bool(one.faces) and one.faces[0].score < SURE for one in found]
    if min_score is None:
        _look_for_faint(found, model, max_side)
    points = template(model.pack.encoder.template, model.pack.encoder.input_size)
    for one, seen_upright, seen_turned in zip(found, upright, turned, strict=True):
        how = "" if seen_upright else "in the turned photo" if seen_turned else "at a second look"
        sure = bool(one.faces) and one.faces[0].score >= SURE
        _settle(one, min_size, points, how="" if sure else how)
    return [one if faces == "all" or not one.faces else one_face(one, faces) for one in found]


def _settle(one: Found, min_size: float, points: NDArray[np.float64], *, how: str) -> None:
    """Leave out what is too small, and say why there is no face or why one is doubtful."""
    large = [face for face in one.faces if one.view.upright_face(face).size >= min_size]
    if not one.faces:
        one.reason = "no face was found"
    elif not large:
        one.reason = f"{len(one.faces)} found, all smaller than {min_size:g} pixels"
    one.faces = large
    if how:
        one.doubts = [f"found {how} only, with a score of {face.score:.2f}" for face in large]
    else:
        one.doubts = [doubt(face.landmarks, face.box, points) for face in large]


def cut_faces(found: Found, model: FaceModel) -> list[Image]:
    """Cut the aligned crops of the found faces, each from the scale that fits it.

    Returns:
        (H, W, 3) uint8 BGR each, in the pack's input size.
    """
    if not found.faces:
        return []
    encoder = model.pack.encoder
    spread = rms_spread(template(encoder.template, encoder.input_size))
    wanted = [best_reduction(found.view, face, spread) for face in found.faces]
    crops = []
    with found.view.opened(min(wanted)) as finest:
        views = {found.view.reduction: found.view, finest.reduction: finest}
        for face, reduction in zip(found.faces, wanted, strict=True):
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
    found = model.detect(views, min_score=min_score, max_side=max_side, finer=finer)
    return [[face for face in faces if rms_spread(face.landmarks) > 0] for faces in found]  # NaN fails too


def _turn(found: list[Found], model: FaceModel, min_score: float | None, max_side: int | None) -> None:
    """Where none is sure, take the turn whose best face scores clearly more than the upright photo's.

    Detectors find sideways and upside-down faces too, with a lower score and landmarks in the wrong places,
    and their embeddings are worth nothing. Of LFW's upright photos 1 % are searched again and none is turned;
    of 150 that were turned, all.
    """
    unsure = [one for one in found if not one.faces or one.faces[0].score < SURE]
    turned = [(one, one.view.turned(degrees)) for one in unsure for degrees in (90, 180, 270)]
    seen = _detect([view for _, view in turned], model, min_score, max_side, finer=False)
    for (one, view), faces in zip(turned, seen, strict=True):
        gain = GAIN if one.faces and not one.view.rotation else 0
        if faces and (not one.faces or faces[0].score > one.faces[0].score + gain):
            one.faces, one.view = faces, view


def _look_for_faint(found: list[Found], model: FaceModel, max_side: int | None) -> None:
    """Give photos without a face those of a lower score, if they have the form of one."""
    empty = [number for number, one in enumerate(found) if not one.faces]
    views = [found[number].view for number in empty]
    points = template(model.pack.encoder.template, model.pack.encoder.input_size)
    for number, faces in zip(
        empty, _detect(views, model, model.faint_score, max_side, finer=False), strict=True
    ):
        found[number].faces = [face for face in faces if not doubt(face.landmarks, face.box, points)]


def one_face(found: Found, rule: str) -> Found:
    """The same with one face of several.

    Args:
        found: At least one face.
        rule: One of ``registry.FACE_RULES``.
    """
    height, width = found.view.image.shape[:2]
    at = choose([face.box for face in found.faces], (width, height), rule)
    return Found(found.view, [found.faces[at]], [found.doubts[at]])
