"""Which face of a photo counts, and that verify, its embeddings files and data align agree on it."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.tools.align import align
from facerec_cli.faces import open_model
from facerec_cli.faces.choice import choose
from facerec_cli.images import read_image
from facerec_cli.verify.photos import verify_photos
from facerec_cli.verify.settings import VerifySettings

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"

SIZE = (400, 200)
CENTRAL = (190, 90, 210, 110)
BESIDE = (20, 50, 120, 150)


def grown(box: tuple[int, ...], by: float) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1 - by, y1 - by, x2 + by, y2 + by]


@pytest.mark.parametrize(
    ("boxes", "main", "center", "largest"),
    [
        ([CENTRAL], 0, 0, 0),
        ([BESIDE, CENTRAL], 0, 1, 0),  # 400 of 10,000 square pixels: somebody in the background
        ([BESIDE, grown(CENTRAL, 14.9)], 0, 1, 0),  # 49.8 pixels wide: just not half of 100
        ([BESIDE, grown(CENTRAL, 15)], 1, 1, 0),  # half as wide: no small face any more
        ([CENTRAL, grown(CENTRAL, 40), grown(CENTRAL, 20)], 1, 0, 1),  # equally central: the first
    ],
)
def test_the_rules(boxes, main, center, largest):
    found = {rule: choose(boxes, SIZE, rule) for rule in ("main", "center", "largest")}
    assert found == {"main": main, "center": center, "largest": largest}


def test_the_scale_of_the_photo_does_not_matter():
    boxes = np.array([BESIDE, grown(CENTRAL, 15), grown(CENTRAL, 14)])
    for rule in ("main", "center", "largest"):
        assert choose(boxes, SIZE, rule) == choose(boxes * 7, (2800, 1400), rule)


def test_a_box_turned_inside_out_has_no_area():
    assert choose([(200, 100, 190, 90), BESIDE], SIZE, "main") == 1


@pytest.mark.parametrize(
    "name", ["Julianna_Margulies_0002", "Charles_Schumer_0002", "Carroll_Weimer_0001", "Diana_Krall_0003"]
)
def test_bystanders_nearer_the_camera_are_passed_over(lfw, name):
    """Of LFW's View 2 the photos whose central face is smallest beside the largest."""
    photo = read_image(lfw / "images" / name[:-5] / f"{name}.jpg")
    boxes = [face.box for face in open_model("sface", threads=1).detect([photo])[0]]
    size = photo.shape[1], photo.shape[0]
    assert choose(boxes, size, "main") == choose(boxes, size, "center") != choose(boxes, size, "largest")


@pytest.fixture(scope="module")
def poster(tmp_path_factory):
    """The astronaut beside a picture of somebody else that hangs in the middle."""
    photo = np.full((800, 1200, 3), 127, np.uint8)
    photo[100:612, 20:532] = read_image(PHOTOS / "astronaut.jpg")[:512, :512]
    picture = read_image(PHOTOS / "obama-1.jpg")
    picture = cv2.resize(picture, (160, round(160 * picture.shape[0] / picture.shape[1])))
    top = 400 - picture.shape[0] // 2
    photo[top : top + picture.shape[0], 540:700] = picture
    path = tmp_path_factory.mktemp("photos") / "someone" / "poster.png"
    path.parent.mkdir()
    assert cv2.imwrite(str(path), photo)
    return path


@pytest.mark.parametrize(("rule", "other"), [("main", "astronaut"), ("center", "obama-2")])
def test_two_photos_are_compared_by_the_rule(poster, rule, other):
    verdict = verify_photos(poster, PHOTOS / f"{other}.jpg", VerifySettings(faces=rule))
    assert verdict.photos[0].faces == 2
    assert verdict.same


def test_align_cuts_by_the_rule(poster, tmp_path):
    model = open_model("sface", threads=1)
    photo = read_image(poster)
    faces = model.detect([photo], max_side=1024)[0]
    for rule in ("main", "center"):
        align(open_dataset(poster.parent.parent), tmp_path / rule, model, faces=rule)
        (row,) = csv.DictReader((tmp_path / rule / "alignment.tsv").open(), delimiter="\t")
        expected = faces[choose([face.box for face in faces], (1200, 800), rule)]
        assert row["score"] == f"{expected.score:.4f}"
    crops = [cv2.imread(str(tmp_path / rule / "someone/poster.jpg")) for rule in ("main", "center")]
    assert np.abs(crops[0].astype(int) - crops[1]).mean() > 10  # two different people
