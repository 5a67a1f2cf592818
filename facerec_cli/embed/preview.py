"""A contact sheet: every photo with its boxes and status, in one HTML file without any outside part."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facerec_cli.embed.rows import BOX, LANDMARKS
from facerec_cli.embed.shards import Parts
from facerec_cli.embed.views import open_view
from facerec_cli.files import atomic_write
from facerec_cli.images import ImageError, open_photo

_SIDE = 220
_LIMIT = 1000

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>facerec embed</title><style>
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --none: #b26a00; --ok: #2e7d32; }
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; }
h1 { font-size: 1.2rem; margin: 0; } p { margin: .3rem 0 1.2rem; opacity: .8; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.picture { height: 220px; display: grid; place-items: center; background: #8882; }
.picture img { max-width: 100%; max-height: 220px; }
figcaption { padding: 8px 10px; overflow-wrap: anywhere; font-size: 12px; }
b { font-weight: 600; color: var(--bad); } b.ok { color: var(--ok); } b.no_face { color: var(--none); }
</style></head><body>
"""


def write_preview(path: Path, parts: Parts, document: Mapping[str, Any]) -> None:
    """Write the contact sheet of the first 1,000 inputs.

    Args:
        path: The HTML file.
        parts: The finished shards.
        document: The run's description: model, statuses, counts.
    """
    rows = (row for shard in parts.read() for row in shard.rows)
    photos = _inputs(rows)
    total = document["inputs"]["count"]
    counts = ", ".join(f"{count:,} {status}" for status, count in document["statuses"].items())
    shown = f"; the first {_LIMIT:,} are shown" if total > _LIMIT else ""
    title = f"{document['rows']:,} faces in {total:,} photos"
    model = f"{document['model']['name']} ({document['model']['sha256'][:12]})"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(_HEAD.encode())
        stream.write(f"<h1>{title}</h1><p>{_text(model)}: {_text(counts)}{shown}</p><main>\n".encode())
        for group in islice(photos, _LIMIT):
            stream.write("".join(_figure(group)).encode())
        stream.write(b"</main></body></html>\n")


def _inputs(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows of each input; a photo that is listed twice in a row is two inputs."""
    group: list[dict[str, Any]] = []
    for row in rows:
        if group and (row["path"] != group[0]["path"] or not row.get("face")):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _figure(rows: list[dict[str, Any]]) -> Iterator[str]:
    first = rows[0]
    picture = _thumbnail(rows)
    yield "<figure><div class=picture>"
    if picture:
        yield f'<img alt="" src="data:image/jpeg;base64,{picture}">'
    yield f"</div><figcaption><b class={first['status']}>{first['status'].replace('_', ' ')}</b> "
    if first["status"] == "ok":
        count = "1 face" if len(rows) == 1 else f"{len(rows)} faces"
        scores = ", ".join(f"{row['score']:.2f}" for row in rows[:6] if "score" in row)
        yield f"{count} {scores}"
        yield f", turned by {first['rotation']}&deg;" if first.get("rotation") else ""
    else:
        yield _text(first["reason"])
    yield f"<br>{_text(first['path'])}</figcaption></figure>\n"


def _thumbnail(rows: list[dict[str, Any]]) -> str:
    """A small JPEG with the boxes drawn in, in base64; empty where the photo cannot be read."""
    if not rows[0].get("width"):
        return ""
    try:
        view = open_view(open_photo(rows[0]["path"], max_pixels=1 << 62), _SIDE)
    except ImageError:
        return ""
    height, width = view.image.shape[:2]
    scale = _SIDE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
    factor = np.array([size[0] / rows[0]["width"], size[1] / rows[0]["height"]])
    for row in rows:
        if BOX[0] in row:
            corners = np.array([row[name] for name in BOX]).reshape(2, 2) * factor
            (x1, y1), (x2, y2) = corners.round().astype(int).tolist()
            large = x2 - x1 >= 40
            cv2.rectangle(image, (x1, y1), (x2, y2), (80, 200, 60), 2 if large else 1, cv2.LINE_AA)
            if large:  # dots would hide a smaller face
                for x, y in np.array([row[name] for name in LANDMARKS]).reshape(5, 2) * factor:
                    cv2.circle(image, (round(float(x)), round(float(y))), 1, (60, 140, 255), -1, cv2.LINE_AA)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return base64.b64encode(jpeg.tobytes()).decode()


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
