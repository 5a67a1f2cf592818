"""From file to vector: order, places, scales, turns, choices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from dots import DotModel, draw, face_points
from numpy.typing import NDArray

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces import Face


def encoded(image: NDArray[np.uint8], suffix: str = ".png", *settings: int) -> bytes:
    return cv2.imencode(suffix, image, list(settings))[1].tobytes()


def test_every_source_gives_a_result_in_order(dots: DotModel, album: Callable[[int], Path]) -> None:
    paths = [str(path) for path in sorted(album(20).iterdir())]
    empty = encoded(np.full((50, 60, 3), 90, np.uint8))
    sources = [*paths[:10], b"text", *paths[10:], empty, "gone.jpg"]
    results = list(embed_photos(sources, dots, EmbedOptions(batch_size=3), workers=4))
    assert [r.name for r in results] == [*paths[:10], "photo", *paths[10:], "photo", "gone.jpg"]
    assert [r.status for r in results] == [*["ok"] * 10, "unreadable", *["ok"] * 10, "no_face", "missing"]
    for index, result in enumerate(r for r in results if r.status == "ok"):
        (face,) = result.faces
        expected = face_points((60 + index % 40, 70 + index % 23), 60 + index % 31)
        assert face.face is not None
        np.testing.assert_allclose(face.face.landmarks, expected, atol=0.6)
        assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-6)
        assert (result.width, result.height) == (160, 150)


def test_a_single_source_is_one_photo(dots: DotModel, album: Callable[[int], Path]) -> None:
    (path,) = album(1).iterdir()
    for source in (path, str(path), path.read_bytes()):
        assert [result.status for result in embed_photos(source, dots)] == ["ok"]


def test_threads_and_batches_do_not_change_the_result(dots: DotModel, album: Callable[[int], Path]) -> None:
    paths = [str(path) for path in sorted(album(23).iterdir())]

    def vectors(workers: int, batch_size: int) -> NDArray[np.float32]:
        options = EmbedOptions(batch_size=batch_size)
        results = embed_photos(paths, dots, options, workers=workers)
        return np.stack([face.embedding for result in results for face in result.faces])

    expected = vectors(1, 23)
    for workers, batch_size in ((1, 1), (3, 4), (8, 2)):
        np.testing.assert_array_equal(vectors(workers, batch_size), expected)


def test_work_ahead_of_the_reader_is_bounded(dots: DotModel, album: Callable[[int], Path]) -> None:
    """However many photos there are, a batch a thread and one more are begun before they are asked for."""
    paths = [str(path) for path in sorted(album(60).iterdir())]
    results = embed_photos(paths, dots, EmbedOptions(batch_size=2), workers=3)
    next(results)
    time.sleep(0.3)
    assert len(dots.seen) <= (3 + 2) * 2
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("embed")]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(
    "turn", [None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE]
)
def test_large_photos_are_searched_small_and_reported_full(
    dots: DotModel, suffix: str, turn: int | None
) -> None:
    points = face_points((1050, 650), 600)
    photo = draw((1503, 1102), points)
    if turn is not None:
        photo = cv2.rotate(photo, turn)
    options = EmbedOptions(max_side=300, rotate="auto")
    (result,) = embed_photos([encoded(photo, suffix)], dots, options)
    assert (result.width, result.height) == (photo.shape[1], photo.shape[0])
    clockwise = {
        None: 0,
        cv2.ROTATE_90_CLOCKWISE: 270,
        cv2.ROTATE_180: 180,
        cv2.ROTATE_90_COUNTERCLOCKWISE: 90,
    }
    assert result.rotation == clockwise[turn]
    assert all(max(shape) in (375, 376) for shape in dots.seen)
    w, h = 1503, 1102
    x, y = points.T
    moved = {
        None: (x, y),
        cv2.ROTATE_90_CLOCKWISE: (h - 1 - y, x),
        cv2.ROTATE_180: (w - 1 - x, h - 1 - y),
        cv2.ROTATE_90_COUNTERCLOCKWISE: (y, w - 1 - x),
    }[turn]
    assert result.faces[0].face is not None
    np.testing.assert_allclose(result.faces[0].face.landmarks, np.stack(moved, axis=1), atol=2)
    box = result.faces[0].face.box
    assert box[0] < box[2] and box[1] < box[3]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_small_face_is_cut_from_the_full_photo(dots: DotModel, suffix: str) -> None:
    """The crop must have the detail of the photo, not of the reduced version that was searched."""
    points = face_points((1500, 900), 150)
    photo = draw((2400, 1800), points)
    options = EmbedOptions(max_side=600)
    best = encoded(
        photo,
        suffix,
        *(
            [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
            if suffix == ".jpg"
            else []
        ),
    )
    (result,) = embed_photos([best], dots, options, keep_crops=True)
    assert dots.seen == [(450, 600, 3)] and dots.aligned_from == [(1800, 2400, 3)]
    crop = result.faces[0].crop
    assert crop is not None
    exact = dots.align(photo, Face(np.zeros(4, np.float32), points, 1.0))
    small = cv2.resize(photo, (600, 450), interpolation=cv2.INTER_AREA)
    coarse = dots.align(small, Face(np.zeros(4, np.float32), (points + 0.5) / 4 - 0.5, 1.0))
    error = np.abs(crop.astype(int) - exact).mean()
    assert error < 0.5 * np.abs(coarse.astype(int) - exact).mean()


def test_a_large_face_is_averaged_not_sampled(dots: DotModel) -> None:
    """Fine stripes over a large face must come out as their mean, not as a pattern that is not there."""
    points = face_points((500, 560), 700)
    photo = draw((1000, 1000), points)
    stripes = np.where(np.arange(1000) % 2 == 0, 60, 120).astype(np.uint8)
    background = (photo == 90).all(axis=2)
    photo[background] = np.repeat(np.tile(stripes, (1000, 1))[..., None], 3, axis=2)[background]
    (result,) = embed_photos([encoded(photo)], dots, EmbedOptions(), keep_crops=True)
    assert dots.aligned_from == [(250, 250, 3)]
    crop = result.faces[0].crop
    assert crop is not None
    quiet = crop[5:25, 30:80].astype(int)
    assert abs(quiet.mean() - 90) < 1 and quiet.std() < 1


def test_photos_are_turned_unless_that_is_switched_off(dots: DotModel) -> None:
    photo = encoded(cv2.rotate(draw((200, 150), face_points((100, 75), 80)), cv2.ROTATE_180))
    (result,) = embed_photos([photo], dots, EmbedOptions(rotate="none"))
    assert (result.status, result.rotation, result.reason) == ("no_face", 0, "no face was found")
    (result,) = embed_photos([photo], dots)
    assert (result.status, result.rotation) == ("ok", 180)


class DoubtfulModel(DotModel):
    """Finds sideways and upside-down faces too, as detectors do: with a low score and crossed landmarks."""

    upright, lying = 0.95, 0.8

    def _find(self, image: NDArray[np.uint8]) -> list[Face]:
        right = super()._find(image)
        if right:
            return [Face(right[0].box, right[0].landmarks, self.upright)]
        height, width = image.shape[:2]
        wrong = face_points((width / 2, height / 2), 60)
        return [Face(np.concatenate([wrong.min(axis=0), wrong.max(axis=0)]), wrong, self.lying)]


@pytest.mark.parametrize(("upright", "lying", "turned"), [(0.95, 0.8, 90), (0.8, 0.79, 0), (0.95, 0.9, 0)])
def test_a_face_that_is_found_lying_is_turned_if_it_then_scores_more(
    upright: float, lying: float, turned: int
) -> None:
    model = DoubtfulModel()
    model.upright, model.lying = upright, lying
    photo = draw((200, 150), face_points((100, 75), 80))
    lies = encoded(cv2.rotate(photo, cv2.ROTATE_90_COUNTERCLOCKWISE))
    stands, result = embed_photos([encoded(photo), lies], model, EmbedOptions(rotate="auto"))
    assert (stands.rotation, result.rotation) == (0, turned)
    cosine = stands.faces[0].embedding @ result.faces[0].embedding
    assert (cosine > 0.9999) == (turned == 90)
    (result,) = embed_photos([lies], model, EmbedOptions(rotate="none"))
    assert result.rotation == 0 and result.faces[0].face is not None
    assert result.faces[0].face.score == lying


def test_the_turned_embedding_is_that_of_the_upright_photo(dots: DotModel) -> None:
    upright = draw((201, 150), face_points((100, 75), 80))
    turned = cv2.rotate(upright, cv2.ROTATE_90_CLOCKWISE)
    results = embed_photos([encoded(upright), encoded(turned)], dots, EmbedOptions(rotate="auto"))
    first, second = (result.faces[0].embedding for result in results)
    np.testing.assert_allclose(first, second, atol=1e-6)


class StandardizingModel(DotModel):
    """Has no embedding for a crop of one shade, as networks that standardize each crop."""

    def encode(self, crops, **options):  # type: ignore[no-untyped-def]
        raw = super().encode(crops, **options)
        raw[crops.std(axis=(1, 2, 3)) == 0] = np.nan
        return raw


def test_a_crop_without_an_embedding_is_a_row_and_not_the_end() -> None:
    model, options = StandardizingModel(), EmbedOptions(aligned=True)
    black = encoded(np.zeros((112, 112, 3), np.uint8))
    face = encoded(draw((112, 112), face_points((56, 56), 112)))
    for sources in ([black, face, black], [black, face], [black]):
        results = list(embed_photos(sources, model, options))
        assert [result.status for result in results] == [
            "unreadable" if source is black else "ok" for source in sources
        ]
        assert all(np.isfinite(one.embedding).all() for result in results for one in result.faces)
        assert "no embedding" in results[0].reason


class CrowdModel(DotModel):
    """Always the same four faces: small and central, large, tiny, and one without landmarks."""

    def detect(self, photos, **_):  # type: ignore[no-untyped-def]
        def face(x: float, y: float, side: float, score: float) -> Face:
            box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
            return Face(box, face_points((x, y), side), score)

        lost = Face(np.array([0, 0, 9, 9], np.float32), np.full((5, 2), np.nan, np.float32), 0.99)
        one_point = Face(np.array([0, 0, 9, 9], np.float32), np.full((5, 2), 4, np.float32), 0.98)
        faces = [lost, one_point, face(90, 80, 40, 0.9), face(40, 40, 70, 0.8), face(190, 140, 12, 0.7)]
        return [list(faces) for _ in photos]


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        (EmbedOptions(), [0.9, 0.8, 0.7]),
        (EmbedOptions(faces="largest"), [0.8]),
        (EmbedOptions(faces="center"), [0.9]),
        (EmbedOptions(faces="main"), [0.9]),
        (EmbedOptions(min_size=13), [0.9, 0.8]),
        (EmbedOptions(min_size=50), [0.8]),
        (EmbedOptions(min_size=71), []),
    ],
)
def test_the_policy_says_which_faces_are_embedded(options: EmbedOptions, scores: list[float]) -> None:
    (result,) = embed_photos([encoded(np.zeros((150, 200, 3), np.uint8) + 80)], CrowdModel(), options)
    assert [face.face.score for face in result.faces if face.face] == scores
    if not scores:
        assert result.status == "no_face"
        assert result.reason == "3 found, all smaller than 71 pixels"


def test_min_size_is_in_pixels_of_the_photo(dots: DotModel) -> None:
    photo = encoded(draw((2400, 1800), face_points((1500, 900), 800)), ".jpg")
    for least, status in ((200, "ok"), (600, "no_face")):
        (result,) = embed_photos([photo], dots, EmbedOptions(max_side=600, min_size=least))
        assert result.status == status


def test_ready_crops_are_not_searched(dots: DotModel) -> None:
    crops = [np.full((size, size, 3), shade, np.uint8) for size, shade in ((112, 10), (224, 60), (50, 110))]
    options = EmbedOptions(aligned=True)
    results = list(embed_photos([encoded(crop) for crop in crops], dots, options, keep_crops=True))
    assert dots.seen == []
    for result, crop in zip(results, crops, strict=True):
        (face,) = result.faces
        assert face.face is None and face.crop is not None and face.crop.shape == (112, 112, 3)
        assert face.norm == pytest.approx(4.0 * crop[0, 0, 0], rel=1e-5)


def test_flip_adds_the_mirrored_embedding(dots: DotModel) -> None:
    crop = np.zeros((112, 112, 3), np.uint8)
    crop[:, :28] = 200
    (plain,) = embed_photos([encoded(crop)], dots, EmbedOptions(aligned=True))
    (both,) = embed_photos([encoded(crop)], dots, EmbedOptions(aligned=True, flip=True))
    grid = plain.faces[0].embedding.reshape(4, 4) + plain.faces[0].embedding.reshape(4, 4)[:, ::-1]
    np.testing.assert_allclose(both.faces[0].embedding.reshape(4, 4), grid / np.linalg.norm(grid), atol=1e-6)


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0])
def test_a_broken_model_is_an_error_not_a_row(dots: DotModel, scale: float) -> None:
    dots.scale = scale
    with pytest.raises(ModelError, match="not finite or all zero"):
        list(embed_photos([encoded(draw((200, 150), face_points((100, 75), 80)))], dots))


@pytest.mark.parametrize(
    "wrong",
    [
        {"faces": "both"},
        {"rotate": "45"},
        {"min_score": 2.0},
        {"max_side": 3},
        {"batch_size": 0},
        {"min_size": -1},
        {"min_size": float("nan")},
        {"min_size": float("inf")},
        {"min_score": float("nan")},
        {"max_pixels": 0},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        EmbedOptions(**wrong)  # type: ignore[arg-type]
