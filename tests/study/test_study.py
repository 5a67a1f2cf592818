"""Whole studies of drawn people: what is written, what is kept, what goes on, what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.data import open_stored
from facerec_cli.errors import InputError, TrainingError, UsageError
from facerec_cli.metrics.bootstrap import resampled_tar
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.study.comparison import Comparison
from facerec_cli.study.finding import finding
from facerec_cli.study.intervals import Rates, difference, drawn, mean_over_seeds, percentiles
from facerec_cli.study.judged import check_rates
from facerec_cli.study.prepare import prepare
from facerec_cli.study.protocol import parse_protocol, read_protocol
from facerec_cli.study.study import run_study
from facerec_cli.study.tables import ResultTable, facts, tables


@pytest.fixture(scope="module")
def run():
    runner = CliRunner()

    def call(*words):
        return runner.invoke(build_app(["study"]), ["study", *map(str, words)])

    return call


typed = Comparison.from_document


def test_what_is_written(finished):
    out, results, _ = finished
    assert results == json.loads((out / "results.json").read_text())
    assert list(results["arms"]) == ["arcface", "npt", "twice"]
    assert [(r["arm"], r["seed"]) for r in results["runs"]] == [
        (arm, seed) for seed in (0, 1) for arm in ("arcface", "npt", "twice")
    ]
    assert results["runs"][2]["recipe"]["loss"]["k"] == 2 and results["runs"][0]["steps"] == 2
    html, text = (out / "report.html").read_text(), (out / "report.md").read_text()
    assert (
        html.count("<svg") == 15 and "data:image/png;base64," in html and "http" not in html.split("<svg")[0]
    )
    for table in tables(typed(results)):
        assert table.markdown() in text
        assert all(len(row) == len(table.head) for row in table.rows)


@pytest.mark.parametrize("width", [20, 80, 160])
def test_a_terminal_shows_all_of_a_table_within_its_width(width):
    arms = tuple(f"arm{i}" for i in range(7))
    cells = [(arm, *(f"**+{i}.{j}** (+0.1 to +9.9)" for j in range(3))) for i, arm in enumerate(arms)]
    table = ResultTable("points", ("", "clean", "clean, 16 px", "natural"), tuple(cells), "bold: not 0")
    parts = list(table.turned(width))
    assert [name for part in parts for name in part.head[1:]] == list(arms)
    for part in parts:
        assert [row[0] for row in part.rows] == ["clean", "clean, 16 px", "natural"]
        assert part.note == "a star: not 0" and part.title == "points"
        for at, name in enumerate(part.head[1:], 1):
            own = [cell.replace("*", "") for cell in cells[arms.index(name)][1:]]
            assert [row[at].replace("* ", " ") for row in part.rows] == own
            assert all("* (" in row[at] and "**" not in row[at] for row in part.rows)
        columns = zip(part.head, *part.rows, strict=True)
        drawn = sum(max(map(len, column)) + 3 for column in columns) - 3
        assert drawn <= width or len(part.head) == 2
    assert len(parts) == {20: 7, 80: 4, 160: 2}[width]


def test_nobody_is_in_two_parts_and_nobody_judged_was_trained_on(finished):
    out, results, _ = finished
    split = json.loads((out / "split.json").read_text())
    names = [name for part in split["people"].values() for name in part]
    assert len(names) == len(set(names)) == 30
    trained = {line.split("/")[-2] for line in (out / "lists" / "train.txt").read_text().splitlines()}
    assert trained <= set(split["people"]["train"])
    assert len(trained) == results["parts"]["train"]["people_trained"]
    for pair in results["hardest"]:
        assert {photo.split("/")[0] for photo in pair["photos"]} <= set(split["people"]["test"])


def test_figures_are_those_of_verify_on_the_saved_embeddings(finished):
    out, results, _ = finished
    run = results["runs"][4]
    with np.load(out / "runs" / f"{run['arm']}-{run['seed']}" / "embeddings.npz") as found:
        clean, small = found["clean"], found["px16"]
    people = np.array(
        [p.split("/")[0] for p in json.loads((out / "split.json").read_text())["photos"]["test"]]
    )
    assert np.linalg.norm(clean, axis=1) == pytest.approx(1.0, abs=1e-5)
    a, b = np.nonzero(~np.eye(len(people), dtype=bool))
    expected = evaluate((clean @ small.T)[a, b], people[a] == people[b], fars=(0.1,))
    assert run["subsets"]["clean px16"]["eer"] == pytest.approx(expected.eer)
    assert run["subsets"]["clean px16"]["tar"]["0.1"] == pytest.approx(expected.tar_at_far[0].tar)
    mean = np.mean([r["subsets"]["natural"]["eer"] for r in results["runs"] if r["arm"] == "npt"])
    assert results["arms"]["npt"]["subsets"]["natural"]["eer"]["mean"] == pytest.approx(mean)
    hard = [run["subsets"][name]["tar"]["0.1"] for name in ("clean px16", "natural")]
    assert results["hard"]["subsets"] == ["clean px16", "natural"]
    assert run["subsets"]["hard"]["tar"]["0.1"] == pytest.approx(np.mean(hard))
    means = [results["differences"]["arcface"]["npt"][n]["0.1"]["mean"] for n in ("clean px16", "natural")]
    hard_difference = results["differences"]["arcface"]["npt"]["hard"]["0.1"]
    assert hard_difference["mean"] == pytest.approx(np.mean(means))
    assert hard_difference["low"] < hard_difference["high"]
    difference = results["differences"]["arcface"]["npt"]["clean clean"]["0.1"]
    assert difference["low"] <= difference["mean"] + 0.2 and difference["low"] <= difference["high"]


def test_an_interval_holds_that_over_the_seeds_and_that_over_the_people(finished):
    out, results, _ = finished
    people = np.unique(
        [p.split("/")[0] for p in json.loads((out / "split.json").read_text())["photos"]["test"]],
        return_inverse=True,
    )[1]
    first, second = np.triu_indices(len(people), 1)
    rounds = []
    for seed in (0, 1):
        with np.load(out / "runs" / f"npt-{seed}" / "embeddings.npz") as found:
            scores = (found["clean"] @ found["clean"].T)[first, second]
        sides = people[first], people[second]
        count = results["protocol"]["test"]["rounds"]
        own = resampled_tar(scores, people[first] == people[second], sides, fars=[0.1], rounds=count)
        rounds.append(own[:, 0])
    low, high = np.percentile(np.mean(rounds, axis=0), [2.5, 97.5])
    found = results["arms"]["npt"]["subsets"]["clean clean"]["tar"]["0.1"]
    assert (found["low"], found["high"]) == pytest.approx(
        (low, high), abs=0.01
    )  # two seeds say nothing of a third
    assert "half" not in found
    tar = np.array([[0.4], [0.5], [0.6]])
    three = Rates("a", (0.1,), tar, np.tile(tar[:, None], (200, 1)))
    ((low, high),) = percentiles(drawn(three))
    half = mean_over_seeds([0.4, 0.5, 0.6]).half
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.02)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_no_interval_holds_what_a_rate_cannot_be(seeds):
    random, arms = np.random.default_rng(0), []
    for arm, spread in (("a", 0.5), ("b", 0.05)):
        tar = np.clip(0.9 + spread * random.normal(size=(seeds, 1)), 0, 1)
        rounds = np.clip(tar[:, None] + 0.1 * random.normal(size=(seeds, 300, 1)), 0, 1)
        arms.append(Rates(arm, (0.1,), tar, rounds))
        ((low, high),) = percentiles(drawn(arms[-1]))
        assert 0 <= low <= high <= 1
    found = difference(*arms)["0.1"]
    assert -1 <= found.low <= found.high <= 1


def test_a_subset_of_few_pairs_and_a_test_of_few_people_give_no_figures(study_file, tmp_path):
    path = study_file()
    path.write_text(
        path.read_text().replace("natural = 0.8", "natural = 0.1").replace("photos = 48", "photos = 24")
    )
    results = run_study(read_protocol(path), tmp_path / "out", only=["arcface", "npt"]).results.document()
    natural = results["subsets"]["natural"]
    assert natural["same"] < 20 and natural["fars"] == [] and "are too few; it takes 20" in natural["reason"]
    shown = {table.title: table for table in tables(typed(results))}
    for title in ("TAR at FAR 0.1, %", "TAR at FAR 0.1, points more than arcface"):
        assert all(row[-1] == "not measurable" for row in shown[title].rows)
        assert natural["reason"] in shown[title].note
    assert (
        results["hard"] is None and "'clean px16'" in finding(typed(results))[0]
    )  # the one hard subset that is left
    clean = results["subsets"]["clean clean"]
    if clean["same"] >= 20:
        assert clean["few_people"] < 10
        assert "(" not in shown["TAR at FAR 0.1, %"].rows[0][2]
        assert "have a same pair; it takes 10" in shown["TAR at FAR 0.1, %"].note
    json.dumps(results, allow_nan=False)


def _found(low: float, mean: float, high: float, seeds: int = 3) -> dict[str, object]:
    return {"hard": {"0.1": {"low": low, "mean": mean, "high": high, "seeds": seeds}}}


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        (
            {"npt": _found(0.01, 0.02, 0.03)},
            "npt is better than arcface by 2.0 points of TAR (95 % interval 1.0 to",
        ),
        (
            {"npt": _found(-0.01, 0.02, 0.03)},
            "no loss beats arcface beyond its interval; the nearest is npt",
        ),
        ({"npt": _found(-0.03, -0.02, -0.01)}, "npt is worse than arcface by 2.0 points"),
        (
            {"npt": _found(0.01, 0.02, 0.03, seeds=2)},
            "cannot be told whether npt (+2.0 points) differs from",
        ),
        ({"npt": {"hard": {}}}, "Nothing can be said"),
        ({}, "there is no other arm"),
    ],
)
def test_the_report_says_first_what_was_found(finished, tmp_path, differences, words):
    _, results, _ = finished
    told = json.loads(json.dumps(results)) | {"differences": {"arcface": differences}}
    sentences = " ".join(finding(typed(told)))
    assert words in sentences
    if differences and "0.1" in differences["npt"]["hard"]:
        assert "1 in 10 (10 %)" in sentences and "mean of the hard subsets" in sentences


def test_one_number_of_seeds_is_not_guessed_at(study_file):
    with pytest.raises(InputError, match="the one seed number 2 or 2 seeds") as fault:
        read_protocol(study_file(), ["study.seeds=2"])
    assert "seeds = [2]" in fault.value.hint and "seeds = [0, 1]" in fault.value.hint
    assert read_protocol(study_file(), ["study.seeds=[2]"]).study.seeds == (2,)


@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0])
def test_arms_that_do_not_differ_seldom_seem_to(spread):
    """Three seeds, spread ``spread`` times as far as the people: an interval misses 0 once in twenty."""
    random, missed, trials = np.random.default_rng(1), 0, 300
    for _ in range(trials):
        arms = []
        everybody = random.normal(0, 0.01), random.normal(0, 0.01, 400)  # the same for both arms
        for arm in ("a", "b"):
            whom = random.normal(0, 0.01), random.normal(0, 0.01, 400)  # what only this arm makes of them
            tar = np.array(
                [[0.5 + everybody[0] + whom[0] + random.normal(0, 0.01 * spread)] for _ in range(3)]
            )
            arms.append(Rates(arm, (0.1,), tar, (tar + everybody[1] + whom[1])[..., None]))
        one = difference(*arms)["0.1"]
        assert one.seeds == 3
        missed += not one.low <= 0 <= one.high
    assert missed <= 0.08 * trials


def test_one_seed_is_never_bold_and_says_so(finished):
    _, results, _ = finished
    lone = json.loads(json.dumps(results))
    lone["runs"] = [run for run in lone["runs"] if run["seed"] == 0]
    for by in lone["differences"]["arcface"]["npt"].values():
        by["0.1"] |= {"mean": 0.5, "low": 0.4, "high": 0.6, "seeds": 1}
    _, differences, *_ = tables(typed(lone))
    assert differences.rows[0][1] == "+50.0 (+40.0 to +60.0)" and "over people only" in differences.note
    lone["differences"]["arcface"]["npt"]["hard"]["0.1"]["seeds"] = 2
    assert tables(typed(lone))[1].rows[0][1] == "+50.0 (+40.0 to +60.0)"
    lone["differences"]["arcface"]["npt"]["hard"]["0.1"]["seeds"] = 3
    assert tables(typed(lone))[1].rows[0][1] == "**+50.0** (+40.0 to +60.0)"
    assert "1 seed an arm" in facts(typed(lone))[0] and "2 seeds an arm" in facts(typed(results))[0]


def test_a_rate_with_too_few_pairs_is_refused_or_said_to_be_unknown(study_file, finished, tmp_path):
    path = study_file()
    text = path.read_text()
    path.write_text(text.replace("far = 0.1\nfars = [0.1]", "far = 0.0001\nfars = [0.1, 0.0001]"))
    with pytest.raises(InputError, match=r"different pairs, and it takes 30,000") as fault:
        run_study(read_protocol(path), tmp_path / "out")
    assert "--set test.far=0.01 --set test.fars=[0.01]" in fault.value.hint
    assert not (tmp_path / "out" / "runs").exists() and not (tmp_path / "out" / "study.json").exists()
    path.write_text(text.replace("far = 0.1\nfars = [0.1]", "far = 0.003\nfars = [0.1, 0.003, 0.0001]"))
    results = run_study(read_protocol(path), tmp_path / "out", only=["arcface"]).results.document()
    assert [own["fars"] for own in results["subsets"].values()] == [[0.1], [0.1, 0.003], [0.1]]
    by_title = {table.title: table for table in tables(typed(results))}
    hard, clean, small, natural = by_title["TAR at FAR 0.003, %"].rows[0][1:]
    assert (clean, natural, hard) == ("not measurable",) * 3 and "(" in small
    assert by_title["TAR at FAR 0.0001, %"].rows[0][1:] == ("not measurable",) * 4


def test_people_too_few_for_any_rate_are_told_what_helps():
    test = SimpleNamespace(far=0.1, subsets=("clean clean",))
    protocol = SimpleNamespace(test=test, study=SimpleNamespace(judge="test"))
    judged = SimpleNamespace(people=[0, 0, 1, 1, 2, 2, 3, 3])
    with pytest.raises(InputError, match=r"24 different pairs, and it takes 30") as fault:
        check_rates(protocol, SimpleNamespace(judged=judged))
    assert fault.value.hint == "Raise test.photos or give photos of more people."


def everything(folder):
    """Path -> (bytes, time of change) of all files."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_other_settings_are_refused_and_named_and_nothing_is_lost(finished, tmp_path, run):
    out, _, path = finished
    before = everything(out)
    changed = tmp_path / "changed.toml"
    changed.write_text(path.read_text().replace("k = 2", "k = 3"))
    for words, message in (
        ((path, "--set", "split.seed=5", "--dry-run"), "split.seed was 0 and is 5"),
        ((path, "--set", "split.seed=5"), "split.seed was 0 and is 5"),
        ((path, "--set", "test.photos=30", "--set", "test.photos_each=2"), "test.photos was 48 and is 30"),
        ((path, "--set", "recipe.optimizer.lr=0.3", "--only", "npt"), "arms.npt.optimizer.lr was"),
        ((changed,), "arms.twice.loss.k was 2 and is 3"),
    ):
        done = run(*words, "--out", out, "--resume")
        said = " ".join(done.stderr.split())
        assert done.exit_code == 2 and "the study in" in said and message in said, done.output
        assert everything(out) == before


