"""One HTML file with the faces that were searched for beside their candidates; it loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.records import BOX
from facerec_cli.faces.surroundings import around
from facerec_cli.files import write_file
from facerec_cli.identify.result import Identification
from facerec_cli.images import ImageError, read_image
from facerec_cli.images.remote import is_url
from facerec_cli.report.pages import Row, Table, render
from facerec_cli.report.pictures import jpeg_address, resized
from facerec_cli.wording import counted
from facerec_cli.wording import people as counted_people

MOST_SHOWN = 300  # faces
_LISTED = 50  # photos without a face that are named
_CANDIDATES = 5
_PROBE, _CANDIDATE = 168, 112  # pixels of a picture's longer side
_AROUND = 0.35  # of a box's longer side, that is shown around it


def write_report(found: Identification, path: Path) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    write_file(path, page(found).encode(), what="report")


def page(found: Identification) -> str:
    """The report as HTML: first faces with two names, then names that are nearest to the threshold."""
    shown, groups = MOST_SHOWN, []
    pictures = _Pictures(found)
    records = [record for record, face in found.faces() if face >= 0]
    for title, note, faces in _groups(found):
        some = [_face(found, pictures, records[face], int(face)) for face in faces[: max(0, shown)]]
        shown -= len(some)
        groups.append((f"{title} ({len(faces):,})", note, some))
    failed = [record for record, face in found.faces() if face < 0]
    rows = [
        Row([one["path"], f"{one['status'].replace('_', ' ')}: {one['reason']}"]) for one in failed[:_LISTED]
    ]
    left = len(found) - (MOST_SHOWN - max(0, shown))
    claim, claims = _claims(found)
    return render(
        "identify.html",
        title=f"Search in {Path(found.gallery.source).name}",
        lead=f"{counted(len(found), 'face')} in {counted(found.statuses.total(), 'photo')}, searched for "
        f"among {counted_people(len(found.gallery))}",
        model=found.gallery.model,
        claim=claim,
        claims=claims,
        figures=_figures(found),
        more=f"{MOST_SHOWN:,} of the faces are shown; {left:,} more are in the table of -o."
        if left > 0
        else "",
        groups=groups,
        failed=Table(["photo", "reason"], rows, "Photos without a face"),
        failed_more=len(failed) - len(rows),
    )


def _claims(found: Identification) -> tuple[str, Sequence[str]]:
    """What the answers are worth, in sentences."""
    if found.threshold is None:
        return "Candidates for a person to look at. Nobody is claimed to be any of them.", []
    threshold = found.threshold
    caution = threshold.caution
    further = [f"{caution[0].upper()}{caution[1:]}."] if caution else []
    if threshold.source != "given":
        further.append(f"The threshold rests on: {threshold.source} ({threshold.data}).")
    return threshold.sentence(), further


def _figures(found: Identification) -> list[tuple[str, str, str]]:
    without = sum(count for status, count in found.statuses.items() if status not in ("ok", "doubtful"))
    cards = [(f"{len(found):,}", "faces", f"{without:,} photos without one")]
    if found.threshold is not None:
        known = int(found.known.sum())
        fpir = found.threshold.fpir
        wanted = "given" if fpir is None else f"for FPIR {100 * fpir:g} %"
        cards += [
            (f"{known:,}", "known", ""),
            (f"{len(found) - known:,}", "unknown", ""),
            (f"{found.near_ties.size:,}", "near ties", "a second person reaches the threshold too"),
            (f"{found.least:.4f}", "threshold", wanted),
        ]
    return cards


def _groups(found: Identification) -> list[tuple[str, str, NDArray[np.int64]]]:
    """Title, note and faces of each part of the page."""
    best = found.scores[:, 0]
    if found.threshold is None:
        return [("Candidates", "The most alike first.", np.argsort(-best, kind="stable"))]
    ties = found.near_ties[np.argsort(found.margins[found.near_ties], kind="stable")]
    known = np.setdiff1d(np.flatnonzero(found.known), ties)
    unknown = np.flatnonzero(~found.known)
    return [
        ("Two people reach the threshold", "The smallest margin first: a person should look at these.", ties),
        ("Known", "Those nearest to the threshold first.", known[np.argsort(best[known], kind="stable")]),
        (
            "Unknown",
            "Those nearest to the threshold first.",
            unknown[np.argsort(-best[unknown], kind="stable")],
        ),
    ]


def _face(found: Identification, pictures: _Pictures, record: Mapping[str, Any], face: int) -> dict[str, Any]:
    """One face with its candidates, for the template."""
    margin = found.margins[face]
    told = [f"score {found.scores[face, 0]:.4f}"] + ([f"margin {margin:.4f}"] if margin == margin else [])
    if record["status"] == "doubtful":
        told.append(f"doubtful face: {record['reason']}")
    known = bool(found.known[face])
    decision = found.gallery.names[found.people[face, 0]] if known else "unknown"
    tie = face in found.near_ties
    number = f" · face {record['face']}" if record["face"] else ""
    return {
        "name": f"{Path(record['path']).name}{number}",
        "picture": pictures.probe(record),
        "decision": "" if found.threshold is None else decision,
        "told": ", ".join(told),
        "class": "tie" if tie else "known" if known else "",
        "candidates": [
            {
                "name": found.gallery.names[who],
                "score": float(score),
                "picture": pictures.person(int(who)),
                "reaches": found.threshold is not None and score >= found.least,
            }
            for who, score in zip(
                found.people[face, : min(found.shown, _CANDIDATES)], found.scores[face], strict=False
            )
            if who >= 0
        ],
    }


class _Pictures:
    """The pictures of a page, each read once."""

    def __init__(self, found: Identification) -> None:
        self._photos = found.gallery.photos
        self._people: dict[int, str | None] = {}
        self._read = lru_cache(4)(_read)  # the faces of one photo stand near each other

    def probe(self, record: Mapping[str, Any]) -> str | None:
        """A face with some of its photo around it; the whole photo where nobody knows its place."""
        image = self._read(record["path"])
        if image is None:
            return None
        if BOX[0] in record:
            image = around(image, [float(record[name]) for name in BOX], _AROUND)
        return jpeg_address(resized(image, _PROBE))

    def person(self, who: int) -> str | None:
        """A photo or crop of an enrolled person."""
        if who not in self._people:
            photo = self._photos[who] if who < len(self._photos) else ""
            image = _read(photo) if photo else None
            self._people[who] = None if image is None else jpeg_address(resized(image, _CANDIDATE), 75)
        return self._people[who]


def _read(photo: str) -> NDArray[np.uint8] | None:
    if is_url(photo):  # a report opens nothing on a network
        return None
    try:
        return read_image(photo)
    except ImageError:
        return None
