"""Faces and people of a gallery compared: one face under two names, people who look like one, outliers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.finding import GalleryFinding, command
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.person import GalleryFace, Person
from facerec_cli.gallery.xmp import overlap
from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.face_scores import best_others
from facerec_cli.metrics.templates import mean_templates
from facerec_cli.progress import Progress

_AT_ONCE = 4096  # faces that are in memory with their vectors
_MOST_PAIRS = 10_000  # people who look like one; of more the most alike
_SAME_FACE, _SAME_VECTOR = 0.5, 0.99  # overlap of two boxes, or cosine where there is none


class FacesByPerson:
    """The faces of a gallery, person by person, and one template a person, made of them.

    Args:
        gallery: The gallery.
        people: Its people.
        faces: Those whose vectors can be used, sorted by person.

    Attributes:
        count: P, how many people have faces.
        size: (P,) int64, how many.
        templates: (P, D) float32, of each of them.
    """

    def __init__(self, gallery: Gallery, people: Sequence[Person], faces: Sequence[GalleryFace]) -> None:
        self.gallery = gallery.name
        self._read = gallery.vectors
        self._names = {person.id: person.name for person in people}
        self.faces = faces
        ids = np.array([face.person for face in faces], np.int64)
        self.ids, self._first, self.size = np.unique(ids, return_index=True, return_counts=True)
        self.count = len(self.ids)
        self.templates = np.zeros((self.count, gallery.info.dimensions), np.float32)
        for at, vectors in self._parts():
            starts = np.append(self._first[at] - self._first[at.start], len(vectors))
            self.templates[at] = mean_templates(vectors, starts)

    def name(self, person: int) -> str:
        """What the person of a row of ``templates`` is called."""
        return self._names[int(self.ids[person])]

    def _parts(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """People, and the vectors of all their faces."""
        ends = self._first + self.size
        start = 0
        while start < self.count:
            stop = int(np.searchsorted(ends, self._first[start] + _AT_ONCE, side="right"))
            at = slice(start, max(stop, start + 1))
            yield at, self._read(self.faces[self._first[start] : ends[at.stop - 1]])
            start = at.stop

    def same_faces(self) -> Iterator[GalleryFinding]:
        """One face of one photo under two names; two people of a group photo are none."""
        photos: dict[str, list[GalleryFace]] = {}
        for face in self.faces:
            if face.photo_sha256:
                photos.setdefault(face.photo_sha256, []).append(face)
        for several in photos.values():
            for i, one in enumerate(several):
                for other in several[i + 1 : i + 50]:
                    if one.person != other.person and self._is_one_face(one, other):
                        first, second = (self._names[face.person] for face in (one, other))
                        yield GalleryFinding(
                            "same_face",
                            f"One face of {one.path or 'a photo'} is enrolled as {first} and as {second}.",
                            command("merge", self.gallery, second, first) + "  # if they are one person",
                            (first, second),
                            (one.id, other.id),
                        )

    def _is_one_face(self, one: GalleryFace, other: GalleryFace) -> bool:
        if one.box is not None and other.box is not None:
            return overlap(one.box, other.box) >= _SAME_FACE
        first, second = self._read([one, other])
        return float(first @ second) >= _SAME_VECTOR

    def look_alikes(self, bound: float | None, progress: Progress) -> dict[tuple[int, int], GalleryFinding]:
        """Pairs of people whose templates score the bound or more, the most alike first."""
        if bound is None:
            return {}
        scores: dict[tuple[int, int], float] = {}
        for tile in tiles(self.templates):
            a, b = np.nonzero(tile.scores >= bound)
            values = tile.scores[a, b].astype(np.float64)
            a, b = a + tile.rows.start, b + tile.columns.start
            upper = a < b
            scores |= zip(
                zip(a[upper].tolist(), b[upper].tolist(), strict=True), values[upper].tolist(), strict=True
            )
            if len(scores) > 10 * _MOST_PAIRS:  # a gallery of one face under many names
                scores = dict(sorted(scores.items(), key=lambda pair: -pair[1])[:_MOST_PAIRS])
            progress(tile.rows.stop, self.count)
        found = {}
        for (a_, b_), score in scores.items():
            into, other = (a_, b_) if self.size[a_] >= self.size[b_] else (b_, a_)
            found[a_, b_] = GalleryFinding(
                "look_alike",
                f"{self.name(a_)} and {self.name(b_)} look like one person ({score:.3f}).",
                command("merge", self.gallery, self.name(other), self.name(into)) + "  # if they are",
                (self.name(into), self.name(other)),
                score=score,
                bound=bound,
            )
        return found

    def outliers(
        self, bound: float | None, pairs: dict[tuple[int, int], GalleryFinding], progress: Progress
    ) -> Iterator[GalleryFinding]:
        """Faces that are less like their person's others than like another person, or like anybody."""
        for at, vectors in self._parts():
            sums = np.add.reduceat(vectors, self._first[at] - self._first[at.start], axis=0, dtype=np.float64)
            people = np.repeat(np.arange(at.start, at.stop), self.size[at])
            best, nearest = best_others(vectors, people, self.templates)
            others = sums[people - at.start] - vectors
            norms = np.linalg.norm(others, axis=1)
            own = np.einsum("fd,fd->f", others, vectors) / np.maximum(norms, 1e-9)
            suspect = (own < best) if bound is None else (own < best) | (own < bound)
            suspect &= (self.size[people] > 1) & (norms > 1e-6)
            start = int(self._first[at.start])
            flagged = np.flatnonzero(suspect).tolist()
            alone = {i for i in flagged if self.size[people[i]] == 2 and own[i] >= best[i]}
            for i in flagged:
                twin = next((j for j in (i - 1, i + 1) if j in alone and people[j] == people[i]), None)
                if i in alone and twin is not None:
                    if i < twin:
                        yield self._two_faces(start + i, people[i], own[i], bound)
                    continue
                pair = (min(int(people[i]), int(nearest[i])), max(int(people[i]), int(nearest[i])))
                low = bound is not None and own[i] < bound
                if low or pair not in pairs:  # of two who look like one, that is told already
                    yield self._outlier(self.faces[start + i], people[i], nearest[i], own[i], best[i], bound)
            progress(start + len(vectors), len(self.faces))

    def _two_faces(self, at: int, person: int, score: float, bound: float | None) -> GalleryFinding:
        """The only two faces of a person, at ``at`` and behind it, which are hardly like each other."""
        one, other = self.faces[at].id, self.faces[at + 1].id
        mine = self.name(person)
        return GalleryFinding(
            "outlier",
            f"Faces {one} and {other} of {mine} are hardly like each other ({score:.3f}, below {bound:.3f}).",
            command("split", self.gallery, other, "--into", "NAME") + f"  # or {one}, if they are two people",
            (mine,),
            (one, other),
            score=float(score),
            bound=float(bound or 0),
        )

    def _outlier(
        self, face: GalleryFace, person: int, nearest: int, own: float, best: float, bound: float | None
    ) -> GalleryFinding:
        mine, other = self.name(person), self.name(nearest)
        which = f"Face {face.id} of {mine}{f' ({face.path})' if face.path else ''}"
        if best > own:
            message = f"{which} is more like {other} ({best:.3f}) than like the other faces ({own:.3f})."
            against = float(best)
        else:
            message = f"{which} is hardly like the other faces ({own:.3f}, below {bound:.3f})."
            against = float(bound or 0)
        return GalleryFinding(
            "outlier",
            message,
            command("split", self.gallery, face.id, "--into", "NAME") + "  # if it is somebody else",
            (mine, other) if best > own else (mine,),
            (face.id,),
            score=float(own),
            bound=against,
        )