def test_finished_runs_are_kept_where_seeds_and_arms_come_on_top_and_an_arm_is_begun_anew(finished, tmp_path):
    out, results, path = finished
    own = tmp_path / "out"
    shutil.copytree(out, own)
    stamps = {p: p.stat().st_mtime_ns for p in own.glob("runs/*/embeddings.npz")}
    text = path.read_text().replace("k = 2", "k = 3") + '\n[arms.more.loss]\nname = "cosface"\n'
    changed = tmp_path / "changed.toml"
    changed.write_text(text)
    for folder in own.glob("runs/twice-*"):
        shutil.rmtree(folder)
    said = []
    protocol = read_protocol(changed, ["study.seeds=[1]", "test.rounds=200", "study.name=other"])
    again = run_study(protocol, own, resume=True, tell=said.append)
    assert "2 of 4 runs are finished" in said
    for place, stamp in stamps.items():
        assert "twice" in str(place) or place.stat().st_mtime_ns == stamp
    assert again.results.document()["runs"][0]["subsets"] == results["runs"][3]["subsets"]
    assert again.results.document()["runs"][2]["recipe"]["loss"]["k"] == 3


def test_a_dry_run_writes_nothing(finished, study_file, tmp_path):
    out, _, path = finished
    before = everything(out)
    said: list[str] = []
    run_study(read_protocol(path), out, resume=True, dry_run=True, tell=said.append)
    assert "6 of 6 runs are finished" in said and everything(out) == before
    shutil.copytree(out / "crops", tmp_path / "crops")
    lost = next((tmp_path / "crops").rglob("*.png"))
    lost.write_bytes(b"damaged")
    kept = everything(tmp_path)
    run_study(read_protocol(study_file()), tmp_path / "new" / "out", crops=tmp_path / "crops", dry_run=True)
    assert everything(tmp_path).keys() - kept.keys() == {tmp_path / "study.toml"}
    assert everything(tmp_path / "crops") == {p: v for p, v in kept.items() if "crops" in p.parts}


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="a terminal's Ctrl-C is a signal to a process group")
def test_ctrl_c_ends_parallel_runs_with_one_sentence(study_file, tmp_path):
    """As a terminal sends it: to the program and to its two runs at once."""
    path = study_file()
    path.write_text(path.read_text().replace("steps = 2", "steps = 100000"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "facerec_cli", "study", path, "--out", out, "--jobs", "2"]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while len(list(out.glob("runs/*/metrics.jsonl"))) < 2 and program.poll() is None:
            time.sleep(0.2)
        os.killpg(program.pid, signal.SIGINT)
        said = program.communicate(timeout=120)[1]
    finally:
        program.kill()
    assert program.returncode == 130, said
    assert "Traceback" not in said and said.count("interrupted:") == 1
    ending = " ".join(said[said.index("interrupted:") :].split())
    assert "0 of 6 runs are finished" in ending and ending.endswith("--resume")
    assert len(list(out.glob("runs/*/last.pt"))) == 2  # the trainings saved themselves


def test_other_photos_of_the_same_names_are_noticed(study_file, people, tmp_path):
    path, photos = study_file(), tmp_path / "photos"
    shutil.copytree(people, photos)
    path.write_text(path.read_text().replace(people.as_posix(), photos.as_posix()))
    said: list[str] = []

    def left(**more):
        said.clear()
        options = {"only": ["arcface"], "resume": True, "dry_run": True, "tell": said.append}
        run_study(read_protocol(path), tmp_path / "out", **(options | more))
        return next(text for text in said if "runs are finished" in text)

    left(dry_run=False)
    assert left() == "2 of 2 runs are finished"
    split = json.loads((tmp_path / "out" / "split.json").read_text())["photos"]
    for part, what in (("test", "photos judged"), ("train", "photos trained on")):
        changed = photos / split[part][0]
        kept = changed.read_bytes()
        shutil.copyfile(photos / split["validation"][0], changed)
        with pytest.raises(UsageError, match=f"throw away 2 of the runs .* the {what} are other ones"):
            left()
        changed.write_bytes(kept)
        assert left() == "2 of 2 runs are finished"


def test_crops_of_somebody_else_are_not_touched(study_file, people, tmp_path):
    own = tmp_path / "crops"
    shutil.copytree(people, own)
    before = {p: p.read_bytes() for p in own.rglob("*.png")}
    with pytest.raises(UsageError, match="no study put there"):
        run_study(read_protocol(study_file()), tmp_path / "out", crops=own, dry_run=True)
    assert before == {p: p.read_bytes() for p in own.rglob("*") if p.suffix == ".png"}


def test_a_photo_that_is_no_picture_is_left_out(study_file, people, tmp_path, caplog):
    path, photos = study_file(), tmp_path / "photos"
    shutil.copytree(people, photos)
    path.write_text(path.read_text().replace(people.as_posix(), photos.as_posix()))
    protocol = read_protocol(path)
    prepared = prepare(protocol, tmp_path / "out", crops=tmp_path / "crops")
    dataset = open_stored(protocol.study.data)
    split = {part: [dataset.name(int(i)) for i in rows] for part, rows in prepared.split.photos.items()}
    (photos / split["train"][0]).write_bytes(b"no picture")
    said: list[str] = []
    run_study(read_protocol(path), tmp_path / "again", dry_run=True, tell=said.append)
    assert f"{len(split['train']) - 1} photos" in said[0] and "1 of" in caplog.text


def test_other_first_weights_of_the_same_name_are_noticed(study_file, finished, tmp_path):
    out, _, _ = finished
    start = tmp_path / "start.pt"
    shutil.copyfile(out / "runs" / "arcface-0" / "best.pt", start)
    path = study_file()
    text = path.read_text().replace('name = "mobilefacenet"', f'init = "{start.as_posix()}"')
    path.write_text(re.sub(r"width = .*\nembedding_size = .*\n", "", text))
    protocol, said = read_protocol(path), []
    run_study(protocol, tmp_path / "out", only=["arcface"])
    shutil.copyfile(out / "runs" / "npt-0" / "best.pt", start)
    with pytest.raises(UsageError, match="the first weights are other ones") as fault:
        run_study(protocol, tmp_path / "out", only=["arcface"], resume=True, tell=said.append)
    assert "arcface-0" in fault.value.hint and "delete" in fault.value.hint


def test_a_training_of_other_settings_that_was_stopped_is_not_judged(study_file, tmp_path, monkeypatch):
    from facerec_cli.training import train as module

    path = study_file()
    run_study(read_protocol(path), tmp_path / "out", only=["arcface"])
    folder = tmp_path / "out" / "runs" / "arcface-0"
    first, train = (folder / "best.pt").read_bytes(), module.train

    def stopped(recipe, **options):
        done = train(recipe, **options)
        if recipe.run.out == str(folder):
            raise KeyboardInterrupt("after best.pt was written")
        return done

    monkeypatch.setattr(module, "train", stopped)
    for left in (
        "run.json",
        "trained.json",
        "training.key",
    ):  # somebody wants this arm anew, and best.pt stays
        for run in ("arcface-0", "arcface-1"):
            (folder.with_name(run) / left).unlink()
    with pytest.raises(KeyboardInterrupt, match=r"0 of 2 runs are finished .* --resume"):
        run_study(
            read_protocol(path, ["recipe.optimizer.lr=0.3"]), tmp_path / "out", only=["arcface"], resume=True
        )
    assert (folder / "best.pt").read_bytes() != first
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"arms.arcface.optimizer.lr was 0.3 and is"):
        run_study(read_protocol(path), tmp_path / "out", only=["arcface"], resume=True)
    (folder / "training.key").unlink()
    run_study(read_protocol(path), tmp_path / "out", only=["arcface"], resume=True)
    lr = json.loads((folder / "run.json").read_text())["recipe"]["optimizer"]["lr"]
    assert lr != 0.3


