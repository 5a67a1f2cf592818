"""IJB-B/C 1:N: insightface's layout and NIST's, with S and G as names of the galleries."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import read_protocol
from tests.protocols.made_up import ijb, photos

NIST = {
    "ijbb_1N_gallery_S1.csv": "11,1,img/1.jpg,100,5,6,70,80\n11,1,frames/20_3.png,101,1,2,3,4\n"
    "11,1,frames/20_4.png,101,1,2,3,4\n",
    "ijbb_1N_gallery_S2.csv": "12,2,img/2.jpg,102,5,6,70,80\n",
    "ijbb_1N_probe_mixed.csv": "21,1,frames/21_1.png,103,5,6,70,80\n22,2,img/1.jpg,104,90,6,70,80\n",
}
HEADING = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n"


def test_templates_of_tid_mid_with_landmarks_and_scores(tmp_path: Path) -> None:
    protocol = read_protocol(ijb(tmp_path))
    templates = protocol.templates
    assert templates is not None and templates.names.tolist() == [11, 12, 21, 22]
    assert protocol.people == ("1", "2") and protocol.identity.tolist() == [0, 1, 0, 1]
    assert [(t.name, t.gallery.tolist(), t.probes.tolist()) for t in protocol.trials] == [
        ("G1", [0], [2, 3]),
        ("G2", [1], [2, 3]),
    ]
    # Template 99 is in no list, and so is its photo.
    assert protocol.names == ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg")
    assert [protocol.names[i] for i in templates.image] == [
        "1.jpg",
        "2.jpg",
        "3.jpg",
        "4.jpg",
        "5.jpg",
        "1.jpg",
    ]
    assert templates.template.tolist() == [0, 0, 1, 2, 3, 3] and templates.media.tolist() == [
        5,
        5,
        6,
        7,
        8,
        9,
    ]
    assert protocol.landmarks is not None and protocol.landmarks[0, 4].tolist() == [8, 9]
    assert protocol.detection_scores is not None
    assert protocol.detection_scores.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_nists_lists_have_photos_and_boxes_and_frames_of_a_video_are_one_media(tmp_path: Path) -> None:
    folder = tmp_path / "protocol"
    folder.mkdir()
    for name, rows in NIST.items():
        (folder / name).write_text(HEADING + rows)
    names = ("img/1.jpg", "frames/20_3.png", "frames/20_4.png", "img/2.jpg", "frames/21_1.png", "img/1.jpg")
    photos(tmp_path / "images", *names)
    protocol = read_protocol([folder / "ijbb_1N_probe_mixed.csv"], root=tmp_path / "images")
    assert protocol.names == names and all(Path(str(image)).is_file() for image in protocol.images)
    templates = protocol.templates
    assert templates is not None and templates.template.tolist() == [0, 0, 0, 1, 2, 3]
    assert templates.media.tolist() == [0, 1, 1, 2, 3, 0]
    assert templates.image.tolist() == [0, 1, 2, 3, 4, 5]  # two faces of one photo are two
    assert protocol.boxes is not None
    assert protocol.boxes[[0, 1, 5]].tolist() == [[5, 6, 75, 86], [1, 2, 4, 6], [90, 6, 160, 86]]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\nx,1\n", "gallery_G1.csv', line 2: 'x 1' is not `TEMPLATE_ID"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n11\n", "line 2: '11' is not"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n", "has no template"),
        ("gallery_G1", HEADING + "11,1,a.jpg,7,5,6,x,80\n", "line 2: .* is not a row with FACE_X"),
        ("gallery_G1", HEADING + "11,1,a.jpg,7,5,6,-3,80\n", "line 2: .* is not a row with FACE_X"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n21,2\n", "template 21 is of subject 1 and of 2"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n13,1\n", "has no photo of template 13"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, name: str, content: str, told: str) -> None:
    ijb(tmp_path)
    (tmp_path / "meta" / f"ijbc_1N_{name}.csv").write_text(content)
    with pytest.raises(InputError, match=told):
        read_protocol([tmp_path])


def test_a_gallery_or_the_photos_that_are_not_there_are_named(tmp_path: Path) -> None:
    ijb(tmp_path)
    (tmp_path / "meta" / "ijbc_face_tid_mid.txt").unlink()
    with pytest.raises(InputError, match=r"name templates and no photos\. .*tid_mid"):
        read_protocol([tmp_path])
    (tmp_path / "meta" / "ijbc_1N_gallery_G2.csv").unlink()
    with pytest.raises(InputError, match="name templates and no photos"):  # G1 alone is a trial
        read_protocol([tmp_path])
    (tmp_path / "meta" / "ijbc_1N_gallery_G1.csv").unlink()
    with pytest.raises(InputError, match="has no gallery of IJB"):
        read_protocol([tmp_path], "ijb")


def test_one_gallery_is_one_trial(tmp_path: Path) -> None:
    ijb(tmp_path)
    (tmp_path / "meta" / "ijbc_1N_gallery_G1.csv").unlink()
    protocol = read_protocol([tmp_path])
    assert [(trial.name, trial.probes.size) for trial in protocol.trials] == [("G2", 2)]
