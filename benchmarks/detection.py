"""Which faces are found: by size in the frame, in crowds, behind masks.

    python benchmarks/detection.py LFW/images --hard MASKED

``LFW/images`` is any folder of photos with one clear face each; ``--hard`` any folder of hard photos. Figures
are counts and cosines, not times, and the same on every machine of one kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces import Face, FaceModel, open_model
from facerec_cli.faces.choice import choose
from facerec_cli.faces.find import find_faces
from facerec_cli.faces.settings import DEFAULT_MAX_SIDE
from facerec_cli.faces.views import open_view
from facerec_cli.images import find_images, open_photo, read_image

Image = NDArray[np.uint8]


def square(image: Image, face: Face, side: int, share: float) -> Image:
    """A square around a face, whose box takes ``share`` of the height, at ``side`` pixels."""
    middle, half = (face.box[:2] + face.box[2:]) / 2, (face.box[3] - face.box[1]) / share / 2
    zoom = side / (2 * half)
    shift = (half - middle) * zoom
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    return np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC), np.uint8)


def embedding(model: FaceModel, image: Image, face: Face) -> NDArray[np.float32]:
    """(D,) of unit length."""
    [raw] = model.encode(model.align(image, face)[None])
    return np.asarray(raw / np.linalg.norm(raw))


def close_ups(model: FaceModel, photos: list[tuple[Image, Face]]) -> None:
    """The whole search, and one look, for faces that fill more and more of a frame of 1,024 pixels."""
    assert model._detector is not None
    for share in (0.05, 0.1, 0.33, 0.6, 0.9, 1.1):
        told = []
        for second_look in (False, True):
            cosines, extra = [], 0
            for image, face in photos:
                frame = square(image, face, 1024, share)
                found = model._detector.detect([frame], second_look=second_look)[0]
                middle = [f for f in found if (np.abs(f.box[:2] + f.box[2:] - 1024) < f.size).all()]
                extra += len(found) > 1 and share >= 0.6
                if middle:
                    best = max(middle, key=lambda f: f.area)
                    cosines.append(float(embedding(model, image, face) @ embedding(model, frame, best)))
            low = f"{np.quantile(cosines, 0.05):.2f}" if cosines else "   -"
            told.append(f"{len(cosines):3} of {len(photos)} found, cosine from {low}, {extra:2} with others")
        print(f"face at {share:4.0%} of the frame | one look: {told[0]} | the search: {told[1]}")


def crowds(model: FaceModel, photos: list[tuple[Image, Face]]) -> None:
    """A photo of 4,000 x 3,000 pixels full of faces."""
    for tile in (120, 60, 40):
        frame = np.full((3000, 4000, 3), 110, np.uint8)
        places = [(x, y) for y in range(0, 3000 - tile + 1, tile) for x in range(0, 4000 - tile + 1, tile)]
        for number, (x, y) in enumerate(places):
            frame[y : y + tile, x : x + tile] = square(*photos[number % len(photos)], tile, 0.75)
        encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        [found] = find_faces([open_view(open_photo(encoded), DEFAULT_MAX_SIDE)], model)
        print(f"{len(places):5} faces of {tile * 0.75:.0f} pixels: {len(found.faces):5} found")


def hard(model: FaceModel, folder: str) -> None:
    """Photos without a face at the pack's score, and those in which a second look finds one."""
    assert model.pack.detector is not None
    paths = find_images([folder])
    for name, score in (("at the pack's score", model.pack.detector.min_score), ("with a second look", None)):
        none = doubtful = 0
        for path in paths:
            view = open_view(open_photo(path), DEFAULT_MAX_SIDE)
            [found] = find_faces([view], model, min_score=score, rotate="none")
            none += not found.faces
            doubtful += any(found.doubts)
        print(f"{len(paths)} hard photos, {name}: {none} without a face, {doubtful} doubtful")


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--hard")
    parser.add_argument("--count", type=int, default=60)
    arguments = parser.parse_args()
    model = open_model("sface", device="cpu")
    paths = find_images([str(arguments.photos)])
    photos = []
    for path in paths[:: max(1, len(paths) // arguments.count)][: arguments.count]:
        image = read_image(path)
        [faces] = model.detect([image])
        if faces:
            size = (image.shape[1], image.shape[0])
            photos.append((image, faces[choose([face.box for face in faces], size)]))
    close_ups(model, photos)
    crowds(model, photos)
    if arguments.hard:
        hard(model, arguments.hard)


if __name__ == "__main__":
    main()
