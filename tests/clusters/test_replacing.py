"""A table that somebody has worked on stays, unless it is told otherwise."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from made_people import write_embeddings
from typer.testing import CliRunner

from facerec_cli.cli.program import build_app
from facerec_cli.review.decisions import DecidedFace, Decision, Decisions
from facerec_cli.review.face_key import face_keys

SIZES = (4, 3, 2, 1)


class Folder:
    """Embeddings of people, and a table of them."""

    def __init__(self, path: Path) -> None:
        random = np.random.default_rng(2)
        faces = []
        for person, size in enumerate(SIZES):
            center = random.normal(size=64)
            for photo in range(size):
                vector = center + 0.4 * random.normal(size=64)
                unit = np.asarray(vector / np.linalg.norm(vector), np.float32)
                faces.append((f"{person}-{photo}.jpg", unit))
        self.path, self.table = path, path / "clusters.csv"
        self.log = path / "clusters.csv.decisions.jsonl"
        self.embedded = str(write_embeddings(path / "e.npy", faces))
        keys = face_keys(np.stack([vector for _, vector in faces]))
        self.faces = [DecidedFace(photo, 0, key) for (photo, _), key in zip(faces, keys, strict=True)]

    def run(self, *words: str) -> Result:
        app = build_app(["cluster"])
        given = ["cluster", self.embedded, "--threshold", "0.5", "-o", str(self.table), *words]
        return CliRunner().invoke(app, given)

    def decide(self, name: str, *items: Decision) -> list[str]:
        Decisions(items).write(self.path / name)
        return ["--apply", str(self.path / name)]

    def named(self, at: int, name: str) -> Decision:
        return Decision("name", (self.faces[at],), name=name)

    def refused(self, words: str, *arguments: str) -> None:
        before = {path: path.read_bytes() for path in self.path.iterdir()}
        done = self.run(*arguments)
        assert done.exit_code == 2 and words in done.stderr, done.output
        assert f"--update {self.table}" in " ".join(done.stderr.split()) and "--overwrite" in done.stderr
        assert {path: path.read_bytes() for path in self.path.iterdir()} == before


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    assert made.run().exit_code == 0
    return made


def test_a_table_as_it_was_written_is_made_again(folder: Folder) -> None:
    first = folder.table.read_bytes()
    assert folder.run().exit_code == 0
    assert folder.table.read_bytes() == first
    assert folder.run("--same-photo").exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("2-1.jpg,0,grouped,2,", "2-1.jpg,0,grouped,2,Zoe", "names, such as 'Zoe' of 2-1.jpg"),
        ("3-0.jpg,0,single,3", "3-0.jpg,0,junk,", "junk, such as a face of 3-0.jpg"),
        ("2-1.jpg,0,grouped,2", "2-1.jpg,0,grouped,3", "were changed since it was made"),
        ("2-1.jpg,0,grouped,2", "2-1.jpg,0,grouped,0", "were changed since it was made"),
        ("3-0.jpg,0,single,3", "3-0.jpg,0,single,9", "were changed since it was made"),
        ("3-0.jpg,0,single,3", "3-0.jpg,0,single,x", "cannot be read as groups"),
    ],
)
def test_what_was_edited_by_hand_stays(folder: Folder, old: str, new: str, words: str) -> None:
    text = folder.table.read_text()
    folder.table.write_text(text.replace(old, new))
    if "grouped,0" in new:  # 5 and 2 are in order again, 2 and 2 too, and a status tells nothing
        folder.table.write_text(
            folder.table.read_text().replace("1-1.jpg,0,grouped,1", "1-1.jpg,0,grouped,0")
        )
    folder.refused(words)
    folder.refused(words, *folder.decide("decisions.json", folder.named(0, "Anna")))
    assert folder.run("--overwrite").exit_code == 0
    assert folder.table.read_text() == text


def test_what_was_decided_stays_and_decisions_are_carried_out_again(folder: Folder) -> None:
    plain = folder.table.read_bytes()
    one = folder.decide(
        "one.json", folder.named(0, "Anna"), Decision("merge", (folder.faces[4], folder.faces[7]))
    )
    assert folder.run(*one).exit_code == 0
    made, log = folder.table.read_bytes(), folder.log.read_bytes()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["sha256"] for line in lines} == {hashlib.sha256(made).hexdigest()}
    folder.refused("names, such as 'Anna'")
    folder.refused("names, such as 'Anna'", *folder.decide("other.json", folder.named(4, "Bob")))
    assert folder.run(*one).exit_code == 0
    assert (folder.table.read_bytes(), folder.log.read_bytes()) == (made, log)
    # later decisions that have the earlier ones, with a line of the log each
    more = folder.decide("more.json", folder.named(0, "Anna"), folder.named(4, "Bob"))
    assert folder.run(*more).exit_code == 0
    noted = [json.loads(line)["decision"].get("name") for line in folder.log.read_text().splitlines()]
    assert noted == ["Anna", "Bob"]
    # what is edited after that is kept by --update alone
    folder.table.write_text(
        folder.table.read_text().replace("1-1.jpg,0,grouped,1,Bob", "1-1.jpg,0,grouped,0,Anna")
    )
    folder.refused("were changed since it was made", *more)
    assert folder.run("--update", str(folder.table)).exit_code == 0
    assert "1-1.jpg,0,grouped,0,Anna" in folder.table.read_text() and folder.log.is_file()
    # nothing is claimed of a table that is replaced
    assert folder.run("--overwrite").exit_code == 0
    assert folder.table.read_bytes() == plain and not folder.log.exists()


def test_decisions_that_leave_no_trace_in_the_table_are_not_lost(folder: Folder) -> None:
    plain = folder.table.read_bytes()
    apart = folder.decide("apart.json", Decision("not_same", (folder.faces[0], folder.faces[9])))
    assert folder.run(*apart).exit_code == 0
    assert folder.table.read_bytes() == plain
    folder.refused("decisions that were carried out")


def test_the_page_names_a_command_that_leaves_a_table(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = folder.path / "review.html"
    for typed, named in (
        ("cluster p --report r.html --overwrite", "facerec cluster p -o clusters.csv"),
        ("cluster p --report=r.html -o a.csv --apply d.json --flip", "facerec cluster p -o a.csv --flip"),
    ):
        monkeypatch.setattr(sys, "argv", ["facerec", *typed.split()])
        words = ["cluster", folder.embedded, "--threshold", "0.5", "--report", str(page)]
        words += ["-o", str(folder.table)] if " -o " in typed else []
        assert CliRunner().invoke(build_app(["cluster"]), words).exit_code == 0
        assert f'"{named} --apply FILE"' in page.read_text()
