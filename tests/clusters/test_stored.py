"""What is asked of photos' faces, asked of stored ones."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings
from typer.testing import CliRunner

from facerec_cli.cli.program import build_app
from facerec_cli.clusters.stored import asked_of
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embeddings.read import open_table
from facerec_cli.errors import InputError, UsageError

FACES = [("a.jpg", unit(1, 0)), ("a.jpg", unit(1, 0.1)), ("b.jpg", unit(0, 1)), ("c.jpg", unit(1, 0.2))]
COLUMNS = {
    "score": [0.99, 0.7, 0.8, 0.95], "norm": [12.0, 9.0, 7.0, 11.0],
    "x1": [0, 0, 10, 0], "y1": [0, 0, 10, 0], "x2": [50, 200, 30, 90], "y2": [80, 200, 40, 60],
}  # fmt: skip


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return write_embeddings(tmp_path / "e.npy", FACES, **COLUMNS)


def test_small_and_unsure_faces_are_left_out_and_their_photos_have_none(stored: Path) -> None:
    table = open_table(stored)
    sure = asked_of(table, EmbedOptions(min_score=0.9))
    assert (sure.paths, sure.numbers.tolist()) == (("a.jpg", "c.jpg"), [0, 0])
    assert sure.failed == {"b.jpg": "no_face: 1 face with a score below 0.9"}
    large = asked_of(table, EmbedOptions(min_size=60))
    assert (large.paths, large.numbers.tolist()) == (("a.jpg", "c.jpg"), [1, 0])
    assert large.failed == {"b.jpg": "no_face: 1 face with less than 60 pixels"}
    assert asked_of(table, EmbedOptions(min_score=0.9, min_size=60)).paths == ("c.jpg",)


def test_faces_of_low_quality_stay_and_are_told_of(stored: Path) -> None:
    table = asked_of(open_table(stored), EmbedOptions(min_quality="norm=10"))
    assert table.statuses == ("ok", "low_quality", "low_quality", "ok")
    assert table.reasons == ("", "norm 9 is below 10", "norm 7 is below 10", "")


@pytest.mark.parametrize(
    "options",
    [{"flip": True}, {"rotate": "none"}, {"max_side": 100}, {"aligned": True}],
    ids=["flip", "rotate", "max-side", "aligned"],
)
def test_what_is_for_photos_is_refused(stored: Path, options: dict, request: pytest.FixtureRequest) -> None:
    flag = request.node.callspec.id
    table = open_table(stored)
    with pytest.raises(UsageError, match=f"--{flag} is for photos, not for embeddings"):
        asked_of(table, EmbedOptions(**options))
    made_so = replace(table, description={**table.description, "settings": options})
    assert asked_of(made_so, EmbedOptions(**options)) is made_so


def test_what_nobody_knows_is_told(tmp_path: Path) -> None:
    table = open_table(write_embeddings(tmp_path / "e.npy", FACES))
    for options in (
        {"min_score": 0.9},
        {"min_size": 10},
        {"min_quality": "norm=3"},
        {"min_quality": "yaw=1"},
    ):
        with pytest.raises(InputError, match="does not know of any face"):
            asked_of(table, EmbedOptions(**options))


def test_the_command_asks_it(stored: Path, tmp_path: Path) -> None:
    words = ["cluster", str(stored), "--threshold", "0.5", "-o", str(tmp_path / "c.csv")]
    run, app = CliRunner().invoke, build_app(["cluster"])
    assert run(app, [*words, "--min-size", "100000"]).exit_code == 0
    assert [row["status"] for row in csv.DictReader((tmp_path / "c.csv").open())] == ["no_face"] * 3
    assert run(app, [*words, "--min-quality", "norm=10"]).exit_code == 0
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert [row["reason"] for row in rows if row["path"] == "b.jpg"] == ["low_quality: norm 7 is below 10"]
    assert run(app, [*words, "--rotate", "none"]).exit_code == 2
    assert np.isfinite([float(row["margin"]) for row in rows]).all()
