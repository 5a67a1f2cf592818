"""The lists of published sets in their own form and size: names, labels, order, folds; and what is none."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facerec_cli import registry
from facerec_cli.errors import InputError
from facerec_cli.metrics.folds import stratified_folds
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.read import open_format, read_pairs, recognize
from facerec_cli.pairs.text_rows import TRAINING
from facerec_cli.verify.run import verify_folder

Write = Callable[[Path], Path]
BLOCKS = np.arange(6000) // 600  # ten folds of 600, one after the other
CLASSES = np.concatenate([np.arange(3000) // 300] * 2)  # all same pairs, then all different ones


def lines(folder: Path, name: str, rows: list[str]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def of_two_lines(folder: Path, name: str, form: str, same_label: Callable[[int], int]) -> Path:
    """3,000 pairs of one person and then 3,000 of two; a person is in one fold only, as in LFW."""
    rows = []
    for at in range(3000):
        label = same_label(at)
        rows += [f"{form.format('Ann_Lee' + str(at), n)} {label}" for n in (1, 2)]
    for at in range(3000):
        other = at // 300 * 300 + (at + 1) % 300
        rows += [f"{form.format('Ann_Lee' + str(who), 1)} 0" for who in (at, other)]
    return lines(folder, name, rows)


def calfw(folder: Path) -> Path:
    return of_two_lines(folder, "pairs_CALFW.txt", "{}x_{:04d}.jpg", lambda at: 1 + at // 300)


def cplfw(folder: Path) -> Path:
    return of_two_lines(folder, "pairs_CPLFW.txt", "{}x_{}.jpg", lambda _: 1)


def numbered(folder: Path, name: str, person: str, heading: str) -> Path:
    """LFW's form: in each fold 300 lines of one person, then 300 of two."""
    rows = [heading] if heading else []
    for fold in range(10):
        people = [person.format(fold * 300 + at) for at in range(300)]
        rows += [f"{who}\t1\t2" for who in people]
        rows += [f"{who}\t1\t{people[(at + 1) % 300]}\t2" for at, who in enumerate(people)]
    return lines(folder, name, rows)


def xqlfw(folder: Path) -> Path:
    return numbered(folder, "xqlfw_pairs.txt", "Ann_Lee{}", "10\t300")


def rfw(folder: Path) -> Path:
    return numbered(folder, "test/txts/African/African_pairs.txt", "m.0{}abc", "")


def agedb(folder: Path) -> Path:
    """The text form of AgeDB-30: two names of the set and a flag, fold by fold."""
    rows = []
    for fold in range(10):
        for same in (1, 0):
            for at in range(300):
                who = fold * 300 + at
                other = who if same else fold * 300 + (at + 1) % 300
                rows.append(f"{2 * who}_AnnLee{who}x_25_f.jpg {2 * other + 1}_AnnLee{other}x_55_f.jpg {same}")
    return lines(folder, "agedb_30_pair.txt", rows)


def insightface(folder: Path) -> Path:
    """``agedb_30.bin``: 12,000 encoded crops and 6,000 flags, 300 same and 300 different in each fold."""
    images = [b"\xff\xd8%d" % at for at in range(12_000)]
    path = folder / "agedb_30.bin"
    path.write_bytes(pickle.dumps((images, ([True] * 300 + [False] * 300) * 10), protocol=4))
    return path


def cfp(folder: Path, kind: str = "FP") -> Path:
    """The folder Protocol: 500 people with ten frontal photos and four profiles, ten folds of 350 and 350."""
    protocol = folder / "Protocol"
    for part, count, name in (("frontal", 10, "F"), ("profile", 4, "P")):
        rows = [
            f"{who * count + at + 1} ../Data/Images/{who + 1:03d}/{part}/{at + 1:02d}.jpg"
            for who in range(500)
            for at in range(count)
        ]
        lines(protocol, f"Pair_list_{name}.txt", rows)
    for split, count in (("FF", 10), ("FP", 4)):
        for fold in range(10):
            people = [fold * 50 + at % 50 for at in range(350)]
            same = [
                f"{who * 10 + at % 9 + 1},{who * count + at % (count - 1) + 2}"
                for at, who in enumerate(people)
            ]
            diff = [
                f"{who * 10 + 1},{(who + 1) % 500 * count + at % count + 1}" for at, who in enumerate(people)
            ]
            lines(protocol / "Split" / split / f"{fold + 1:02d}", "same.txt", same)
            lines(protocol / "Split" / split / f"{fold + 1:02d}", "diff.txt", diff)
    return protocol / "Split" / kind


def cfp_ff(folder: Path) -> Path:
    return cfp(folder, "FF")


def ijb(folder: Path) -> Path:
    """IJB-C's ``meta``: a file, its template and its media a line; template pairs with 0 or 1."""
    meta = folder / "IJBC" / "meta"
    rows = [f"{at + 1}.jpg {1 + at // 3} {1000 + at // 2}" for at in range(600)]
    lines(meta, "ijbc_face_tid_mid.txt", rows)
    pairs = [f"{1 + at % 200} {1 + (at * 7 + 3) % 200} {int(at < 20)}" for at in range(400)]
    lines(meta, "ijbc_template_pair_label.txt", pairs)
    points = " ".join(f"{number}.5" for number in range(10))
    lines(meta, "ijbc_name_5pts_score.txt", [f"{at + 1}.jpg {points} 0.999" for at in range(600)])
    return folder / "IJBC"