def _interrupt_at(monkeypatch, wanted):
    """Ctrl-C in the middle of the training step for which ``wanted(recipe, step)`` is true."""
    from facerec_cli.training import train as module

    step = module._step

    def interrupted(run, state, *rest):
        if wanted(run, state.step):
            signal.raise_signal(signal.SIGINT)
        return step(run, state, *rest)

    monkeypatch.setattr(module, "_step", interrupted)


def test_an_interrupt_of_the_trial_steps_ends_them_at_once(study_file, tmp_path, monkeypatch):
    taken = []
    _interrupt_at(monkeypatch, lambda run, step: taken.append(step) or step == 1)
    with pytest.raises(KeyboardInterrupt):
        run_study(read_protocol(study_file()), tmp_path / "out")
    assert taken == [0, 1]  # neither the trial's last step nor another arm's
    assert not (tmp_path / "out" / "runs").exists()
    assert not list((tmp_path / "out").glob(".facerec*"))


def test_an_interrupt_in_the_last_step_of_a_run_does_not_begin_the_next_one(
    study_file, tmp_path, monkeypatch
):
    sentences = []
    _interrupt_at(
        monkeypatch,
        lambda run, step: ".facerec.trial" not in run.recipe.run.out and step == run.optimization.steps - 1,
    )
    with pytest.raises(KeyboardInterrupt, match=r"0 of \d runs are finished .* --resume"):
        run_study(read_protocol(study_file()), tmp_path / "out", tell=sentences.append)
    assert sum("told to stop" in sentence for sentence in sentences) == 1
    assert len(list((tmp_path / "out" / "runs").glob("*/trained.json"))) == 1
    monkeypatch.undo()
    found = run_study(read_protocol(study_file()), tmp_path / "out", resume=True)
    assert {"arcface", "npt"} <= set(found.results.arms)


