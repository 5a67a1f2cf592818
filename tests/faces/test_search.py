"""Photos of every shape and faces of every size: which scales are searched, and which look is believed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.faces import Face, FaceModel, open_model
from facerec_cli.faces.align import TEMPLATES, doubt
from facerec_cli.faces.canvas import InputSizes
from facerec_cli.faces.find import find_faces
from facerec_cli.faces.search import merge
from facerec_cli.faces.settings import DEFAULT_MAX_SIDE
from facerec_cli.faces.views import open_view, reduction_for, search_scale, view_of
from facerec_cli.images import open_photo, read_image

PHOTOS = Path(__file__).resolve().parents[2] / "examples" / "photos"


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return open_model("sface", device="cpu", threads=2)


@pytest.fixture(scope="module")
def portraits(model: FaceModel) -> list[tuple[np.ndarray, Face]]:
    """Photos of one person with the face that is found in them as they come."""
    images = [read_image(PHOTOS / name) for name in ("obama-1.jpg", "biden.jpg", "astronaut.jpg")]
    return [(image, faces[0]) for image, faces in zip(images, model.detect(images), strict=True)]


def cut_around(image: np.ndarray, face: Face, side: int, share: float) -> np.ndarray:
    """A square of the photo in which the face's box takes ``share`` of the height, at ``side`` pixels."""
    middle, half = (face.box[:2] + face.box[2:]) / 2, (face.box[3] - face.box[1]) / share / 2
    zoom = side / (2 * half)
    x, y = (half - middle) * zoom
    return cv2.warpAffine(image, np.array([[zoom, 0, x], [0, zoom, y]]), (side, side), flags=cv2.INTER_CUBIC)


def embedding(model: FaceModel, image: np.ndarray, face: Face) -> np.ndarray:
    [raw] = model.encode(model.align(image, face)[None])
    return raw / np.linalg.norm(raw)


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.mark.parametrize("share", [0.6, 1.0, 1.15])
@pytest.mark.parametrize("side", [300, 1100, 2400])
def test_a_face_up_to_the_whole_frame_is_found_once_and_right(
    model: FaceModel, portraits: list[tuple[np.ndarray, Face]], side: int, share: float
) -> None:
    for image, face in portraits:
        close = cut_around(image, face, side, share)
        [found] = model.detect([close])
        assert len(found) == 1
        assert embedding(model, image, face) @ embedding(model, close, found[0]) > 0.7
        [result] = embed_photos([jpeg(close)], model)
        assert [result.status, len(result.faces), result.faces[0].doubt] == ["ok", 1, ""]
        assert embedding(model, image, face) @ result.faces[0].embedding > 0.7


@pytest.mark.parametrize(
    ("size", "places", "tile"),
    [
        ((12000, 3000), [(600, 900), (5000, 100), (11400, 2400)], 300),
        ((30000, 400), [(100, 100), (14900, 60), (29700, 90)], 250),
        ((500, 20000), [(100, 50), (130, 10007), (200, 19700)], 250),
        ((4000, 1000), [(1900, 300)], 120),
    ],
)
def test_panoramas_of_any_shape_lose_no_face(
    model: FaceModel,
    portraits: list[tuple[np.ndarray, Face]],
    size: tuple[int, int],
    places: list[tuple[int, int]],
    tile: int,
) -> None:
    photo = np.full((size[1], size[0], 3), 110, np.uint8)
    for (x, y), (image, face) in zip(places, portraits, strict=False):
        photo[y : y + tile, x : x + tile] = cut_around(image, face, tile, 0.5)
    expected = sorted((x + tile / 2, y + tile / 2) for x, y in places)
    encoded = jpeg(photo)
    [result] = embed_photos([encoded], model)
    for faces in (
        [one.face for one in result.faces if one.face is not None],
        model.detect([read_image(encoded)])[0],
    ):
        middles = sorted(tuple((face.box[:2] + face.box[2:]) / 2) for face in faces)
        np.testing.assert_allclose(middles, expected, atol=tile / 4)


def test_a_crowd_of_small_faces_is_found_whole(
    model: FaceModel, portraits: list[tuple[np.ndarray, Face]]
) -> None:
    """Faces of 12 pixels at the first scale, and of 6, are searched at finer ones until they are large."""
    for tile, (width, height) in ((48, (2400, 1600)), (48, (4800, 1440))):
        photo = np.full((height, width, 3), 110, np.uint8)
        count = 0
        for y in range(0, height - tile + 1, tile):
            for x in range(0, width - tile + 1, tile):
                image, face = portraits[count % len(portraits)]
                photo[y : y + tile, x : x + tile] = cut_around(image, face, tile, 0.7)
                count += 1
        [found] = find_faces([open_view(open_photo(jpeg(photo)), DEFAULT_MAX_SIDE)], model)
        assert len(found.faces) == pytest.approx(count, rel=0.01)