#: Format that recognizes it, pairs, same pairs, folds as the accuracy has them, whether people are known.
PUBLISHED: dict[str, tuple[Write, str, int, int, np.ndarray | None, bool]] = {
    "CALFW": (calfw, "calfw", 6000, 3000, CLASSES, True),
    "CPLFW": (cplfw, "calfw", 6000, 3000, CLASSES, True),
    "XQLFW": (xqlfw, "lfw", 6000, 3000, BLOCKS, True),
    "RFW": (rfw, "lfw", 6000, 3000, BLOCKS, True),
    "AgeDB-30": (agedb, "labeled", 6000, 3000, BLOCKS, True),
    "insightface": (insightface, "bin", 6000, 3000, BLOCKS, False),
    "CFP-FP": (cfp, "cfp", 7000, 3500, np.arange(7000) // 700, True),
    "CFP-FF": (cfp_ff, "cfp", 7000, 3500, np.arange(7000) // 700, True),
    "IJB-C": (ijb, "ijb", 400, 20, None, False),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_list_is_known_by_its_content_and_read_as_published(tmp_path: Path, name: str) -> None:
    write, format, count, same, fold, knows_people = PUBLISHED[name]
    path = write(tmp_path)
    claimed = [one for one in registry.PAIR_FORMATS if open_format(one).recognizes(ListHead(path))]
    assert claimed == [format]
    pairs = read_pairs(path, images=False)
    assert (len(pairs), int(pairs.same.sum())) == (count, same)
    assert (pairs.identity is not None) == knows_people
    if pairs.identity is not None:
        assert np.array_equal(pairs.identity[pairs.first] == pairs.identity[pairs.second], pairs.same)
    if fold is not None:  # of the list, or as the accuracy makes them
        assert np.array_equal(stratified_folds(pairs.same) if pairs.fold is None else pairs.fold, fold)


def test_the_names_are_those_of_the_photos(tmp_path: Path) -> None:
    firsts = {name: read_pairs(PUBLISHED[name][0](tmp_path / name.lower()), images=False).names[0]
              for name in ("XQLFW", "RFW", "AgeDB-30")}  # fmt: skip
    assert firsts == {
        "XQLFW": "Ann_Lee0/Ann_Lee0_0001",
        "RFW": "m.00abc/m.00abc_0001",
        "AgeDB-30": "0_AnnLee0x_25_f.jpg",
    }


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("CALFW", "aligned images/{}"),
        ("CPLFW", "images/{}"),
        ("XQLFW", "lfw_original_imgs_min_qual0.85variant11/{}.jpg"),
        ("RFW", "test/data/African/{}.jpg"),
        ("AgeDB-30", "AgeDB/{}"),
        ("CFP-FP", "{}"),
        ("IJB-C", "IJBC/loose_crop/{}"),
    ],
)
def test_photos_are_found_where_the_archives_have_them(tmp_path: Path, name: str, photo: str) -> None:
    path = PUBLISHED[name][0](tmp_path)
    if path.is_file():
        lines(path.parent, path.name, path.read_text().splitlines()[:40])
    names = read_pairs(path, images=False).names
    some = range(0, len(names), max(1, len(names) // 60))
    for at in some:
        place = tmp_path / photo.format(names[at])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
    images = read_pairs(path).images
    assert all(Path(str(images[at])).is_file() for at in some)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("ID Num Score\nAnn_Lee 1 1.0\nAnn_Lee 2 0.0\n", "XQLFW's table of the quality"),
        ("a/1.jpg 0\na/2.jpg 0\nb/1.jpg 1\nb/2.jpg 1\n", TRAINING),
        ("Ann_1.jpg 0\nAnn_2.jpg 0\nBob_1.jpg 1\nBob_2.jpg 1\n", TRAINING),
        ("a/1.jpg 10\na/2.jpg 10\nb/1.jpg 11\nb/2.jpg 11\n", TRAINING),
        ("a/1.jpg 0\na/2.jpg 0\na/3.jpg 0\nb/2.jpg 0\nb/1.jpg 1\nb/2.jpg 1\n", TRAINING),
    ],
)
def test_lists_that_look_like_a_published_one_are_refused(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(InputError) as fault:
        read_pairs(path, images=False)
    assert told in fault.value.message + (fault.value.hint or "")


def test_a_fold_is_told_by_calfws_numbers_and_not_by_their_order(tmp_path: Path) -> None:
    whole = calfw(tmp_path).read_text().splitlines()
    order = np.random.default_rng(0).permutation(3000)
    mixed = [line for at in order for line in whole[2 * at : 2 * at + 2]] + whole[6000:]
    pairs = read_pairs(lines(tmp_path, "mixed.txt", mixed), images=False)
    assert pairs.fold is not None and np.array_equal(pairs.fold[:3000], order // 300)


def test_names_that_contradict_a_label_say_nothing_of_people(tmp_path: Path) -> None:
    rows = ["Ann_1.jpg Ann_2.jpg 1", "Ann_1.jpg Bob_1.jpg 0", "Ann_2.jpg Bob_1.jpg 1"]
    assert read_pairs(lines(tmp_path, "a.txt", rows), images=False).identity is None
    known = read_pairs(lines(tmp_path, "b.txt", rows[:2]), images=False).identity
    assert known is not None and known.tolist() == [0, 0, 1]


def test_a_folder_of_agedb_is_compared_by_its_names(tmp_path: Path) -> None:
    for name in ("0_AnnLee_25_f.jpg", "1_AnnLee_60_f.jpg", "2_BobRay_30_m.jpg"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="named as AgeDB's") as fault:
        recognize(tmp_path)
    assert "--all-pairs" in (fault.value.hint or "")
    with pytest.raises(InputError, match="None of the 3 pairs") as lost:
        verify_folder(tmp_path)  # the photos are none
    assert "0_AnnLee_25_f.jpg" in lost.value.message
    (tmp_path / "Ann.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"Ann\.jpg' lies directly"):
        verify_folder(tmp_path)