def test_an_arm_that_cannot_be_trained_is_named_at_once(study_file, tmp_path):
    protocol = read_protocol(study_file(), ["arms.npt.optimizer.lr=1e30"])
    with pytest.raises(InputError, match=r"\[arms.npt\] cannot be trained"):
        run_study(protocol, tmp_path / "out")


def test_a_run_that_fails_later_leaves_a_report_of_the_others(study_file, tmp_path, monkeypatch):
    from facerec_cli.study import study as module

    perform = module.perform

    def failing(job, *told):
        if job.arm == "npt":
            raise TrainingError("the loss is not finite.", hint="Lower the rate.")
        return perform(job, *told)

    monkeypatch.setattr(module, "perform", failing)
    with pytest.raises(TrainingError, match=r"2 of 6 runs failed, npt with seed 0") as fault:
        run_study(read_protocol(study_file()), tmp_path / "out")
    assert "report compares them" in fault.value.hint
    assert list(json.loads((tmp_path / "out" / "results.json").read_text())["arms"]) == ["arcface", "twice"]
    assert (tmp_path / "out" / "report.html").is_file()


def test_two_at_a_time_give_the_same(finished, tmp_path):
    _, results, path = finished
    text = path.read_text().replace("seeds = [0, 1]", "seeds = [1]").replace("[arms.twice.loss]", "[x]")
    single = tmp_path / "single.toml"
    single.write_text(text[: text.index("[x]")])
    found = run_study(read_protocol(single), tmp_path / "out", jobs=2).results.document()
    assert [r["subsets"] for r in found["runs"]] == [r["subsets"] for r in results["runs"][3:5]]


