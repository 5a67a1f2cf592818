"""Which photos a list means, and which known lists and folders are no lists of pairs."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics.groups import read_groups
from facerec_cli.pairs.names import match_names
from facerec_cli.pairs.read import read_pairs, recognize


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def write(folder: Path, text: str, name: str = "list.txt", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


LFW = "anna 1 2\nanna 1 ben 12\n"


@pytest.mark.parametrize(
    "names",
    [
        ("anna/IMG_1.jpg", "anna/IMG_2.jpg", "ben/IMG_12.jpg"),
        ("anna/anna_0001_0.jpg", "anna/anna_0002_0.jpg", "ben/ben_0012_0.jpg"),
        ("anna/anna_1.png", "anna/anna_2.png", "ben/ben_12.jpeg"),
        ("anna/000001.jpg", "anna/000002.jpg", "ben/12.webp"),
        ("anna_1.jpg", "anna_02.jpg", "ben_000012.jpg"),
        ("anna/photo (1).jpg", "anna/photo (2).jpg", "ben/x-12.jpg"),
        ("images/anna/IMG_20240101_1.jpg", "images/anna/IMG_20240101_2.jpg", "images/ben/a12.jpg"),
    ],
)
def test_lfw_lists_of_photos_with_other_names(tmp_path, caplog, names):
    make(tmp_path, *names)
    pairs = read_pairs(write(tmp_path, LFW))
    assert pairs.format == "lfw" and pairs.names == ("anna/anna_0001", "anna/anna_0002", "ben/ben_0012")
    assert pairs.images == tuple(tmp_path / name for name in names)
    assert "3 photos found by the number in another name, the first: anna/anna_0001 is" in caplog.text


def test_lfws_own_names_go_before_others_and_are_not_remarked_upon(tmp_path, caplog):
    make(
        tmp_path,
        "anna/anna_0001.jpg",
        "anna/anna_1.jpg",
        "anna/IMG_1.jpg",
        "anna/anna_0002.png",
        "ben/ben_0012.jpg",
    )
    images = read_pairs(write(tmp_path, LFW)).images
    assert [path.name for path in images] == ["anna_0001.jpg", "anna_0002.png", "ben_0012.jpg"]
    assert "number" not in caplog.text


@pytest.mark.parametrize(
    "two", [("anna_0001_0.jpg", "anna_0001_1.jpg"), ("IMG_1.jpg", "DSC_1.jpg"), ("a1.jpg", "a01.png")]
)
def test_a_number_that_several_photos_have_is_not_guessed(tmp_path, two):
    make(tmp_path, *(f"anna/{name}" for name in two), "ben/12.jpg")
    pairs = read_pairs(write(tmp_path, LFW))
    assert [path.is_file() for path in pairs.images] == [False, False, True]
    (tmp_path / "ben" / "12.jpg").unlink()
    with pytest.raises(InputError) as fault:
        read_pairs(tmp_path / "list.txt")
    assert "anna_0001" in fault.value.message
    assert (
        two[0] in fault.value.hint
        and f'"anna/{sorted(two)[0]}"' in fault.value.hint
        and fault.value.hint.endswith(" 1")
    )


def test_another_persons_photo_is_not_taken_for_a_number(tmp_path):
    make(tmp_path, "ben/anna_1.jpg", "ben/12.jpg", "annabel_1.jpg", "1.jpg")
    pairs = read_pairs(write(tmp_path, LFW))
    assert [path.is_file() for path in pairs.images] == [False, False, True]


def test_photos_of_a_vector_file_are_found_by_number_too():
    photos = [
        "own/anna/IMG_1.jpg",
        "own/anna/IMG_2.jpg",
        "own/ben/ben_0012_0.jpg",
        "own/carl/1.jpg",
        "own/carl/01.png",
    ]
    names = ["anna/anna_0001", "anna/anna_0002", "ben/ben_0012", "carl/carl_0001", "dora/dora_0001"]
    assert match_names(names, photos, "x") == [*photos[:3], None, None]


@pytest.mark.parametrize("of_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("of_list", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("form", ["{0}/1.jpg {0}/2.jpg 1\n{0}/1.jpg x/é.jpg 0\n", "{0} 1 2\n{0} 1 x 7\n"])
def test_names_in_another_unicode_form(tmp_path, of_disk, of_list, form):
    for person in ("Zoë", "한글"):
        names = ("1.jpg", "2.jpg") if "jpg" in form else (f"{person}_0001.jpg", f"{person}_0002.jpg")
        make(tmp_path, *(unicodedata.normalize(of_disk, f"{person}/{name}") for name in names))
        make(tmp_path, unicodedata.normalize(of_disk, "x/é.jpg"), "x/x_0007.jpg")
        path = write(tmp_path, unicodedata.normalize(of_list, form.format(person)))
        pairs = read_pairs(path)
        assert all(image.is_file() for image in pairs.images), pairs.images
        photos = [unicodedata.normalize(of_disk, f"p/{name}") for name in (f"{person}/1.jpg", "x/é.jpg")]
        wanted = [
            unicodedata.normalize(of_list, f"{person}/1.jpg"),
            unicodedata.normalize(of_list, "x/é.jpg"),
        ]
        assert match_names(wanted, photos, "x") == photos
        table = write(tmp_path, unicodedata.normalize(of_disk, f"{person},A\nx,B\n"), "groups.csv")
        assert read_groups(table, pairs.names)[0].tolist() == [0, 0, 1]


def test_a_list_with_the_drive_of_another_machine(tmp_path):
    make(tmp_path, "faces/ann/1.jpg", "faces/bob/1.jpg", "1.jpg")
    pairs = read_pairs(write(tmp_path, "D:\\my\\faces\\ann\\1.jpg,D:\\my\\faces\\bob\\1.jpg,0\r\n"))
    assert pairs.images == (tmp_path / "faces/ann/1.jpg", tmp_path / "faces/bob/1.jpg")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_lists_in_any_encoding_with_a_mark_or_without(tmp_path, encoding):
    make(tmp_path, "Zoë/1.jpg", "Zoë/2.jpg", "b/1.jpg")
    path = write(tmp_path, "Zoë/1.jpg;Zoë/2.jpg;1.0\r\nZoë/1.jpg;b/1.jpg;0.000\r\n", encoding=encoding)
    pairs = read_pairs(path)
    assert (pairs.format, pairs.same.tolist()) == ("labeled", [True, False])
    assert all(image.is_file() for image in pairs.images)


# ---- CFP


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    folder = tmp_path / "cfp-dataset"
    make(folder, *(f"Data/Images/{p:03d}/{k}/01.jpg" for p in (1, 2, 3) for k in ("frontal", "profile")))
    for kind, name in (("frontal", "F"), ("profile", "P")):
        lines = (f"{p} ../Data/Images/{p:03d}/{kind}/01.jpg\n" for p in (1, 2, 3))
        make(folder, f"Protocol/Pair_list_{name}.txt")
        (folder / f"Protocol/Pair_list_{name}.txt").write_text("".join(lines))
    for kind in ("FF", "FP"):
        for fold in (1, 2, 10):
            place = folder / "Protocol" / "Split" / kind / f"{fold:02d}"
            place.mkdir(parents=True)
            (place / "same.txt").write_text("1,1\n2,2\n")
            (place / "diff.txt").write_text("1,2\n3,1\n")
    return folder


@pytest.mark.parametrize(
    "given", [".", "Protocol", "Protocol/Split", "Protocol/Split/FP", "Protocol/Pair_list_P.txt"]
)
def test_cfp(cfp, given):
    pairs = read_pairs(cfp / given)
    assert (pairs.format, len(pairs)) == ("cfp", 12)
    assert pairs.same.tolist() == [True, True, False, False] * 3
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    names = [(pairs.names[a], pairs.names[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
    assert names[3] == ("Data/Images/003/frontal/01.jpg", "Data/Images/001/profile/01.jpg")
    assert all(image.is_file() for image in pairs.images)
    same = pairs.identity[pairs.first] == pairs.identity[pairs.second]
    assert np.array_equal(same, pairs.same)


def test_cfp_of_frontal_photos_and_of_one_fold(cfp):
    pairs = read_pairs(cfp / "Protocol/Split/FF")
    assert len(pairs) == 12 and not any("profile" in name for name in pairs.names)
    for given in ("Protocol/Split/FF/02", "Protocol/Split/FF/02/same.txt", "Protocol/Split/FP/10/diff.txt"):
        pairs = read_pairs(cfp / given)
        assert (len(pairs), pairs.fold) == (4, None)
        assert any("profile" in name for name in pairs.names) == ("FP" in given)


def test_broken_files_of_cfp_are_refused_by_their_line(cfp):
    fold = cfp / "Protocol/Split/FP/02"
    for text, line in (("1,1\n1,9\n", 2), ("1,1,1\n", 1), ("a,b\n", 1)):
        (fold / "diff.txt").write_text(text)
        with pytest.raises(InputError, match=f"diff.txt', line {line}"):
            read_pairs(cfp)
    (fold / "diff.txt").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(cfp)
    alone = write(cfp.parent, "1,1\n2,2\n", "same.txt")
    with pytest.raises(InputError, match=r"CFP.*Pair_list_F"):
        read_pairs(alone)


# ---- known, but no pairs


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2\n3, Ann_0001.jpg\n17, Bob Lee_0002.jpg\n", "BLUFR"),
        ("10\n2\n3, Ann_0001.jpg\n17, Bob_0002.jpg\n2\n3, Ann_0001.jpg\n", "BLUFR"),
        ("Ann_0001.jpg\nBob_0001.jpg\n", "names photos and no pairs"),
        ("1\n2\n3\n", "numbers only"),
        ("10\nAnn 3\nBob 4\n", "lists people and numbers"),
        ('{"path": ["a/1.jpg"], "id": ["a"]}', "MegaFace"),
        ('[{"a": "x.jpg", "b": "y.jpg", "same": true}]', "JSON document"),
        ("TEMPLATE_ID,SUBJECT_ID,FILENAME\n1,2,a.jpg\n", "IJB"),
        ("name\timage_id\tface_id\turl\tbbox\tsha256\nA\t1\t1\thttp://x\t1,2\taa\n", "FaceScrub"),
        ("MATLAB 5.0 MAT-file, Platform: GLNX86" + "\0" * 100, "MATLAB"),
        ("a/1.jpg 3\na/2.jpg 4\nb/1.jpg 0\nc/1.jpg 1\n", "data pairs"),
    ],
)
def test_known_lists_that_name_no_pairs_are_told_apart(tmp_path, text, told):
    with pytest.raises(InputError) as fault:
        read_pairs(write(tmp_path, text))
    assert told in str(fault.value) and fault.value.hint


def test_blufrs_own_lists(shared):
    folder = shared / "protocols" / "blufr"
    if not folder.is_dir():
        pytest.skip("needs ../shared/protocols/blufr")
    for path in folder.glob("*_set.txt"):
        with pytest.raises(InputError, match="BLUFR"):
            recognize(path)


def test_folders_of_people_and_of_photos_are_told_what_would_do(tmp_path):
    make(tmp_path, "people/ann/1.jpg", "people/bob/1.jpg", "photos/1.jpg", "empty/notes.txt")
    for folder, hint in (
        ("people", "people --all-pairs"),
        ("photos", "folder of their own"),
        ("empty", "IJB"),
    ):
        with pytest.raises(InputError) as fault:
            read_pairs(tmp_path / folder)
        assert hint in fault.value.hint and "tid_mid" not in fault.value.message


# ---- groups


@pytest.mark.parametrize(
    "table",
    [
        "people/ann,A\npeople/bob,B\n",
        "people\\ann\\,A\r\npeople\\bob,B\r\n",
        "ann;A\nbob;B\n",
        "ann\tA\nbob\tB\n",
        "ann A\nbob B\n",
        "person,group\n/data/people/ann/,A\n./bob,B\n",
        "group,person\nA,ann\nB,bob\n",
        ",path,group\n0,people/ann/1.jpg,A\n1,people/ann/2.jpg,A\n2,people/bob/1.jpg,B\n",
        "people/ann/1.jpg,A\npeople/ann/2.jpg,A\n./people/bob/1.jpg,B\n",
    ],
)
@pytest.mark.parametrize("root", ["", "people/", "/data/people/"])
def test_groups_by_person_or_photo_with_folders_or_without(tmp_path, table, root):
    names = [f"{root}{name}" for name in ("ann/1.jpg", "ann/2.jpg", "bob/1.jpg")]
    numbers, groups = read_groups(write(tmp_path, table, "g.csv"), names)
    assert [groups[number] for number in numbers] == ["A", "A", "B"]


def test_people_of_one_name_in_two_folders_have_no_group_by_it(tmp_path):
    numbers, groups = read_groups(
        write(tmp_path, "x/ann,A\ny/ann,B\nbob,C\n", "g.csv"), ["ann/1.jpg", "bob/1.jpg"]
    )
    assert (numbers.tolist(), groups) == ([-1, 0], ("C",))


def test_a_table_of_groups_that_fits_nothing_shows_what_would(tmp_path):
    with pytest.raises(InputError) as fault:
        read_groups(write(tmp_path, "carl,A\n", "g.csv"), ["people/ann/1.jpg"])
    assert "'people/ann/1.jpg'" in fault.value.hint and "'people/ann'" in fault.value.hint
    with pytest.raises(InputError, match="by a comma"):
        read_groups(write(tmp_path, "Ann Smith A\n", "g.csv"), ["Ann Smith/1.jpg"])


def test_a_protocols_folder_is_an_evaluation_set_of_data_check(cfp):
    from facerec_cli.data.tools.pairs import open_evaluation

    photos = open_evaluation(str(cfp / "Protocol"))
    assert len(photos) == 5 and all(name.startswith("Data/Images/") for name, _ in photos)
