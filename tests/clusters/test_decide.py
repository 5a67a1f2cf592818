"""Decisions carried out on groups of faces: the same files each time, and a log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_people import write_embeddings
from typer.testing import CliRunner

from facerec_cli.cli.program import build_app
from facerec_cli.clusters.decide import apply_decisions
from facerec_cli.clusters.earlier import read_clusters
from facerec_cli.clusters.run import cluster_faces
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.errors import InputError
from facerec_cli.review.decisions import Decisions, parse_decisions
from facerec_cli.review.face_key import face_keys
from tests.chromium import Chromium, find_chromium

SIZES = (5, 4, 3, 2, 1, 1)
ODD = "Zoë \"<b>\" & 'O' \U0001f600"


def _faces(folder: Path, seed: int = 7) -> list[tuple[str, np.ndarray]]:
    """Faces of people that are far from each other, photo by photo, and the photos."""
    random = np.random.default_rng(seed)
    made = []
    for person, size in enumerate(SIZES):
        center = random.normal(size=64)
        for photo in range(size):
            vector = center + 0.4 * random.normal(size=64)
            path = folder / f"{person}-{photo}.jpg"
            cv2.imwrite(str(path), np.full((40, 40, 3), 30 * person, np.uint8))
            made.append((str(path), np.asarray(vector / np.linalg.norm(vector), np.float32)))
    return made


def _document(faces: list[tuple[str, np.ndarray]], *items: tuple) -> bytes:
    """A file of decisions: each of kind, faces, and the face that they leave or the name."""
    keys = face_keys(np.stack([vector for _, vector in faces]))

    def face(at: int) -> dict[str, object]:
        return {"path": faces[at][0], "face": 0, "key": keys[at]}

    made = []
    for kind, which, *more in items:
        one = {"kind": kind, "faces": [face(at) for at in which]}
        if more:
            one |= {"name": more[0]} if kind == "name" else {"from": face(more[0])}
        made.append(one)
    document = {"format": "facerec decisions", "version": 1, "page": "clusters", "decisions": made}
    return json.dumps(document).encode()


def _groups(rows: list[dict]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        found.setdefault(row.get("cluster", -1), []).append(at)
    return found


DECIDED = (
    ("split", (0, 1), 2),
    ("not_this_person", (5,), 6),
    ("merge", (9, 14)),
    ("name", (9,), ODD),
    ("junk", (12,)),
    ("not_same", (13, 15)),
)


def test_applying_twice_gives_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    faces = _faces(tmp_path)
    embedded = str(write_embeddings(tmp_path / "e.npy", faces))
    (tmp_path / "decisions.json").write_bytes(_document(faces, *DECIDED))
    run = CliRunner().invoke
    app, made = build_app(["cluster"]), tmp_path / "clusters.csv"
    words = ["cluster", embedded, "--threshold", "0.5", "-o", str(made)]
    assert run(app, words).exit_code == 0
    before = read_clusters(made)
    assert sorted(map(len, _groups(before).values())) == sorted(SIZES)
    apply = ["--apply", str(tmp_path / "decisions.json")]
    assert run(app, [*words, *apply]).exit_code == 0
    first, log = made.read_bytes(), (tmp_path / "clusters.csv.decisions.jsonl").read_bytes()
    rows = read_clusters(made)
    groups = [row.get("cluster", -1) for row in rows]
    assert groups[0] == groups[1] != groups[2]
    assert groups.count(groups[5]) == 1
    assert groups[9] == groups[10] == groups[11] == groups[14]
    assert [row.get("person", "") for row in rows if row.get("cluster") == groups[9]] == [ODD] * 4
    assert rows[12]["status"] == "junk"
    assert {row["status"] for row in rows} == {"grouped", "single", "junk"}
    assert rows[13]["status"] == rows[5]["status"] == "single"
    assert [rows[at].get("cluster") for at in (2, 6, 15)] == [before[at].get("cluster") for at in (2, 6, 15)]
    # the one face whose group is as it was; of others nobody knows the margin any more
    assert [at for at, row in enumerate(rows) if "margin" in row] == [15]
    assert rows[15]["margin"] == before[15]["margin"]
    lines = [json.loads(line) for line in log.decode().splitlines()]
    assert [line["decision"]["kind"] for line in lines] == [kind for kind, *_ in DECIDED]
    assert all(line["file"].endswith("decisions.json") and line["applied"] for line in lines)

    assert run(app, [*words, *apply]).exit_code == 0  # the same again
    assert made.read_bytes() == first
    update = [*words, *apply, "--update", str(made)]  # on what came of it, whose margins are those of now
    assert run(app, update).exit_code == 0
    again = [row | {"margin": 0} for row in read_clusters(made)]
    assert again == [row | {"margin": 0} for row in rows]
    second = made.read_bytes()
    assert run(app, update).exit_code == 0
    assert made.read_bytes() == second
    assert (tmp_path / "clusters.csv.decisions.jsonl").read_bytes() == log


def test_decisions_for_other_photos_change_nothing(tmp_path: Path) -> None:
    faces = _faces(tmp_path)
    others = [(path, vector) for (path, _), (_, vector) in zip(faces, _faces(tmp_path, 8), strict=True)]
    found = cluster_faces([write_embeddings(tmp_path / "e.npy", others)], ClusterSettings(threshold=0.5))
    with pytest.raises(InputError, match="about other photos"):
        apply_decisions(found, parse_decisions(_document(faces, *DECIDED), "d.json"))
    (tmp_path / "d.json").write_bytes(_document(faces, *DECIDED))
    words = ["cluster", str(tmp_path / "e.npy"), "--threshold", "0.5", "-o", str(tmp_path / "c.csv")]
    made = CliRunner().invoke(build_app(["cluster"]), [*words, "--apply", str(tmp_path / "d.json")])
    assert made.exit_code == 3
    assert not list(tmp_path.glob("c.csv*"))


def test_a_known_person_stays_known_and_keeps_who_joins(tmp_path: Path) -> None:
    faces = _faces(tmp_path)
    found = cluster_faces([write_embeddings(tmp_path / "e.npy", faces)], ClusterSettings(threshold=0.5))
    named = tuple("Anna" if label == found.labels[0] else "" for label in found.labels)
    known = tuple("known" if name else status for name, status in zip(named, found.status, strict=True))
    object.__setattr__(found, "person", named)
    object.__setattr__(found, "status", known)
    document = _document(faces, ("merge", (0, 14)), ("not_this_person", (4,), 0))
    done = apply_decisions(found, parse_decisions(document, "d.json"))
    assert done.person[14] == "Anna"
    assert (done.status[0], done.status[14], done.status[4]) == ("known", "grouped", "single")
    assert np.isnan(done.margin[14]) or done.labels[14] == found.labels[14]
    assert done.undecided is found


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("needs Chromium, to see what the page does")
    with Chromium(tmp_path / "browser") as one:
        yield one
        assert one.faults == []


def test_the_page_of_a_run_comes_back_as_decisions(browser: Chromium, tmp_path: Path) -> None:
    faces = _faces(tmp_path)
    embedded = str(write_embeddings(tmp_path / "e.npy", faces))
    words = ["cluster", embedded, "--threshold", "0.5", "-o", str(tmp_path / "c.csv")]
    run, app, page = CliRunner().invoke, build_app(["cluster"]), tmp_path / "review.html"
    assert run(app, [*words, "--report", str(page)]).exit_code == 0
    browser.open(page.as_uri())
    browser.press("2", "ArrowDown", "e")
    browser.wait_for("document.querySelector('#ask[open]')")
    browser.type(ODD)
    browser.press("Enter")
    browser.wait_for("!document.querySelector('#ask[open]')")
    browser.press("ArrowRight", "x", "3", "ArrowRight", "j", "Control+s")
    saved = browser.downloaded("decisions.json")
    assert run(app, [*words, "--report", str(page), "--apply", str(saved)]).exit_code == 0
    rows = read_clusters(tmp_path / "c.csv")
    assert sum(row.get("person") == ODD for row in rows) >= 1
    assert sum(row["status"] == "junk" for row in rows) == 1
    # the new page goes on from there, and saves the same decisions
    browser.open(page.as_uri())
    assert "3 decisions" in browser.run("document.getElementById('summary').textContent")
    first = json.loads(saved.read_text())["decisions"]
    saved.unlink()
    browser.press("Control+s")
    assert json.loads(browser.downloaded("decisions.json").read_text())["decisions"] == first
    assert [one for one in browser.requests if not one.startswith(("data:", "blob:"))] == [page.as_uri()] * 2


def test_nothing_decided_is_nothing_changed(tmp_path: Path) -> None:
    faces = _faces(tmp_path)
    found = cluster_faces([write_embeddings(tmp_path / "e.npy", faces)], ClusterSettings(threshold=0.5))
    done = apply_decisions(found, Decisions(()))
    assert list(done.rows()) == list(found.rows())
