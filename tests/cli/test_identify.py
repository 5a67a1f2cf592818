"""``facerec identify`` from the shell: lines, documents, exit codes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from made_people import unit, write_embeddings
from typer.testing import CliRunner

from facerec_cli.cli import build_app


def run(*arguments: str | Path, cwd: Path) -> Result:
    with contextlib.chdir(cwd):
        return CliRunner().invoke(build_app(["identify"]), ["identify", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of Ann and Bob, and probes: Ann, and a stranger beside Bob on one photo."""
    corners = [(f"g/{name}/1.jpg", vector) for name, vector in zip(("Ann", "Bob"), np.eye(3), strict=False)]
    write_embeddings(tmp_path / "gallery.npy", corners)
    faces = [("a.jpg", unit(1, 0.1, 0)), ("b.jpg", unit(0, 1, 0)), ("b.jpg", unit(0, 0.1, 1))]
    write_embeddings(tmp_path / "probes.npy", faces)
    return tmp_path


def test_a_line_for_each_face_and_the_threshold_on_stderr(folder: Path) -> None:
    done = run("gallery.npy", "probes.npy", "--threshold", "0.7", cwd=folder)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "a.jpg: known Ann 0.9950 margin 0.8955",
        "b.jpg face 0: known Bob 1.0000 margin 1.0000",
        "b.jpg face 1: unknown",
    ]
    assert "3 faces in 2 photos, searched among 2 people of gallery.npy: 2 known, 1 unknown" in done.stderr
    assert "threshold 0.7000, as given: With 2 people enrolled" in done.stderr


def test_fail_unknown_ends_with_five_after_the_results(folder: Path) -> None:
    done = run(
        "gallery.npy",
        "probes.npy",
        "--threshold",
        "0.7",
        "--fail-unknown",
        "--json",
        "-o",
        "r.csv",
        cwd=folder,
    )
    assert done.exit_code == 5 and "1 of 3 faces are of nobody in the gallery" in done.stderr
    document = json.loads(done.stdout)
    assert [row["person"] for row in document["rows"]] == ["Ann", "Bob", None]
    assert document["threshold"]["source"] == "given" and document["gallery"]["people"] == 2
    assert (folder / "r.csv").read_text().startswith("path,face,status,decision,person,score,margin,")
    known = run("gallery.npy", "gallery.npy", "--threshold", "0.7", "--fail-unknown", cwd=folder)
    assert known.exit_code == 0


def test_candidates_without_a_claim(folder: Path) -> None:
    done = run("gallery.npy", "probes.npy", "--mode", "investigate", "-k", "1", cwd=folder)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "a.jpg: Ann 0.9950"
    assert "nobody is claimed to be any of them" in done.stderr
    sorting = run("gallery.npy", "probes.npy", "--mode", "investigate", "--copy-to", "out", cwd=folder)
    assert sorting.exit_code == 2 and not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "fault"),
    [
        (("staff", "probes.npy"), 3, "There is no gallery 'staff'"),
        (("gallery.npy",), 2, "It is not said what to search for"),
        (("gallery.npy", "none.jpg", "--threshold", "0.5"), 3, "No photo was found"),
        (("gallery.npy", "probes.npy"), 3, "No threshold can be found"),
        (("gallery.npy", "probes.npy", "--fpir", "2"), 2, "--fpir"),
        (("gallery.npy", "probes.npy", "--fpir", "many"), 2, "a rate between 0 and 1"),
        (("gallery.npy", "probes.npy", "--fpir", "101%"), 2, "such as 0.01 or 1%"),
        (("gallery.npy", "probes.npy", "--threshold", "0.5", "--report", "x.pdf"), 2, "--report x.html"),
        (("gallery.npy", "probes.npy", "--root", "."), 2, "take --evaluate"),
        (("gallery.npy", "probes.npy", "--evaluate", "-o", "r.csv"), 2, "writes neither"),
        (("gallery.npy", "probes.npy", "--evaluate", "--engine", "index"), 2, "compares every person"),
        (("gallery.npy", "probes.npy", "--treshold", "0.5"), 2, "Did you mean --threshold"),
    ],
)
def test_faults_say_what_to_do(folder: Path, arguments: tuple[str, ...], code: int, fault: str) -> None:
    done = run(*arguments, cwd=folder)
    assert done.exit_code == code, done.stderr
    assert fault in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


