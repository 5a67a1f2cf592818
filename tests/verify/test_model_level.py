"""What a list is told of the model's own threshold and of labels that are rather wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.people_interval import of_one_person, of_two_people
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.pairs.pairlist import PairList, Templates
from facerec_cli.verify import run as verify_run
from facerec_cli.verify.model_level import ModelLevel


def run(*arguments: object) -> str:
    result = CliRunner().invoke(build_app(["verify"]), ["verify", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


PEOPLE, PHOTOS = 60, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of 60 people with three photos each, of whom p03 and p07 are one; said to be of sface."""
    folder = tmp_path_factory.mktemp("level")
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(PEOPLE, 128))
    centres[7] = centres[3]
    vectors = np.repeat(centres, PHOTOS, axis=0) + 0.5 * rng.normal(size=(PEOPLE * PHOTOS, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    names = [f"p{i // PHOTOS:02d}/{i % PHOTOS}.jpg" for i in range(len(vectors))]
    for name in names:
        path = folder / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    first, second = np.triu_indices(len(vectors), 1)
    lines = [
        f"{names[a]} {names[b]} {int(a // PHOTOS == b // PHOTOS)}"
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    (folder / "few.txt").write_text("\n".join(lines[:60]) + "\n")
    pack = open_pack("pack:sface")
    for name, sha256, flip in (
        ("sface", pack_hash(pack), False),
        ("flip", pack_hash(pack), True),
        ("other", "5" * 64, False),
    ):
        np.save(folder / f"{name}.npy", vectors)
        (folder / f"{name}.csv").write_text(
            "path,row,status,reason\n" + "".join(f"{path},{i},ok,\n" for i, path in enumerate(names))
        )
        document = {"model": {"name": "sface", "sha256": sha256}, "settings": {"flip": flip}}
        (folder / f"{name}.json").write_text(json.dumps(document))
    np.savez(folder / "scores.npz", scores=(vectors @ vectors.T)[first, second], first=first, second=second)
    return folder


def test_the_rates_at_the_model_s_threshold_are_those_of_the_scores(folder: Path) -> None:
    document = json.loads(run(folder / "list.txt", "--embeddings", folder / "sface.npy", "--json"))
    with np.load(folder / "scores.npz") as saved:
        scores, same = saved["scores"], saved["first"] // PHOTOS == saved["second"] // PHOTOS
    own = open_pack("pack:sface").threshold
    assert own is not None
    told = document["model_threshold"]
    assert (told["value"], told["far"], told["data"]) == (own.value, own.far, own.data)
    wrong = int((scores[~same] >= own.value).sum())
    right = int((scores[same] >= own.value).sum())
    assert wrong >= 9  # p03 and p07 are one person
    assert told["measured_far"] == wrong / (~same).sum() and told["tar"] == right / same.sum()
    first, second = (side // PHOTOS for side in np.triu_indices(PEOPLE * PHOTOS, 1))
    far = of_two_people(scores[~same] >= own.value, first[~same], second[~same]).interval()
    tar = of_one_person(scores[same] >= own.value, first[same]).interval()
    assert (told["far_low"], told["far_high"]) == pytest.approx(far)
    assert (told["tar_low"], told["tar_high"]) == pytest.approx(tar)
    assert told["far_low"] < wilson_interval(wrong, int((~same).sum()))[0]
    assert told["holds"] is (told["far_low"] <= 0.001)


def test_labels_that_are_rather_wrong_are_named_before_the_rates(folder: Path) -> None:
    arguments = (folder / "list.txt", "--embeddings", folder / "sface.npy")
    labels = json.loads(run(*arguments, "--json"))["doubtful_labels"]
    (pair,) = labels["pairs"]  # the same pairs of the list say whose photos are whose
    assert (pair["first"][:4], pair["second"][:4]) == ("p03/", "p07/") and labels["count"] == 1
    assert pair["score"] >= labels["bound"] > 0.345
    lines = run(*arguments, "--report", folder / "r.html").splitlines()
    at = next(i for i, line in enumerate(lines) if "looks like one person" in line)
    assert lines[at + 1].split()[1:] == [pair["first"], pair["second"]]
    assert at < next(i for i, line in enumerate(lines) if line.startswith(("accuracy", "balanced")))
    page = (folder / "r.html").read_text()
    assert "looks like one person" in page
    assert "stands for FAR 0.001" in page


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_names_people_once_whether_its_pairs_are_listed_or_streamed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    if not listed:
        monkeypatch.setattr(verify_run, "MAX_LISTED", 10)
    arguments = (folder / "people", "--all-pairs", "--embeddings", folder / "sface.npy", "--json")
    document = json.loads(run(*arguments))
    (pair,) = document["doubtful_labels"]["pairs"]
    assert (pair["first"][:3], pair["second"][:3]) == ("p03", "p07")
    with np.load(folder / "scores.npz") as saved:
        two = (saved["first"] // PHOTOS == 3) & (saved["second"] // PHOTOS == 7)
        assert pair["score"] == pytest.approx(saved["scores"][two].max(), abs=1e-6)
        other = saved["first"] // PHOTOS != saved["second"] // PHOTOS
        accepted = float((saved["scores"][other] >= document["model_threshold"]["value"]).mean())
    assert document["model_threshold"]["measured_far"] == pytest.approx(accepted, abs=1e-12)


def test_flip_has_a_threshold_of_its_own(folder: Path) -> None:
    told = json.loads(run(folder / "list.txt", "--embeddings", folder / "flip.npy", "--json"))
    assert "flip" in told["model_threshold"]["data"] and "no flip" not in told["model_threshold"]["data"]


def test_of_a_model_that_is_not_here_nothing_is_said(folder: Path) -> None:
    arguments = (folder / "list.txt", "--embeddings", folder / "other.npy")
    document = json.loads(run(*arguments, "--json"))
    assert "model_threshold" not in document
    assert document["doubtful_labels"]["count"] == 1  # by the list's own scores
    assert "the model's threshold" not in run(*arguments)


def test_few_pairs_are_too_few_to_see_it(folder: Path) -> None:
    arguments = (folder / "few.txt", "--embeddings", folder / "sface.npy")
    document = json.loads(run(*arguments, "--json"))
    assert document["model_threshold"]["holds"] is None and "doubtful_labels" not in document
    assert "cannot be seen with 58 different pairs, it takes 3,000" in " ".join(run(*arguments).split())


def test_templates_are_called_by_their_numbers() -> None:
    rng = np.random.default_rng(1)
    first, second = (side.astype(np.int64) for side in np.triu_indices(40, 1))
    scores = rng.normal(0.1, 0.09, len(first)).astype(np.float32)
    same = second == first + 1
    wrong = int(np.flatnonzero(~same)[5])
    scores[wrong], failed = 0.95, np.zeros(len(first), bool)
    numbers = np.arange(40, dtype=np.int64)
    pairs = PairList(first, second, same, templates=Templates(numbers + 100, numbers, numbers, numbers))
    evaluation = evaluate(scores, same)
    found = ModelLevel().doubtful(evaluation, pairs, scores, failed)
    assert found is not None
    (names,) = found.names
    assert set(names) == {str(first[wrong] + 100), str(second[wrong] + 100)}
    failed[wrong] = True
    without = ModelLevel().doubtful(evaluation, pairs, scores, failed)
    assert without is not None and without.pairs == ()