def test_a_photo_of_lfws_size_is_searched_at_one_scale(
    model: FaceModel, portraits: list[tuple[np.ndarray, Face]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    look = model._detector._look  # type: ignore[union-attr]

    def counting(photos: list[list[object]], min_score: float) -> list[list[Face]]:
        shown.append(sum(map(len, photos)))
        return look(photos, min_score)  # type: ignore[arg-type]

    monkeypatch.setattr(model._detector, "_look", counting)
    plain = [cut_around(image, face, 250, 0.45) for image, face in portraits]
    find_faces([view_of(image) for image in plain], model)
    assert sum(shown) == len(plain)


@pytest.mark.parametrize(("which", "part"), [(0, 0.75), (2, 0.7)])
def test_a_faint_face_is_found_and_told(
    model: FaceModel, portraits: list[tuple[np.ndarray, Face]], which: int, part: float
) -> None:
    """Covered from below so far that the score is between half the usual one and the usual one."""
    covered = cut_around(*portraits[which], 250, 0.4)
    covered[int(75 + 100 * (1 - part)) : 175, 60:190] = 40
    photo = cv2.imencode(".png", covered)[1].tobytes()
    [result] = embed_photos([photo], model)
    [face] = result.faces
    assert face.face is not None
    assert 0.3 <= face.face.score < 0.6
    assert face.doubt == f"found at a second look only, with a score of {face.face.score:.2f}"
    [asked] = embed_photos([photo], model, EmbedOptions(min_score=0.6))
    assert asked.status == "no_face", "a score that the user asks for is kept to"


def test_points_that_are_no_face_are_doubtful() -> None:
    points = TEMPLATES["arcface"]
    box = np.array([20, 20, 92, 110], np.float32)
    assert doubt(points, box, points) == ""
    turned = (points - 56) @ np.array([[0, 1], [-1, 0]]) * 3 + 300
    assert doubt(turned, np.array([180, 180, 420, 420]), points) == "", "a turned and larger face is one"
    assert "form of a face" in doubt(points[[1, 0, 2, 4, 3]], box, points)  # mirrored
    assert "form of a face" in doubt(points[[3, 1, 2, 0, 4]], box, points)  # eye and mouth exchanged
    assert "outside" in doubt(points, box + 500, points)


def make_face(x: float, y: float, side: float, score: float) -> Face:
    return Face(np.array([x, y, x + side, y + side], np.float32), np.zeros((5, 2), np.float32), score)


def test_the_look_that_is_clearly_surer_is_believed() -> None:
    nonsense, bystander = make_face(10, 10, 30, 0.65), make_face(300, 0, 40, 0.9)
    whole = make_face(0, 0, 200, 0.93)
    assert merge([bystander, nonsense], [whole]) == [whole, bystander]
    assert merge([whole, bystander], [nonsense]) == [whole, bystander]
    alike = make_face(0, 0, 200, 0.94)
    assert merge([whole], [alike]) == [whole], "within the gain the first look is believed"
    assert merge([whole], [alike], weak=201) == [alike]
    assert merge([], [nonsense]) == [nonsense]
    assert merge([nonsense], []) == [nonsense]


@pytest.mark.parametrize("size", [(1024, 1024), (1280, 900), (1281, 900), (5000, 700), (333, 9001)])
def test_tiles_cover_the_photo_and_overlap(size: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for fixed in (None, (640, 640)):
        seen = np.zeros(image.shape[:2], int)
        for canvas in InputSizes(tile=1024, fixed=fixed).fit(image, 1.0):
            x, y = canvas.origin
            height, width = canvas.pixels.shape[:2]
            assert fixed is None or (width, height) == fixed
            seen[y : y + height, x : x + width] += 1
            inner = np.isfinite(canvas.cut)
            assert list(inner) == [x > 0, y > 0, x + width < size[0], y + height < size[1]] or fixed
        assert seen.min() >= 1


def test_the_first_scale_keeps_the_shorter_side_of_panoramas() -> None:
    assert search_scale((4000, 3000), 1024) == pytest.approx(0.256)
    assert search_scale((12000, 3000), 1024) == pytest.approx(512 / 3000)
    assert search_scale((30000, 400), 1024) == 1
    assert [reduction_for(scale) for scale in (1, 0.7, 0.6, 0.34, 0.17, 0.1, 0.01)] == [1, 1, 2, 2, 4, 8, 8]