def test_the_search_judges_by_validation_people(study_file, tmp_path):
    path = study_file()
    path.write_text(path.read_text().replace("aligned = true", 'aligned = true\njudge = "validation"'))
    results = run_study(read_protocol(path), tmp_path / "out", only=["arcface"]).results.document()
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    judged = {photo.split("/")[0] for pair in results["hardest"] for photo in pair["photos"]}
    assert judged and judged <= set(split["people"]["validation"])
    assert list(results["arms"]) == ["arcface"]


def test_interpolation_from_a_checkpoint(study_file, finished, tmp_path):
    from facerec_cli.training.checkpoint import load_backbone

    out, _, _ = finished
    start = out / "runs" / "arcface-0" / "best.pt"
    path = study_file()
    text = path.read_text().replace('name = "mobilefacenet"', f'init = "{start.as_posix()}"')
    text = re.sub(r"width = .*\nembedding_size = .*\n", "", text)
    text = text.replace(
        "[validation]", '[validation]\ninterpolate = [0.5]\nsubsets = ["clean clean", "clean px16"]'
    )
    path.write_text(text)
    results = run_study(read_protocol(path), tmp_path / "out", only=["arcface"]).results.document()
    assert list(results["arms"]) == ["before", "arcface"]
    assert set(results["differences"]) == {"before", "arcface"}
    run = results["runs"][1]
    assert run["interpolate"] == 0.5 and set(run["validation"]) == {"0", "0.5"}
    folder = tmp_path / "out" / "runs" / "arcface-0"
    first, last, chosen = (
        load_backbone(p)[0].state_dict() for p in (start, folder / "best.pt", folder / "chosen.pt")
    )
    means = list((tmp_path / "out" / "start").glob("means-*.npy"))
    assert len(means) == 1 and str(means[0]) in (folder / "recipe.toml").read_text()
    assert run["recipe"]["loss"]["class_weights"] == "means"
    assert np.linalg.norm(np.load(means[0]), axis=1) == pytest.approx(1.0, abs=1e-5)
    for name, value in chosen.items():
        if value.is_floating_point():
            assert value.allclose((first[name] + last[name]) / 2, atol=1e-6)
    assert any(not first[name].equal(last[name]) for name in first)


