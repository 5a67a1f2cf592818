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


def test_outsiders_measure_a_threshold_that_is_kept(folder: Path) -> None:
    random = np.random.default_rng(1)
    strangers = random.normal(size=(400, 3))
    write_embeddings(folder / "strangers.npy", [(f"s/{i}.jpg", unit(*v)) for i, v in enumerate(strangers)])
    card = document("calibrate", "staff", "--fpir", "0.05", "--outsiders", "strangers.npy", cwd=folder)
    assert card["source"] == "outsiders" and card["measurable"] and card["low"] < 0.05 < card["high"]
    templates = np.stack([unit(1, 0.05, 0.05), unit(0, 1, 0), unit(0, 0, 1)])
    best = (np.stack([unit(*v) for v in strangers]) @ templates.T).max(axis=1)
    assert np.sum(best >= card["value"]) == 20
    kept = document("show", "staff", cwd=folder)["thresholds"]
    assert [one["value"] for one in kept] == [card["value"]]


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
