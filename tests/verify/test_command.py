"""The command as a user runs it, on embeddings with a known answer and, where there is LFW, on photos."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.metrics.evaluate import evaluate

DIGEST = "5" * 64


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(build_app(["verify"]), ["verify", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Path:
    """Forty people with four photos each, as vectors; a list of 480 pairs; groups."""
    folder = tmp_path_factory.mktemp("gallery")
    random = np.random.default_rng(0)
    centres = random.normal(size=(40, 16))
    vectors = np.repeat(centres, 4, axis=0) + 0.6 * random.normal(size=(160, 16))
    names = [f"p{i // 4:02d}/{i % 4}.jpg" for i in range(160)]
    with (folder / "e.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(("path", "row", "status", "reason"))
        table.writerows((name, i, "ok", "") for i, name in enumerate(names))
    np.save(folder / "e.npy", vectors.astype(np.float32))
    document = {"model": {"name": "toy", "sha256": DIGEST}, "settings": {"flip": False}}
    (folder / "e.json").write_text(json.dumps(document))
    same = [(4 * p + a, 4 * p + b) for p in range(40) for a in range(4) for b in range(a + 1, 4)]
    other = [tuple(random.choice(160, 2, replace=False)) for _ in range(600)]
    other = [(a, b) for a, b in other if a // 4 != b // 4][:240]
    lines = [f"{names[a]} {names[b]} 1" for a, b in same] + [f"{names[a]} {names[b]} 0" for a, b in other]
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    (folder / "groups.csv").write_text(
        "person,group\n" + "".join(f"p{p:02d},{'old' if p % 3 else 'young'}\n" for p in range(40))
    )
    return folder


def test_json_is_what_the_scores_say(gallery, tmp_path):
    scores = tmp_path / "scores.csv"
    arguments = ("--embeddings", gallery / "e.npy", "--json", "--scores", scores)
    document = json.loads(run(gallery / "list.txt", *arguments).stdout)
    with scores.open() as lines:
        rows = list(csv.DictReader(lines))
    score = np.array([float(row["score"]) for row in rows])
    same = np.array([row["same"] == "1" for row in rows])
    assert (document["pairs"], document["failures"]) == (480, 0)
    assert document["model"]["sha256"] == DIGEST
    expected = evaluate(score, same, folds=np.array([int(row["fold"]) for row in rows]))
    assert document["accuracy"]["mean"] == expected.accuracy.mean
    assert document["accuracy"]["standard_error"] == expected.accuracy.standard_error
    assert document["auc"] == pytest.approx(expected.auc, abs=1e-12)
    for point in document["tar_at_far"]:
        assert {"far", "tar", "low", "high", "threshold", "measured_far", "measurable", "reason"} <= set(
            point
        )
        if point["measurable"]:
            assert point["tar"] == (score[same] >= point["threshold"]).mean()
            assert point["measured_far"] == (score[~same] >= point["threshold"]).mean() <= point["far"]
    assert [point["measurable"] for point in document["tar_at_far"]] == [False] * 4 + [False, True]


def test_why_a_rate_is_missing_is_one_line_on_a_narrow_terminal_too(gallery, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = run(gallery / "list.txt", "--embeddings", gallery / "e.npy").stdout.splitlines()
    rows = [number for number, line in enumerate(lines) if line.startswith("FAR 0.")]
    (told,) = [number for number, line in enumerate(lines) if "not measurable" in line]
    assert told > max(rows) and len(lines) < 25  # below the rows that are measured, which alone are shown
    assert lines[told].startswith(
        "TAR at FAR 1 in 100 (1 %) and 4 lower rates: not measurable with 240 different"
    )
    assert [lines[row] for row in rows] == ["FAR 0.1"]


def test_npz_scores_hold_the_same(gallery, tmp_path):
    for name in ("s.csv", "s.npz"):
        run(gallery / "list.txt", "--embeddings", gallery / "e.npy", "--scores", tmp_path / name)
    with (tmp_path / "s.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    with np.load(tmp_path / "s.npz") as columns:
        assert [float(r["score"]) for r in rows] == columns["score"].astype(float).tolist()
        assert [r["first"] for r in rows] == columns["names"][columns["first"]].tolist()


OUTPUTS = [
    ("--report", "r.html"),
    ("--scores", "s.csv"),
    ("--scores", "s.npz"),
    ("--save-threshold", "c.toml"),
    ("--save-likelihood", "c.toml"),
]


@pytest.mark.parametrize(("flag", "name"), OUTPUTS)
def test_a_report_replaces_its_like_and_nothing_else(gallery, tmp_path, flag, name):
    words = (gallery / "list.txt", "--embeddings", gallery / "e.npy", "--far", 0.05, flag, tmp_path / name)
    (tmp_path / name).write_text("mine, and no report")
    told = " ".join(run(*words, code=2).stderr.split())
    assert f"{flag} {tmp_path / name} exists and is no" in told.replace("- ", "-") and "--overwrite" in told
    assert (tmp_path / name).read_text() == "mine, and no report"
    run(*words, "--overwrite")
    assert (tmp_path / name).stat().st_size > 100
    run(*words)  # the same command again


@pytest.mark.parametrize(("flag", "name"), OUTPUTS)
def test_a_place_that_cannot_be_written_is_told_before_any_work(gallery, tmp_path, flag, name):
    (tmp_path / "file").write_text("no folder")
    words = (gallery / "gone.txt", "--embeddings", gallery / "e.npy", flag, tmp_path / "file" / name)
    told = " ".join(run(*words, code=8).stderr.split())
    assert f"{flag} " in told and "is not a folder" in told


def test_threshold_card(gallery, tmp_path):
    card = tmp_path / "card.toml"
    run(gallery / "list.txt", "--embeddings", gallery / "e.npy", "--save-threshold", card, "--far", 0.05)
    from facerec_cli.metrics.thresholds import read_card

    saved = read_card(card)
    assert (saved.far, saved.model_sha256, saved.impostor_pairs) == (0.05, DIGEST, 240)
    assert saved.measured_far <= 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="no such names elsewhere")
def test_names_that_are_not_utf_8_get_into_reports_and_cards(gallery, tmp_path):
    people = tmp_path / "l\udcfc"
    for i in range(160):
        photo = people / f"p{i // 4:02d}" / f"{i % 4}\udcfc.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(b"never read")
    (tmp_path / "e.npy").write_bytes((gallery / "e.npy").read_bytes())
    files = ("--report", tmp_path / "r.html", "--save-threshold", tmp_path / "c.toml", "--far", 0.1)
    (tmp_path / "e.json").write_bytes((gallery / "e.json").read_bytes())
    run(people, "--all-pairs", "--embeddings", tmp_path / "e.npy", *files)
    from facerec_cli.metrics.thresholds import read_card

    assert r"\xfc.jpg" in (tmp_path / "r.html").read_text("utf-8")
    assert read_card(tmp_path / "c.toml").data == r"l\udcfc"


def test_a_rate_that_cannot_be_measured_gives_no_card(gallery, tmp_path):
    card = tmp_path / "card.toml"
    arguments = ("--embeddings", gallery / "e.npy", "--save-threshold", card, "--far", 1e-4)
    assert "needs 30,000" in run(gallery / "list.txt", *arguments, code=3).output
    assert not card.exists()


def test_results_may_go_to_folders_that_are_not_there_yet(gallery, tmp_path):
    files = [tmp_path / name for name in ("s/x.csv", "r/x.html", "t/x.toml")]
    arguments = ("--scores", files[0], "--report", files[1], "--save-threshold", files[2], "--far", 0.1)
    run(gallery / "list.txt", "--embeddings", gallery / "e.npy", *arguments)
    assert all(path.is_file() for path in files)


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_a_carriage_return_in_a_name_does_not_break_the_scores(tmp_path):
    names = ["p/a\r.jpg", "p/b.jpg", "q/c.jpg"]
    for name in names:
        (tmp_path / "people" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "people" / name).write_bytes(b"")
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(3, 4)))
    scores = tmp_path / "s.csv"
    run(tmp_path / "people", "--all-pairs", "--embeddings", tmp_path / "e.npy", "--scores", scores)
    with scores.open(newline="") as stream:
        assert [row["first"] for row in csv.DictReader(stream)] == [names[0], names[0], names[1]]


def test_groups_add_up(gallery):
    arguments = ("--embeddings", gallery / "e.npy", "--by", gallery / "groups.csv", "--far", 0.1, "--json")
    report = json.loads(run(gallery / "list.txt", *arguments).stdout)
    groups, point = report["groups"], report["tar_at_far"][-1]
    assert groups["threshold"] == point["threshold"]
    assert sum(rate["pairs"] for rate in groups["fmr"]) == 240
    assert sum(rate["errors"] for rate in groups["fmr"]) == point["accepted_different"]
    assert sum(rate["errors"] for rate in groups["fnmr"]) == 240 - point["accepted_same"]
    assert {(rate["group"], rate["other"]) for rate in groups["fmr"]} == {
        ("old", "old"),
        ("old", "young"),
        ("young", "young"),
    }
    fnmr, fmr = groups["ratios"]["fnmr"], groups["ratios"]["fmr"]
    assert [(group["group"], group["people"], group["pairs"]) for group in fnmr["refused"]] == [
        ("young", 14, 84)
    ]
    assert fnmr["worst_over_best"] is None and "take two groups" in fnmr["reason"]
    rate = {r["group"]: r["errors"] / r["pairs"] for r in groups["fmr"] if r["group"] == r["other"]}
    worst, best = sorted(rate, key=rate.get, reverse=True)
    extremes = fmr["worst_over_best"]
    assert fmr["refused"] in ([], [{**(fmr["refused"] or [{}])[0], "group": "young"}])
    assert (extremes["group"], extremes["other"]) == (worst, best)
    assert extremes["value"] == pytest.approx(rate[worst] / rate[best])
    assert groups["at_model_threshold"] is None  # nobody knows the model


def test_bootstrap_over_people_holds_the_value(gallery):
    arguments = ("--embeddings", gallery / "e.npy", "--bootstrap", 200, "--json")
    document = json.loads(run(gallery / "list.txt", *arguments).stdout)
    (interval,) = document["bootstrap"]
    tar = next(p["tar"] for p in document["tar_at_far"] if p["far"] == interval["far"])
    assert interval["low"] <= tar <= interval["high"]
    assert interval["high"] - interval["low"] > 0.001


def test_report_is_one_file_with_every_part(gallery, tmp_path):
    page = tmp_path / "report.html"
    arguments = (
        "--embeddings",
        gallery / "e.npy",
        "--report",
        page,
        "--by",
        gallery / "groups.csv",
        "--far",
        0.1,
    )
    run(gallery / "list.txt", *arguments)
    text = page.read_text("utf-8")
    assert text.count("<svg") == 5
    assert text.count('class="pair"') == 24
    assert "old × young" in text and "geometric mean" in text and "95 % interval over people" in text
    assert "not measurable with 240 different pairs" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    words = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", text)
    assert words.count("not measurable") == 1  # one line for all rates, below the measured ones
    assert words.index("1 in 10 (10 %)") < words.index("not measurable")
    assert not re.search(r"\de-?\d|FAR 0\.", words)  # rates have one notation
    assert "Wrong are pairs below the threshold" in words
    wrong = set(re.findall(r"wrong at (\S+)", words))
    assert len(wrong) <= 1 and "wrong " not in words.replace("wrong at", "")


def test_doubtful_faces_of_embeddings_are_compared_and_named(gallery, tmp_path):
    table = (
        (gallery / "e.csv").read_text().replace("p03/2.jpg,14,ok,", "p03/2.jpg,14,doubtful,found <late> only")
    )
    assert "doubtful" in table
    (tmp_path / "e.csv").write_text(table)
    (tmp_path / "e.npy").write_bytes((gallery / "e.npy").read_bytes())
    arguments = ("--embeddings", tmp_path / "e.npy", "--report", tmp_path / "r.html", "--json")
    document = json.loads(run(gallery / "list.txt", *arguments).stdout)
    assert document["failures"] == 0
    assert document["doubtful_photos"] == {
        "count": 1,
        "photos": [{"photo": "p03/2.jpg", "reason": "found <late> only"}],
    }
    page = (tmp_path / "r.html").read_text("utf-8")
    section = page[page.index("Photos with a doubtful face") :]
    assert "p03/2.jpg" in section and "found &lt;late&gt; only" in section
    run(gallery / "list.txt", "--embeddings", gallery / "e.npy", "--report", tmp_path / "r.html")
    assert "doubtful" not in re.sub(r"(?s)<style>.*?</style>", "", (tmp_path / "r.html").read_text("utf-8"))


def test_all_pairs_of_a_folder(gallery, tmp_path):
    for i in range(160):
        photo = tmp_path / "people" / f"p{i // 4:02d}" / f"{i % 4}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(b"never read")
    arguments = (tmp_path / "people", "--all-pairs", "--embeddings", gallery / "e.npy", "--json")
    document = json.loads(run(*arguments).stdout)
    assert (document["pairs"], document["same_pairs"]) == (160 * 159 // 2, 240)
    (tmp_path / "people" / "loose.jpg").write_bytes(b"x")
    assert "one subfolder per person" in run(*arguments, code=3).stdout


def test_many_pairs_are_streamed_with_the_same_figures(gallery, tmp_path, monkeypatch):
    from facerec_cli.verify import run as verification

    for i in range(160):
        photo = tmp_path / "people" / f"p{i // 4:02d}" / f"{i % 4}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(b"never read")
    arguments = (tmp_path / "people", "--all-pairs", "--embeddings", gallery / "e.npy", "--json")
    listed = json.loads(run(*arguments).stdout)
    monkeypatch.setattr(verification, "MAX_LISTED", 0)
    streamed = json.loads(run(*arguments, "--report", tmp_path / "r.html").stdout)
    for a, b in zip(listed["tar_at_far"], streamed["tar_at_far"], strict=True):
        assert (a["tar"], a["measured_far"]) == (b["tar"], b["measured_far"])
    assert streamed["eer"] == pytest.approx(listed["eer"], abs=1e-9)
    worth = [document["likelihood"] for document in (listed, streamed)]
    assert [one["held_out"] for one in worth] == ["people", "nothing"]
    assert worth[1]["slope"] == pytest.approx(worth[0]["slope"], rel=1e-3)
    assert worth[1]["person_pairs"] == worth[0]["person_pairs"] == 40 * 39 // 2
    assert streamed["accuracy"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.txt"], 3, "no pair list"),
        (["a.jpg"], 2, "is one photo"),
        (["a.jpg", "b.jpg", "c.jpg"], 2, "not 3 inputs"),
        (["LIST", "--faces", "all"], 2, "main, center, largest"),
        (["LIST", "--threshold", "0.3"], 2, "for two photos"),
        (["LIST", "--far", "2"], 2, "between 0 and 1"),
        (["LIST", "--embeddings", "none.npy"], 3, "no embeddings file"),
        (["LIST", "--embeddings", "E", "--flip"], 2, "without it"),
        (["LIST", "--embeddings", "E", "--model", "sface"], 4, "not with 'sface'"),
        (["LIST", "--embeddings", "E", "--scores", "x.txt"], 2, ".csv or .npz"),
        (["LIST", "--embeddings", "none.npy", "--report", "."], 2, "is a folder"),
        (["a.jpg", "b.jpg", "--embeddings", "E"], 2, "without --embeddings"),
        (["a.jpg", "b.jpg", "--format", "lfw", "--root", "."], 2, "without --format, --root"),
        (["a.jpg", "b.jpg", "--by", "g.csv", "--bootstrap", "9"], 2, "without --by, --bootstrap"),
        (["a.jpg", "b.jpg", "--far", "0.1"], 2, "without --far"),
        ([".", "--all-pairs", "--format", "lfw"], 2, "--format is for lists"),
        ([".", "--all-pairs", "--root", "."], 2, "--root is for lists"),
        (["x" * 300], 3, "no pair list"),
        (["x" * 300 + "/list.txt"], 3, "no pair list"),
        (["x" * 300, "--all-pairs"], 3, "no folder"),
        (["LIST", "--root", "x" * 300], 3, "--root is not there"),
        (["a.jpg", "b.jpg", "--report", "x.html"], 2, "for lists of pairs"),
        (["LIST", "--embeddings", "E", "--far", "1e-6", "--save-threshold", "no.toml"], 3, "not measurable"),
        (["LIST", "--embeddings", "E", "--by", "none.csv"], 3, "table of groups"),
    ],
)
def test_what_does_not_fit_is_refused(gallery, arguments, code, message):
    places = {"LIST": gallery / "list.txt", "E": gallery / "e.npy"}
    arguments = [places.get(a, a) for a in arguments]
    far = ["--far", 0.1] if "--by" in arguments else []
    result = run(*arguments, *far, "--json", code=code)
    error = json.loads(result.stdout)["error"]
    assert message in f"{error['message']} {error['hint']}"
    assert error["exit_code"] == code


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scores", "list.csv"], "--scores * would overwrite an input"),
        (["--report", "sub/../list.csv"], "--report * would overwrite an input"),
        (["--report", "link.html"], "would overwrite an input"),
        (["--report", "e.npy"], "would overwrite an input"),
        (["--scores", "e.csv"], "would overwrite an input"),
        (["--report", "e.json"], "would overwrite an input"),
        (["--by", "groups.csv", "--scores", "groups.csv"], "would overwrite an input"),
        (["--scores", "x.csv", "--report", "sub/../x.csv"], "--scores and --report both write"),
        (["--report", "x.html", "--save-threshold", "x.html"], "--report and --save-threshold both"),
        (["--report", "meta/x_face_tid_mid.txt"], "would overwrite an input"),
    ],
)
def test_no_output_takes_the_place_of_an_input(gallery, tmp_path, monkeypatch, flags, message):
    for path in gallery.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "list.txt").rename(tmp_path / "list.csv")
    (tmp_path / "link.html").symlink_to("list.csv")
    for folder in ("sub", "meta"):
        (tmp_path / folder).mkdir()
    (tmp_path / "meta" / "x_face_tid_mid.txt").write_text("1.jpg 1 1")
    monkeypatch.chdir(tmp_path)
    before = files_of(tmp_path)
    told = json.loads(run("list.csv", "--embeddings", "e.npy", *flags, "--json", code=2).stdout)["error"]
    assert re.search(message.replace("*", ".*"), told["message"])
    assert files_of(tmp_path) == before


def test_a_file_that_may_not_be_read_is_an_input_error(gallery, tmp_path, monkeypatch):
    """Typer would call it a misuse of the command line, and say nothing in JSON."""
    monkeypatch.setattr(os, "access", lambda *arguments, **settings: False)
    (tmp_path / "a.jpg").write_text("no photo")
    for arguments in ([tmp_path / "a.jpg"] * 2, [gallery / "list.txt", "--embeddings", tmp_path / "a.jpg"]):
        error = json.loads(run(*arguments, "--json", code=3).stdout)["error"]
        assert error["kind"] == "InputError"


def test_balanced_accuracy_is_called_by_its_name(tmp_path):
    """All pairs of 18 photos of six people, whose vectors are random."""
    np.save(tmp_path / "e.npy", np.random.default_rng(3).normal(size=(18, 8)).astype(np.float32))
    lines = [
        f"p{j // 3}/{j}.jpg p{i // 3}/{i}.jpg {int(i // 3 == j // 3)}\n" for i in range(18) for j in range(i)
    ]
    (tmp_path / "pairs.txt").write_text("".join(lines))
    arguments = (tmp_path / "pairs.txt", "--embeddings", tmp_path / "e.npy")
    shown = run(*arguments).stdout
    assert "balanced accuracy: " in shown and "\naccuracy: " not in shown
    accuracy = json.loads(run(*arguments, "--json").stdout)["accuracy"]
    assert accuracy["kind"] == "balanced accuracy"
    assert accuracy["mean"] < 0.8  # "all different" is right in 88 %


# ---- with the default pack, on photos


def test_two_photos(lfw, tmp_path):
    ann, other = (lfw / "images" / name / f"{name}_0001.jpg" for name in ("Angela_Bassett", "Aaron_Eckhart"))
    again = lfw / "images" / "Angela_Bassett" / "Angela_Bassett_0005.jpg"
    same = json.loads(run(ann, again, "--json", "--threshold", 0.3).stdout)
    different = json.loads(run(ann, other, "--json", "--threshold", 0.3).stdout)
    assert (same["verdict"], different["verdict"]) == ("same", "different")
    assert same["similarity"] > 0.5 > 0.2 > different["similarity"]
    assert "same person: similarity" in run(ann, again, "--threshold", 0.3).stdout
    blank = tmp_path / "blank.png"
    import cv2

    cv2.imwrite(str(blank), np.full((200, 200, 3), 128, np.uint8))
    assert "no face was found" in run(ann, blank, "--threshold", 0.3, code=3).output
    card = tmp_path / "card.toml"
    card.write_text(
        "version = 1\nthreshold = 0.3\nfar = 0.1\nmeasured_far = 0.1\ntar = 1.0\ndifferent_pairs = 9\n"
        f'same_pairs = 9\ndata = "x"\nmodel = "toy"\nmodel_sha256 = "{DIGEST}"\n'
        "flip = false\naligned = false\n"
    )
    assert "measured with the model 'toy'" in run(ann, again, "--threshold", card, code=4).output


def test_photos_of_a_list_with_one_that_is_missing(lfw, tmp_path):
    lines = (lfw / "pairs.txt").read_text().splitlines()
    path = tmp_path / "pairs.txt"
    some = [*lines[1:7], *lines[301:307], "Nobody_Here\t1\tNobody_Else\t1"]
    path.write_text("\n".join(some) + "\n")
    arguments = (path, "--root", lfw / "images", "--json")
    first = json.loads(run(*arguments).stdout)
    assert (first["pairs"], first["failures"], first["failed_photos"]["count"]) == (13, 1, 2)
    assert first["failed_photos"]["by_status"] == {"missing": 2}
    assert first["auc"] == 1.0
    second = json.loads(run(*arguments).stdout)
    assert second["auc"] == 1.0
    assert second["d_prime"] == first["d_prime"]  # the very same vectors, from the cache