def test_an_evaluation_from_the_shell(folder: Path) -> None:
    faces = [
        ("p/Ann/2.jpg", unit(1, 0.2, 0)),
        ("p/Bob/2.jpg", unit(1, 0.9, 0)),
        ("p/Cat/1.jpg", unit(0, 0.1, 1)),
    ]
    write_embeddings(folder / "labeled.npy", faces)
    shown = run("gallery.npy", "labeled.npy", "--evaluate", "--fpir", "0.01,0.9", cwd=folder)
    assert shown.exit_code == 0, shown.stderr
    assert "2 people enrolled, 2 mated searches, 1 non-mated search" in shown.stdout
    assert "FPIR 1 %: " in shown.stdout and "pessimistic on ties" in shown.stderr
    done = run("gallery.npy", "labeled.npy", "--evaluate", "--json", "--report", "r.html", cwd=folder)
    assert json.loads(done.stdout)["trials"][0]["cmc"][0]["rate"] == 0.5
    assert (folder / "r.html").read_text().startswith("<!doctype html>")


def test_photos_are_found_named_and_sorted(tmp_path: Path, lfw: Path) -> None:
    people = tmp_path / "people"
    for name in ("Aaron_Peirsol", "Abel_Pacheco"):
        (people / name).mkdir(parents=True)
        photo = lfw / "images" / name / f"{name}_0002.jpg"
        (people / name / photo.name).write_bytes(photo.read_bytes())
    (tmp_path / "empty.jpg").write_bytes(b"")
    probe = lfw / "images" / "Aaron_Peirsol" / "Aaron_Peirsol_0001.jpg"
    done = run(
        "people", probe, "empty.jpg", "--threshold", "0.45", "--copy-to", "out", "--json", cwd=tmp_path
    )
    assert done.exit_code == 5, done.stderr
    document = json.loads(done.stdout)
    assert [row["status"] for row in document["rows"]] == ["ok", "empty"]
    assert document["rows"][0]["person"] == "Aaron_Peirsol" and document["rows"][0]["score"] > 0.6
    assert document["copied"]["made"] == 1
    assert (tmp_path / "out" / "Aaron_Peirsol" / probe.name).read_bytes() == probe.read_bytes()


def test_a_name_cannot_break_a_line_nor_move_the_cursor(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "g.npy", [("g/x/1.jpg", unit(1, 0))], person=["Ann\x1b[2J"])
    write_embeddings(tmp_path / "p.npy", [("a\nb.jpg", unit(1, 0))])
    done = run("g.npy", "p.npy", "--threshold", "0.5", cwd=tmp_path)
    assert done.stdout == "a\\nb.jpg: known Ann\\x1b[2J 1.0000\n"


def test_rates_may_be_percentages(folder: Path) -> None:
    write_embeddings(
        folder / "labeled.npy", [("p/Ann/2.jpg", unit(1, 0.2, 0)), ("p/Cat/1.jpg", unit(0, 0, 1))]
    )
    done = run("gallery.npy", "labeled.npy", "--evaluate", "--fpir", "0.1%, 90%", "--json", cwd=folder)
    assert [point["fpir"] for point in json.loads(done.stdout)["trials"][0]["tpir_at_fpir"]] == [0.001, 0.9]


def test_nothing_is_written_into_a_gallery(folder: Path) -> None:
    (folder / "other.gallery").mkdir()
    (folder / "other.gallery" / "gallery.toml").write_text("")
    for flag, name in (("--copy-to", "x"), ("-o", "x.csv"), ("--report", "x.html")):
        place = f"other.gallery/{name}"
        done = run("gallery.npy", "probes.npy", "--threshold", "0.5", flag, place, cwd=folder)
        assert done.exit_code == 2 and "is in the gallery" in done.stderr
    assert len(list((folder / "other.gallery").iterdir())) == 1
