"""One HTML file on which a person reviews groups of faces; it loads nothing, and saves what was decided."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from facerec_cli.files import atomic_write
from facerec_cli.progress import Progress, silent
from facerec_cli.report.pages import environment, render_parts
from facerec_cli.review.decisions import FORMAT, VERSION, Decisions, PageKind

MOST_FACES = 20_000
"""Faces whose pictures fit into one file that browsers open well, about 60 MB."""

_SCRIPTS = ("review_state.js", "review_page.js")


@dataclass(frozen=True, slots=True)
class ReviewFace:
    """A face on the page.

    Attributes:
        path: The photo.
        face: Its number there, from 0.
        key: From :func:`face_keys`.
        margin: By how much it fits better into its group than into another; NaN where nobody knows.
    """

    path: str
    face: int
    key: str
    margin: float = float("nan")


@dataclass(frozen=True, slots=True)
class ReviewGroup:
    """A group on the page; a single face is a group of one.

    Attributes:
        faces: Places in ``ReviewPage.faces``, in the order in which they are shown.
        person: What the group is called; "" for nothing yet.
        number: What it is called in tables; -1 for nothing.
        near: Other groups that it could be merged with, by their places, and their scores; the nearest first.
    """

    faces: tuple[int, ...]
    person: str = ""
    number: int = -1
    near: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewQuestion:
    """Something that a person is asked: are these two groups one person, does this face belong to its group?

    Attributes:
        first: Place of a group; where ``face`` is given, that of the face's group.
        second: Place of the other group; -1 where ``face`` is given.
        score: What the two groups score with each other, or the face's margin.
        doubt: How far that is from where nobody knows, 0 or more; the least is asked first.
        face: Place of a face; -1 for a question about two groups.
        why: What else there is to say, as a sentence.
    """

    first: int
    second: int
    score: float
    doubt: float
    face: int = -1
    why: str = ""


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """All that is on the page.

    Attributes:
        title: Its title.
        kind: What it is made of.
        source: What that is called.
        model: sha256 of the model.
        faces: The faces.
        groups: The groups, the most doubtful first.
        questions: The questions, in any order.
        pictures: Gives the JPEG of the face of a place; None where there is no picture.
        apply: The command that carries the decisions out, with FILE for their file.
        threshold: The score from which on groups are one; None where nobody knows.
        names: Names that can be given beside those of the groups.
        decisions: What was decided before.
    """

    title: str
    kind: PageKind
    source: str
    model: str
    faces: Sequence[ReviewFace]
    groups: Sequence[ReviewGroup]
    questions: Sequence[ReviewQuestion]
    pictures: Callable[[int], bytes | None]
    apply: str
    threshold: float | None = None
    names: Sequence[str] = ()
    decisions: Decisions = field(default_factory=lambda: Decisions(()))


def write_page(page: ReviewPage, path: Path, *, progress: Progress = silent) -> None:
    """Write the page with all its pictures.

    Args:
        page: What is on it.
        path: The file.
        progress: Told the pictures that are made.

    Raises:
        OutputError: The file cannot be written.
    """
    count = len(page.faces)
    made: dict[int, bytes | None] = {}
    for done, face in enumerate(sorted(range(count), key=lambda one: page.faces[one].path), 1):
        made[face] = page.pictures(face)  # photo by photo, each of which is decoded once
        progress(done, count)
    with atomic_write(path, what="review page") as stream:
        for part in page_parts(replace(page, pictures=made.get)):
            stream.write(part.encode())


def page_parts(page: ReviewPage, *, served: bool = False) -> Iterator[str]:
    """The page piece by piece, pictures as they are read.

    Args:
        page: What is on it.
        served: Whether pictures are asked for one by one from where the page comes from, ``face/17``, and
            decisions are sent there.
    """
    style, script = page_code()
    allowed = "img-src 'self' data:; connect-src 'self'" if served else "img-src data:"
    return render_parts(
        "review.html",
        title=page.title,
        policy=f"default-src 'none'; script-src '{_source_hash(script)}'; style-src '{_source_hash(style)}'; "
        f"{allowed}; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        data=in_script(_document(page, served=served)),
        pictures=() if served else _pictures(page),
        served=served,
    )


@cache
def page_code() -> tuple[str, str]:
    """Style and program of the page."""

    def read(name: str) -> str:
        loader = environment().loader
        assert loader is not None
        return loader.get_source(environment(), name)[0]

    return read("style.css") + read("review.css"), "\n".join(map(read, _SCRIPTS))


def in_script(value: Any) -> str:
    """JSON that can stand in a ``<script>`` whatever is in it: no sign of it ends or begins a tag."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _source_hash(text: str) -> str:
    """A script or style as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _document(page: ReviewPage, *, served: bool) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "page": page.kind,
        "source": page.source,
        "model": page.model,
        "apply": page.apply,
        "served": served,
        "threshold": None if page.threshold is None else round(page.threshold, 4),
        "names": list(page.names),
        "faces": [[one.path, one.face, one.key, _number(one.margin)] for one in page.faces],
        "groups": [
            [list(one.faces), one.person, [[other, _number(score)] for other, score in one.near], one.number]
            for one in page.groups
        ],
        "questions": [
            [one.first, one.second, one.face, _number(one.score), one.why]
            for one in sorted(page.questions, key=lambda one: one.doubt)
        ],
        "decisions": [one.document() for one in page.decisions.items],
    }


def _pictures(page: ReviewPage) -> Iterator[str]:
    for at in range(len(page.faces)):
        data = page.pictures(at)
        yield f'{"," if at else ""}"{base64.b64encode(data).decode() if data else ""}"'


def _number(value: float) -> float | None:
    return round(value, 4) if value == value else None
