"""A small review page with every kind of odd name, for tests."""

from __future__ import annotations

import cv2
import numpy as np

from facerec_cli.review.decisions import Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.page import ReviewFace, ReviewGroup, ReviewPage, ReviewQuestion

ODD = "Zoë \"</script><img src=x onerror=alert(1)>\" & 'O' \U0001f600"
GROUPS = ((0, 1, 2, 3, 4), (5, 6, 7), (8, 9), (10,), (11,), (12, 13))
NAMES = (ODD, "", "", "", "", "Bert")
PATHS = [f"photos/{at}.jpg" for at in range(13)] + ["photos/<i>\udc80\U0001f600.jpg"]
KEYS = face_keys(np.random.default_rng(5).normal(size=(14, 64)).astype(np.float32))


def _picture(face: int) -> bytes | None:
    image = np.full((112, 112, 3), (40 * (face % 6), 90, 200 - 12 * face), np.uint8)
    return None if face == 9 else cv2.imencode(".jpg", image)[1].tobytes()


def made_page(decisions: Decisions | None = None) -> ReviewPage:
    faces = [
        ReviewFace(path, 0, key, 0.02 if at == 4 else float("nan"))
        for at, (path, key) in enumerate(zip(PATHS, KEYS, strict=True))
    ]
    near = {1: ((3, 0.47), (0, 0.2)), 5: ((0, 0.3),)}
    return ReviewPage(
        title=f"Groups of {ODD}",
        kind="clusters",
        source="photos",
        model="ab" * 32,
        faces=faces,
        groups=[
            ReviewGroup(some, name, at, near.get(at, ()))
            for at, (some, name) in enumerate(zip(GROUPS, NAMES, strict=True))
        ],
        questions=[
            ReviewQuestion(0, -1, 0.02, 0.02, face=4, why="Another group is nearly as like it."),
            ReviewQuestion(2, 4, 0.45, 0.015),
            ReviewQuestion(1, 3, 0.47, 0.01),
        ],
        pictures=_picture,
        apply="facerec cluster photos --apply FILE",
        threshold=0.46,
        decisions=decisions or Decisions(()),
    )
