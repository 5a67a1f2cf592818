"""``facerec compare``: files of scores, lists that do not fit, the document and the report."""

from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.compare.run import compare
from facerec_cli.compare.settings import CompareSettings
from facerec_cli.errors import InputError, UsageError

QUICK = CompareSettings(bootstrap=100, far=0.01)


def run(*arguments: str, cwd: Path) -> Result:
    with contextlib.chdir(cwd):
        return CliRunner().invoke(build_app(["compare"]), ["compare", *arguments])


def write(path: Path, seed: int, noise: float, *, failed: int = 0, pairs: int = 3000) -> Path:
    """Scores of 40 people with five photos each, as ``verify --scores`` writes them."""
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(40), 5)
    names = np.array([f"p{person}/{i % 5}.jpg" for i, person in enumerate(identity)])
    first = random.integers(0, 200, pairs)
    second = np.where(
        np.arange(pairs) < 400, first // 5 * 5 + (first + 1) % 5, random.integers(0, 200, pairs)
    )
    same = identity[first] == identity[second]
    common = np.where(same, 0.6, 0.1) + random.normal(size=pairs) * 0.08
    scores = (common + np.random.default_rng(seed).normal(size=pairs) * noise).astype(np.float32)
    lost = np.arange(pairs) < failed
    fold = np.full(pairs, -1)
    if path.suffix == ".npz":
        np.savez(
            path, names=names, first=first, second=second, same=same, fold=fold, score=scores, failed=lost
        )
        return path
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["first", "second", "same", "fold", "score", "failed"])
        for a, b, is_same, score, fault in zip(first, second, same, scores, lost, strict=True):
            table.writerow(
                [names[a], names[b], int(is_same), "", "" if fault else repr(float(score)), int(fault)]
            )
    return path


def test_files_of_scores_are_compared_on_the_pairs_that_both_can_score(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", 1, 0.25, failed=20)
    write(tmp_path / "b.csv", 2, 0.01)
    done = run("a.npz", "b.csv", "--far", "0.01", "--bootstrap", "200", "--json", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["pairs"], document["compared_pairs"]) == (3000, 2980)
    assert [one["failures"] for one in document["models"]] == [20, 0]
    couple = document["comparisons"][0]
    assert couple["verdict"] == "second is better" and couple["primary"]["low"] > 0
    shown = run("a.npz", "b.csv", "--far", "0.01", "--bootstrap", "200", "--report", "r.html", cwd=tmp_path)
    assert "b.csv is better than a.npz at FAR 1 in 100 (1 %) on these people" in shown.stdout
    page = (tmp_path / "r.html").read_text()
    assert "Pairs on which they differ" in page and "b.csv is right" in page
    assert run("a.npz", "b.csv", "--report", "a.npz", cwd=tmp_path).exit_code == 2


def test_the_clearest_disagreements_come_first(tmp_path: Path) -> None:
    result = compare([write(tmp_path / "a.npz", 1, 0.25), write(tmp_path / "b.npz", 2, 0.01)], QUICK)
    rows = result.disagreements(result.paired.pairs[0], 10)
    thresholds = [evaluation.point(0.01).threshold for evaluation in result.paired.evaluations]  # type: ignore[union-attr]
    beyond = []
    for row, is_first in rows:
        right = [(m.scores[row] >= t) == m.same[row] for m, t in zip(result.models, thresholds, strict=True)]
        assert right == [is_first, not is_first]
        beyond.append(min(abs(m.scores[row] - t) for m, t in zip(result.models, thresholds, strict=True)))
    assert len(rows) == 10 and beyond == sorted(beyond, reverse=True)


def test_scores_of_other_pairs_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "a.npz", 1, 0.1)
    with pytest.raises(InputError, match="has 3,000 pairs"):
        compare([one, write(tmp_path / "b.npz", 2, 0.1, pairs=2000)], QUICK)
    with np.load(one) as arrays:
        changed = {**arrays, "same": ~arrays["same"]}
    np.savez(tmp_path / "c.npz", **changed)
    with pytest.raises(InputError, match="Pair 1 of"):
        compare([one, tmp_path / "c.npz"], QUICK)


@pytest.mark.parametrize("content", [b"", b"PK", b"first,second\na,b\n", b"x" * 100])
def test_a_file_that_has_no_scores_is_told_of(tmp_path: Path, content: bytes) -> None:
    one = write(tmp_path / "a.npz", 1, 0.1)
    for name in ("b.npz", "b.csv"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="no file of scores"):
            compare([one, tmp_path / name], QUICK)


def test_scores_without_labels_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.npz", 1, 0.1), tmp_path / "b.csv"
    other.write_text("first,second,same,fold,score,failed\np0/0.jpg,p0/1.jpg,,,0.5,0\n")
    with pytest.raises(InputError, match="line 2 does not say whether"):
        compare([one, other], QUICK)
    with np.load(one) as arrays:
        np.savez(tmp_path / "c.npz", **{name: array for name, array in arrays.items() if name != "same"})
    with pytest.raises(InputError, match="it lacks same"):
        compare([one, tmp_path / "c.npz"], QUICK)


def test_one_model_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two models and a list"):
        compare(["sface", "pairs.txt"])
    assert run("sface", cwd=tmp_path).exit_code == 2
