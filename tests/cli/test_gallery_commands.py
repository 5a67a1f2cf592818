"""``facerec gallery`` from the shell: lines, documents, exit codes, and the page's Python."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from made_people import unit, write_embeddings
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.packs.resolve import open_pack, pack_hash


def run(*arguments: str | Path, cwd: Path) -> Result:
    with contextlib.chdir(cwd):
        return CliRunner().invoke(build_app(["gallery"]), ["gallery", *map(str, arguments)])


def document(*arguments: str | Path, cwd: Path) -> Any:
    done = run(*arguments, "--json", cwd=cwd)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the gallery ``staff``: Ann with two faces, Bob and Cy with one each."""
    faces = [("p/Ann/1.jpg", unit(1, 0.1, 0)), ("p/Ann/2.jpg", unit(1, 0, 0.1))]
    faces += [("p/Bob/1.jpg", unit(0, 1, 0)), ("p/Cy/1.jpg", unit(0, 0, 1))]
    write_embeddings(tmp_path / "people.npy", faces)
    done = run("enroll", "staff", "people.npy", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "staff.gallery: 3 people, 4 faces"
    return tmp_path


def test_enrolling_again_adds_nothing(folder: Path) -> None:
    told = document("enroll", "staff", "people.npy", cwd=folder)
    assert told["statuses"] == {"duplicate": 4} and told["faces"] == 4


def test_the_galleries_of_a_folder_and_their_people_are_listed(folder: Path) -> None:
    (folder / "odd.gallery").mkdir()
    rows = document("list", cwd=folder)["galleries"]
    assert [(row["gallery"], row["people"], row["faces"]) for row in rows] == [
        ("odd", None, None),
        ("staff", 3, 4),
    ]
    assert "no gallery" in rows[0]["fault"]
    people = document("list", "staff", cwd=folder)["people"]
    assert [(one["name"], one["faces"]) for one in people] == [("Ann", 2), ("Bob", 1), ("Cy", 1)]
    assert "Ann" in run("list", "staff", cwd=folder).stdout


def test_people_are_renamed_merged_split_and_noted(folder: Path) -> None:
    assert run("rename", "staff", "Bob", "Robert", cwd=folder).stdout == "Bob is called Robert now\n"
    assert document("merge", "staff", "Cy", "Robert", cwd=folder)["faces"] == 2
    faces = document("show", "staff", "Robert", cwd=folder)["photos"]
    assert [Path(face["path"]).parent.name for face in faces] == ["Bob", "Cy"] and "row" not in faces[0]
    split = document("split", "staff", str(faces[1]["id"]), "--into", "Cyrus", cwd=folder)
    assert (split["name"], split["faces"]) == ("Cyrus", 1)
    noted = document("note", "staff", "Ann", "--note", "consent 7", "--expires", "2031-01-01", cwd=folder)
    assert (noted["note"], noted["expires"]) == ("consent 7", "2031-01-01")
    assert run("note", "staff", "Ann", cwd=folder).exit_code == 2
    assert "consent 7" in run("list", "staff", cwd=folder).stdout


def test_removing_proves_that_nothing_is_left(folder: Path) -> None:
    proof = document("remove", "staff", "Ann", cwd=folder)["removed"][0]
    assert (proof["faces"], proof["proven"], proof["left"]) == (2, True, [])
    held = b"".join(path.read_bytes() for path in (folder / "staff.gallery").rglob("*") if path.is_file())
    assert b"Ann" not in held and unit(1, 0.1, 0).astype(np.float32).tobytes() not in held
    assert unit(0, 1, 0).astype(np.float32).tobytes() in held


def test_nobody_is_removed_where_one_name_is_misspelt(folder: Path) -> None:
    done = run("remove", "staff", "Ann", "Bobb", cwd=folder)
    assert done.exit_code == 3 and "Bob" in done.stderr
    assert len(document("list", "staff", cwd=folder)["people"]) == 3


def test_people_are_removed_by_a_list_and_by_their_date(folder: Path) -> None:
    (folder / "gone.txt").write_text("Ann\n\nBobb\n")
    done = run("remove", "staff", "--from", "gone.txt", cwd=folder)
    assert done.exit_code == 3 and "Nobody was removed" in done.stderr and "'Bob'" in done.stderr
    (folder / "gone.txt").write_text("Ann\nAnn\n")
    told = document("remove", "staff", "--from", "gone.txt", cwd=folder)["removed"]
    assert [one["person"] for one in told] == ["Ann"]
    assert run("remove", "staff", "--expired", cwd=folder).stdout == ""
    run("note", "staff", "Bob", "--expires", "2020-01-01", cwd=folder)
    run("note", "staff", "Cy", "--expires", "2999-01-01", cwd=folder)
    assert [one["expired"] for one in document("list", "staff", cwd=folder)["people"]] == [True, False]
    listed = run("list", "staff", cwd=folder).stdout
    assert "2020-01-01 (expired)" in listed and "2999-01-01 (expired)" not in listed
    told = document("remove", "staff", "--expired", cwd=folder)["removed"]
    assert [one["person"] for one in told] == ["Bob"]
    with contextlib.chdir(folder):
        done = CliRunner().invoke(build_app(["gallery"]), ["gallery", "remove", "staff", "-"], input="Cy\n")
    assert done.exit_code == 0, done.stderr
    assert document("list", "staff", cwd=folder)["people"] == []
    assert run("remove", "staff", cwd=folder).exit_code == 2


def test_what_a_removal_cannot_erase_is_named_until_it_is_gone(folder: Path) -> None:
    photo = folder / "staff.gallery" / "Ann" / "Ann_1.jpg"
    photo.parent.mkdir()
    photo.write_bytes(b"a picture")
    (folder / "staff.gallery" / "1.jpg").write_bytes(b"another")
    for turn in range(2):
        done = run("remove", "staff", "Ann", cwd=folder)
        assert ("1 file in the gallery's folder that facerec has not put" in done.stderr) is (turn == 0)
        assert done.exit_code == 8, done.stderr
        assert "delete them by hand: staff.gallery/Ann staff.gallery/Ann/Ann_1.jpg" in done.stderr
        assert "facerec gallery remove staff Ann" in done.stderr
    photo.unlink()
    photo.parent.rmdir()
    done = run("remove", "staff", "Ann", cwd=folder)
    assert done.exit_code == 3 and "No file of it has that name" in done.stderr


def test_hints_name_the_gallery_and_faces(folder: Path) -> None:
    assert "`facerec gallery list staff` names all 3" in run("show", "staff", "Q", cwd=folder).stderr
    done = run("rename", "staff", "Ann", "Bob", cwd=folder)
    assert "facerec gallery merge staff Ann Bob" in done.stderr
    first, second = (
        document("show", "staff", name, cwd=folder)["photos"][0]["id"] for name in ("Ann", "Bob")
    )
    assert "no face 9999" in run("split", "staff", "9999", "--into", "Foo", cwd=folder).stderr
    done = run("split", "staff", str(first), str(second), "--into", "Foo", cwd=folder)
    assert f"face {first} is of Ann, {second} is of Bob" in done.stderr
    done = run("export", "staff", "-o", "people.txt", cwd=folder)
    assert ".csv has the facts alone" in done.stderr and done.exit_code == 2
    run("rename", "staff", "Ann", "Anne", "--forget-paths", cwd=folder)
    assert "2 faces of Anne" in run("export", "staff", "-o", "XMP", cwd=folder).stdout


def test_a_check_tells_of_people_who_look_like_one(folder: Path) -> None:
    write_embeddings(folder / "twin.npy", [("p/Anne/1.jpg", unit(1, 0.05, 0.05))])
    assert run("enroll", "staff", "twin.npy", "--keep-look-alikes", cwd=folder).exit_code == 0
    assert document("check", "staff", cwd=folder)["people"] == 4
    assert run("check", "staff", cwd=folder).exit_code == 0
    (folder / "staff.gallery" / "vectors" / "faces-000001.npy").write_bytes(b"")
    assert run("check", "staff", cwd=folder).exit_code == 3


def test_a_threshold_that_nothing_supports_is_not_kept(folder: Path) -> None:
    done = run("calibrate", "staff", "--fpir", "0.01", cwd=folder)
    assert done.exit_code == 3 and "No threshold can be measured" in done.stderr
    assert document("show", "staff", cwd=folder)["thresholds"] == []


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """A gallery of three people, whose card for 5 % is of the 400 strangers in ``strangers.npy``."""
    pack = open_pack("sface")
    model = {"name": pack.name, "sha256": pack_hash(pack)}
    people = [(f"p/{name}/1.jpg", row) for name, row in zip("ABC", np.eye(3, 128), strict=True)]
    random = np.random.default_rng(1).normal(size=(400, 128))
    strangers = [(f"s/{i}.jpg", unit(*row)) for i, row in enumerate(random)]
    write_embeddings(tmp_path / "people.npy", people, model=model)
    write_embeddings(tmp_path / "strangers.npy", strangers, model=model)
    write_embeddings(tmp_path / "few.npy", strangers[:10], model=model)
    write_embeddings(tmp_path / "named.npy", [(f"new/{path}", row) for path, row in people], model=model)
    assert run("enroll", "staff", "people.npy", cwd=tmp_path).exit_code == 0
    done = run("calibrate", "staff", "--fpir", "0.05", "--outsiders", "strangers.npy", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert re.search(r"95 % interval +\d+ to \d+ of the next 1,000 strangers get a name", done.stdout)
    return tmp_path


def test_outsiders_measure_a_threshold_that_is_kept(calibrated: Path) -> None:
    (card,) = document("show", "staff", cwd=calibrated)["thresholds"]
    assert card["source"] == "outsiders" and card["measurable"] and card["low"] < 0.05 < card["high"]
    best = np.load(calibrated / "strangers.npy")[:, :3].max(axis=1)
    assert np.sum(best >= card["value"]) == 20


@pytest.mark.parametrize(
    ("outsiders", "said"),
    [
        (["people.npy"], "3 photos of 3 that should show strangers are enrolled: p/A/1.jpg (A)"),
        (["named.npy"], "3 photos of 3 that should show strangers look like enrolled people"),
        (["few.npy"], "10 strangers cannot measure FPIR 5 %, which takes 60"),
        (["card.toml", "zero.jpg"], "None of the 2 photos of strangers has a face that can be used"),
    ],
)
def test_strangers_who_measure_nothing_leave_the_card(
    calibrated: Path, outsiders: list[str], said: str
) -> None:
    (calibrated / "card.toml").write_text("value = 0.3\n")
    (calibrated / "zero.jpg").write_bytes(b"")
    before = document("show", "staff", cwd=calibrated)["thresholds"]
    named = [word for one in outsiders for word in ("--outsiders", one)]
    done = run("calibrate", "staff", "--fpir", "0.05", *named, cwd=calibrated)
    assert done.exit_code == 3 and said in " ".join(done.stderr.split())
    assert document("show", "staff", cwd=calibrated)["thresholds"] == before


def test_a_threshold_of_the_models_scores_says_of_which_photos(calibrated: Path) -> None:
    done = run("calibrate", "staff", "--fpir", "0.01", cwd=calibrated)
    assert done.exit_code == 0 and "LFW, press photos of adults" in done.stderr
    alike = np.eye(40, 128) + 0.8 * np.eye(1, 128, 100)
    model = {"name": "sface", "sha256": pack_hash(open_pack("sface"))}
    rows = [(f"q/{i}/1.jpg", unit(*row)) for i, row in enumerate(alike)]
    write_embeddings(calibrated / "alike.npy", rows, model=model)
    assert run("enroll", "alike", "alike.npy", cwd=calibrated).exit_code == 0
    done = run("calibrate", "alike", "--fpir", "0.01", cwd=calibrated)
    assert "look more alike to the model" in done.stderr and "LFW" not in done.stderr


def test_an_export_is_a_gallery_again_and_a_csv_has_no_vectors(folder: Path) -> None:
    assert document("export", "staff", "-o", "out.npz", cwd=folder)["faces"] == 4
    assert run("export", "staff", "-o", "out.npz", cwd=folder).exit_code == 2
    again = document("enroll", "again", "out.npz", cwd=folder)
    assert (again["people"], again["faces"]) == (3, 4)
    assert document("export", "staff", "-o", "facts.csv", "--person", "Ann", cwd=folder)["people"] == 1
    lines = (folder / "facts.csv").read_text().splitlines()
    assert len(lines) == 3 and "Ann" in lines[1]


def test_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = Path(__file__).resolve().parents[2]
    page = repository / "docs" / "gallery.md"
    photos = repository / "examples" / "photos"
    for person, names in {"Obama": ("obama-1", "obama-2"), "Biden": ("biden",)}.items():
        (tmp_path / "people" / person).mkdir(parents=True)
        for name in names:
            shutil.copy(photos / f"{name}.jpg", tmp_path / "people" / person)
    space: dict[str, Any] = {
        "folder": tmp_path,
        "people": tmp_path / "people",
        "photos": [photos / "obama-3.jpg"],
    }
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S):
        exec(compile(block, str(page), "exec"), space)
    told = capsys.readouterr().out
    assert "{'enrolled': 3} 2" in told and "obama-3.jpg True [('Obama', " in told
    assert len(space["people"]) == 99 and "With 100 people enrolled" in told
