"""The contact sheet: what failed comes first, what is doubtful next, with reasons, boxes and landmarks."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from facerec_cli.embed import preview
from facerec_cli.embeddings.records import BOX, LANDMARKS

DOCUMENT = {"model": {"name": "toy", "sha256": "5" * 64}, "rows": 3}


def face(path: Path | str, number: int = 0, status: str = "ok", reason: str = "") -> dict[str, Any]:
    row = {"path": str(path), "face": number, "status": status, "reason": reason, "score": 0.9}
    row |= {"width": 300, "height": 200, "rotation": 0}
    x = 20 + 100 * number
    row |= dict(zip(BOX, (x, 40, x + 80, 140), strict=True))
    points = [x + 20, 70, x + 60, 70, x + 40, 95, x + 25, 115, x + 55, 115]
    return row | dict(zip(LANDMARKS, points, strict=True))


def failed(path: Path | str, status: str = "no_face", reason: str = "no face was found") -> dict[str, Any]:
    return {"path": str(path), "face": None, "status": status, "reason": reason, "width": 0, "height": 0}


@pytest.fixture
def sheet(tmp_path):
    """Rows -> the page and its figures, each (class, text)."""

    def make(*rows: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
        paths = {row["path"] for row in rows}
        statuses: dict[str, int] = {}
        for row in rows:
            statuses[row["status"]] = statuses.get(row["status"], 0) + 1
        shards: Any = [SimpleNamespace(rows=list(rows))]
        document = DOCUMENT | {"inputs": {"count": len(paths)}, "statuses": statuses}
        preview.write_preview(tmp_path / "sheet.html", shards, document)
        text = (tmp_path / "sheet.html").read_text("utf-8")
        found = re.findall(r'<figure class="photo (\w+)">(.*?)</figure>', text, re.S)
        return text, [(kind, unescape(re.sub("<[^>]+>", " ", inside))) for kind, inside in found]

    return make


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((200, 300, 3), 120, np.uint8))
    return path


def test_failures_are_first_and_doubtful_faces_next_with_their_reasons(sheet, photo):
    doubt = "the landmarks do not look like a face"
    _, figures = sheet(
        face("a.jpg"), failed("b.jpg"), face("c.jpg", status="doubtful", reason=doubt),
        face("d.jpg"), face("d.jpg", 1, "doubtful", doubt), failed("e.jpg", "unreadable", "not an image"),
    )  # fmt: skip
    assert [kind for kind, _ in figures] == ["failed", "failed", "doubtful", "doubtful", "ok"]
    names = [re.search(r"\w\.jpg", words).group() for _, words in figures]
    assert names == ["b.jpg", "e.jpg", "c.jpg", "d.jpg", "a.jpg"]
    assert "no face was found" in figures[0][1] and "not an image" in figures[1][1]
    assert all(doubt in words for _, words in figures[2:4])
    assert "2 faces" in figures[3][1]


def test_boxes_and_landmarks_lie_on_the_faces(sheet, photo):
    text, _ = sheet(face(photo), face(photo, 1, "doubtful", "small"))
    scale = 320 / 300
    boxes = re.findall(r'<rect class="(box[^"]*)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', text)
    assert [kind for kind, *_ in boxes] == ["box", "box doubtful"]
    assert [float(v) for v in boxes[0][1:]] == pytest.approx([20 * scale, 40 * scale, 80 * scale], abs=0.3)
    dots = re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', text)
    assert len(dots) == 10
    assert [float(v) for v in dots[0][:2]] == pytest.approx([40 * scale, 70 * scale], abs=0.3)
    assert all(float(radius) >= 2 for *_, radius in dots)
    assert 'aria-label="photo.png: 2 faces marked"' in text


def test_names_are_text_and_a_page_loads_nothing(sheet, photo):
    name = photo.with_name('"><img src=x onerror=alert(1)> 😀 \udcff.png')
    text, figures = sheet(failed(name, reason="<b>bad</b>"))
    assert "<img src=x" not in text and "<b>bad</b>" not in text and "😀" in text and r"\xff.png" in text
    assert "<b>bad</b>" in figures[0][1]
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_of_many_photos_the_failures_are_never_left_out(sheet, monkeypatch):
    monkeypatch.setattr(preview, "_LIMIT", 3)
    rows = [face(f"{i}.jpg") for i in range(5)]
    text, figures = sheet(*rows, failed("last.jpg"))
    assert [kind for kind, _ in figures] == ["failed", "ok", "ok"]
    assert "last.jpg" in figures[0][1] and "3 of the photos are shown, failures first" in text
