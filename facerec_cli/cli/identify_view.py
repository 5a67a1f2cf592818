"""What a search looks like on the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from facerec_cli.cli import console
from facerec_cli.cli.gallery_view import photos_of
from facerec_cli.wording import counted
from facerec_cli.wording import people as counted_people

if TYPE_CHECKING:
    from facerec_cli.identify.result import Identification
    from facerec_cli.identify.sorting import SortedPhotos

_LEFT_TOLD = 5
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RESTS = {
    "own searches": ", from searches of the gallery in itself",
    "outsiders": ", from searches for strangers",
    "impostor tail": ", from the model's scores of two people",
    "given": ", as given",
}


def show(found: Identification) -> None:
    """A line for each face, and for each photo without one; what they rest on follows on stderr."""
    several = _with_several(found)
    for record, face in found.faces():
        place = f"{record['path']} face {record['face']}" if record["path"] in several else record["path"]
        doubt = " (doubtful face)" if record["status"] == "doubtful" else ""
        console.result(one_line(f"{place}: {_answer(found, record, face)}{doubt}"))
    _sum_up(found)


def _answer(found: Identification, record: Mapping[str, Any], face: int) -> str:
    """What is said of a face, or of a photo without one."""
    if face < 0:
        return f"{record['status']}: {record['reason']}" if record["reason"] else str(record["status"])
    if found.threshold is None:
        return ", ".join(f"{name} {score:.4f}" for name, score in found.candidates(face))
    if not found.known[face]:
        return "unknown"
    margin, (name, score) = found.margins[face], found.candidates(face)[0]
    return f"known {name} {score:.4f}" + (f" margin {margin:.4f}" if margin == margin else "")


def one_line(text: str) -> str:
    """Line breaks of names by their numbers: a line stays one line, and no name moves the cursor."""
    return _CONTROLS.sub(lambda control: ascii(control[0])[1:-1], text)


def show_sorted(copied: SortedPhotos) -> None:
    """What was sorted where, and which photos could not be."""
    there = f", {copied.there:,} were there already" if copied.there else ""
    console.note(f"sorted into {copied.folder}: {counted(copied.made, 'photo')}{there}")
    for photo, why in list(copied.left.items())[:_LEFT_TOLD]:
        console.warn(f"{photo} was not sorted: {why}")
    if len(copied.left) > _LEFT_TOLD:
        console.warn(f"{len(copied.left) - _LEFT_TOLD:,} more photos were not sorted")


def _with_several(found: Identification) -> set[str]:
    """The photos with more than one face."""
    return {row["path"] for row in found.probes.rows if row.get("face", 0) > 0}


def _sum_up(found: Identification) -> None:
    gallery = found.gallery
    faces = f"{counted(len(found), 'face')} in {counted(found.statuses.total(), 'photo')}"
    among = f"among {counted_people(len(gallery))} of {gallery.source}"
    if found.threshold is None:
        console.note(f"{faces}, searched {among}: candidates only, nobody is claimed to be any of them")
        return
    known = int(found.known.sum())
    console.note(f"{faces}, searched {among}: {known:,} known, {len(found) - known:,} unknown")
    rests = _RESTS.get(found.threshold.source, "")
    if photos := photos_of(found.threshold):
        rests += f" ({photos})"
    console.note(f"threshold {found.least:.4f}{rests}: {found.threshold.sentence()}")
    if found.near_ties.size:
        console.warn(
            f"{counted(int(found.near_ties.size), 'face')} for which a second person reaches the threshold "
            "too: look at the candidates (--mode investigate, --report)"
        )
    if found.enrolled:
        console.warn(
            f"enrolled and searched for, so that they find themselves: "
            f"{counted(len(found.enrolled), 'photo')}, the first {found.enrolled[0]}"
        )
    doubtful = sum(row["status"] == "doubtful" for row in found.probes.rows)
    if doubtful:
        console.warn(f"{counted(doubtful, 'doubtful face')}: the answer may be worth nothing")
