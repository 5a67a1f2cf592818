"""What it is worth to cut a face from the right scale of its photo, as cosine with the best crop there is.

    python benchmarks/crops.py

For a large face the reference crop is the average of 8 x 8 samples a pixel, against one bilinear sample from
the full photo (as the alignment of OpenCV and insightface takes it). For a small face in a 12-megapixel JPEG
it is the embedding of the small photo before it was put there, against a crop from the reduced photo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from history import record
from numpy.typing import NDArray

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.faces.align import similarity, template, warp

PHOTOS = Path(__file__).resolve().parents[1] / "examples" / "photos"


def ours(model: FaceModel, photo: bytes) -> NDArray[np.float32]:
    """The largest face's embedding, by the pipeline."""
    (result,) = embed_photos([photo], model, EmbedOptions(faces="largest"))
    return result.faces[0].embedding


def embed(model: FaceModel, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One crop's embedding, unit length."""
    raw = model.encode(crop[None])[0]
    return raw / np.linalg.norm(raw)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    wanted = parser.parse_args()
    rows: list[dict[str, object]] = []

    def show(name: str, plain: float, own: float) -> None:
        print(f"{name:14} {plain:10.3f} {own:8.3f}")
        rows.append({"name": f"{name}, one sample or reduced", "value": float(plain), "unit": "cosine"})
        rows.append({"name": f"{name}, facerec", "value": float(own), "unit": "cosine"})

    model, points = open_model(), template("arcface", (112, 112))
    print(f"{'large face':14} {'one sample':>10} {'facerec':>8}")
    for name in ("biden", "obama-1", "obama-2", "obama-3"):
        photo = cv2.imread(str(PHOTOS / f"{name}.jpg"))
        face = max(model.detect([photo], max_side=1024)[0], key=lambda face: face.area)
        fine = warp(photo, similarity(face.landmarks, (points + 0.5) * 8 - 0.5), (896, 896))
        best = embed(model, cv2.resize(fine, (112, 112), interpolation=cv2.INTER_AREA))
        plain = embed(model, model.align(photo, face))
        lossless = cv2.imencode(".png", photo)[1].tobytes()
        show(f"large {name}", plain @ best, ours(model, lossless) @ best)
    print(f"\n{'small face':14} {'reduced':>10} {'facerec':>8}")
    for name in ("biden", "obama-1", "obama-2"):
        photo = cv2.imread(str(PHOTOS / f"{name}.jpg"))
        small = cv2.resize(
            photo, None, fx=220 / photo.shape[1], fy=220 / photo.shape[1], interpolation=cv2.INTER_AREA
        )
        scene = np.full((3000, 4000, 3), 120, np.uint8)
        scene[1000 : 1000 + small.shape[0], 1800 : 1800 + small.shape[1]] = small
        best = ours(model, cv2.imencode(".png", small)[1].tobytes())
        jpeg = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        reduced = cv2.resize(
            cv2.imdecode(jpeg, cv2.IMREAD_REDUCED_COLOR_2), (1000, 750), interpolation=cv2.INTER_AREA
        )
        (face, *_) = model.detect([reduced], max_side=1024)[0]
        plain = embed(model, model.align(reduced, face))
        show(f"small {name}", plain @ best, ours(model, jpeg.tobytes()) @ best)
    if wanted.json:
        record("crops", rows, {}, wanted.json)


if __name__ == "__main__":
    main()