def test_what_runs_share_is_made_once_and_is_what_a_run_would_make(people, finished, tmp_path):
    import torch

    from facerec_cli.study.run import make_jobs, share_start
    from facerec_cli.training.class_means import start_classes
    from facerec_cli.training.devices import World
    from facerec_cli.training.setup import prepare as set_up

    out, _, path = finished
    text = path.read_text().replace('name = "mobilefacenet"', f'init = "{out / "runs/arcface-0/best.pt"}"')
    text = re.sub(r"width = .*\nembedding_size = .*\n", "", text)
    text = text.replace("[validation]", "[validation]\ninterpolate = [0.5]")
    text += '\n[arms.apart.loss]\nname = "arcface"\nclass_weights = "random"\n'
    protocol = parse_protocol(tomllib.loads(text), "x")
    prepared = prepare(protocol, tmp_path, crops=tmp_path / "crops")
    prepared.write()
    jobs = make_jobs(protocol, prepared.materials, tmp_path)
    shared = share_start(jobs, tmp_path)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "start").iterdir()}
    assert len(files) == 2
    assert share_start(jobs, tmp_path) == shared
    assert files == {p: p.stat().st_mtime_ns for p in (tmp_path / "start").iterdir()}
    assert [job.key() for job in jobs] == [job.key() for job in shared]
    assert set(shared[0].materials.first) == set(protocol.validation.subsets)
    by_arm = {job.arm: job for job in shared}
    assert jobs[1].arm == "arcface"
    alone = set_up(jobs[1].full_recipe(), World(0, 1, torch.device("cpu"), None, False))
    start_classes(alone.model.loss, alone.model.backbone, alone.data.dataset, "means")  # as a run would
    weight = alone.model.loss.classifier.weight.detach()
    assert np.load(by_arm["arcface"].materials.means) == pytest.approx(
        (weight / weight.norm(dim=1, keepdim=True)).numpy(), abs=1e-6
    )
    assert str(by_arm["arcface"].materials.means) == by_arm["arcface"].recipe_to_train().loss.class_weights
    assert by_arm["apart"].recipe_to_train().loss.class_weights == "random"


