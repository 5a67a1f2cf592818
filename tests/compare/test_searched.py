"""``facerec compare --search``: files of embeddings, a gallery and probes, the document and the report."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.compare.searched import compare_on_searches
from facerec_cli.compare.settings import CompareSettings
from facerec_cli.errors import InputError, UsageError
from facerec_cli.identify.evaluate import evaluate
from facerec_cli.identify.settings import IdentifySettings
from tests.made_people import write_embeddings

PEOPLE, STRANGERS = 20, 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 people with two photos of whom one is enrolled, 30 strangers, and vectors of three models."""
    folder = tmp_path_factory.mktemp("searches")
    photos = [(f"p{who}/{number}.jpg", who) for who in range(PEOPLE) for number in range(2)]
    photos += [(f"s{who}/0.jpg", PEOPLE + who) for who in range(STRANGERS)]
    gallery, probes = photos[: 2 * PEOPLE : 2], photos[1 : 2 * PEOPLE : 2] + photos[2 * PEOPLE :]
    (folder / "gallery.csv").write_text("path,person\n" + "".join(f"{p},n{who}\n" for p, who in gallery))
    told = "".join(f"{p},{f'n{who}' if who < PEOPLE else ''}\n" for p, who in probes)
    (folder / "probes.csv").write_text("path,person\n" + told)
    people = np.random.default_rng(0).normal(size=(PEOPLE + STRANGERS, 16))
    for model, noise in (("bad", 1.4), ("good", 0.1), ("also", 0.1)):
        random = np.random.default_rng(len(model))
        vectors = [people[who] + random.normal(size=16) * noise for _, who in photos]
        faces = [
            (path, np.float32(v / np.linalg.norm(v))) for (path, _), v in zip(photos, vectors, strict=True)
        ]
        if model == "also":
            faces = faces[1:]  # p0 is not enrolled with it
        write_embeddings(folder / f"{model}.npy", faces, model={"name": model, "sha256": model[0] * 64})
    return folder


def run(folder: Path, *arguments: str) -> Result:
    with contextlib.chdir(folder):
        return CliRunner().invoke(build_app(["compare"]), ["compare", *arguments])


SEARCH = ("--search", "gallery.csv", "--probes", "probes.csv", "--bootstrap", "200", "--fpir", "10%")


def test_the_better_model_is_told_with_the_searches_that_it_alone_gets_right(folder: Path) -> None:
    done = run(folder, "bad.npy", "good.npy", *SEARCH, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["mated_searches"], document["non_mated_searches"], document["fpir"]) == (20, 30, 0.1)
    (couple,) = document["comparisons"]
    assert couple["verdict"] == "second is better" and couple["primary"]["fpir"] == 0.1
    alone = [
        evaluate(
            [folder / "gallery.csv", folder / "probes.csv"],
            IdentifySettings(fpir=(0.1,), bootstrap=0, embeddings=folder / name),
        )
        for name in ("bad.npy", "good.npy")
    ]
    points = [one.trials[0].search.point(0.1) for one in alone]
    assert [couple["primary"]["first"], couple["primary"]["second"]] == [point.tpir for point in points]  # type: ignore[union-attr]
    rows = couple["differing_searches"]
    assert len(rows) == couple["mcnemar"]["only_first"] + couple["mcnemar"]["only_second"] > 5
    thresholds = [point.threshold for point in points]  # type: ignore[union-attr]
    for row in rows:
        right = [
            s >= t and rank == 1 for s, t, rank in zip(row["scores"], thresholds, row["ranks"], strict=True)
        ]
        assert right == [row["right"] == 0, row["right"] == 1]
        assert row["probe"] == f"p{row['person'][1:]}/1.jpg"


def test_the_terminal_and_the_report_say_it_in_words(folder: Path) -> None:
    done = run(folder, "bad.npy", "good.npy", *SEARCH, "--report", "r.html")
    assert "good.npy is better than bad.npy at FPIR 1 in 10 (10 %) on these people" in done.stdout
    assert "20 mated and 30 non-mated searches" in done.stdout
    page = (folder / "r.html").read_text()
    assert "Searches on which they differ" in page and "good.npy is right" in page and "rank" in page
    same = run(folder, "good.npy", "good.npy", *SEARCH)
    assert "these searches show no difference between good.npy and good.npy" in same.stdout


def test_an_item_that_one_model_cannot_see_counts_for_none(folder: Path) -> None:
    with contextlib.chdir(folder):
        settings = CompareSettings(search=Path("gallery.csv"), probes=Path("probes.csv"), bootstrap=100)
        done = compare_on_searches(["good.npy", "also.npy", "bad.npy"], settings)
    assert done.searches == (19, 30) and done.left_out == 1
    assert [model.failures for model in done.models] == [0, 1, 0]
    assert len(done.paired.pairs) == 3 and done.paired.confidence == pytest.approx(1 - 0.05 / 3)


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    search = CompareSettings(search=folder / "gallery.csv", probes=folder / "probes.csv")
    with pytest.raises(UsageError, match="two models"):
        compare_on_searches(["good.npy"], search)
    with pytest.raises(InputError, match="no protocol or list"):
        compare_on_searches(["a.npy", "b.npy"], CompareSettings(search=folder / "none.csv"))
    for flags in ({"probes": Path("x")}, {"fpir": 0.1}, {"search": Path("x"), "far": 0.1}):
        with pytest.raises(UsageError, match=r"--search|--fpir"):
            CompareSettings(**flags)  # type: ignore[arg-type]
    assert run(folder, "bad.npy", "good.npy", "--fpir", "0.1").exit_code == 2
