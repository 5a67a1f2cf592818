"""What a score is worth, from the command: JSON, card, report, and two photos judged by the card."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.metrics.likelihood import cllr, fit_logistic, min_cllr
from facerec_cli.metrics.likelihood_card import LikelihoodCard, read_likelihood, save_likelihood
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.report.svg import ratio_axis

DIGEST = "5" * 64
PEOPLE = 40


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(build_app(["verify"]), ["verify", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Forty people with four photos each as vectors, and two lists: with and without LFW's two folds."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    vectors = np.repeat(random.normal(size=(PEOPLE, 16)), 4, axis=0) + 0.8 * random.normal(size=(160, 16))
    names = [f"p{i // 4:02d}/p{i // 4:02d}_000{i % 4 + 1}.jpg" for i in range(160)]
    with (folder / "e.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(
            [("path", "row", "status", "reason"), *((name, i, "ok", "") for i, name in enumerate(names))]
        )
    np.save(folder / "e.npy", vectors.astype(np.float32))
    document = {"model": {"name": "toy", "sha256": DIGEST}, "settings": {"flip": False}}
    (folder / "e.json").write_text(json.dumps(document))
    labeled, sets = [], ["2\t120"]
    for half in (range(20), range(20, 40)):
        same = [(4 * p + a, 4 * p + b) for p in half for a in range(4) for b in range(a + 1, 4)]
        other = [(4 * p + k, 4 * half[(p + d) % 20] + k) for d in (1, 2, 3) for p in half for k in (0, 2)]
        labeled += [f"{names[a]} {names[b]} {int(a // 4 == b // 4)}" for a, b in (*same, *other)]
        sets += [f"p{a // 4:02d}\t{a % 4 + 1}\t{b % 4 + 1}" for a, b in same]
        sets += [f"p{a // 4:02d}\t{a % 4 + 1}\tp{b // 4:02d}\t{b % 4 + 1}" for a, b in other]
    (folder / "list.txt").write_text("\n".join(labeled) + "\n")
    (folder / "sets.txt").write_text("\n".join(sets) + "\n")
    return folder


def test_json_can_be_computed_again_from_the_scores(made, tmp_path):
    scores = tmp_path / "s.csv"
    words = ("--embeddings", made / "e.npy", "--json", "--scores", scores)
    found = json.loads(run(made / "sets.txt", *words).stdout)["likelihood"]
    with scores.open() as lines:
        rows = list(csv.DictReader(lines))
    score = np.array([float(row["score"]) for row in rows])
    same = np.array([row["same"] == "1" for row in rows])
    fold = np.array([int(row["fold"]) for row in rows])
    pairs = [len({tuple(sorted((r["first"][:3], r["second"][:3]))) for r in rows if r["same"] == "0"})]
    assert (found["people"], found["person_pairs"], found["held_out"]) == (PEOPLE, *pairs, "folds")
    model = fit_logistic(score, same, people=PEOPLE, person_pairs=pairs[0])
    for key in ("slope", "intercept", "low", "high"):
        assert found[key] == pytest.approx(getattr(model, key), rel=1e-12)
    assert found["min_cllr"] == pytest.approx(min_cllr(score, same), abs=1e-12)
    stated = np.empty(score.size)
    for k in (0, 1):
        inside = fold == k
        half = [
            {
                tuple(sorted((r["first"][:3], r["second"][:3])))
                for r, i in zip(rows, inside, strict=True)
                if not i and r["same"] == "0"
            }
        ]
        other = fit_logistic(score[~inside], same[~inside], people=20, person_pairs=len(half[0]))
        stated[inside] = other.llr(score[inside])
    assert found["cllr"] == pytest.approx(cllr(stated, same), abs=1e-9)
    assert found["calibration_loss"] == pytest.approx(found["cllr"] - found["min_cllr"])


def test_without_folds_people_are_left_out(made):
    found = json.loads(run(made / "list.txt", "--embeddings", made / "e.npy", "--json").stdout)
    assert found["likelihood"]["held_out"] == "people" and found["likelihood"]["people"] == PEOPLE
    assert "likelihood" not in found["not_measurable"]


def test_a_list_that_cannot_tell_says_why(made, tmp_path):
    some = [line for line in (made / "list.txt").read_text().splitlines() if line < "p05" or line > "p39"]
    (tmp_path / "few.txt").write_text("\n".join(some) + "\n")
    words = (tmp_path / "few.txt", "--embeddings", made / "e.npy")
    document = json.loads(run(*words, "--json", "--report", tmp_path / "r.html").stdout)
    reason = "not measurable over 6 people with a same pair; it takes 10"
    assert document["likelihood"] is None and document["not_measurable"]["likelihood"] == reason
    page = (tmp_path / "r.html").read_text("utf-8")
    assert f"What a score is worth (likelihood ratio): {reason}." in page and page.count("<svg") == 3
    told = run(*words, "--save-likelihood", tmp_path / "c.toml", code=3).output
    assert "no likelihood ratio to save" in told and not (tmp_path / "c.toml").exists()


@pytest.mark.parametrize("kind", ["0", "1"])
def test_a_list_of_one_kind_gives_no_card(made, tmp_path, kind):
    lines = [line for line in (made / "list.txt").read_text().splitlines() if line.endswith(kind)]
    (tmp_path / "one.txt").write_text("\n".join(lines) + "\n")
    words = (tmp_path / "one.txt", "--embeddings", made / "e.npy", "--save-likelihood", tmp_path / "c.toml")
    missing = "two people" if kind == "1" else "one person"
    assert f"there is none of {missing}" in " ".join(run(*words, code=3).output.split())


def test_the_card_has_what_the_json_says_and_a_line_tells_it(made, tmp_path):
    card = tmp_path / "c.toml"
    words = (made / "sets.txt", "--embeddings", made / "e.npy", "--save-likelihood", card)
    found = json.loads(run(*words, "--json").stdout)["likelihood"]
    saved = read_likelihood(card)
    for key in ("slope", "intercept", "low", "high", "cllr", "min_cllr", "same_pairs", "people"):
        assert getattr(saved, key) == found[key]
    assert (saved.data, saved.model, saved.model_sha256, saved.flip) == ("sets.txt", "toy", DIGEST, False)
    told = " ".join(run(*words).stdout.split())
    ends = math.floor(1 / found["lowest_ratio"]), math.floor(found["highest_ratio"])
    costs = f"{found['cllr']:.4f} (logistic), {found['cllr_of']['isotonic']:.4f} (isotonic)"
    assert f"likelihood ratio: Cllr {costs} bits, at best {found['min_cllr']:.4f}." in told
    assert f"These data carry ratios from 1/{ends[0]:,} to {ends[1]:,}." in told
    assert "likelihood" not in run(*words[:3]).stdout  # nothing is said that nobody asked for


def test_stairs_instead_of_a_line(made, tmp_path):
    words = (made / "list.txt", "--embeddings", made / "e.npy", "--save-likelihood", tmp_path / "c.toml")
    found = json.loads(run(*words, "--calibration", "isotonic", "--json").stdout)["likelihood"]
    saved = read_likelihood(tmp_path / "c.toml")
    assert found["method"] == saved.method == "isotonic" and found["cllr"] == found["cllr_of"]["isotonic"]
    assert (list(saved.starts), list(saved.steps)) == (found["starts"], found["steps"])
    assert saved.slope is None and len(saved.starts) >= 3


def test_embeddings_that_do_not_name_their_model_give_no_card(made, tmp_path):
    for name in ("e.npy", "e.csv"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    words = (made / "sets.txt", "--embeddings", tmp_path / "e.npy", "--save-likelihood", tmp_path / "c.toml")
    assert "do not say which model made them" in " ".join(run(*words, code=3).output.split())


def test_the_report_has_both_plots(made, tmp_path):
    run(made / "sets.txt", "--embeddings", made / "e.npy", "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "<h2>What a score is worth</h2>" in page and page.count("<svg") == 5
    assert "from a calibration on the other folds" in page
    reliability = page[page.index("Reliability: observed") : page.index("Tippett plot: share")]
    assert reliability.count('class="line genuine"') >= 5 and 'class="line even"' in reliability
    assert 'class="line impostor"' in page[page.index("Tippett plot: share") :]


def test_an_axis_of_ratios_has_at_most_seven_lines():
    assert [text for _, text in ratio_axis("x", 0.004, 900).ticks] == ["1/100", "1/10", "1", "10", "100"]
    wide = ratio_axis("x", 1e-6, 1e7)
    assert len(wide.ticks) <= 7 and (1.0, "1") in wide.ticks
    assert wide.share(np.array([1e-6, 1e7])).tolist() == [0, 1]


# ---- two photos

CARD = LikelihoodCard(
    method="logistic",
    slope=30.0,
    intercept=-9.0,
    low=-5.0,
    high=math.log(4_444),
    cllr=0.03,
    min_cllr=0.02,
    same_pairs=3000,
    different_pairs=14_000,
    people=1500,
    person_pairs=13_332,
    data="pairs.txt",
    model="tiny",
    model_sha256=DIGEST,
    flip=False,
    aligned=True,
)


@pytest.fixture
def two(tiny_pack, tmp_path):
    """Runs ``verify`` on a photo and itself, with a card for the tiny pack."""
    cv2.imwrite(str(tmp_path / "face.png"), np.full((112, 112, 3), 200, np.uint8))
    card = replace(CARD, model_sha256=pack_hash(tiny_pack))

    def on(*flags, code=0, **changes):
        save_likelihood(replace(card, **changes), tmp_path / "card.toml")
        photos = [tmp_path / "face.png"] * 2
        return run(*photos, "--aligned", "-m", tiny_pack.folder, *flags, code=code)

    on.flags = ("--likelihood", tmp_path / "card.toml")
    return on


def test_two_photos_are_told_what_their_similarity_is_worth(two):
    beyond = two(*two.flags).stdout.splitlines()[-1]
    assert beyond == (
        "this similarity is more than 4,400 times more likely for one person than for two, among people like "
        "those of pairs.txt; how much more, its 13,332 pairs of two people do not say"
    )
    within = two(*two.flags, slope=10.0, intercept=-5.0).stdout.splitlines()[-1]
    assert within == (
        "this similarity is 150 times more likely for one person than for two, among people like those of "
        "pairs.txt"
    )
    stated = json.loads(two(*two.flags, "--json", slope=10.0, intercept=-5.0).stdout)["likelihood"]
    assert stated["llr"] == pytest.approx(5, abs=1e-4) and stated["ratio"] == pytest.approx(148.4, abs=0.1)
    assert stated["beyond"] is False and stated["bounds"] == {"low": -5.0, "high": CARD.high}
    assert stated["sentence"] == within and stated["person_pairs"] == 13_332


def test_without_a_card_nothing_is_said(two):
    assert "likely" not in two().output
    assert "likelihood" not in json.loads(two("--json").stdout)


def test_a_card_of_another_model_or_setting_is_refused(two):
    other = json.loads(two(*two.flags, "--json", code=4, model_sha256=DIGEST).stdout)["error"]
    assert "likelihood card was measured with the model 'tiny'" in other["message"]
    assert "without --flip" in two(*two.flags, "--flip", code=4).output
    assert "likelihood card" in two("--likelihood", "gone.toml", code=3).output
    assert "measured on photos, not on aligned crops" in " ".join(
        two(*two.flags, aligned=False).stderr.split()
    )


def test_flags_are_for_what_they_are_for(made, two):
    told = run(made / "list.txt", "--embeddings", made / "e.npy", *two.flags, code=2).output
    assert "--likelihood is for two photos" in told and "--save-likelihood" in told
    assert "without --calibration" in two("--calibration", "isotonic", code=2).output
    assert "--save-likelihood is for lists" in " ".join(
        two("--save-likelihood", "c.toml", code=2).output.split()
    )
