"""A table of groups reviewed later: the same groups, and what was decided goes back into it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_people import write_embeddings
from typer.testing import CliRunner

from facerec_cli.cli.program import build_app
from facerec_cli.cli.review import _given
from facerec_cli.clusters.earlier import read_clusters
from facerec_cli.clusters.reviewed import open_reviewed
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.errors import InputError
from facerec_cli.review.decisions import DecidedFace, Decision, Decisions
from facerec_cli.review.face_key import face_keys


def test_a_table_is_reviewed_and_changed_in_place(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    faces = []
    for person, size in enumerate((4, 3, 2, 1)):
        center = random.normal(size=64)
        for photo in range(size):
            vector = center + 0.4 * random.normal(size=64)
            faces.append((f"{person}-{photo}.jpg", np.asarray(vector / np.linalg.norm(vector), np.float32)))
    embedded, table = str(write_embeddings(tmp_path / "e.npy", faces)), tmp_path / "groups.csv"
    run, app = CliRunner().invoke, build_app(["cluster", "review"])
    assert run(app, ["cluster", embedded, "--threshold", "0.5", "-o", str(table)]).exit_code == 0
    before = read_clusters(table)
    words = ["review", str(table), embedded, "--threshold", "0.5"]
    made = run(app, [*words, "-o", str(tmp_path / "review.html"), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["faces"] == 10
    assert "--threshold 0.5 --apply decisions.json" in " ".join(made.stderr.split())
    keys = face_keys(np.stack([vector for _, vector in faces]))
    named = [DecidedFace(path, 0, key) for (path, _), key in zip(faces, keys, strict=True)]
    items = (
        Decision("merge", (named[7], named[9])),
        Decision("name", (named[0],), name="Anna"),
        Decision("junk", (named[4],)),
    )
    Decisions(items).write(tmp_path / "decisions.json")
    apply = [*words, "--apply", str(tmp_path / "decisions.json")]
    assert run(app, apply).exit_code == 0
    rows = read_clusters(table)
    assert [row.get("person", "") for row in rows] == ["Anna"] * 4 + [""] * 6
    assert rows[4]["status"] == "junk"
    assert rows[7]["cluster"] == rows[8]["cluster"] == rows[9]["cluster"] == before[7]["cluster"]
    first = table.read_bytes()
    assert run(app, apply).exit_code == 0
    second = table.read_bytes()
    assert run(app, apply).exit_code == 0
    assert table.read_bytes() == second
    assert [row | {"margin": 0} for row in read_clusters(table)] == [row | {"margin": 0} for row in rows]
    assert first.count(b"\n") == second.count(b"\n")
    # junk is on the page, where it can be taken back
    assert run(app, [*words, "-o", str(tmp_path / "review.html")]).exit_code == 0
    assert (tmp_path / "groups.csv.decisions.jsonl").is_file()


def test_a_table_whose_photos_are_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("path,face,status,cluster\nnone.jpg,0,single,0\n")
    with pytest.raises(InputError, match=r"None of the 1 photos .* is there, the first none\.jpg"):
        open_reviewed(tmp_path / "groups.csv")
    with pytest.raises(InputError, match="no table of groups"):
        open_reviewed(tmp_path / "other.csv")


def test_what_is_no_table_of_groups_is_told_with_what_to_do(tmp_path: Path) -> None:
    embedded = str(write_embeddings(tmp_path / "e.npy", [("a.jpg", np.array([1, 0], np.float32))]))
    (tmp_path / "empty.csv").touch()
    (tmp_path / "torn.jsonl").write_text("{")
    for name, words in (
        ("e.csv", "is no table of groups: it has no column cluster"),
        ("empty.csv", "has no row"),
        ("none.csv", "There is no table of groups"),
        ("torn.jsonl", "is no JSON on line 1"),
    ):
        given = str(tmp_path / name)
        for command in (["cluster", embedded, "--update", given], ["review", given, embedded]):
            out = tmp_path / f"out{'.csv' if command[0] == 'cluster' else '.html'}"
            done = CliRunner().invoke(
                build_app(["cluster", "review"]), [*command, "--threshold", "0.5", "-o", str(out)]
            )
            told = done.stderr.strip().splitlines()
            assert done.exit_code == 3 and words in " ".join(told), (command, told)
            assert "facerec cluster -o" in " ".join(told)
    assert not list(tmp_path.glob("out*"))


def test_the_named_command_has_the_model_of_the_page() -> None:
    assert _given(ClusterSettings(model="tiny", threshold=0.5)) == ["--model", "tiny", "--threshold", "0.5"]
    assert _given(ClusterSettings()) == []
