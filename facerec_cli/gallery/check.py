"""A check of a gallery: damage, faces that are not like their person, people who look like one, and more.

All faces are compared with all people, and all people with each other, exactly and block by block. What is
unusual is told by two bounds, both from how high templates of two people score: measured on this gallery,
where it has people enough, for these scores are exact sums; else from the model's impostor tail.

* Two people look like one from the threshold on that lets one in 1,000 searches for strangers name somebody
  (the binomial rule): so among N people about N / 2,000 such pairs are there by chance.
* A face is an outlier if another person's template scores higher with it than the mean of its person's other
  faces, or if that mean scores no higher than one in 100 other people does. Of a person with two faces that
  are hardly like each other nobody knows which is whose: that is one finding.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.gallery.calibrate import gallery_tail
from facerec_cli.gallery.damage import find_damage
from facerec_cli.gallery.finding import GalleryFinding, command
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.likeness import FacesByPerson
from facerec_cli.gallery.person import Person
from facerec_cli.gallery.search_engines.index_file import FILE, FOLDER, read_index
from facerec_cli.metrics.impostor_tail import for_templates, score_at
from facerec_cli.metrics.search_threshold import per_comparison
from facerec_cli.threshold import ImpostorTail
from facerec_cli.verify.settings import Steps, no_steps

LOOK_ALIKE_FPIR = 1e-3
"""The share of searches for strangers that name somebody at the score from which two people look like one."""
OUTLIER_RATE = 0.01
"""A face is an outlier if its person's other faces score no higher than this share of other people does."""
ENOUGH = 100
"""People from which on the gallery's own scores make the bounds."""

_AT_ONCE = 4096  # templates that are multiplied together
_MOST = 1000  # findings of one kind that are told; all are counted


@dataclass(frozen=True, slots=True)
class GalleryCheck:
    """What was looked at, and found.

    Attributes:
        people: How many people were looked at.
        faces: How many faces.
        findings: The most urgent first.
        left_out: Kind -> how many findings more there are than are told.
        look_alike: The cosine from which on two people look like one; None where nothing supports one.
        outlier: The cosine below which a face is an outlier whoever it is like; None likewise.
        source: What both rest on.
    """

    people: int
    faces: int
    findings: tuple[GalleryFinding, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    look_alike: float | None = None
    outlier: float | None = None
    source: str = ""

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "people": self.people,
            "faces": self.faces,
            "bounds": {"look_alike": self.look_alike, "outlier": self.outlier, "source": self.source},
            "findings": [finding.document() for finding in self.findings],
            "left_out": self.left_out,
        }


def check_gallery(
    gallery: Gallery, *, tail: ImpostorTail | None = None, steps: Steps = no_steps
) -> GalleryCheck:
    """Look for what is wrong in a gallery; nothing is changed.

    Args:
        gallery: The gallery.
        tail: For galleries of fewer than ``ENOUGH`` people; None takes that of the gallery's model.
        steps: Watches the work.

    Raises:
        InputError: The facts cannot be read at all.
    """
    with steps("Reading the files", "files"):
        found, bad = find_damage(gallery._folder)
    people = gallery.people()
    faces = [face for face in gallery.faces() if face.row not in bad]
    found += [*_of_people(gallery, people), *_of_index(gallery)]
    work = FacesByPerson(gallery, people, sorted(faces, key=lambda face: face.person))
    found += work.same_faces()
    bounds: tuple[float | None, float | None, str] = (None, None, "")
    if work.count:
        if tail is None and work.count < ENOUGH:
            tail = gallery_tail(gallery.info)
        bounds = _bounds(work, tail)
        with steps("Comparing people with each other", "people") as progress:
            pairs = work.look_alikes(bounds[0], progress)
        with steps("Comparing faces with people", "faces") as progress:
            found += [*pairs.values(), *work.outliers(bounds[1], pairs, progress)]
    found.sort(key=lambda finding: -finding.weight)
    told: list[GalleryFinding] = []
    counts: dict[str, int] = {}
    for finding in found:
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
        if counts[finding.kind] <= _MOST:
            told.append(finding)
    left_out = {kind: count - _MOST for kind, count in counts.items() if count > _MOST}
    return GalleryCheck(len(people), len(faces), tuple(told), left_out, *bounds)


def _of_people(gallery: Gallery, people: Sequence[Person]) -> Iterator[GalleryFinding]:
    """People whose date has passed; nobody at all."""
    if not people:
        yield GalleryFinding("empty", "Nobody is enrolled.", command("enroll", gallery.name, "PHOTOS"))
    for person in people:
        if person.expired:
            yield GalleryFinding(
                "expired",
                f"The date of {person.name} has passed ({person.expires}): they are not searched for.",
                command("remove", gallery.name, person.name),
                (person.name,),
            )


def _of_index(gallery: Gallery) -> Iterator[GalleryFinding]:
    """An index that a search would not use."""
    with contextlib.suppress(InputError):  # what cannot be read is told already
        path = gallery.path / FOLDER / FILE
        if path.is_file() and read_index(gallery.path, gallery.enrolled()) is None:
            yield GalleryFinding(
                "stale_index",
                f"The index {path} is damaged, or not of the people as they are now: it is not used.",
                command("index", gallery.name),
            )


def _bounds(work: FacesByPerson, tail: ImpostorTail | None) -> tuple[float | None, float | None, str]:
    """The score from which two people look like one, that below which a face is an outlier, their source."""
    if work.count >= ENOUGH:
        tail = own_tail(work.templates)
    elif tail is not None:
        tail = for_templates(tail, work.size)
    else:
        return None, None, ""
    return (
        score_at(tail, per_comparison(LOOK_ALIKE_FPIR, work.count)),
        score_at(tail, OUTLIER_RATE),
        tail.data,
    )


def own_tail(templates: NDArray[np.float32]) -> ImpostorTail:
    """Mean and deviation of the scores of all pairs of two people, as a normal tail.

    They follow from the sums of the templates and of their products, without a score being made: the sum of
    all scores is the sum vector's square, that of all squared scores the square of the matrix T' T.
    """
    people = len(templates)
    total, squares = np.zeros(templates.shape[1]), np.zeros((templates.shape[1],) * 2)
    for start in range(0, people, _AT_ONCE):
        block = templates[start : start + _AT_ONCE].astype(np.float64)
        total += block.sum(axis=0)
        squares += block.T @ block
    pairs = people * (people - 1)
    mean = (float(total @ total) - people) / pairs
    variance = (float(np.square(squares).sum()) - people) / pairs - mean**2
    return ImpostorTail(
        data=f"the scores of {people:,} enrolled people with each other",
        people=people,
        pairs=pairs // 2,
        mean=mean,
        deviation=math.sqrt(max(variance, 1e-12)),
        rates=(0.5,),
        scores=(mean,),
    )
