"""A contact sheet: every photo with its faces and status, in one HTML file without any outside part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.embeddings.records import BOX, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.faces.views import open_view
from facerec_cli.files import atomic_write
from facerec_cli.images import ImageError, open_photo
from facerec_cli.report.pages import render_parts
from facerec_cli.report.pictures import jpeg_address, resized
from facerec_cli.wording import counted

_SIDE = 320  # pixels of a picture's longer side
_LIMIT = 1000
_SMALL = 0.06  # of the longer side: dots would hide the landmarks of a smaller face

_TITLES = ("Without an embedding", "Doubtful faces and faces of low quality", "Embedded")
_CLASSES = ("failed", "doubtful", "ok")

Rows = list[dict[str, Any]]


def write_preview(path: Path, shards: Iterable[Shard], document: Mapping[str, Any]) -> None:
    """Write the contact sheet of at most 1,000 inputs: failures, then faces not to trust, then others.

    Args:
        path: The HTML file.
        shards: Of all inputs, in order.
        document: The run's description: model, statuses, counts.
    """
    groups = _chosen(row for shard in shards for row in shard.rows)
    total = document["inputs"]["count"]
    shown = sum(map(len, groups))
    page = render_parts(
        "contact_sheet.html",
        title=f"{counted(document['rows'], 'face')} in {counted(total, 'photo')}",
        model=f"{document['model']['name']} ({document['model']['sha256'][:12]})",
        left_out=f" {shown:,} of the photos are shown, failures first." if shown < total else "",
        counts=[
            (f"{count:,}", status.replace("_", " "), "photo" if count == 1 else "photos")
            for status, count in document["statuses"].items()
            if count
        ],
        groups=[
            (title, kind, len(photos), map(_photo, photos))  # pictures are read as the page is written
            for title, kind, photos in zip(_TITLES, _CLASSES, groups, strict=True)
        ],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        for part in page:
            stream.write(part.encode())


def _chosen(rows: Iterable[dict[str, Any]]) -> tuple[list[Rows], list[Rows], list[Rows]]:
    """Photos that failed, those with a doubtful face, and the others; 1,000 in all, the first of each."""
    sections: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for photo in _inputs(rows):
        kind = min(_kind(row) for row in photo)
        if len(sections[kind]) < _LIMIT:
            sections[kind].append(photo)
    room = _LIMIT
    for photos in sections:
        del photos[room:]
        room -= len(photos)
    return sections


def _inputs(rows: Iterable[dict[str, Any]]) -> Iterator[Rows]:
    """The rows of each input; a photo that is listed twice in a row is two inputs."""
    group: Rows = []
    for row in rows:
        if group and (row["path"] != group[0]["path"] or not row.get("face")):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _kind(row: Mapping[str, Any]) -> int:
    """0 for a row without an embedding, 1 for a face that is doubtful or of low quality, 2 for a good one."""
    return {"ok": 2, "doubtful": 1, "low_quality": 1}.get(str(row["status"]), 0)


def _photo(rows: Rows) -> dict[str, Any]:
    """One photo, for the template."""
    worst = min(rows, key=_kind)
    faces = [row for row in rows if "score" in row]
    scores = ", ".join(f"{row['score']:.2f}" for row in faces[:6]) + (", …" if len(faces) > 6 else "")
    turned = f", turned by {rows[0]['rotation']}°" if rows[0].get("rotation") else ""
    return {
        "path": rows[0]["path"],
        "status": worst["status"].replace("_", " "),
        "reason": worst["reason"],
        "scores": f"{counted(len(faces), 'face')}, score {scores}{turned}" if faces else "",
        **_picture(rows),
    }


def _picture(rows: Rows) -> dict[str, Any]:
    """The photo and what is drawn over it: boxes and landmarks; no picture where it cannot be read."""
    if not rows[0].get("width"):
        return {"picture": None}
    try:
        view = open_view(open_photo(rows[0]["path"], max_pixels=1 << 62), _SIDE)
    except ImageError:
        return {"picture": None}
    image = resized(view.image, _SIDE)
    height, width = image.shape[:2]
    factor = np.array([width / rows[0]["width"], height / rows[0]["height"]])
    boxed = [row for row in rows if BOX[0] in row]
    return {
        "picture": jpeg_address(image, 80),
        "width": width,
        "height": height,
        "label": f"{Path(rows[0]['path']).name}: {counted(len(boxed), 'face')} marked",
        "faces": [_marks(row, factor) for row in boxed],
    }


def _marks(row: Mapping[str, Any], factor: Any) -> dict[str, Any]:
    """The box of a face, and its landmarks where they would not hide it."""
    x1, y1, x2, y2 = (np.array([row[name] for name in BOX]).reshape(2, 2) * factor).ravel().tolist()
    points = np.array([row[name] for name in LANDMARKS]).reshape(5, 2) * factor
    large = x2 - x1 >= _SMALL * _SIDE
    return {
        "class": "box" if row["status"] == "ok" else "box doubtful",
        **{"x": f"{x1:.1f}", "y": f"{y1:.1f}", "width": f"{x2 - x1:.1f}", "height": f"{y2 - y1:.1f}"},
        "radius": f"{min(5.0, max(2.0, (x2 - x1) / 18)):.1f}",
        "landmarks": [(f"{x:.1f}", f"{y:.1f}") for x, y in points.tolist()] if large else [],
    }
