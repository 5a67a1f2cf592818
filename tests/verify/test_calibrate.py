"""``verify LIST --calibrate``: one card with all that a list says of a model, or an error and no card."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.metrics.calibration_card import read_calibration
from facerec_cli.metrics.impostor_pairs import measure_impostor_tail
from facerec_cli.packs.resolve import pack_hash

PEOPLE, PHOTOS = 80, 3
DIGEST = "5" * 64


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(build_app(["verify"]), ["verify", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def embedded(folder: Path, people: int, sha256: str = DIGEST) -> tuple[Path, np.ndarray]:
    """A folder of so many people, and their vectors beside it."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(people, 16)), PHOTOS, axis=0)
    vectors = (vectors + 0.6 * rng.normal(size=vectors.shape)).astype(np.float32)
    names = [f"p{i // PHOTOS:02d}/{i % PHOTOS}.jpg" for i in range(len(vectors))]
    for name in names:
        (folder / "people" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "people" / name).touch()
    np.save(folder / "e.npy", vectors)
    rows = "".join(f"{name},{i},ok,\n" for i, name in enumerate(names))
    (folder / "e.csv").write_text(f"path,row,status,reason\n{rows}")
    document = {"model": {"name": "tiny", "sha256": sha256}, "settings": {"flip": False}}
    (folder / "e.json").write_text(json.dumps(document))
    return folder / "people", vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_all_pairs_of_a_folder_give_every_part(tmp_path):
    people, vectors = embedded(tmp_path, PEOPLE)
    words = (people, "--all-pairs", "--embeddings", tmp_path / "e.npy", "--far", 0.01)
    told = run(*words, "--calibrate", tmp_path / "c.toml")
    assert "likelihood ratio: Cllr" in told.stdout and "c.toml" in told.stderr
    card = read_calibration(tmp_path / "c.toml")
    run(*words, "--save-threshold", tmp_path / "t.toml", "--save-likelihood", tmp_path / "l.toml")
    text = (tmp_path / "c.toml").read_text()
    for part in ("t.toml", "l.toml"):  # the card has what they have, line by line
        assert set((tmp_path / part).read_text().splitlines()) <= set(text.splitlines())
    tail = measure_impostor_tail(vectors, np.arange(PEOPLE * PHOTOS) // PHOTOS, data="people")
    assert card.tail == tail and tail.rates[-1] == 1e-3
    assert (card.threshold.far, card.threshold.model_sha256, card.likelihood.people) == (0.01, DIGEST, PEOPLE)
    run(*words, "--calibrate", tmp_path / "c.toml")  # its like is replaced


def test_few_people_or_a_list_have_no_tail_and_say_so(tmp_path):
    people, _ = embedded(tmp_path, 30)
    words = (people, "--all-pairs", "--embeddings", tmp_path / "e.npy", "--calibrate", tmp_path / "c.toml")
    assert "without an impostor tail" in (told := " ".join(run(*words).stderr.split()))
    assert "not measurable with 30 people; it takes 78" in told
    assert read_calibration(tmp_path / "c.toml").tail is None


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (lambda a, b: a // PHOTOS == b // PHOTOS, "no threshold to save"),
        (lambda a, b: a // PHOTOS != b // PHOTOS, "no threshold to save"),
        (lambda a, b: a // PHOTOS != b // PHOTOS or a < 12, "no likelihood ratio to save"),
    ],
)
def test_what_cannot_be_measured_leaves_no_card(tmp_path, kept, message):
    embedded(tmp_path, 30)
    first, second = np.triu_indices(30 * PHOTOS, 1)
    lines = [
        f"p{a // 3:02d}/{a % 3}.jpg p{b // 3:02d}/{b % 3}.jpg {int(a // 3 == b // 3)}"
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
        if kept(a, b)
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    words = (tmp_path / "list.txt", "--embeddings", tmp_path / "e.npy", "--calibrate", tmp_path / "c.toml")
    assert message in " ".join(run(*words, code=3).output.split())
    assert not (tmp_path / "c.toml").exists()


def test_two_photos_are_told_by_the_card_or_by_the_model_that_carries_it(tmp_path, tiny_pack, monkeypatch):
    people, _ = embedded(tmp_path, PEOPLE, pack_hash(tiny_pack))
    words = ("--all-pairs", "--embeddings", tmp_path / "e.npy", "--far", 0.01, "-m", tiny_pack.folder)
    run(people, *words, "--calibrate", tmp_path / "c.toml")
    cv2.imwrite(str(tmp_path / "face.png"), np.full((112, 112, 3), 200, np.uint8))
    two = (tmp_path / "face.png", tmp_path / "face.png", "--aligned", "-m")
    told = run(*two, tiny_pack.folder, "--threshold", tmp_path / "c.toml").stdout
    assert "more likely for one person than for two, among people like those of people" in told
    assert (
        told.splitlines()[-1]
        == run(*two, tiny_pack.folder, "--likelihood", tmp_path / "c.toml").stdout.splitlines()[-1]
    )
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))
    words = ["models", "add", str(tiny_pack.folder), "--name", "own", "--card", str(tmp_path / "c.toml")]
    added = CliRunner().invoke(build_app(["models"]), words)
    assert added.exit_code == 0 and "no threshold" not in added.output, added.output
    found = json.loads(run(*two, "own", "--json").stdout)
    card = read_calibration(tmp_path / "c.toml")
    assert found["threshold"]["value"] == card.threshold.value
    assert found["likelihood"]["sentence"] == told.splitlines()[-1]
    assert found["likelihood"]["bounds"] == {"low": card.likelihood.low, "high": card.likelihood.high}
