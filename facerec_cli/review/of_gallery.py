"""A gallery on the review page: what its check finds are the questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from facerec_cli.gallery.calibrate import gallery_tail
from facerec_cli.gallery.check import GalleryCheck, check_gallery
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.likeness import FacesByPerson
from facerec_cli.gallery.person import GalleryFace, Person
from facerec_cli.metrics.search import top_k
from facerec_cli.report.pictures import resized
from facerec_cli.review.decisions import Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.page import MOST_FACES, ReviewFace, ReviewGroup, ReviewPage, ReviewQuestion
from facerec_cli.review.pictures import SIDE, FacePictures
from facerec_cli.threshold import ImpostorTail
from facerec_cli.verify.settings import Steps, no_steps

_NEAR = 6  # other people whom one can be merged with


def gallery_page(
    gallery: Gallery,
    *,
    apply: str,
    decisions: Decisions | None = None,
    most: int | None = MOST_FACES,
    tail: ImpostorTail | None = None,
    steps: Steps = no_steps,
) -> ReviewPage:
    """The page of a gallery: people with something to look at first.

    Args:
        gallery: The gallery.
        apply: The command that carries decisions out, with FILE for their file.
        decisions: What was decided before.
        most: How many faces are on the page; of more, people with findings. None takes all.
        tail: For galleries of few people; None takes that of the gallery's model.
        steps: Watches the work.

    Raises:
        InputError: Files are damaged.
    """
    check = check_gallery(gallery, tail=tail or gallery_tail(gallery.info), steps=steps)
    people = {person.id: person for person in gallery.people()}
    faces = sorted(gallery.faces(), key=lambda face: face.person)
    work = FacesByPerson(gallery, list(people.values()), faces)
    order = _order(work, check, people)
    sizes = np.cumsum([int(work.size[at]) for at in order])
    shown = [at for at, total in zip(order, sizes, strict=True) if most is None or total <= most]
    place = {at: index for index, at in enumerate(shown)}
    of_person: dict[int, list[GalleryFace]] = {}
    for face in faces:
        of_person.setdefault(face.person, []).append(face)
    kept = [face for at in shown for face in of_person[int(work.ids[at])]]
    where = {face.id: index for index, face in enumerate(kept)}
    keys = face_keys(gallery.vectors(kept)) if kept else []
    return ReviewPage(
        title=f"People of the gallery {gallery.name}",
        kind="gallery",
        source=gallery.name,
        model=gallery.info.model_info().sha256,
        faces=[ReviewFace(photo_of(face), face.id, key) for face, key in zip(kept, keys, strict=True)],
        groups=[
            ReviewGroup(
                tuple(where[face.id] for face in of_person[int(work.ids[at])]),
                people[int(work.ids[at])].name,
                near=near,
            )
            for at, near in zip(shown, _near(work, place), strict=True)
        ],
        questions=list(_questions(work, check, place, where)),
        pictures=GalleryPictures(gallery, kept),
        apply=apply,
        threshold=check.look_alike,
        names=[person.name for person in people.values()],
        decisions=decisions or Decisions((), "gallery"),
    )


def photo_of(face: GalleryFace) -> str:
    """What a face's photo is called on the page and in decisions."""
    return face.path or f"face {face.id}"


def _order(work: FacesByPerson, check: GalleryCheck, people: Mapping[int, Person]) -> list[int]:
    """All people by their rows: those that something was found about, in its order, then the rest by name."""
    row = {people[int(number)].name: at for at, number in enumerate(work.ids)}
    found = [row[name] for finding in check.findings for name in finding.people if name in row]
    return list(dict.fromkeys([*found, *(row[name] for name in sorted(row))]))


def _near(work: FacesByPerson, place: Mapping[int, int]) -> Iterator[tuple[tuple[int, float], ...]]:
    """For each person who is shown, others who are shown, the nearest first."""
    if not place:
        return
    rows, scores = top_k(work.templates, work.templates[list(place)], min(work.count, _NEAR + 1))
    for at, some, values in zip(place, rows.tolist(), scores.tolist(), strict=True):
        yield tuple(
            (place[other], score)
            for other, score in zip(some, values, strict=True)
            if other in place and other != at
        )


def _questions(
    work: FacesByPerson, check: GalleryCheck, place: Mapping[int, int], where: Mapping[int, int]
) -> Iterator[ReviewQuestion]:
    """Those of the check's findings that a person can answer, the most urgent first."""
    row = {work.name(at): shown for at, shown in place.items()}
    nothing = float("nan")
    for doubt, finding in enumerate(check.findings):
        if any(name not in row for name in finding.people):
            continue
        if finding.kind in ("look_alike", "same_face"):
            first, second = (row[name] for name in finding.people)
            yield ReviewQuestion(first, second, nothing, float(doubt), why=finding.message)
        elif finding.kind == "outlier" and finding.faces[-1] in where:
            face = where[finding.faces[-1]]
            yield ReviewQuestion(row[finding.people[0]], -1, nothing, float(doubt), face, finding.message)


class GalleryPictures:
    """The faces of a gallery as JPEG: their crops, or cut out of their photos.

    Args:
        gallery: The gallery.
        faces: Its faces, in the order of the page.
    """

    def __init__(self, gallery: Gallery, faces: Sequence[GalleryFace]) -> None:
        self._crops = [gallery.crop(face) for face in faces]
        nowhere = (float("nan"),) * 4
        boxes = np.array([face.box or nowhere for face in faces], np.float32).reshape(len(faces), 4)
        self._photos = FacePictures([face.path for face in faces], boxes)

    def __call__(self, face: int) -> bytes | None:
        """The JPEG of a face; None where neither its crop nor its photo can be read."""
        crop = self._crops[face]
        image = cv2.imread(str(crop)) if crop is not None and crop.is_file() else None
        if image is None:
            return self._photos(face)
        return cv2.imencode(".jpg", resized(np.asarray(image, np.uint8), SIDE))[1].tobytes()
