"""A contact sheet: every photo with its faces and status, in one HTML file without any outside part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facerec_cli.embeddings.records import BOX, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.faces.views import open_view
from facerec_cli.files import atomic_write
from facerec_cli.images import ImageError, open_photo
from facerec_cli.report.html import Markup, cards, closing, join, jpeg, opening, tag
from facerec_cli.wording import counted

_SIDE = 320  # pixels of a picture's longer side
_LIMIT = 1000
_SMALL = 0.06  # of the longer side: dots would hide the landmarks of a smaller face

_TITLES = ("Without an embedding", "Doubtful faces", "Embedded")
_CLASSES = ("failed", "doubtful", "ok")

Rows = list[dict[str, Any]]


def write_preview(path: Path, shards: Iterable[Shard], document: Mapping[str, Any]) -> None:
    """Write the contact sheet of at most 1,000 inputs: failures first, then doubtful faces, then the others.

    Args:
        path: The HTML file.
        shards: Of all inputs, in order.
        document: The run's description: model, statuses, counts.
    """
    photos = _chosen(row for shard in shards for row in shard.rows)
    total = document["inputs"]["count"]
    title = f"{counted(document['rows'], 'face')} in {counted(total, 'photo')}"
    model = f"{document['model']['name']} ({document['model']['sha256'][:12]})"
    shown = sum(map(len, photos))
    left_out = f" {shown:,} of the photos are shown, failures first." if shown < total else ""
    legend = "Green: the face that was found, with eyes, nose and mouth as yellow dots; dashed: doubtful."
    counts = [
        (f"{count:,}", status.replace("_", " "), "photo" if count == 1 else "photos")
        for status, count in document["statuses"].items()
        if count
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(opening(title).encode())
        lead = tag("p", f"Model {model}.{left_out} {legend}", class_="lead")
        stream.write(join(tag("h1", title), lead, cards(counts)).encode())
        for kind, groups in enumerate(photos):
            if not groups:
                continue
            stream.write(tag("h2", f"{_TITLES[kind]} ({len(groups):,})").encode())
            stream.write(b'<section class="sheet">\n')
            for rows in groups:
                stream.write(_figure(rows, _CLASSES[kind]).encode() + b"\n")
            stream.write(b"</section>\n")
        stream.write(closing().encode())


def _chosen(rows: Iterable[dict[str, Any]]) -> tuple[list[Rows], list[Rows], list[Rows]]:
    """Photos that failed, those with a doubtful face, and the others; 1,000 in all, the first of each."""
    found: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for photo in _inputs(rows):
        kind = min(_kind(row) for row in photo)
        if len(found[kind]) < _LIMIT:
            found[kind].append(photo)
    room = _LIMIT
    for photos in found:
        del photos[room:]
        room -= len(photos)
    return found


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
    """0 for a row without an embedding, 1 for a doubtful face, 2 for a good one."""
    return {"ok": 2, "doubtful": 1}.get(str(row["status"]), 0)


def _figure(rows: Rows, class_: str) -> Markup:
    worst = min(rows, key=_kind)
    about = [tag("b", worst["status"].replace("_", " "))]
    if worst["reason"]:
        about.append(tag("span", f" {worst['reason']}"))
    faces = [row for row in rows if "score" in row]
    if faces:
        scores = ", ".join(f"{row['score']:.2f}" for row in faces[:6]) + (", …" if len(faces) > 6 else "")
        turned = f", turned by {rows[0]['rotation']}°" if rows[0].get("rotation") else ""
        about.append(tag("small", f"{counted(len(faces), 'face')}, score {scores}{turned}"))
    caption = tag("figcaption", about, tag("small", rows[0]["path"]))
    return tag("figure", _picture(rows), caption, class_=f"photo {class_}")


def _picture(rows: Rows) -> Markup:
    """The photo with boxes and landmarks drawn over it; a word where it cannot be read."""
    gone = tag("div", "no picture", class_="gone")
    if not rows[0].get("width"):
        return gone
    try:
        view = open_view(open_photo(rows[0]["path"], max_pixels=1 << 62), _SIDE)
    except ImageError:
        return gone
    height, width = view.image.shape[:2]
    scale = _SIDE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = np.asarray(cv2.resize(view.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    factor = np.array([size[0] / rows[0]["width"], size[1] / rows[0]["height"]])
    marks = [mark for row in rows if BOX[0] in row for mark in _marks(row, factor)]
    count = sum(BOX[0] in row for row in rows)
    picture = tag("image", href=jpeg(image, 80), width=size[0], height=size[1])
    label = f"{Path(rows[0]['path']).name}: {counted(count, 'face')} marked"
    return tag("svg", picture, marks, viewBox=f"0 0 {size[0]} {size[1]}", role="img", aria_label=label)


def _marks(row: Mapping[str, Any], factor: Any) -> list[Markup]:
    """The box of a face, with a dark edge so that it is seen on any photo, and its landmarks."""
    x1, y1, x2, y2 = (np.array([row[name] for name in BOX]).reshape(2, 2) * factor).ravel().tolist()
    place = {"x": f"{x1:.1f}", "y": f"{y1:.1f}", "width": f"{x2 - x1:.1f}", "height": f"{y2 - y1:.1f}"}
    kind = "box doubtful" if row["status"] == "doubtful" else "box"
    marks = [tag("rect", class_="halo", **place), tag("rect", class_=kind, **place)]
    if x2 - x1 >= _SMALL * _SIDE:
        radius = f"{min(5.0, max(2.0, (x2 - x1) / 18)):.1f}"
        points = np.array([row[name] for name in LANDMARKS]).reshape(5, 2) * factor
        marks += [
            tag("circle", class_="dot", cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius) for x, y in points.tolist()
        ]
    return marks