def test_each_of_several_runs_has_its_part_of_the_cores(study_file, tmp_path, monkeypatch):
    import torch

    from facerec_cli.study import study as module

    seen = []
    monkeypatch.setattr(module, "_at_once", lambda left, jobs: seen.extend(left) or iter(()))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    with pytest.raises(InputError, match="no finished run"):
        run_study(read_protocol(study_file()), tmp_path / "out", jobs=4)
    assert {job.threads for job in seen} == {2}


def test_faults_are_told(study_file, run, tmp_path):
    path = study_file()
    taken = tmp_path / "file"
    taken.write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.html").write_text("of somebody else")
    for words, message in (
        ((path, "--out", tmp_path / "mine"), "report.html exists"),
        ((path, "--out", taken), "is a file"),
        ((path, "--out", "/proc/x"), "cannot be written"),
        ((path, "--out", tmp_path / "o", "--only", "epl"), "no arm in this study called 'epl'"),
        ((tmp_path / "none.toml", "--out", tmp_path / "o"), "cannot be read"),
    ):
        done = run(*words)
        assert done.exit_code in (2, 3, 8) and message in " ".join(done.stderr.split()), done.stderr
    text = path.read_text()
    for old, new, message in (
        ("aligned = true\n", 'aligned = true\npairs = "absent.txt"\n', "no pair list 'absent.txt'"),
        ("k = 2", "kk = 2", "setting of the loss npt 'kk'"),
        ("aligned = true", "", "give a crop"),
        ("train = 0.4", "train = 0.79", "people with two photos or more"),
    ):
        path.write_text(text.replace(old, new))
        done = run(path, "--out", tmp_path / new.strip().replace(" ", "").replace("\n", "-"))
        assert done.exit_code == 3 and message in " ".join(done.stderr.split()), (message, done.stderr)


