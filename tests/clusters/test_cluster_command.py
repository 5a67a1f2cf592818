"""``facerec cluster`` from the shell: lines, tables, folders, documents, exit codes, kills."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result
from made_people import unit, write_embeddings
from tiny_pack import write_tiny_pack
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.clusters.copying import copy_groups, write_regions
from facerec_cli.clusters.run import cluster_faces
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.gallery.xmp import frame_of, parse_packet, regions_of
from facerec_cli.identify import sorting

FACES = [
    ("a.jpg", unit(1, 0.1, 0)), ("sub/a.jpg", unit(1, 0, 0.1)), ("both.jpg", unit(1, 0, 0)),
    ("both.jpg", unit(0, 1, 0)), ("b.jpg", unit(0, 1, 0.1)), ("c.jpg", unit(0, 0, 1)),
]  # fmt: skip


def run(*arguments: str | Path, cwd: Path) -> Result:
    with contextlib.chdir(cwd):
        return CliRunner().invoke(build_app(["cluster"]), ["cluster", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in {name for name, _ in FACES}:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(f"photo {name}".encode())
    write_embeddings(tmp_path / "e.npy", FACES)
    return tmp_path


def test_a_line_for_each_face_and_what_it_rests_on_on_stderr(folder: Path) -> None:
    done = run("e.npy", "--threshold", "0.5", cwd=folder)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.rpartition(" margin ")[0] for line in lines] == [
        "a.jpg: grouped 0", "sub/a.jpg: grouped 0", "both.jpg face 0: grouped 0",
        "both.jpg face 1: grouped 1", "b.jpg: grouped 1", "c.jpg: single 2",
    ]  # fmt: skip
    assert "6 faces in 5 photos: 2 groups, 1 face alone" in done.stderr
    assert "Threshold 0.5000, as given" in done.stderr


def test_truth_measures_and_the_document_has_it_all(folder: Path) -> None:
    (folder / "truth.csv").write_text(
        "path,face,person\na.jpg,0,Ann\nsub/a.jpg,0,Ann\nboth.jpg,0,Ann\nboth.jpg,1,Bob\nb.jpg,0,Cy\n"
    )
    done = run("e.npy", "--threshold", "0.5", "--truth", "truth.csv", "--json", cwd=folder)
    document = json.loads(done.stdout)
    quality = document["quality"]
    assert (quality["faces"], quality["people"], quality["clusters"], quality["moves"]) == (5, 3, 2, 1)
    assert quality["figures"]["pairwise_precision"]["value"] == pytest.approx(3 / 4)
    assert quality["figures"]["bcubed_precision"]["value"] == pytest.approx(4 / 5)
    assert document["threshold"]["source"] == "given" and len(document["rows"]) == 6
    shown = run("e.npy", "--threshold", "0.5", "--truth", "truth.csv", cwd=folder)
    assert "a.jpg: grouped" not in shown.stdout and "group 0: 3 faces" in shown.stdout
    assert "80.00 %" in shown.stdout and "1 face to move, 0 groups to merge" in shown.stdout
    (folder / "bad.csv").write_text("path,person\na.jpg,Ann\na.jpg,Bob\n")
    assert (
        "two people for 'a.jpg'"
        in run("e.npy", "--threshold", "0.5", "--truth", "bad.csv", cwd=folder).stderr
    )
    (folder / "other.csv").write_text("path,person\nx.jpg,Ann\n")
    other = run("e.npy", "--threshold", "0.5", "--truth", "other.csv", cwd=folder)
    assert other.exit_code == 3 and "names none of the faces" in other.stderr


def test_photos_without_a_face_have_rows_and_codes(tmp_path: Path) -> None:
    write_tiny_pack(tmp_path / "tiny")
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "grey.png"), np.full((200, 200, 3), 90, np.uint8))
    nobody = run("in", "-o", "c.csv", cwd=tmp_path)
    assert nobody.exit_code == 0 and "no face was found" in nobody.stderr
    (row,) = csv.DictReader((tmp_path / "c.csv").open())
    assert row["status"] == "no_face" and row["cluster"] == ""
    (tmp_path / "in" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0torn")
    partly = run("in", "--aligned", "--model", "tiny", "--threshold", "0.5", "-o", "d.jsonl", cwd=tmp_path)
    assert partly.exit_code == 5
    rows = {Path(row["path"]).name: row for row in map(json.loads, (tmp_path / "d.jsonl").open())}
    assert rows["grey.png"]["status"] == "single" and rows["torn.jpg"]["status"] == "unreadable"
    assert "no impostor tail" in run("in", "--aligned", "--model", "tiny", cwd=tmp_path).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_photos_are_sorted_and_a_run_that_is_killed_is_finished_by_the_next(folder: Path) -> None:
    (folder / "people" / "group-00000").mkdir(parents=True)
    (folder / "people" / "group-00000" / "a.jpg").write_bytes(b"my own")
    put, count = sorting._put, 0

    def stop(*given) -> bool:
        nonlocal count
        count += 1
        if count == 3:
            os._exit(9)  # at once, as a kill from outside
        return put(*given)

    child = os.fork()
    if not child:
        os.chdir(folder)
        sorting._put = stop
        copy_groups(cluster_faces([folder / "e.npy"], ClusterSettings(threshold=0.5)), folder / "people")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    done = run("e.npy", "--threshold", "0.5", "--copy-to", "people", cwd=folder)
    assert done.exit_code == 0, done.stderr
    assert "other folder" not in done.stderr
    there = {
        str(path.relative_to(folder / "people")): path.read_bytes()
        for path in (folder / "people").rglob("*")
        if path.is_file() and ".facerec" not in path.name
    }
    assert there == {
        "group-00000/a.jpg": b"my own",
        "group-00000/a-2.jpg": b"photo a.jpg",
        "group-00000/a-3.jpg": b"photo sub/a.jpg",
        "group-00000/both.jpg": b"photo both.jpg",
        "group-00001/both.jpg": b"photo both.jpg",
        "group-00001/b.jpg": b"photo b.jpg",
        "single/c.jpg": b"photo c.jpg",
    }
    (folder / "people" / "Ann").mkdir()
    again = run("e.npy", "--threshold", "0.5", "--copy-to", "people", cwd=folder)
    assert "people has 1 other folder, of earlier groups or not of facerec" in again.stderr


def test_outputs_are_refused_before_any_work(folder: Path) -> None:
    (folder / "notes.csv").write_text("my own list\n")
    for arguments, code, words in (
        (["-o", "notes.csv"], 2, "is no table of groups"),
        (["-o", "e.npy"], 2, "would overwrite an input"),
        (["-o", "c.txt"], 2, "does not end in"),
        (["--copy-to", "a.jpg"], 2, "is a file"),
        (["--link", "hard"], 2, "--link is for --copy-to"),
        (["--false-links", "0.1"], 2, "two ways to say one thing"),
        (["--fpir", "0.1"], 2, "are for --gallery"),
        (["--engine", "index"], 2, "compares every person"),
    ):
        done = run("e.npy", "--threshold", "0.5", *arguments, cwd=folder)
        assert done.exit_code == code and words in done.stderr, (arguments, done.stderr)
    assert (folder / "notes.csv").read_text() == "my own list\n"
    assert run("e.npy", "--threshold", "0.5", "-o", "c.csv", cwd=folder).exit_code == 0
    assert run("e.npy", "--threshold", "0.5", "-o", "c.csv", "--update", "c.csv", cwd=folder).exit_code == 0


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told_before_any_work(folder: Path) -> None:
    (folder / "shut").mkdir(mode=0o500)
    done = run("e.npy", "--threshold", "0.5", "-o", "shut/c.csv", cwd=folder)
    assert done.exit_code == 6 and "may not write" in done.stderr


def test_named_groups_become_regions_beside_the_photos(tmp_path: Path) -> None:
    photo = tmp_path / "p.jpg"
    cv2.imwrite(str(photo), np.zeros((100, 200, 3), np.uint8))
    faces = [(str(photo), unit(1, 0)), (str(photo), unit(0, 1))]
    boxes = dict(zip(("x1", "y1", "x2", "y2"), ([20, 120], [10, 10], [60, 180], [60, 80]), strict=True))
    table = write_embeddings(tmp_path / "e.npy", faces, **boxes, width=[200, 200], height=[100, 100])
    found = cluster_faces([table], ClusterSettings(threshold=0.5))
    named = type(found)(**{**vars(found), "person": ("Ann & <Bob>", "")})
    (sidecar,) = write_regions(named)
    assert (sidecar.status, sidecar.regions) == ("written", 1)
    root, _ = parse_packet(Path(sidecar.path).read_bytes(), "it")
    (region,) = regions_of(root, frame_of(str(photo)), "it")
    assert region.name == "Ann & <Bob>" and region.box == pytest.approx((20, 10, 60, 60), abs=0.1)
    assert write_regions(named)[0].status == "unchanged"
