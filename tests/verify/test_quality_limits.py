"""Which quality foretells errors, from the command: JSON, report, card, and faces beyond the card's limit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.embeddings.cache import cache_path
from facerec_cli.metrics.quality_card import read_quality
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.verify.settings import VerifySettings

DIGEST = "5" * 64
PEOPLE, EACH = 50, 5


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(build_app(["verify", "embed"]), [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty people with five photos each as vectors that are noisier the smaller their norm."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(5)
    count = PEOPLE * EACH
    norms = np.round(random.uniform(2, 12, count), 5)
    noise = random.normal(size=(count, 16)) * (0.3 + 1.4 * (norms[:, None] < 4))
    vectors = np.repeat(random.normal(size=(PEOPLE, 16)), EACH, axis=0) + noise
    names = [f"p{i // EACH:02d}/{i % EACH}.jpg" for i in range(count)]
    yaw = np.round(random.normal(size=count), 5)
    with (folder / "e.csv").open("w", newline="") as lines:
        rows = [(name, i, "ok", "", norms[i], yaw[i]) for i, name in enumerate(names)]
        csv.writer(lines).writerows([("path", "row", "status", "reason", "norm", "yaw"), *rows])
    np.save(folder / "e.npy", vectors.astype(np.float32))
    document = {"model": {"name": "toy", "sha256": DIGEST}, "settings": {"flip": False}}
    (folder / "e.json").write_text(json.dumps(document))
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count) if j // EACH - i // EACH <= 3]
    lines = [f"{names[i]} {names[j]} {int(i // EACH == j // EACH)}" for i, j in pairs]
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    for name in names:
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / name).touch()
    return folder


def columns(made: Path) -> dict[str, tuple[float, float]]:
    with (made / "e.csv").open() as lines:
        return {row["path"]: (float(row["norm"]), float(row["yaw"])) for row in csv.DictReader(lines)}


def test_the_json_can_be_computed_again_from_scores_and_table(made: Path, tmp_path: Path) -> None:
    scores = tmp_path / "s.csv"
    words = ("--embeddings", made / "e.npy", "--far", "0.01", "--json", "--scores", scores)
    found = json.loads(run("verify", made / "list.txt", *words).stdout)["discard"]
    with scores.open() as lines:
        rows = list(csv.DictReader(lines))
    same = np.array([row["same"] == "1" for row in rows])
    rejected = np.array([float(row["score"]) for row in rows]) < found["threshold"]
    measured = columns(made)
    norm = np.array([min(np.float32(measured[row[side]][0]) for side in ("first", "second")) for row in rows])
    order = np.argsort(norm[same], kind="stable")
    curve = next(curve for curve in found["curves"] if curve["measure"] == "norm")
    assert (found["far"], curve["same_pairs"], curve["people"]) == (0.01, same.sum(), PEOPLE)
    for point in curve["points"]:
        gone = point["discarded"] * same.sum()
        if gone == round(gone):  # 600 same pairs: whole numbers, and few ties by five decimals
            left = rejected[same][order][round(gone) :]
            assert point["fnmr"] == pytest.approx(left.mean(), abs=2 / same.sum())
        if point["limit"] is not None:
            kept = norm >= point["limit"]
            assert point["fmr"] == pytest.approx((~rejected[kept & ~same]).mean())
    rates = [point["fnmr"] for point in curve["points"]]
    assert curve["gain"] == pytest.approx(1 - np.trapezoid(rates) / 30 / rates[0])
    assert curve["predicts"] and curve["low"] > 0.1
    by_name = {curve["measure"]: curve for curve in found["curves"]}
    assert not by_name["yaw"]["predicts"] and by_name["size"]["reason"] == "it is not known of any same pair"


def test_the_report_draws_the_best_measures_and_names_what_is_not_known(made: Path, tmp_path: Path) -> None:
    words = ("--embeddings", made / "e.npy", "--far", "0.01", "--report", tmp_path / "r.html")
    run("verify", made / "list.txt", *words)
    page = (tmp_path / "r.html").read_text("utf-8")
    section = page[page.index("<h2>Quality</h2>") :]
    assert "Norm foretells false rejects here: without the worst 10% of the same pairs" in section
    assert 'class="line a0"' in section and 'class="line even"' in section
    assert "it is not known of any same pair" in section and "norm=" in section


def test_a_card_limits_what_is_compared_and_is_bound_to_its_model(made: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    words = ("--embeddings", made / "e.npy", "--far", "0.01")
    saving = ("--save-quality", card, "--discard", "0.2")
    told = " ".join(run("verify", made / "list.txt", *words, *saving).stdout.split())
    assert "norm foretells false rejects here" in told
    saved = read_quality(card)
    assert (saved.measure, saved.discarded, saved.model_sha256) == ("norm", 0.2, DIGEST)
    measured = columns(made)
    low = {name for name, (norm, _) in measured.items() if norm < saved.limit}
    limited = run("verify", made / "list.txt", *words, "--min-quality", card, "--json")
    document = json.loads(limited.stdout)
    assert document["failed_photos"]["by_status"] == {"low_quality": len(low)}
    assert {photo["photo"] for photo in document["failed_photos"]["photos"]} == low
    assert document["settings"]["min_quality"] == f"norm={saved.limit!r}"
    whole = json.loads(run("verify", made / "list.txt", *words, "--json").stdout)
    before, after = (
        next(point["tar"] for point in one["tar_at_far"] if point["far"] == 0.01) for one in (whole, document)
    )
    assert after > before
    by_hand = ("--min-quality", f"norm={saved.limit!r}")
    assert json.loads(run("verify", made / "list.txt", *words, *by_hand, "--json").stdout) == document
    (tmp_path / "e.json").write_text((made / "e.json").read_text().replace(DIGEST, "6" * 64))
    for name in ("e.npy", "e.csv"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    other = ("--embeddings", tmp_path / "e.npy", "--min-quality", card)
    assert "quality card was measured with the model 'toy'" in " ".join(
        run("verify", made / "list.txt", *other, code=4).output.split()
    )


def test_all_pairs_of_a_folder_have_the_curves_of_their_list(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--all-pairs", "--embeddings", made / "e.npy", "--far", "0.01", "--json")
    listed = json.loads(run("verify", made / "photos", *words).stdout)["discard"]
    monkeypatch.setattr("facerec_cli.verify.run.MAX_LISTED", 1000)
    streamed = json.loads(run("verify", made / "photos", *words).stdout)["discard"]
    assert streamed["threshold"] == pytest.approx(listed["threshold"], abs=1e-6)
    for one, other in zip(streamed["curves"], listed["curves"], strict=True):
        for point, same in zip(one.pop("points"), other.pop("points"), strict=True):
            assert point == pytest.approx(same)
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--min-quality", "size=40"), 3, "--min-quality size: it is not known of any photo"),
        (("--min-quality", "nrom=4"), 2, "norm"),
        (("--min-quality", "none.toml"), 3, "none.toml"),
        (("--far", "0.9", "--save-quality", "c.toml"), 3, "There is no limit of quality to save"),
        (("--discard", "0.5"), 2, "0.3"),
    ],
)
def test_what_cannot_be_done_is_said(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run("verify", made / "list.txt", "--embeddings", made / "e.npy", *words, code=code).output
    assert said in " ".join(output.split()) and not (tmp_path / "c.toml").exists()


def test_photos_and_the_cache_know_what_was_measured(tiny_pack: ModelPack, tmp_path: Path) -> None:
    """Gray crops: their brightness is known at once, and again from the cache; two photos are refused."""
    for number, gray in enumerate((255, 190, 140, 60, 150), 1):
        photo = np.full((112, 112, 3), gray, np.uint8)
        photo[:, :, 0] = 20 * number
        cv2.imwrite(str(tmp_path / f"{number}.png"), photo)
    (tmp_path / "list.txt").write_text("1.png 2.png 1\n3.png 5.png 1\n2.png 3.png 0\n2.png 4.png 0\n")
    model = ("--model", tiny_pack.folder, "--aligned", "--min-quality", "brightness=60")
    for _ in range(2):
        failed = json.loads(run("verify", tmp_path / "list.txt", *model, "--json").stdout)["failed_photos"]
        reasons = {photo["photo"]: photo["reason"] for photo in failed["photos"]}
        assert set(reasons) == {"1.png", "4.png"}
        assert reasons["4.png"].endswith("is farther from 127.5 than 60")
    assert cache_path().is_file()
    assert "brightness" in run("verify", tmp_path / "2.png", tmp_path / "4.png", *model, code=3).output
    assert "similarity" in run("verify", tmp_path / "2.png", tmp_path / "3.png", *model).output
    assert VerifySettings(min_quality="norm=3").min_quality == "norm=3"
    out = tmp_path / "e.npy"
    run("embed", *(tmp_path / f"{i}.png" for i in range(1, 6)), *model, "-o", out)
    stored = ("--embeddings", out, "--json")
    failed = json.loads(run("verify", tmp_path / "list.txt", *stored).stdout)["failed_photos"]
    assert failed["by_status"] == {"low_quality": 2}
