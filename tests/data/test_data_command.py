"""``facerec data`` as a user types it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.data import open_dataset
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.data.tools.check import check, perceptual_hash
from facerec_cli.data.tools.pairs import draw_pairs, open_evaluation, split
from facerec_cli.errors import InputError, UsageError
from facerec_cli.pairs.read import read_pairs


def facerec(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(build_app(["data"]), ["data", *map(str, arguments)])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.stdout


def test_info(people: Path):
    found = json.loads(facerec("info", people, "--json"))
    assert (found["photos"], found["people"], found["people_with_one_photo"]) == (16, 5, 1)
    assert found["photos_per_person"] == {
        "min": 1, "quartile_1": 2.0, "median": 3.0, "quartile_3": 4.0, "max": 6, "mean": 3.2
    }  # fmt: skip
    assert found["sizes"] == {"112 x 112": 16}
    assert "112 x 112 (16)" in facerec("info", people)


@pytest.mark.parametrize("command", [["info"], ["check"], ["split", "-o", "here"], ["pairs", "-o", "p.txt"]])
def test_a_stream_is_refused_before_it_is_looked_at(tmp_path: Path, command: list[str]):
    stream = "https://localhost/s-{00..03}.tar#classes=10&photos=100"
    result = CliRunner().invoke(build_app(["data"]), ["data", command[0], stream, *command[1:]])
    assert result.exit_code == InputError.exit_code
    assert "is a stream and can only be trained on" in result.output


def test_check_of_good_data_is_silent_about_it(people: Path):
    report = json.loads(facerec("check", people, "--json"))
    assert report["problems"] == 0
    assert report["photos"] == 16


def test_check_finds_each_fault(people: Path, tmp_path: Path):
    smooth = cv2.GaussianBlur(SyntheticDataset(9).image(170), (0, 0), 3)
    cv2.imwrite(str(people / "site/eve" / "3.v1.jpg"), smooth)
    photo = (people / "site/eve" / "3.v1.jpg").read_bytes()
    (people / "bob" / "truncated.jpg").write_bytes(photo[: len(photo) // 2])
    (people / "bob" / "text.png").write_text("not a photo")
    (people / "bob" / "empty.jpg").write_bytes(b"")
    (people / "alice" / "eve.jpg").write_bytes(photo)
    (people / "site/eve" / "again.jpg").write_bytes(photo)
    saved_again = cv2.resize(cv2.imdecode(np.frombuffer(photo, np.uint8), 1), (160, 160))
    cv2.imwrite(str(people / "d.v" / "near.jpg"), saved_again, [cv2.IMWRITE_JPEG_QUALITY, 70])
    report = json.loads(facerec("check", people, "--json", code=5))
    assert [name for name, _ in report["broken"]] == ["bob/empty.jpg", "bob/text.png", "bob/truncated.jpg"]
    assert report["across"] == [["alice/eve.jpg", "site/eve/3.v1.jpg", "site/eve/again.jpg"]]
    assert report["within"] == 1
    assert {"d.v/near.jpg"} == {pair[1] for pair in report["near"] if pair[0] == "alice/eve.jpg"}
    assert report["problems"] == 3 + 1 + len(report["near"])
    text = facerec("check", people, code=5)
    assert "broken photos: bob/truncated.jpg: bob/truncated.jpg cannot be used: the JPEG ends early" in text
    assert json.loads(facerec("check", people, "--json", "--no-near", code=5))["near"] == []


def test_overlap_is_found_though_a_photo_was_saved_again(people: Path, tmp_path: Path):
    smooth = [cv2.GaussianBlur(SyntheticDataset(9).image(i), (0, 0), 3) for i in (3, 170)]
    cv2.imwrite(str(people / "bob" / "known.png"), smooth[0])
    (tmp_path / "test" / "x").mkdir(parents=True)
    for name, photo in zip(("again.jpg", "other.jpg"), smooth, strict=True):
        cv2.imwrite(str(tmp_path / "test" / "x" / name), photo, [cv2.IMWRITE_JPEG_QUALITY, 70])
    found = check(open_dataset(people), against=open_evaluation(str(tmp_path / "test"))).overlap
    assert found == [("bob/known.png", "x/again.jpg")]
    assert not check(
        open_dataset(people), against=open_evaluation(str(tmp_path / "test")), near=False
    ).overlap


def test_check_finds_overlap_with_an_evaluation_set(people: Path, tmp_path: Path):
    facerec("pairs", people, "-o", tmp_path / "pairs.txt", "--pairs", 8, "--folds", 2)
    facerec("bin", people, "-o", tmp_path / "pairs.bin", "--pairs", 8, "--folds", 2)
    for test in (tmp_path / "pairs.txt", tmp_path / "pairs.bin", people):
        overlap = json.loads(facerec("check", people, "--against", test, "--json", code=5))["overlap"]
        assert len(overlap) == (16 if test == people else len(set(read_pairs(test).images)))
    clean = tmp_path / "clean"
    shutil.copytree(people / "bob", clean / "bob")
    shutil.rmtree(people / "bob")
    assert json.loads(facerec("check", clean, "--against", people, "--json"))["overlap"] == []


def test_convert_there_and_back(people: Path, tmp_path: Path):
    facerec("convert", people, tmp_path / "x" / "train.rec")
    facerec("convert", tmp_path / "x", tmp_path / "back")
    names = {path.relative_to(people): path.read_bytes() for path in people.rglob("*.*g")}
    assert {
        p.relative_to(tmp_path / "back"): p.read_bytes() for p in (tmp_path / "back").rglob("*.*g")
    } == names
    facerec("convert", people, tmp_path / "x" / "train.rec", code=2)


def test_fewer_pairs_than_asked_for_are_told(people: Path, tmp_path: Path):
    for pairs, told in ((23, False), (2000, True)):
        arguments = [
            "data",
            "pairs",
            str(people),
            "-o",
            str(tmp_path / f"{pairs}.txt"),
            "--pairs",
            str(pairs),
            "--folds",
            "2",
        ]
        result = CliRunner().invoke(build_app(["data"]), arguments)
        assert result.exit_code == 0
        assert ("in equal halves, fewer than --pairs 2,000" in result.stderr) is told


def test_pairs_and_bin_are_balanced_and_read_back(people: Path, tmp_path: Path):
    facerec("pairs", people, "-o", tmp_path / "p.txt", "--pairs", 20, "--folds", 5)
    listed = read_pairs(tmp_path / "p.txt")
    assert len(listed) == 20
    assert listed.same.reshape(5, 2, 2).tolist() == [[[True, True], [False, False]]] * 5
    for first, second, same in zip(listed.first, listed.second, listed.same, strict=True):
        one, two = Path(str(listed.images[first])), Path(str(listed.images[second]))
        assert one.is_file()
        assert one != two
        assert (one.parent == two.parent) == same
    facerec("bin", people, "-o", tmp_path / "p.bin", "--pairs", 20, "--folds", 5)
    bins, flags = pickle.loads((tmp_path / "p.bin").read_bytes(), encoding="bytes")  # insightface's own call
    assert len(bins) == 40
    assert flags == listed.same.tolist()
    assert bins[0] == Path(str(listed.images[listed.first[0]])).read_bytes()
    assert read_pairs(tmp_path / "p.bin").same.tolist() == flags


def test_pairs_are_never_drawn_twice_and_go_round_the_people():
    labels = np.repeat(np.arange(30), 4)
    pairs = draw_pairs(labels, 120, folds=2, seed=1)
    both = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert len(set(both)) == 120
    assert (labels[pairs.first] == labels[pairs.second]).tolist() == pairs.same.tolist()
    assert np.bincount(labels[pairs.first[pairs.same]]).tolist() == [2] * 30
    assert len(draw_pairs(labels, 10_000, folds=2).same) == 360  # 30 people with 6 pairs each
    with pytest.raises(InputError, match="two photos of a person"):
        draw_pairs(np.arange(50), 20, folds=1)


@pytest.mark.parametrize("part", [0.0, -1.0, 4000.0, 1e300, float("inf"), float("nan")])
def test_a_split_that_leaves_a_side_empty_is_refused(people: Path, tmp_path: Path, part: float):
    with pytest.raises(UsageError, match="leaves one side of the split empty"):
        split(open_dataset(people), tmp_path / "lists", test_identities=part)
    assert not (tmp_path / "lists").exists()


def test_split_shares_no_person(people: Path, tmp_path: Path):
    sides = json.loads(facerec("split", people, "-o", tmp_path / "s", "--test-identities", 0.4, "--json"))
    assert sides["train"]["people"] + sides["test"]["people"] == 5
    assert sides["test"]["people"] == 2
    train, test = (open_dataset(tmp_path / "s" / f"{side}.txt") for side in ("train", "test"))
    assert not set(train.class_names) & set(test.class_names)
    assert len(train) + len(test) == 16
    assert len(train.read(0)) > 100
    facerec("split", people, "-o", tmp_path / "s2", "--test-identities", 0.4)
    assert (tmp_path / "s2" / "test.txt").read_text() == (tmp_path / "s" / "test.txt").read_text()
    facerec("split", people, "-o", tmp_path / "s3", "--test-identities", 5, code=2)


def test_errors_have_their_codes(tmp_path: Path):
    facerec("info", tmp_path / "nowhere", code=3)
    facerec("convert", "synthetic:2", tmp_path / "x.txt", code=2)
    facerec("bin", "synthetic:1", "-o", tmp_path / "x.bin", code=3)
    assert list(tmp_path.iterdir()) == []


def test_perceptual_hash_tells_copies_from_others():
    dataset = SyntheticDataset(20, 2)

    def apart(one, two):
        return int(np.unpackbits((perceptual_hash(one) ^ perceptual_hash(two)).view(np.uint8)).sum())

    for index in range(0, 40, 4):
        image = cv2.GaussianBlur(dataset.image(index), (0, 0), 2)
        saved = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], 1)
        assert apart(image, saved) <= 14
        assert apart(image, cv2.GaussianBlur(dataset.image(index + 2), (0, 0), 2)) > 30


def test_align_gives_a_row_for_every_photo(lfw: Path, tmp_path: Path):
    source = tmp_path / "raw"
    for person in ("AJ_Cook", "Aaron_Peirsol"):
        shutil.copytree(lfw / "images" / person, source / person)
    (source / "AJ_Cook" / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    cv2.imwrite(str(source / "AJ_Cook" / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    told = json.loads(facerec("align", source, tmp_path / "out", "--json", code=5))
    photos = len(list(source.rglob("*.*g")))
    assert told["statuses"] == {"ok": photos - 2, "unreadable": 1, "no_face": 1}
    table = (tmp_path / "out" / "alignment.tsv").read_text().splitlines()
    assert len(table) == photos + 1
    aligned = open_dataset(tmp_path / "out")
    assert list(aligned.class_names) == ["AJ_Cook", "Aaron_Peirsol"]
    assert aligned.warnings == ()  # the table in it is ours
    assert {aligned.image(index).shape for index in range(len(aligned))} == {(112, 112, 3)}
    facerec("align", source, tmp_path / "out", code=2)
    again = json.loads(facerec("align", source, tmp_path / "out", "--resume", "--json", code=5))
    assert again["statuses"] == {"kept": photos - 2, "unreadable": 1, "no_face": 1}
    facerec("align", source, tmp_path / "out", "--resume", "--faces", "largest", code=2)


def test_an_interrupted_align_says_how_to_go_on(monkeypatch, tmp_path: Path):
    from facerec_cli.data.tools import align

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(align, "_alignments", interrupted)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        align.align(SyntheticDataset(4), tmp_path / "out", model=None)  # type: ignore[arg-type]


def test_convert_leaves_out_broken_photos_when_it_is_asked_to(people: Path, tmp_path: Path):
    before = len(open_dataset(people))
    (people / "bob" / "text.png").write_text("not a photo")
    listed = tmp_path / "all.txt"
    facerec("convert", people, "-o", listed)
    listed.write_text(listed.read_text() + "people/bob/nosuch.png\t1\n")
    result = CliRunner().invoke(
        build_app(["data"]), ["data", "convert", str(listed), "-o", str(tmp_path / "x.rec")]
    )
    assert result.exit_code == InputError.exit_code and "--skip-broken" in result.output
    for target in ("x.rec", "lists/x.txt", "shards.tar"):
        (tmp_path / "lists").mkdir(exist_ok=True)
        result = CliRunner().invoke(
            build_app(["data"]),
            ["data", "convert", str(listed), "-o", str(tmp_path / target), "--skip-broken"],
        )
        assert result.exit_code == 0, result.output
        told = " ".join(result.output.split())
        assert "2 photos left out" in told and "text.png" in told and "nosuch.png" in told
        written = open_dataset(tmp_path / target)
        assert len(written) == before and check(written).broken == []
    (tmp_path / "none.txt").write_text("gone.png\tann\n")
    facerec("convert", tmp_path / "none.txt", "-o", tmp_path / "none.rec", "--skip-broken", code=3)


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.csv", "x.JPG"])
def test_convert_makes_no_folder_with_the_name_of_a_file(people: Path, tmp_path: Path, name: str):
    facerec("convert", people, "-o", tmp_path / name, code=2)
    assert not (tmp_path / name).exists()
    facerec("convert", people, "-o", tmp_path / name, "--to", "folder")
    assert len(open_dataset(tmp_path / name)) == len(open_dataset(people))