def test_a_folder_with_a_study_is_not_written_over(finished, run):
    out, _, path = finished
    done = run(path, "--out", out)
    assert done.exit_code == 2 and "holds a study" in done.stderr and "--resume" in done.stderr


def test_dry_run_says_how_long_and_trains_nothing(study_file, run, tmp_path):
    done = run(study_file(), "--out", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert "6 runs are left" in done.stderr and not done.stdout
    assert not (tmp_path / "out").exists()


def test_a_dry_run_gives_its_plan_as_json(finished, study_file, run, tmp_path):
    done = run(study_file(), "--out", tmp_path / "out", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    plan = json.loads(done.stdout)
    expected = plan["estimate"]
    assert (plan["runs"], plan["finished"], expected["runs"]) == (6, 0, 6)
    assert plan["parts"]["train"]["photos"] > 0 and expected["seconds"] > 0
    assert set(expected["steps"]) == set(expected["seconds_a_step"]) == {"arcface", "npt", "twice"}
    assert all(steps == 2 for steps in expected["steps"].values())
    out, _, path = finished
    done = run(path, "--out", out, "--resume", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["runs"], plan["finished"], plan["estimate"]) == (6, 6, None)


def test_pairs_of_a_list_count_only_if_both_people_are_judged(study_file, finished, tmp_path):
    out, _, _ = finished
    people = json.loads((out / "split.json").read_text())["people"]
    test = [p for p in people["test"] if int(p[-2:]) % 4][:4]
    lines = [f"{p}/0.png\t{p}/1.png\t1" for p in test]
    lines += [f"{a}/0.png\t{b}/0.png\t0" for a, b in pairwise(test)]
    leak = people["train"][1]
    lines += [f"{leak}/0.png\t{test[0]}/0.png\t0", f"{leak}/0.png\t{leak}/1.png\t1"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    path = study_file()
    path.write_text(
        path.read_text().replace("aligned = true", f'aligned = true\npairs = "{tmp_path / "pairs.txt"}"')
    )
    results = run_study(read_protocol(path), tmp_path / "out", only=["arcface"]).results.document()
    assert results["pairs"] == {"same": 4, "different": 3, "accuracy": "balanced accuracy"}
